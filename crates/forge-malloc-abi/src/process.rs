//! The heap of the process, and what happens at the start and the end of a thread and around a fork.
//!
//! ```text
//!   word of a thread:  0 ── first request ──▶ BARE ──▶ its cache ── the thread ends ──▶ BARE
//!                                                      memory of the heap, far from its blocks
//! ```
//!
//! # Invariants
//!
//! - (I1) The word of a thread is 0, the address of [`BARE`], or that of a cache that lives in memory of [`HEAP`] and is reached by
//!   this thread alone.
//! - (I2) No request changes [`BARE`], since it is closed.
//! - (I3) Every request of [`BARE`] and of each cache goes to [`HEAP`].
//!
//! # Operations
//!
//! [`with_cache`]: O(1), a load and a comparison. The first request of a thread: O(classes).
//!
//! # Design
//!
//! *Nothing is needed before the first request*, which may come from the loader, before any constructor: the heap is a constant.
//! While a thread makes its cache, and after it gave it back, its word leads to a cache that keeps nothing. So the C
//! library may allocate for the registration of the thread's end, and destructors of other thread-locals
//! may allocate after ours ran; a cache is never made twice.
//!
//! *Fork.* The thread that forks takes every lock of the heap first. They are registered by the constructor of this object or
//! by the first request, whichever comes earlier, so that whoever else prepares for a fork does so before. The child has the caches of
//! the thread that forked; what other threads had at hand is lost to it.
#![allow(unsafe_code)]

use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, Ordering};

#[cfg(not(any(feature = "hardened", feature = "interruptible")))]
use forge_malloc::fast::Fast as Chosen;
#[cfg(feature = "hardened")]
use forge_malloc::fast::Hardened as Chosen;
use forge_malloc::fast::{Heap, Profile, ThreadCache};
use forge_os::{ExitHook, Native, SignalMask, on_thread_exit, posix};

use super::word;

/// The fast profile, whose signal handlers may allocate.
#[cfg(all(feature = "interruptible", not(feature = "hardened")))]
type Chosen = forge_malloc::fast::Interruptible<forge_malloc::fast::Fast>;

/// The cache of one thread.
pub(crate) type Cache = ThreadCache<Chosen>;

/// What all threads share.
pub(crate) static HEAP: Heap<Chosen, Native> = Heap::new(Native);

/// A cache that keeps nothing, for threads that have none of their own.
struct Bare(Cache);

// SAFETY: no request changes a closed cache (I2).
unsafe impl Sync for Bare {}

static BARE: Bare = Bare(Cache::closed());

static EXIT: ExitHook = ExitHook::new(give_cache_back);

/// Whether the settings of the user were read.
static CONFIGURED: AtomicBool = AtomicBool::new(false);

/// Whether the functions around a fork are registered.
static WATCHES_FORKS: AtomicBool = AtomicBool::new(false);

/// Returns the size of the block that a request for `size` bytes gets: at least a byte, unless each touch of an empty block faults. O(1).
#[inline(always)]
pub(crate) const fn smallest(size: usize) -> usize {
    if size == 0 && !<Chosen as Profile>::ARMED { 1 } else { size }
}

/// Calls `work` with the cache of the calling thread.
#[inline(always)]
pub(crate) fn with_cache<R>(work: impl FnOnce(&Cache) -> R) -> R {
    let mut cache = cache_of_thread();
    if cache.is_null() {
        cache = attach();
    }
    // SAFETY: the word leads to a cache that stays while the thread is in here (I1).
    work(unsafe { &*cache })
}

/// Calls `work` with the cache of the calling thread, or returns `none` if it has no cache yet.
#[inline(always)]
pub(crate) fn if_attached<R>(none: R, work: impl FnOnce(&Cache) -> R) -> R {
    // SAFETY: as above; null where there is none.
    unsafe { cache_of_thread().as_ref() }.map_or(none, work)
}

/// Returns what the word of the calling thread says.
#[inline(always)]
fn cache_of_thread() -> *const Cache {
    ptr::with_exposed_provenance(word::get())
}

/// Makes the cache of the calling thread, unless a signal handler did before signals were held back.
#[cold]
#[inline(never)]
fn attach() -> *const Cache {
    let mask = SignalMask::hold_all();
    let mut cache = cache_of_thread();
    if cache.is_null() {
        cache = make_cache();
    }
    mask.restore();
    cache
}

/// Makes the cache of the calling thread. No signal arrives.
fn make_cache() -> *const Cache {
    let bare = &raw const BARE.0;
    word::set(bare.expose_provenance());
    watch_forks();
    // Not in the constructor: the C library has no environment yet. Relaxed: only whoever sets it reads them.
    if !CONFIGURED.swap(true, Ordering::Relaxed) {
        HEAP.configure();
        if <Chosen as Profile>::ARMED {
            // Without it, what is written past a block that is never freed goes unseen.
            let _ = posix::at_exit(last_look);
        }
    }
    if on_thread_exit(&EXIT).is_err() {
        return bare;
    }
    let Some(place) = HEAP.take_aside(size_of::<Cache>()) else {
        // The next request tries again.
        word::set(0);
        return bare;
    };
    let cache = place.cast::<Cache>().as_ptr();
    // SAFETY: the place is new, and as large and aligned as a cache.
    unsafe { cache.write(Cache::new()) };
    word::set(cache.expose_provenance());
    cache
}

/// Gives the cache of the thread that ends back, with what it keeps.
fn give_cache_back() {
    let (cache, bare) = (cache_of_thread(), &raw const BARE.0);
    word::set(bare.expose_provenance());
    if cache.is_null() || ptr::eq(cache, bare) {
        return;
    }
    // SAFETY: the cache is this thread's alone, in memory of the heap (I1), and the word leads to it no more.
    unsafe {
        (*cache).close(&HEAP);
        if let Some(place) = NonNull::new(cache.cast_mut()) {
            HEAP.give_aside(place.cast(), size_of::<Cache>());
        }
    }
}

/// Registers the functions around a fork, once.
pub(crate) fn watch_forks() {
    // Relaxed: only whoever sets it registers, and nothing is read through it.
    if !WATCHES_FORKS.swap(true, Ordering::Relaxed) {
        // Where nothing intercepts a fork there is nothing to prepare.
        let _ = posix::at_fork(before_fork, after_fork, after_fork);
    }
}

extern "C" fn last_look() {
    HEAP.check_blocks();
}

extern "C" fn before_fork() {
    HEAP.lock_all();
}

extern "C" fn after_fork() {
    // SAFETY: `before_fork` took the locks on the thread that forked.
    unsafe { HEAP.unlock_all() };
}

/// The constructor of the object.
#[cfg(all(initial_exec, not(test)))]
#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = {
    extern "C" fn construct() {
        watch_forks();
    }
    construct
};

#[cfg(all(test, exported))]
#[path = "process/tests.rs"]
mod tests;
