//! The allocators of a whole process: one heap each, a cache per thread, and what happens at the end of a thread and around a fork.
//!
//! ```text
//!   thread-local  CACHE ──┐   first refill: register the exit hook
//!   thread-local  CACHE ──┼── HEAP      first refill of all: register the fork hooks
//!   thread-local  CACHE ──┘
//!
//!   a thread ends:   its destructors, which may allocate ── exit hook: close the cache ── what comes later goes to the spans
//!   fork:            every lock is taken ── fork ── every lock is given back, in parent and child
//! ```
//!
//! # Design
//!
//! *A type for each profile*, since neither a static nor a thread-local can be generic; what a program does not name is not linked.
//!
//! *The cache is a thread-local without a destructor and with a constant first value*, so that reaching it needs no
//! initialisation, no registration and, in an executable, no call. The exit hook is the system's and runs after
//! the program's own thread-locals were dropped. What allocates even later finds a closed cache, which keeps nothing and so
//! leaks nothing; a cache is never opened twice.
//!
//! *Fork.* Depots and batches are lock-free and whole at any moment. What the locks guard is whole while they are held, so the thread that forks
//! takes them all first; where handlers may allocate, none interrupts it until both processes gave them back. The child has that thread's cache; blocks in the caches of the threads that did not come along are lost to it.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use forge_os::{ExitHook, Native, on_thread_exit, posix};

use super::front::cache::ThreadCache;
use super::heap::Heap;
use super::profile::{Fast, Hardened, Interruptible, Profile};
use super::stats::Stats;

/// Defines the process allocator of a profile, in a module of its own.
macro_rules! process_allocator {
    ($(#[$attribute:meta])* $name:ident, $profile:ty, $module:ident) => {
        mod $module {
            use super::*;

            pub(super) static HEAP: Heap<$profile, Native> = Heap::new(Native);

            std::thread_local! {
                static CACHE: ThreadCache<$profile> = const { ThreadCache::with_opener(open) };
            }

            static EXIT: ExitHook = ExitHook::new(close);

            /// Whether the functions around a fork are registered.
            static WATCHES_FORKS: AtomicBool = AtomicBool::new(false);

            /// Lets the cache of the calling thread keep blocks, if the end of the thread can be learnt.
            #[cold]
            fn open(cache: &ThreadCache<$profile>) {
                // Relaxed: only whoever sets it registers, and nothing is read through it.
                if !WATCHES_FORKS.swap(true, Ordering::Relaxed) {
                    // Where nothing intercepts a fork there is nothing to prepare.
                    let _ = posix::at_fork(before_fork, after_fork, after_fork);
                    HEAP.configure();
                    if <$profile as Profile>::ARMED {
                        // Without it, what is written past a block that is never freed goes unseen.
                        let _ = posix::at_exit(last_look);
                    }
                }
                if on_thread_exit(&EXIT).is_ok() {
                    cache.open();
                }
            }

            /// Closes the cache of the thread that ends.
            fn close() {
                // SAFETY: all caches of threads go to this heap.
                with_cache(|cache| unsafe { cache.close(&HEAP) });
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

            /// Calls `work` with the cache of the calling thread.
            #[inline(always)]
            pub(super) fn with_cache<R>(work: impl FnOnce(&ThreadCache<$profile>) -> R) -> R {
                // Only the address is taken in there: a longer closure would not be inlined.
                let cache = CACHE.with(ptr::from_ref);
                // SAFETY: a thread-local without a destructor is there as long as its thread runs.
                work(unsafe { &*cache })
            }
        }

        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name;

        impl $name {
            /// Returns the allocator. O(1).
            #[must_use]
            pub const fn new() -> Self {
                Self
            }

            /// Gives back to the system what is free: the cache of the calling thread, what waits for any thread, and all that is
            /// retained.
            pub fn trim() {
                // SAFETY: all caches of threads go to this heap.
                $module::with_cache(|cache| unsafe { cache.empty(&$module::HEAP) });
                $module::HEAP.trim();
            }

            /// Returns how much memory the allocator holds. Allocates nothing.
            #[must_use]
            pub fn stats() -> Stats {
                $module::HEAP.stats()
            }
        }

        // SAFETY: blocks are distinct, of the size and alignment of their layout, and stay until they are freed, by any thread;
        // null reports that there is no memory, and nothing unwinds.
        unsafe impl GlobalAlloc for $name {
            #[inline]
            unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
                // SAFETY: all caches of threads go to this heap, which lives as long as the process.
                $module::with_cache(|cache| unsafe { cache.allocate(&$module::HEAP, layout) })
            }

            #[inline]
            unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
                // SAFETY: the caller's promise, and as above.
                $module::with_cache(|cache| unsafe { cache.deallocate(&$module::HEAP, block, layout) });
            }

            #[inline]
            unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
                // SAFETY: as above.
                $module::with_cache(|cache| unsafe { cache.allocate_zeroed(&$module::HEAP, layout) })
            }

            #[inline]
            unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
                // SAFETY: the caller's promise, and as above.
                $module::with_cache(|cache| unsafe { cache.reallocate(&$module::HEAP, block, layout, size) })
            }
        }
    };
}

process_allocator! {
    /// The process allocator of the profile [`Fast`].
    ///
    /// All values are the same allocator. Signal handlers must not allocate or free where they may interrupt a request; with
    /// [`InterruptibleMalloc`] they may.
    ///
    /// # Examples
    ///
    /// ```
    /// use forge_malloc::fast::ForgeMalloc;
    ///
    /// #[global_allocator]
    /// static GLOBAL: ForgeMalloc = ForgeMalloc::new();
    ///
    /// let words: Vec<String> = ["one", "two"].map(String::from).to_vec();
    /// assert_eq!(words.concat(), "onetwo");
    /// assert!(ForgeMalloc::stats().live > 0);
    /// ForgeMalloc::trim();
    /// ```
    ForgeMalloc, Fast, fast
}

process_allocator! {
    /// The process allocator of the profile [`Interruptible<Fast>`](Interruptible): that of [`ForgeMalloc`](super::ForgeMalloc), whose
    /// signal handlers may allocate and free, whatever they interrupt.
    ///
    /// All values are the same allocator.
    ///
    /// # Examples
    ///
    /// ```
    /// use forge_malloc::fast::InterruptibleMalloc;
    ///
    /// #[global_allocator]
    /// static GLOBAL: InterruptibleMalloc = InterruptibleMalloc::new();
    ///
    /// let words: Vec<String> = ["one", "two"].map(String::from).to_vec();
    /// assert_eq!(words.concat(), "onetwo");
    /// ```
    InterruptibleMalloc, Interruptible<Fast>, interruptible
}

process_allocator! {
    /// The process allocator of the profile [`Hardened`].
    ///
    /// All values are the same allocator. Misuse of a block ends the process with one line on the standard error output. Signal handlers
    /// may allocate and free.
    ///
    /// # Examples
    ///
    /// ```
    /// use forge_malloc::fast::HardenedMalloc;
    ///
    /// #[global_allocator]
    /// static GLOBAL: HardenedMalloc = HardenedMalloc::new();
    ///
    /// let words: Vec<String> = ["one", "two"].map(String::from).to_vec();
    /// assert_eq!(words.concat(), "onetwo");
    /// ```
    HardenedMalloc, Hardened, hardened
}
