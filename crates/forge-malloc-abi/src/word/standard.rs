//! A thread-local of the standard library, without a destructor.

use core::cell::Cell;

std::thread_local! {
    static WORD: Cell<usize> = const { Cell::new(0) };
}

/// Returns the word of the calling thread.
#[inline(always)]
pub(crate) fn get() -> usize {
    WORD.get()
}

/// Sets the word of the calling thread.
pub(crate) fn set(word: usize) {
    WORD.set(word);
}
