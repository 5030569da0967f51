//! The memory of a pool: one array of values and one of generations, in one block.
//!
//! ```text
//!   | slot 0 | slot 1 | .. | slot n-1 |pad| g 0 | g 1 | .. | g n-1 |
//!   ^ from there to `values`, a distance  ^ from the base to `generations`, a distance
//!
//!   slot = union { value: T, words: [u32] }
//! ```
//!
//! # Invariants
//!
//! - (I1) For each slot number of the pool, that many steps after `values` lies its slot and that many steps after
//!   `generations` its generation: all aligned, valid for reads and writes, and disjoint. `STEP` steps are the length of one.
//!
//! # Design
//!
//! The numbers of a pool's slots start at its origin, so both pointers stand before their arrays by that much, wherever
//! that is; sums with them wrap. A lookup then multiplies the number as the handle has it, and the subtraction of the
//! origin, which only the bounds check needs, does not delay the load.
//!
//! Numbers rise from slot to slot by [`STEP`](super::super::handle::generation::Generation::STEP), the size of a `u32`
//! generation: the number is then itself the distance to the generation, and a slot of 8, 16 or 32 bytes is as far away
//! as an addressing mode of the processor multiplies. Neither load waits for a shift.
//!
//! `values` is reached from `generations` and not from the base. Where both came from the base, the compiler would move
//! the sum for the generations behind the bounds check, which alone uses it, and repeat it for every lookup of a loop.
//!
//! Two arrays, because a lookup then loads generation and value at once instead of one after the other, a slot of 32
//! bytes is a shift away and does not straddle cache lines, no slot is padded from 36 to 40 bytes, and iteration skips
//! free slots without touching their values.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use forge_alloc_core::{FixedRange, NonZeroLayout};

use super::super::handle::GenerationInt;

/// What a slot holds. Only its size and alignment are used: values and words are reached through pointers.
#[repr(C)]
union Slot<T> {
    _value: ManuallyDrop<T>,
    _word: u32,
}

/// How the block of a pool is divided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Division {
    /// The layout of the whole block.
    pub(super) block: NonZeroLayout,
    /// Where the generations start, in bytes from the start of the block.
    pub(super) generations: usize,
}

impl Division {
    /// Returns the distances in bytes from the start of the block to where the number 0 would have its generation, if
    /// `first` is the number of the first slot, and from there to where it would have its slot. Both wrap. O(1).
    pub(super) fn distances<T, G: GenerationInt>(&self, first: u32) -> (usize, usize) {
        let first = first as usize;
        let values = first.wrapping_mul(per_step::<Slot<T>, G>()).wrapping_neg();
        let generations = self.generations.wrapping_sub(first.wrapping_mul(per_step::<G, G>()));
        (generations, values.wrapping_sub(generations))
    }
}

/// Returns how to divide a block for `capacity` slots, or `None` if there is no such block. O(1).
pub(super) fn divide<T, G>(capacity: u32) -> Option<Division> {
    let capacity = usize::try_from(capacity).ok()?;
    let values = Layout::array::<Slot<T>>(capacity).ok()?;
    let (block, generations) = values.extend(Layout::array::<G>(capacity).ok()?).ok()?;
    let block = NonZeroLayout::from_size_align(block.size(), block.align()).ok()?;
    Some(Division { block, generations })
}

/// Returns how many bytes of an array of `E` one step of a slot's number stands for.
const fn per_step<E, G: GenerationInt>() -> usize {
    const { assert!(size_of::<E>() % G::STEP as usize == 0, "a step is a whole number of bytes") };
    size_of::<E>() / G::STEP as usize
}

/// Returns the largest power of two that is at most the number of words in `bytes`, which are at least one word, and at
/// most 2^16.
const fn words_of(bytes: usize) -> u32 {
    let words = bytes / size_of::<u32>();
    let words = if words < 1 << 16 { words as u32 } else { 1 << 16 };
    1 << words.ilog2()
}

/// Reads the generation of a slot, `generations` bytes from the base of `range`, also where it is misaligned. O(1).
///
/// # Safety
///
/// `generations` leads to where the number 0 would have its generation in a pool (see [`Division::distances`]), and
/// `number` is that of a slot of the pool whose generation was set.
#[inline]
pub(super) unsafe fn generation_of<B: FixedRange, G: GenerationInt>(
    range: &B,
    generations: usize,
    number: u32,
) -> G {
    let generation = generations.wrapping_add((number as usize).wrapping_mul(per_step::<G, G>()));
    // SAFETY: the caller promises that the generation lies there, in the pool's block, and is initialised.
    unsafe { range.base().as_ptr().wrapping_add(generation).cast::<G>().read_unaligned() }
}

/// The two arrays, where they are now.
pub(super) struct Slots<T, G> {
    values: *mut Slot<T>,
    generations: *mut G,
}

impl<T, G> Clone for Slots<T, G> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, G> Copy for Slots<T, G> {}

impl<T, G: GenerationInt> Slots<T, G> {
    /// How many words of a free slot are used: as many as fit, rounded down to a power of two.
    pub(super) const WORDS: u32 = words_of(size_of::<Slot<T>>());

    /// Returns the two arrays, `generations` from the base of `range` and `values` from there, both wrapping, or `None` if
    /// they are misaligned there. O(1), without a check if the base is always aligned enough.
    #[inline(always)]
    pub(super) fn locate<B: FixedRange>(range: &B, generations: usize, values: usize) -> Option<Self> {
        let generations = range.base().as_ptr().wrapping_add(generations);
        let values = generations.wrapping_add(values).cast::<Slot<T>>();
        let generations = generations.cast::<G>();
        let misplaced = (align_of::<Slot<T>>() > B::BASE_ALIGN && !values.is_aligned())
            || (align_of::<G>() > B::BASE_ALIGN && !generations.is_aligned());
        if misplaced { None } else { Some(Self { values, generations }) }
    }

    /// Returns where a slot is. O(1).
    ///
    /// # Safety
    ///
    /// `number` is that of a slot of the pool.
    #[inline(always)]
    unsafe fn slot(self, number: u32) -> NonNull<Slot<T>> {
        let distance = (number as usize).wrapping_mul(per_step::<Slot<T>, G>());
        // SAFETY: the caller passes the number of a slot of the pool, which lies in an allocation and so not at null (I1).
        unsafe { NonNull::new_unchecked(self.values.wrapping_byte_add(distance)) }
    }

    /// Returns where the generation of a slot is, if `number` is that of a slot of the pool. O(1).
    #[inline(always)]
    fn place_of_generation(self, number: u32) -> *mut G {
        self.generations.wrapping_byte_add((number as usize).wrapping_mul(per_step::<G, G>()))
    }

    /// Returns the place of a value, which need not be there. O(1).
    ///
    /// # Safety
    ///
    /// `number` is that of a slot of the pool.
    #[inline(always)]
    pub(super) unsafe fn value(self, number: u32) -> NonNull<T> {
        // SAFETY: the caller promises that the slot lies in the array (I1).
        unsafe { self.slot(number).cast() }
    }

    /// Reads the generation of a slot. O(1).
    ///
    /// # Safety
    ///
    /// `number` is that of a slot of the pool, and the generation was set.
    #[inline(always)]
    pub(super) unsafe fn generation(self, number: u32) -> G {
        // SAFETY: the caller promises that the generation lies in the array (I1) and is initialised.
        unsafe { self.place_of_generation(number).read() }
    }

    /// Sets the generation of a slot. O(1).
    ///
    /// # Safety
    ///
    /// `number` is that of a slot of the pool, and nobody else uses the arrays.
    #[inline(always)]
    pub(super) unsafe fn set_generation(self, number: u32, generation: G) {
        // SAFETY: the caller promises that the generation lies in the array (I1), to which nobody else has access.
        unsafe { self.place_of_generation(number).write(generation) }
    }

    /// Reads a word of a trunk slot. O(1).
    ///
    /// # Safety
    ///
    /// `number` is that of a slot of the pool, `place` is below [`WORDS`](Self::WORDS), and the word was set when the slot
    /// held no value and has not been given one since.
    #[inline(always)]
    pub(super) unsafe fn word(self, number: u32, place: u32) -> u32 {
        // SAFETY: the caller promises that the slot lies in the array (I1), has this word and that it is initialised.
        unsafe { self.slot(number).cast::<u32>().add(place as usize).read() }
    }

    /// Sets a word of a slot without a value. O(1).
    ///
    /// # Safety
    ///
    /// `number` is that of a slot of the pool, which holds no value; `place` is below [`WORDS`](Self::WORDS), and nobody
    /// else uses the arrays.
    #[inline(always)]
    pub(super) unsafe fn set_word(self, number: u32, place: u32, word: u32) {
        // SAFETY: the slot lies in the array (I1) and as a union with a `u32` is aligned for one; the caller promises that
        // it has this word and holds no value.
        unsafe { self.slot(number).cast::<u32>().add(place as usize).write(word) }
    }
}
