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
//! | policy | link of a free slot | what a write to a free slot can do |
//! |---|---|---|
//! | [`NoProtection`] | in the slot, compared with what the slab remembers | end the list, or name another slot with both words of a link forged |
//! | `SipHashMAC` | in the slot, with a keyed tag | end the list |
//! | [`OffSlab`] | beside the slots | nothing |
//! | [`Tracked`] | as its inner policy | nothing: no live slot is ever issued again |
//! | [`Fatal`] | as its inner policy | end the process, where the inner policy notices it |
//! | [`Trusting`] | as its inner policy, but compared with nothing | as its inner policy; in the slots, name another slot |
//!
//! # Design
//!
//! The nonce is a number and not an address, so that a slab over inline storage may move. It is unique to the slab and
//! the slot: a tag that is copied to another slot, or to another slab with the same key, does not verify there. A tag
//! that was valid in a slot stays valid there under the same key: whoever can read free slots can put an old link back.
//! Detecting that needs a state per slot, which is what [`Tracked`] adds.
//!
//! The constants choose code at compile time; a policy that leaves them alone signs links in the slots.

use core::fmt;

/// Signs the links of a free list and verifies them, and says where a slab keeps the list.
pub trait FreelistProtection {
    /// Whether links carry a tag. If not, [`sign`](Self::sign) and [`verify`](Self::verify) are never called.
    const SIGNS: bool = true;

    /// Whether the list lies beside the slots instead of in them, so that nothing is signed. A free then leaves the slot
    /// alone, at a word per slot.
    const OFF_SLAB: bool = false;

    /// Whether the slab keeps a map of its live slots, one byte each, and ends the process at a free of anything else.
    const TRACKS: bool = false;

    /// Whether a slab checks what it can check at no cost in memory: that a freed pointer is a slot that was issued, and
    /// that a link in a slot is what it remembers. Without, both are debug assertions. Nothing is left out where
    /// [`TRACKS`](Self::TRACKS) holds.
    const CHECKS: bool = true;

    /// Whether a slab ends the process, in every build, at a link that was overwritten and at a free of what it never issued,
    /// instead of counting them and going on.
    const ENDS: bool = false;

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
    const SIGNS: bool = false;

    #[inline]
    fn sign(&self, _: u32, _: usize) -> u32 {
        0
    }

    #[inline]
    fn verify(&self, _: u32, _: u32, _: usize) -> Result<(), FreelistCorruption> {
        Ok(())
    }
}

/// The policy that keeps the list of free slots beside the slots, a word each.
///
/// No write to a free slot can reach the list, and a free touches no memory of the slot.
#[derive(Clone, Copy, Debug, Default)]
pub struct OffSlab;

impl FreelistProtection for OffSlab {
    const SIGNS: bool = false;
    const OFF_SLAB: bool = true;

    #[inline]
    fn sign(&self, _: u32, _: usize) -> u32 {
        0
    }

    #[inline]
    fn verify(&self, _: u32, _: u32, _: usize) -> Result<(), FreelistCorruption> {
        Ok(())
    }
}

/// Expands to the methods of a policy around another, which signs for it.
macro_rules! sign_as_inner {
    () => {
        #[inline]
        fn sign(&self, next_idx: u32, slot_addr: usize) -> u32 {
            self.0.sign(next_idx, slot_addr)
        }

        #[inline]
        fn verify(&self, next_idx: u32, stored_mac: u32, slot_addr: usize) -> Result<(), FreelistCorruption> {
            self.0.verify(next_idx, stored_mac, slot_addr)
        }
    };
}

/// The policy `M` without the checks of a release build: a slab takes the caller's word that a freed pointer is a live slot.
///
/// A free is then a store or two. A free of anything else, which breaks the contract of
/// [`Deallocator`](crate::Deallocator), is noticed by debug builds only; in others a later allocation hands out what was
/// freed. [`Tracked`] checks again, whatever it is made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trusting<M = OffSlab>(pub M);

impl<M: FreelistProtection> FreelistProtection for Trusting<M> {
    const SIGNS: bool = M::SIGNS;
    const OFF_SLAB: bool = M::OFF_SLAB;
    const TRACKS: bool = M::TRACKS;
    const CHECKS: bool = false;
    const ENDS: bool = M::ENDS;

    sign_as_inner!();
}

/// The policy `M` with a map of the live slots, one byte each: a slab then ends the process at a second free of a slot and
/// at a free of what it never issued, in every build.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tracked<M = NoProtection>(pub M);

impl<M: FreelistProtection> FreelistProtection for Tracked<M> {
    const SIGNS: bool = M::SIGNS;
    const OFF_SLAB: bool = M::OFF_SLAB;
    const TRACKS: bool = true;
    const ENDS: bool = M::ENDS;

    sign_as_inner!();
}

/// The policy `M` without going on: a slab ends the process, in every build, at a link that was overwritten and at a free of
/// what it never issued.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fatal<M = NoProtection>(pub M);

impl<M: FreelistProtection> FreelistProtection for Fatal<M> {
    const SIGNS: bool = M::SIGNS;
    const OFF_SLAB: bool = M::OFF_SLAB;
    const TRACKS: bool = M::TRACKS;
    const CHECKS: bool = M::CHECKS;
    const ENDS: bool = true;

    sign_as_inner!();
}
