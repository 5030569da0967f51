//! Blocks at random distances: equal blocks at equal strides fall into different cache sets.
//!
//! ```text
//!   inner block, aligned to a line                 user block
//!   | d lines of nothing | ...... | tag, d | size bytes ........ |
//!   |<--- d * line ----->|<---- line ----->|
//!                                  8 bytes
//! ```
//!
//! # Invariants
//!
//! - (I1) The line is a power of two of at least 8 bytes, and `associativity` lines are a number of bytes.
//! - (I2) A block whose alignment is at most a line has a header in front: in the low 16 bits its distance `d` in lines, below
//!   the associativity; above them the upper 48 bits of the keyed hash of its place and `d`, or 1 if they are 0.
//! - (I3) Its inner block starts `d + 1` lines before it, with `size + (d + 1) * line` bytes, aligned to a line.
//! - (I4) Any other block is one of the inner allocator as it is. The alignment of the layout tells the two kinds apart.
//! - (I5) The pointer that a caller frees is the one that it was given: it may reach the header.
//!
//! # Operations
//!
//! All O(1) beside the inner allocator's: a random number, a hash and a store for an allocation; a load, a hash, a
//! comparison and a store for a free. Nothing divides. A block takes one line more, and its distance: `(associativity + 1) / 2`
//! lines on average.
//!
//! # Design
//!
//! *What it is for.* A cache has few places for all addresses that are equal modulo the size of a way. Blocks whose size is a
//! power of two, or one block per page, put their first bytes, where the fields are that everybody reads, into the same few
//! sets, and evict each other from an otherwise empty cache. A random number of lines in front spreads them. This is the
//! colouring of slabs (Bonwick 1994) for blocks that come one by one.
//!
//! *What it is not for.* It is no defence against attacks that measure caches, which resolve single lines and can watch all
//! sets; it does not hide where a block is; and the distances follow from a few of them. Over a slab it needs slots that hold
//! the largest distance, where colouring the slab would cost nothing. Blocks that are larger than a way gain nothing.
//!
//! *The header* says how far back the inner block starts. A wrong one would free memory that was never issued, so it is
//! tagged; a forged one is accepted with probability 2^-48 a try by who has read no header of the instance, or one, and is no
//! obstacle to who can solve for the key with more; see [`keyed`]. An all-zero header is never right. The
//! size is not part of the tag: `Canary` finds frees with another layout.
//!
//! *The distance is what is reserved*: the inner layout on a free follows from the header, so no block has to reserve the
//! largest distance. Over an inner allocator that cannot align to a line (`InlineBacked` above 16 bytes) every such
//! request fails.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, StableAddress, relocate,
};

#[cfg(feature = "std")]
use super::entropy;
use super::keyed::{self, Key};
use super::uniform::Uniform;
use super::{affix, place, wipe};
use crate::forward::{forward_reset, forward_totals, forward_unguarded_range};
use crate::layout::quarantinable::Quarantinable;
use crate::report;

/// The size of a header in bytes.
const HEADER: usize = size_of::<u64>();

/// The largest associativity: a distance has 16 bits.
const MOST: usize = u16::MAX as usize;

/// An allocator whose blocks start at a random line of a number of them.
///
/// # Examples
///
/// ```
/// use forge_alloc::{Allocator, BumpArena, CacheJitter, Deallocator, HeapBytes, NonZeroLayout};
///
/// let arena = BumpArena::new(HeapBytes::with_align(1 << 16, 4096)?)?;
/// let jitter = CacheJitter::with_params(arena, 64, 8, 1).unwrap();
/// let layout = NonZeroLayout::from_size_align(64, 8).unwrap();
/// let block = jitter.allocate(layout)?.cast::<u8>();
/// assert_eq!(block.addr().get() % 64, 0);
/// // SAFETY: the block is live and not used afterwards.
/// unsafe { jitter.deallocate(block, layout) };
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
///
/// It belongs to one thread at a time:
///
/// ```compile_fail,E0277
/// fn sync<T: Sync>() {}
/// sync::<forge_alloc::CacheJitter<forge_alloc::NullBacked>>();
/// ```
pub struct CacheJitter<I> {
    line: usize,
    associativity: u32,
    distances: Uniform,
    key: Key,
    inner: I,
}

impl<I> CacheJitter<I> {
    /// Returns `inner` with blocks at one of `associativity` distances of `cache_line_size` bytes, which follow from `seed`. O(1).
    ///
    /// It is `None` if the line is not a power of two or below 8 bytes, if the associativity is 0 or above 65535, or if so many
    /// lines overflow. The same seed gives the same distances; 0 stands for `0x9E3779B97F4A7C15`.
    #[must_use]
    pub fn with_params(inner: I, cache_line_size: usize, associativity: usize, seed: u64) -> Option<Self> {
        let seed = if seed == 0 { 0x9E37_79B9_7F4A_7C15 } else { seed };
        Self::with_secrets(
            inner,
            cache_line_size,
            associativity,
            Uniform::new(seed),
            Key::from_seed(keyed::mix(seed, 0)),
        )
    }

    /// Returns `inner` with random distances and a random key, as [`with_params`](Self::with_params) does. One system call.
    #[cfg(feature = "std")]
    #[must_use]
    pub fn new(inner: I, cache_line_size: usize, associativity: usize) -> Option<Self> {
        let [seed] = entropy::words();
        let key = Key::from_words(entropy::words());
        Self::with_secrets(inner, cache_line_size, associativity, Uniform::new(seed), key)
    }

    fn with_secrets(
        inner: I,
        line: usize,
        associativity: usize,
        distances: Uniform,
        key: Key,
    ) -> Option<Self> {
        let right = line.is_power_of_two() && line >= HEADER && (1..=MOST).contains(&associativity);
        if !right || line.checked_mul(associativity).is_none() {
            return None;
        }
        Some(Self { line, associativity: associativity as u32, distances, key, inner })
    }

    /// Returns the size of a line in bytes. O(1).
    #[must_use]
    pub const fn cache_line_size(&self) -> usize {
        self.line
    }

    /// Returns how many distances there are. O(1).
    #[must_use]
    pub const fn associativity(&self) -> usize {
        self.associativity as usize
    }

    /// Returns what is inside. Its blocks are the user's with distance and header.
    #[must_use]
    pub const fn inner(&self) -> &I {
        &self.inner
    }

    /// Returns whether a block of this layout has a header (I4). O(1).
    #[inline(always)]
    fn displaces(&self, layout: NonZeroLayout) -> bool {
        layout.align().get() <= self.line
    }

    /// Returns how many bytes lie in front of a block at a distance in lines, if that many exist. O(1).
    #[inline(always)]
    fn prefix(&self, distance: u32) -> Option<usize> {
        self.line.checked_mul(distance as usize + 1)
    }

    /// Returns the layout of the inner block. O(1).
    #[inline(always)]
    fn around(&self, layout: NonZeroLayout, prefix: usize) -> Option<NonZeroLayout> {
        affix::around(layout, prefix, 0, self.line)
    }
}

impl<I: Allocator> CacheJitter<I> {
    /// Returns the header of the block at `ptr` (I2). O(1).
    #[inline(always)]
    fn header(&self, ptr: NonNull<u8>, distance: u32) -> u64 {
        let hash = self.key.hash(place::of(self, self.inner.blocks_stay(), ptr), u64::from(distance));
        (hash >> 16).max(1) << 16 | u64::from(distance)
    }

    /// Returns how many bytes lie in front of a block, as its header says; ends the process if the header is wrong. O(1).
    ///
    /// # Safety
    ///
    /// `ptr` is a live block that has a header.
    #[inline(always)]
    unsafe fn checked_prefix(&self, ptr: NonNull<u8>) -> usize {
        // SAFETY: the header is in front of the block (I2), aligned as it, and the pointer may reach it (I5).
        let stored = unsafe { ptr.sub(HEADER).cast::<u64>().read() };
        let distance = stored as u32 & MOST as u32;
        match self.prefix(distance) {
            Some(prefix) if stored == self.header(ptr, distance) && distance < self.associativity => prefix,
            _ => report::fatal_header(ptr),
        }
    }

    /// Returns a displaced block in an inner block that `allocate` yields.
    #[inline(always)]
    fn displaced(
        &self,
        layout: NonZeroLayout,
        allocate: impl FnOnce(NonZeroLayout) -> Result<NonNull<[u8]>, AllocError>,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let distance = self.distances.below(self.associativity);
        let prefix = self.prefix(distance).ok_or(AllocError)?;
        let inner = allocate(self.around(layout, prefix).ok_or(AllocError)?)?;
        // SAFETY: the inner block is fresh and starts with the prefix (I3), which ends with the header and is a multiple of it.
        let ptr = unsafe {
            let ptr = inner.cast::<u8>().add(prefix);
            ptr.sub(HEADER).cast::<u64>().write(self.header(ptr, distance));
            ptr
        };
        Ok(NonNull::slice_from_raw_parts(ptr, layout.size().get()))
    }

    /// Returns the length of the prefix and the inner layouts of a resize of a displaced block, if it would stay.
    ///
    /// # Safety
    ///
    /// As [`Allocator::stays_in_place`], and both layouts are displaced.
    #[inline]
    unsafe fn kept(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Option<(usize, NonZeroLayout, NonZeroLayout)> {
        // SAFETY: the inner block is live, starts the prefix before the user's, and has the layout around it (I3).
        unsafe {
            let prefix = self.checked_prefix(ptr);
            let (old, new) = (self.around(old, prefix)?, self.around(new, prefix)?);
            self.inner.stays_in_place(ptr.sub(prefix), old, new).then_some((prefix, old, new))
        }
    }

    /// Resizes a block that stays by `resize`, which resizes the inner one; moves any other.
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
        // SAFETY: the caller's promises are the callees'. A block without a header is the inner allocator's as it is (I4); one
        // with a header keeps it when it stays, because its place and distance do.
        unsafe {
            match (self.displaces(old), self.displaces(new)) {
                (false, false) => return resize(ptr, old, new),
                (true, true) => {
                    if let Some((prefix, old_around, new_around)) = self.kept(ptr, old, new) {
                        let inner = resize(ptr.sub(prefix), old_around, new_around)?;
                        let ptr = inner.cast::<u8>().add(prefix);
                        return Ok(NonNull::slice_from_raw_parts(ptr, new.size().get()));
                    }
                }
                _ => {}
            }
            relocate(self, ptr, old, new)
        }
    }
}

// SAFETY: the header says where the inner block starts and which layout it has (I2, I3); a block without one is the inner
// allocator's (I4).
unsafe impl<I: Allocator> Deallocator for CacheJitter<I> {
    /// Checks the header, wipes it, and frees the inner block. O(1).
    #[inline(always)]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        // SAFETY: the caller's promises are the callees', for the block that the header leads to.
        unsafe {
            if !self.displaces(layout) {
                return self.inner.deallocate(ptr, layout);
            }
            let prefix = self.checked_prefix(ptr);
            match self.around(layout, prefix) {
                Some(inner) => {
                    wipe::zeroize(ptr.sub(HEADER), HEADER);
                    self.inner.deallocate(ptr.sub(prefix), inner);
                }
                None => report::fatal_wrong_layout(ptr),
            }
        }
    }
}

// SAFETY: a user block lies within an inner block of its own, behind the header, and is aligned to a line; one that asks for
// more is the inner allocator's. An `Err` leaves the inner block as it was.
unsafe impl<I: Allocator> Allocator for CacheJitter<I> {
    /// Returns a block at a random distance from the start of an inner block. O(1), plus the inner allocator's.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the layout with its distance overflows, or if the inner allocator refuses it.
    #[inline(always)]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        if !self.displaces(layout) {
            return self.inner.allocate(layout);
        }
        self.displaced(layout, |around| self.inner.allocate(around))
    }

    #[inline]
    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        if !self.displaces(layout) {
            return self.inner.allocate_zeroed(layout);
        }
        self.displaced(layout, |around| self.inner.allocate_zeroed(around))
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
        // SAFETY: the caller's promises are the callees'.
        unsafe {
            match (self.displaces(old), self.displaces(new)) {
                (false, false) => self.inner.stays_in_place(ptr, old, new),
                (true, true) => self.kept(ptr, old, new).is_some(),
                _ => false,
            }
        }
    }

    forward_totals!(inner);
    forward_reset!(inner);
}

// SAFETY: the range is the inner one, whose promises carry over; user blocks lie in inner blocks, which lie in it. A block of
// before a move is found at its offset, where its header still holds.
unsafe impl<I: Allocator + FixedRange> FixedRange for CacheJitter<I> {
    /// An arena that carved the bytes would displace nothing.
    const CARVABLE: bool = false;

    forward_unguarded_range!(inner: I);

    /// Refuses.
    fn claim(&mut self) -> Result<(), AllocError> {
        Err(AllocError)
    }
}

// SAFETY: a move of the wrapper moves the inner allocator, the key and the state of the distances.
unsafe impl<I: StableAddress> StableAddress for CacheJitter<I> {}

impl<I: Quarantinable + Allocator> Quarantinable for CacheJitter<I> {}

#[cfg(test)]
mod tests;
