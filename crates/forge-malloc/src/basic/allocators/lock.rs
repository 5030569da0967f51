//! A lock that knows who holds it, and survives a fork.
//!
//! ```text
//!   owner:   0              free
//!            thread's id    held by that thread
//!            all ones       never used: functions around forks are not registered yet
//!
//!   enter:   free        -->  mine
//!            mine        -->  "you are inside already": a signal handler, a logger, a hook of a fork
//!            another's   -->  wait
//! ```
//!
//! # Invariants
//!
//! - (I1) From an `enter` that returned `true` until the `leave`, `owner` is the id of that thread, and no other `enter`
//!   returns `true`.
//!
//! # Design
//!
//! A thread can come to a lock that it holds itself: a signal handler that allocates runs in the middle of an allocation.
//! Waiting would be for ever. The owner's id costs nothing, because taking the lock writes a word anyway.
//!
//! `fork` copies the memory of a process but only the thread that calls it. If another thread holds the lock at that moment,
//! the copy has a lock that nobody will ever give back. So the thread that forks takes the lock first, and gives it back on
//! both sides; the C library calls the functions that do so. They are registered at the very first use, before the lock
//! can be held, and without holding anything: registering waits for a fork that is under way, whose functions may allocate.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use forge_alloc_core::sync::hint::{LONGEST_PAUSE, spin_loop, yield_now};

const FREE: usize = 0;
const UNUSED: usize = usize::MAX;

/// Whether threads can be told apart. Without the standard library a thread that meets its own lock waits for ever.
const KNOWS_THREADS: bool = cfg!(feature = "std");

/// Returns a number of the calling thread that is neither `FREE` nor `UNUSED`.
#[inline]
fn this_thread() -> usize {
    #[cfg(feature = "std")]
    return forge_os::thread_id().get();
    #[cfg(not(feature = "std"))]
    return 1;
}

/// A spin lock that knows its owner.
#[derive(Debug)]
pub struct OwnerLock {
    owner: AtomicUsize,
}

impl OwnerLock {
    /// Takes the lock, or returns `false` if the calling thread holds it already.
    #[inline]
    pub(super) fn enter(&self) -> bool {
        let me = this_thread();
        // Acquire: pairs with the Release store in `leave`.
        self.owner.compare_exchange(FREE, me, Ordering::Acquire, Ordering::Relaxed).is_ok()
            || self.enter_slowly(me)
    }

    #[cold]
    #[inline(never)]
    fn enter_slowly(&self, me: usize) -> bool {
        let mut pause = 1;
        loop {
            // Relaxed: only a thread itself writes its id, and the exchange below decides about the rest.
            match self.owner.load(Ordering::Relaxed) {
                FREE => {
                    // Acquire: pairs with the Release store in `leave`.
                    if self.owner.compare_exchange(FREE, me, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                        return true;
                    }
                }
                UNUSED => {
                    register();
                    // Relaxed: nothing was done under the lock yet.
                    let _ = self.owner.compare_exchange(UNUSED, FREE, Ordering::Relaxed, Ordering::Relaxed);
                }
                owner if KNOWS_THREADS && owner == me => return false,
                _ if pause > LONGEST_PAUSE => yield_now(),
                _ => {
                    (0..pause).for_each(|_| spin_loop());
                    pause *= 2;
                }
            }
        }
    }

    /// Gives the lock back.
    #[inline]
    pub(super) fn leave(&self) {
        // Release: pairs with the Acquire exchanges in `enter`.
        self.owner.store(FREE, Ordering::Release);
    }
}

/// The lock of an allocator.
///
/// # Safety
///
/// `owner_lock` always returns the same lock, also after a move while that lock is not held.
pub unsafe trait HeapLock {
    /// A lock that is free.
    const NEW: Self;

    /// Returns the lock that is taken.
    fn owner_lock(&self) -> &OwnerLock;
}

/// A lock of one allocator's own. A fork does not know it.
#[derive(Debug)]
pub struct OwnLock(OwnerLock);

// SAFETY: the lock lies in the value.
unsafe impl HeapLock for OwnLock {
    const NEW: Self = Self(OwnerLock { owner: AtomicUsize::new(FREE) });

    #[inline]
    fn owner_lock(&self) -> &OwnerLock {
        &self.0
    }
}

/// The one lock of the process, which every fork takes before it copies the memory.
#[derive(Debug)]
pub struct ProcessLock;

static OF_THE_PROCESS: OwnerLock = OwnerLock { owner: AtomicUsize::new(UNUSED) };

// SAFETY: there is one lock.
unsafe impl HeapLock for ProcessLock {
    const NEW: Self = Self;

    #[inline]
    fn owner_lock(&self) -> &OwnerLock {
        &OF_THE_PROCESS
    }
}

/// How many `before_fork` have run without an `after_fork`: threads that race for the first use register more than once.
static DEPTH: AtomicUsize = AtomicUsize::new(0);
/// Whether the first of them took the lock, rather than found that its thread holds it.
static TOOK: AtomicBool = AtomicBool::new(false);

fn register() {
    // Where no C library is linked, nothing can be registered, and nothing forks but a bare system call.
    let _ = forge_os::posix::at_fork(before_fork, after_fork, after_fork);
}

// Relaxed, here and below: forks take turns, and all functions of one run on one thread.
extern "C" fn before_fork() {
    if OF_THE_PROCESS.enter() {
        TOOK.store(true, Ordering::Relaxed);
    }
    DEPTH.fetch_add(1, Ordering::Relaxed);
}

extern "C" fn after_fork() {
    if DEPTH.fetch_sub(1, Ordering::Relaxed) == 1 && TOOK.swap(false, Ordering::Relaxed) {
        OF_THE_PROCESS.leave();
    }
}
