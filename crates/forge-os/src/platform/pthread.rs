//! Thread-specific values of POSIX threads: one word per thread whose destructor runs the exit hooks.
//!
//! # Design
//!
//! A key rather than a `thread_local!` with `Drop`: the destructors of keys run after those of thread locals,
//! so an allocator's hook runs after the last thread local of the program was dropped, and setting one of the
//! first keys of a process writes into the thread's own control block (glibc has 32 such keys, musl 128)
//! instead of allocating.

#![allow(unsafe_code)]

use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr;

use crate::OsError;

type Key = libc::pthread_key_t;

/// The destructor of the key. The C library passes the word and has reset it to zero before.
unsafe extern "C" fn run(word: *mut c_void) {
    crate::thread::run_hooks(word.addr());
}

/// Creates a key whose per-thread word starts at zero.
pub(crate) fn create_exit_key() -> Result<usize, OsError> {
    let mut key = MaybeUninit::<Key>::uninit();
    // SAFETY: `key` is writable for one key, and `run` has the signature of a destructor.
    match unsafe { libc::pthread_key_create(key.as_mut_ptr(), Some(run)) } {
        // SAFETY: on success the key was written.
        0 => Ok(unsafe { key.assume_init() } as usize),
        code => Err(OsError::new("pthread_key_create", code)),
    }
}

/// Deletes a key that no thread used yet.
pub(crate) fn delete_exit_key(key: usize) {
    // SAFETY: `key` came from `create_exit_key` and is deleted once; no destructor is lost because no thread
    // used it.
    let _ = unsafe { libc::pthread_key_delete(key as Key) };
}

/// Returns the calling thread's word.
pub(crate) fn exit_word(key: usize) -> usize {
    // SAFETY: `key` came from `create_exit_key` and is not deleted once it was published.
    unsafe { libc::pthread_getspecific(key as Key) }.addr()
}

/// Sets the calling thread's word; a word other than zero runs the hooks when the thread ends.
pub(crate) fn set_exit_word(key: usize, word: usize) -> Result<(), OsError> {
    // SAFETY: `key` came from `create_exit_key`; the word is never dereferenced.
    match unsafe { libc::pthread_setspecific(key as Key, ptr::without_provenance(word)) } {
        0 => Ok(()),
        code => Err(OsError::new("pthread_setspecific", code)),
    }
}
