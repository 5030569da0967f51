//! Thread slots where there are no thread-locals: nobody ever holds one.

/// How many slots there are.
pub(crate) const SLOTS: usize = 0;

/// Returns a number that is not a slot.
#[inline(always)]
pub(crate) fn current() -> usize {
    SLOTS
}

/// Returns a number that is not a slot.
#[inline(always)]
pub(crate) fn acquire() -> usize {
    SLOTS
}
