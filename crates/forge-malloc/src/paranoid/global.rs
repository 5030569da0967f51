//! The allocator of a whole process: one heap, and what happens around a fork.
//!
//! ```text
//!   first block   register the fork hooks
//!   any call      signals are held back ── the heap ── signals arrive
//!   fork          signals are held back, every lock is taken ── fork ── every lock is given back, signals arrive;
//!                 the child forgets the random words
//! ```
//!
//! # Design
//!
//! Threads have nothing of their own here, so their ends need no care. The fork hooks are registered before the first
//! request takes a lock.
//!
//! A call takes locks, so a handler of a signal that interrupted it and asked for memory would wait for ever: signals wait
//! instead. That costs two system calls, which is little beside the others. Where the process ends because of a
//! misuse they stay held back, but for the one that ends it.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use forge_os::{Native, SignalMask, posix};

use super::heap::Heap;
use super::stats::Stats;

static HEAP: Heap<Native> = Heap::new(Native);

/// Whether the functions around a fork are registered.
static WATCHES_FORKS: AtomicBool = AtomicBool::new(false);

/// What the thread that forks held back before, while it has the locks.
struct ForkMask(UnsafeCell<Option<SignalMask>>);

// SAFETY: it is reached by the thread that has every lock of the heap.
unsafe impl Sync for ForkMask {}

static FORK_MASK: ForkMask = ForkMask(UnsafeCell::new(None));

extern "C" fn before_fork() {
    let mask = SignalMask::hold_all();
    HEAP.lock_all();
    // SAFETY: this thread has the locks.
    unsafe { *FORK_MASK.0.get() = Some(mask) };
}

/// Undoes what was done before the fork.
fn after_fork(is_child: bool) {
    // SAFETY: `before_fork` took the locks on this thread, or on the one that this process was forked from.
    let mask = unsafe {
        let mask = (*FORK_MASK.0.get()).take();
        HEAP.unlock_all(is_child);
        mask
    };
    if let Some(mask) = mask {
        mask.restore();
    }
}

extern "C" fn after_fork_in_parent() {
    after_fork(false);
}

extern "C" fn after_fork_in_child() {
    after_fork(true);
}

/// Calls `work` while no signal interrupts this thread.
fn undisturbed<R>(work: impl FnOnce() -> R) -> R {
    let mask = SignalMask::hold_all();
    let result = work();
    mask.restore();
    result
}

#[cold]
fn watch_forks() {
    // Relaxed: only whoever sets it registers, and nothing is read through it.
    if !WATCHES_FORKS.swap(true, Ordering::Relaxed) {
        // Where nothing intercepts a fork there is nothing to prepare.
        let _ = posix::at_fork(before_fork, after_fork_in_parent, after_fork_in_child);
    }
}

/// The process allocator that detects most and costs most: each block has pages of its own between guards.
///
/// All values are the same allocator. A request takes about as long as a few system calls and a page fault, and each block at
/// least a page.
///
/// # Examples
///
/// ```
/// use forge_malloc::paranoid::ParanoidMalloc;
///
/// #[global_allocator]
/// static GLOBAL: ParanoidMalloc = ParanoidMalloc::new();
///
/// let words: Vec<String> = ["one", "two"].map(String::from).to_vec();
/// assert_eq!(words.concat(), "onetwo");
/// assert!(ParanoidMalloc::stats().live_blocks >= 3);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ParanoidMalloc;

impl ParanoidMalloc {
    /// Returns the allocator. O(1).
    #[must_use]
    pub const fn new() -> Self {
        Self
    }

    /// Unmaps the ranges of addresses in which no block is live and none waits.
    pub fn trim() {
        undisturbed(|| HEAP.trim());
    }

    /// Frees a block of any layout. Ends the process if no live block starts there, or if something was written beside it.
    ///
    /// # Safety
    ///
    /// Nothing uses the block any more.
    pub unsafe fn free(block: *mut u8) {
        // SAFETY: the caller's promise.
        undisturbed(|| unsafe { HEAP.deallocate_unsized(block) });
    }

    /// Returns the size of a block, which is what was asked for. Ends the process if no live block starts there.
    #[must_use]
    pub fn size_of_block(block: *const u8) -> usize {
        undisturbed(|| HEAP.size_of_block(block))
    }

    /// Returns how much memory the allocator holds, and how well it is guarded. Allocates nothing.
    #[must_use]
    pub fn stats() -> Stats {
        undisturbed(|| HEAP.stats())
    }
}

// SAFETY: blocks are distinct, of the size and alignment of their layout, and stay until they are freed, by any thread;
// null reports that there is no memory, and nothing unwinds.
unsafe impl GlobalAlloc for ParanoidMalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Relaxed: whether somebody registers already is all that is asked.
        if !WATCHES_FORKS.load(Ordering::Relaxed) {
            watch_forks();
        }
        undisturbed(|| HEAP.allocate(layout))
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        undisturbed(|| unsafe { HEAP.deallocate(block, layout) });
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise. Every block is zero.
        unsafe { self.alloc(layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match Layout::from_size_align(size, layout.align()) {
            // SAFETY: the caller's promise.
            Ok(new) => undisturbed(|| unsafe { HEAP.reallocate(block, layout, new) }),
            Err(_) => ptr::null_mut(),
        }
    }
}
