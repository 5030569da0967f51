//! The bytes beside a block, in the pages that it has to itself.
//!
//! ```text
//!   first                       start                     end
//!   | 0 0 0 0 .. 0 | tag .. tag | the block               | 0 | tag .. | guard
//!                    up to NEAR                             the slack
//! ```
//!
//! # Operations
//!
//! [`mark`]: O(1). [`check`]: O(page).
//!
//! # Design
//!
//! The tag is a random word of this block alone, kept with the slot, out of reach: who has read another block's tag knows
//! nothing about this one. In front it is repeated for the length of the usual mistakes; all that lies further in front is
//! zero since the page was opened and has to be so still, which costs no writing. Behind, the first byte is zero, so that a
//! string without its end is read no further than the block; a zero written there is not noticed, and does nothing.
#![allow(unsafe_code)]

use core::slice;

use super::checks::Misuse;
use super::sizes::Place;
use crate::zeros::is_zero;

/// How many bytes in front of a block have its tag.
const NEAR: usize = 32;

/// Writes the tag beside a block.
///
/// # Safety
///
/// `block` points to the start of this place, whose opened pages are the caller's, zero, and reached through `block`.
pub(super) unsafe fn mark(block: *mut u8, place: &Place, tag: u64) {
    let near = place.lead.min(NEAR);
    // SAFETY: the opened pages reach from `lead` bytes before the block to `slack` bytes behind it.
    unsafe {
        let end = block.add(place.open - place.lead - place.slack);
        for (index, byte) in bytes_of(tag).take(near).enumerate() {
            block.sub(index + 1).write(byte);
        }
        for (index, byte) in bytes_of(tag).take(place.slack).enumerate().skip(1) {
            end.add(index).write(byte);
        }
    }
}

/// Returns what is wrong beside a block, if anything is.
///
/// # Safety
///
/// As [`mark`], which was called for this block and tag; nothing writes there meanwhile.
pub(super) unsafe fn check(block: *const u8, place: &Place, tag: u64) -> Result<(), Misuse> {
    // SAFETY: the opened pages reach from `lead` bytes before the block to `slack` bytes behind it.
    let (front, slack) = unsafe {
        let end = block.add(place.open - place.lead - place.slack);
        (slice::from_raw_parts(block.sub(place.lead), place.lead), slice::from_raw_parts(end, place.slack))
    };
    let (far, near) = front.split_at(place.lead.saturating_sub(NEAR));
    if !near.iter().rev().copied().eq(bytes_of(tag).take(near.len())) || !is_zero(far) {
        return Err(Misuse::Front);
    }
    let expected =
        bytes_of(tag).take(slack.len()).enumerate().map(|(index, byte)| if index == 0 { 0 } else { byte });
    if slack.iter().copied().eq(expected) { Ok(()) } else { Err(Misuse::Behind) }
}

/// Returns the bytes of a tag, again and again.
fn bytes_of(tag: u64) -> impl Iterator<Item = u8> {
    tag.to_ne_bytes().into_iter().cycle()
}

#[cfg(test)]
mod tests;
