//! Whether bytes still hold what they were filled with.
//!
//! # Design
//!
//! The differences of a run of bytes are joined before they are looked at, so the inner loop has no branch and becomes vector
//! instructions. A difference is rare and ends the process, so nothing is won by noticing it early within a run.

/// The length of a run in bytes.
const RUN: usize = 64;

/// Returns whether every byte is `pattern`. O(bytes).
pub(super) fn holds_only(bytes: &[u8], pattern: u8) -> bool {
    let mut runs = bytes.chunks_exact(RUN);
    runs.by_ref().all(|run| differences(run, pattern) == 0) && differences(runs.remainder(), pattern) == 0
}

/// Returns the bits in which any of the bytes differs from `pattern`.
#[inline(always)]
fn differences(bytes: &[u8], pattern: u8) -> u8 {
    bytes.iter().fold(0, |found, byte| found | (byte ^ pattern))
}

#[cfg(test)]
mod tests;
