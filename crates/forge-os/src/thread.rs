//! Threads as an allocator sees them: a cheap identity, and a hook at the end.
//!
//! ```text
//!   HOOKS   [ f | g | - | - | ... ]     process-wide, filled once per distinct hook
//!              0   1   2   3
//!   word of this thread  0b0011         "run f and g when I end"
//! ```
//!
//! # Invariants
//!
//! (I1) A slot of `HOOKS` is null or points to an `ExitHook` that lives for ever, and never changes once it
//!      is set.
//! (I2) A bit is set in a thread's word only after its slot was set.
//!
//! # Design
//!
//! The per-thread word is a set of bits rather than a pointer to a list, so registering allocates nothing and
//! registering twice is the same as once. The word lives in the system's thread-specific storage, whose
//! destructors run after the program's own thread locals. A hook is recognised by the address of its
//! [`ExitHook`]: the address of a function does not identify it, because the compiler may merge functions or
//! duplicate one.

#![allow(unsafe_code)]

#[cfg(any(hosted, feature = "std"))]
use core::ptr;
#[cfg(hosted)]
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::OsError;
#[cfg(hosted)]
use crate::platform;

/// The number of distinct hooks that [`on_thread_exit`] can hold in one process.
pub const MAX_EXIT_HOOKS: usize = 16;

/// Returns a number that no other live thread has: small cost, never zero.
///
/// With `std` it is the address of a thread local (an instruction or two); otherwise the system's thread
/// number (on Linux a system call, so callers keep it). A number may be used again after its thread ended.
///
/// Absent where there is neither `std` nor a known operating system.
#[cfg(feature = "std")]
#[inline]
#[must_use]
pub fn thread_id() -> core::num::NonZeroUsize {
    std::thread_local! {
        static MARK: u8 = const { 0 };
    }
    // A thread local without a destructor is never refused, and no object has the address zero.
    let address = MARK.try_with(|mark| ptr::from_ref(mark).addr());
    address.ok().and_then(core::num::NonZeroUsize::new).unwrap_or(core::num::NonZeroUsize::MIN)
}

/// Returns a number that no other live thread has: small cost, never zero.
///
/// With `std` it is the address of a thread local (an instruction or two); otherwise the system's thread
/// number (on Linux a system call, so callers keep it). A number may be used again after its thread ended.
///
/// Absent where there is neither `std` nor a known operating system.
#[cfg(all(not(feature = "std"), hosted))]
#[inline]
#[must_use]
pub fn thread_id() -> core::num::NonZeroUsize {
    platform::thread_number()
}

#[cfg(hosted)]
static HOOKS: [AtomicPtr<ExitHook>; MAX_EXIT_HOOKS] =
    [const { AtomicPtr::new(ptr::null_mut()) }; MAX_EXIT_HOOKS];

/// Zero before the first registration; then the key of the per-thread word, plus one.
#[cfg(hosted)]
static KEY: AtomicUsize = AtomicUsize::new(0);

/// A function that [`on_thread_exit`] can run; make it a `static`.
#[derive(Debug)]
pub struct ExitHook {
    #[cfg_attr(not(hosted), allow(dead_code))]
    run: fn(),
}

impl ExitHook {
    /// Returns a hook that calls `run` on the thread that ends. `run` must not panic: a panic aborts the
    /// process.
    #[must_use]
    pub const fn new(run: fn()) -> Self {
        Self { run }
    }
}

/// Runs `hook` when the calling thread ends. Registering the same hook again in the same thread changes
/// nothing.
///
/// The hook runs on the ending thread, after the program's thread locals were dropped (on Windows: in the
/// order of the system's own callbacks). A hook that causes itself to be registered again runs again, up to
/// the system's limit (`PTHREAD_DESTRUCTOR_ITERATIONS`, at least 4). It does not run for the
/// thread that returns from `main`, nor when the process exits.
///
/// Allocates nothing through Rust; the C library may allocate if the process has created dozens of
/// thread-specific keys before. O([`MAX_EXIT_HOOKS`]).
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "libc")]
/// # fn main() -> Result<(), forge_os::OsError> {
/// use forge_os::{ExitHook, on_thread_exit};
///
/// static FLUSH: ExitHook = ExitHook::new(|| { /* return this thread's cache */ });
///
/// std::thread::spawn(|| on_thread_exit(&FLUSH)).join().unwrap()
/// # }
/// # #[cfg(not(feature = "libc"))]
/// # fn main() {}
/// ```
///
/// # Errors
///
/// * [`MAX_EXIT_HOOKS`] other hooks are registered in this process: out of memory;
/// * the system has no thread-specific storage left: its error;
/// * no operating system, or Linux without the feature `libc`: unsupported.
pub fn on_thread_exit(hook: &'static ExitHook) -> Result<(), OsError> {
    register(hook)
}

#[cfg(not(hosted))]
fn register(_: &'static ExitHook) -> Result<(), OsError> {
    Err(OsError::unsupported("on_thread_exit"))
}

#[cfg(hosted)]
fn register(hook: &'static ExitHook) -> Result<(), OsError> {
    let key = exit_key()?;
    let index = slot_of(hook).ok_or(OsError::out_of_memory("on_thread_exit"))?;
    platform::set_exit_word(key, platform::exit_word(key) | 1 << index)
}

/// Returns the process-wide key, creating it at the first call.
#[cfg(hosted)]
fn exit_key() -> Result<usize, OsError> {
    // Acquire: pairs with the Release exchange below, so that the key's creation happened before its use.
    match KEY.load(Ordering::Acquire) {
        0 => {}
        key => return Ok(key - 1),
    }
    let key = platform::create_exit_key()?;
    // Release publishes the key; Acquire reads the key of a thread that was faster.
    match KEY.compare_exchange(0, key + 1, Ordering::Release, Ordering::Acquire) {
        Ok(_) => Ok(key),
        Err(winner) => {
            platform::delete_exit_key(key);
            Ok(winner - 1)
        }
    }
}

/// Returns the slot that holds `hook`, taking a free one if there is none.
#[cfg(hosted)]
fn slot_of(hook: &'static ExitHook) -> Option<usize> {
    let hook = ptr::from_ref(hook).cast_mut();
    HOOKS.iter().position(|slot| {
        // Relaxed: a hook is constant, so nothing has to be published with its address.
        match slot.compare_exchange(ptr::null_mut(), hook, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => true,
            Err(taken) => taken == hook,
        }
    })
}

/// Runs the hooks whose bits are set in the word of the ending thread.
#[cfg(hosted)]
#[cfg_attr(all(system = "linux", not(feature = "libc")), allow(dead_code))]
pub(crate) fn run_hooks(word: usize) {
    for (index, slot) in HOOKS.iter().enumerate() {
        if word & 1 << index == 0 {
            continue;
        }
        // Relaxed: this thread set the bit itself, after it saw the slot set (I2).
        let hook = slot.load(Ordering::Relaxed);
        // SAFETY: null, or a hook that lives for ever and is never written (I1).
        if let Some(hook) = unsafe { hook.as_ref() } {
            (hook.run)();
        }
    }
}

#[cfg(test)]
#[cfg(hosted)]
mod tests;
