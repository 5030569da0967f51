//! Whether memory is zero, looked at a word at a time and without a branch for each.
#![allow(unsafe_code)]

/// Returns whether all bytes are zero. O(length).
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    // SAFETY: every pattern is a value of a word.
    let (front, words, behind) = unsafe { bytes.align_to::<u64>() };
    front.iter().chain(behind).fold(0, |all, byte| all | byte) == 0 && words_are_zero(words)
}

/// Returns whether all words are zero. O(length).
#[inline(always)]
pub(crate) fn words_are_zero(words: &[u64]) -> bool {
    words.iter().fold(0, |all, word| all | word) == 0
}

#[cfg(test)]
mod tests;
