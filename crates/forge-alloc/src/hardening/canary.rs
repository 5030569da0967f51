//! A keyed word on each side of a block: what writes past the end, or before the start, is found at the free.
//!
//! ```text
//!   inner block                    user block
//!   | padding to alignment | before | size bytes ........ | behind |
//!   |<------ prefix = max(8, align) ->|                     8 bytes, at any address
//! ```
//!
//! # Invariants
//!
//! - (I1) With `h` the keyed hash of the place of a live block, the word before it is `h` xor the code of its layout, and the
//!   word behind it is `h` with its halves exchanged and its lowest bit set, least significant byte first.
//! - (I2) The inner block has the layout that [`affix`] puts around the user's, so a free finds it again.
//! - (I3) The code of a layout is `(size * 64 + log2(align)) * C` for an odd constant `C`, and so can be undone.
//! - (I4) The pointer that a caller frees is the one that it was given: it may reach both words.
//!
//! # Operations
//!
//! All O(1) beside the inner allocator's: a hash and two stores for an allocation, a hash, two comparisons and two stores for a
//! free, a resize in place is both.
//!
//! # Design
//!
//! *A word for each block.* The hash of the place makes the words of two blocks unrelated, so that words copied from one block
//! do not pass at another. The place survives a move of inline storage ([`place`]).
//!
//! *What a reader can forge.* [`keyed`](super::keyed) says it in full. Who has seen the words of no block, or of one, does
//! not know those of any other, nor of the same block at another layout's end: a try succeeds with probability 2^-63 before and
//! 2^-62 behind. Who has seen those of two blocks, and where these lie, can solve for the key. The
//! [fingerprint](Canary::canary_value) counts as a block that was seen. And who can read the words of a block before writing
//! over them puts them back: a canary finds mistakes and blind attacks.
//!
//! *The layout is in the word.* If the word before a block is not the expected one, undoing the hash and the code yields the
//! layout that the block was allocated with, or, if it was overwritten, noise: `C` spreads a change of any byte over all bits,
//! so noise passes for a layout once in some hundred thousand times. That tells a free with a wrong layout from an overwrite
//! without a read at a place that nobody vouches for. Sizes from 2^58 bytes do not occur.
//!
//! *The byte after the end is never zero*, so the zero that ends a string one byte too late is found, and a string without
//! its end does not seem to have one.
//!
//! *A mismatch ends the process.* The words are checked at the free, and when a block is resized; an overwrite of a block that
//! is never freed is never found. Both words are wiped at the free, so none is left for a reader.
//!
//! A guard of the inner range is not passed on ([`FixedRange::GUARDED`]): the word behind the block, and not the block, would
//! lie against it.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, StableAddress, relocate,
};

#[cfg(feature = "std")]
use super::entropy;
use super::keyed::Key;
use super::{affix, place, wipe};
use crate::forward::{forward_reset, forward_totals, forward_unguarded_range};
use crate::layout::quarantinable::Quarantinable;
use crate::report;

/// The size in bytes of the word on each side of a block.
const WORD: usize = size_of::<u64>();

/// An odd constant (I3), and its inverse modulo 2^64.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
const GATHER: u64 = inverse(SPREAD);

/// No block has this place: blocks are aligned to a word.
const NOWHERE: usize = usize::MAX;

/// An allocator whose blocks lie between two keyed words, which are checked when the block is freed or resized.
///
/// A block takes 16 bytes more, or `align + 8` where its alignment is above 8.
///
/// # Examples
///
/// ```
/// use forge_alloc::{Allocator, Canary, Deallocator, InlineBacked, NonZeroLayout};
///
/// let memory = Canary::new_with_seed(InlineBacked::<64>::new(), 7);
/// let layout = NonZeroLayout::from_size_align(16, 8).unwrap();
/// let block = memory.allocate(layout)?.cast::<u8>();
/// // SAFETY: the block is live and 16 bytes long; one byte more, and the free would end the process.
/// unsafe {
///     block.write_bytes(0xFF, 16);
///     memory.deallocate(block, layout);
/// }
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
///
/// An arena that carved the bytes would put no words between them, so it does not build:
///
/// ```compile_fail,E0080
/// use forge_alloc::{BumpArena, Canary, InlineBacked};
///
/// let arena = BumpArena::new(Canary::new_with_seed(InlineBacked::<64>::new(), 7));
/// ```
pub struct Canary<I> {
    key: Key,
    inner: I,
}

impl<I> Canary<I> {
    /// Returns `inner` with canaries whose key is stretched from `seed`; 0 stands for `0xCAFEBABE_DEADBEEF`. O(1).
    ///
    /// The same seed gives the same key: this is for repeatable runs, and for targets without a source of entropy.
    pub const fn new_with_seed(inner: I, seed: u64) -> Self {
        let seed = if seed == 0 { 0xCAFE_BABE_DEAD_BEEF } else { seed };
        Self { key: Key::from_seed(seed), inner }
    }

    /// Returns `inner` with canaries whose key comes from the operating system. One system call.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn new(inner: I) -> Self {
        Self { key: Key::from_words(entropy::words()), inner }
    }

    /// Returns a fingerprint of the key: the hash of a place that no block has. O(1).
    ///
    /// It tells instances apart and is the word of no block. It is worth one read block to who wants to solve for the key, so
    /// it is not for logs.
    #[must_use]
    pub const fn canary_value(&self) -> u64 {
        self.key.hash(NOWHERE, 0)
    }

    /// Returns what is inside. Its blocks are the user's with the words around them.
    #[must_use]
    pub const fn inner(&self) -> &I {
        &self.inner
    }
}

impl<I: Allocator> Canary<I> {
    /// Returns the hash of the place of a block. O(1).
    #[inline(always)]
    fn hash(&self, ptr: NonNull<u8>) -> u64 {
        self.key.hash(place::of(self, self.inner.blocks_stay(), ptr), 0)
    }

    /// Writes the words around the block at `ptr` (I1).
    ///
    /// # Safety
    ///
    /// The inner block of a block of this layout at `ptr` is live and exclusively the caller's.
    #[inline(always)]
    unsafe fn seal(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        let hash = self.hash(ptr);
        // SAFETY: both words lie in the inner block (I2); the one in front is aligned, because the prefix is a multiple of a word
        // and the inner block aligned to one.
        unsafe {
            ptr.sub(WORD).cast::<u64>().write(hash ^ code(layout));
            ptr.add(layout.size().get()).cast::<u64>().write_unaligned(behind(hash));
        }
    }

    /// Checks the words around a block and wipes them; ends the process if one is wrong.
    ///
    /// # Safety
    ///
    /// `ptr` is a live block and `layout` its layout.
    #[inline(always)]
    unsafe fn unseal(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        let hash = self.hash(ptr);
        // SAFETY: both words lie in the inner block, as for `seal`; the one behind is looked for only after the one in front has
        // said that the layout is right.
        unsafe {
            let (before, after) = (ptr.sub(WORD), ptr.add(layout.size().get()));
            let stored = before.cast::<u64>().read();
            if stored != hash ^ code(layout) {
                refuse(ptr, stored ^ hash);
            }
            if after.cast::<u64>().read_unaligned() != behind(hash) {
                report::fatal_canary_behind(ptr);
            }
            wipe::zeroize(before, WORD);
            wipe::zeroize(after, WORD);
        }
    }

    /// Returns the user block in an inner block, sealed.
    ///
    /// # Safety
    ///
    /// `inner` is a fresh inner block for a block of `layout`.
    #[inline(always)]
    unsafe fn issue(&self, inner: NonNull<[u8]>, layout: NonZeroLayout) -> NonNull<[u8]> {
        // SAFETY: the inner block starts with the prefix, and is the caller's alone (I2).
        let ptr = unsafe {
            let ptr = inner.cast::<u8>().add(prefix(layout));
            self.seal(ptr, layout);
            ptr
        };
        NonNull::slice_from_raw_parts(ptr, layout.size().get())
    }

    /// Returns the inner layouts of a resize, if the inner block would stay where it is and the user's in it.
    ///
    /// # Safety
    ///
    /// As [`Allocator::stays_in_place`].
    #[inline]
    unsafe fn kept(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Option<(NonZeroLayout, NonZeroLayout)> {
        let (old_around, new_around) = (around(old)?, around(new)?);
        // SAFETY: the inner block starts a prefix before the user's, is live, and has this layout (I2).
        let stays = prefix(old) == prefix(new)
            && unsafe { self.inner.stays_in_place(ptr.sub(prefix(old)), old_around, new_around) };
        stays.then_some((old_around, new_around))
    }

    /// Resizes a block whose inner block stays, by `resize`, which resizes that; moves it if there is none to stay.
    ///
    /// # Safety
    ///
    /// As [`Allocator::grow`] or [`Allocator::shrink`], whichever `resize` calls of the inner allocator.
    #[inline]
    unsafe fn resized(
        &self,
        ptr: NonNull<u8>,
        [old, new]: [NonZeroLayout; 2],
        resize: impl FnOnce(NonNull<u8>, NonZeroLayout, NonZeroLayout) -> Result<NonNull<[u8]>, AllocError>,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callees'. The words are taken away while the block has one layout and put back
        // at the end of the other, or, should the inner allocator break its word, of the same.
        unsafe {
            let Some((old_around, new_around)) = self.kept(ptr, old, new) else {
                return relocate(self, ptr, old, new);
            };
            self.unseal(ptr, old);
            match resize(ptr.sub(prefix(old)), old_around, new_around) {
                Ok(inner) => Ok(self.issue(inner, new)),
                Err(refusal) => {
                    self.seal(ptr, old);
                    Err(refusal)
                }
            }
        }
    }
}

/// Returns the distance from an inner block to the user's. O(1).
#[inline(always)]
fn prefix(layout: NonZeroLayout) -> usize {
    layout.align().get().max(WORD)
}

/// Returns the layout of the inner block. O(1).
#[inline(always)]
fn around(layout: NonZeroLayout) -> Option<NonZeroLayout> {
    affix::around(layout, prefix(layout), WORD, WORD)
}

/// Returns the word behind a block whose place has this hash, as it is stored. O(1).
#[inline(always)]
const fn behind(hash: u64) -> u64 {
    (hash.rotate_left(32) | 1).to_le()
}

/// Returns the code of a layout (I3). O(1).
#[inline(always)]
fn code(layout: NonZeroLayout) -> u64 {
    let align = u64::from(layout.align().get().trailing_zeros());
    (layout.size().get() as u64).wrapping_mul(64).wrapping_add(align).wrapping_mul(SPREAD)
}

/// Returns whether a number is the code of a layout that a block at `ptr` can have. O(1).
fn is_code(number: u64, ptr: NonNull<u8>) -> bool {
    let number = number.wrapping_mul(GATHER);
    let (size, align) = (number / 64, 1usize.checked_shl((number % 64) as u32).unwrap_or(0));
    // No block is larger than a part of the addresses that any machine has.
    let possible = size != 0 && size < 1 << 40 && align != 0;
    possible && ptr.addr().get() % align == 0
}

/// Returns the inverse of an odd number modulo 2^64, by Newton's iteration: each step doubles the number of right bits.
const fn inverse(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut step = 0;
    while step < 6 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
}

/// Ends the process about a block whose word in front, without its hash, is not the code of the layout that was given.
#[cold]
#[inline(never)]
fn refuse(ptr: NonNull<u8>, number: u64) -> ! {
    if is_code(number, ptr) { report::fatal_wrong_layout(ptr) } else { report::fatal_canary_before(ptr) }
}

// SAFETY: a block is given back to the inner allocator at the start and with the layout that it was asked for (I2). The words
// are plain memory of the block, so the wrapper is `Sync` where the inner allocator is.
unsafe impl<I: Allocator> Deallocator for Canary<I> {
    /// Checks the words around the block, wipes them, and frees the inner block. O(1).
    #[inline(always)]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        // SAFETY: the caller's promises are the callees'; the word in front has said that the layout is right, so the inner block
        // starts a prefix before it (I2).
        unsafe {
            self.unseal(ptr, layout);
            match around(layout) {
                Some(inner) => self.inner.deallocate(ptr.sub(prefix(layout)), inner),
                None => report::fatal_wrong_layout(ptr),
            }
        }
    }
}

// SAFETY: a user block lies within an inner block of its own, aligned as asked because the prefix is a multiple of the
// alignment, and apart from the words. An `Err` leaves the inner block as it was.
unsafe impl<I: Allocator> Allocator for Canary<I> {
    /// Returns a block between two words. O(1), plus the inner allocator's.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the layout with its words overflows, or if the inner allocator refuses it.
    #[inline(always)]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let inner = self.inner.allocate(around(layout).ok_or(AllocError)?)?;
        // SAFETY: the inner block is fresh and has the layout around this one.
        Ok(unsafe { self.issue(inner, layout) })
    }

    #[inline]
    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let inner = self.inner.allocate_zeroed(around(layout).ok_or(AllocError)?)?;
        // SAFETY: the inner block is fresh and has the layout around this one.
        Ok(unsafe { self.issue(inner, layout) })
    }

    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        debug_assert!(new.size() >= old.size());
        // SAFETY: the caller's promises are the callees'.
        unsafe { self.resized(ptr, [old, new], |ptr, old, new| self.inner.grow(ptr, old, new)) }
    }

    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        debug_assert!(new.size() <= old.size());
        // SAFETY: the caller's promises are the callees'.
        unsafe { self.resized(ptr, [old, new], |ptr, old, new| self.inner.shrink(ptr, old, new)) }
    }

    #[inline]
    unsafe fn stays_in_place(&self, ptr: NonNull<u8>, old: NonZeroLayout, new: NonZeroLayout) -> bool {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.kept(ptr, old, new) }.is_some()
    }

    forward_totals!(inner);
    forward_reset!(inner);
}

// SAFETY: the range is the inner one, whose promises carry over; user blocks lie in inner blocks, which lie in it. A block of
// before a move is found at its offset, where its words still hold.
unsafe impl<I: Allocator + FixedRange> FixedRange for Canary<I> {
    /// An arena that carved the bytes would put no words between them.
    const CARVABLE: bool = false;

    forward_unguarded_range!(inner: I);

    /// Refuses.
    fn claim(&mut self) -> Result<(), AllocError> {
        Err(AllocError)
    }
}

// SAFETY: a move of the wrapper moves the inner allocator and the key.
unsafe impl<I: StableAddress> StableAddress for Canary<I> {}

impl<I: Quarantinable + Allocator> Quarantinable for Canary<I> {}

#[cfg(test)]
mod tests;
