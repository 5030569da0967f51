//! How the links of a free list are protected against being overwritten.
//!
//! ```text
//!   free slot i:  [ next index | tag ]        tag = sign(next index, i)
//!                       |
//!                       v
//!   free slot j:  [ 0 (end)    | tag ]        indices are 1-based, 0 ends the list
//! ```
//!
//! A slab writes the tag when a slot is freed and verifies it before it follows the link.
//!
//! # Design
//!
//! The nonce is the slot's own index and not its address, so that a slab over inline storage may move. A tag that was
//! valid in a slot stays valid there under the same key: whoever can read free slots can put an old link back.
//! Detecting that needs a state per slot, which is the business of the slab (a map of live slots).

use core::fmt;

/// Signs the links of a free list and verifies them.
pub trait FreelistProtection {
    /// Returns the tag of a link to the 1-based index `next_idx` (0 ends the list), stored in the slot that `slot_addr`
    /// names. Equal arguments give equal tags.
    fn sign(&self, next_idx: u32, slot_addr: usize) -> u32;

    /// Checks that `stored_mac` is the tag of this link.
    ///
    /// # Errors
    ///
    /// [`FreelistCorruption`] if the link or its tag was changed.
    fn verify(&self, next_idx: u32, stored_mac: u32, slot_addr: usize) -> Result<(), FreelistCorruption>;
}

/// The error of a link whose tag does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreelistCorruption;

impl fmt::Display for FreelistCorruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a free-list link does not match its tag")
    }
}

impl core::error::Error for FreelistCorruption {}

/// The protection that accepts every link, at no cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProtection;

impl FreelistProtection for NoProtection {
    #[inline]
    fn sign(&self, _: u32, _: usize) -> u32 {
        0
    }

    #[inline]
    fn verify(&self, _: u32, _: u32, _: usize) -> Result<(), FreelistCorruption> {
        Ok(())
    }
}
