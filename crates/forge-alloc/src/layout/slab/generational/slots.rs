//! The memory of a pool: one array of values and one of generations, in one block.
//!
//! ```text
//!   | slot 0 | slot 1 | .. | slot n-1 |pad| g 0 | g 1 | .. | g n-1 |
//!   ^ values, an offset                   ^ generations, an offset
//!
//!   slot = union { value: T, link: u32 }
//! ```
//!
//! # Invariants
//!
//! - (I1) For each slot number of the pool, that many slots after `values` lies its slot and that many generations after
//!   `generations` its generation: all aligned, valid for reads and writes, and disjoint.
//!
//! # Design
//!
//! The numbers of a pool's slots start at its origin, so both pointers stand before their arrays by that much, wherever
//! that is; sums with them wrap. A lookup then multiplies the number as the handle has it, and the subtraction of the
//! origin, which only the bounds check needs, does not delay the load.
//!
//! Two arrays, because a lookup then loads generation and value at once instead of one after the other, a slot of 32
//! bytes is a shift away and does not straddle cache lines, no slot is padded from 36 to 40 bytes, and iteration skips
//! free slots without touching their values.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use forge_alloc_core::{FixedRange, NonZeroLayout};

use crate::raw::slot_link::{read_link, write_link};

/// What a slot holds. Only its size and alignment are used: values and links are reached through pointers.
#[repr(C)]
union Slot<T> {
    _value: ManuallyDrop<T>,
    _link: u32,
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
    /// Returns the distances in bytes from the start of the block to where the number 0 would have its slot and its
    /// generation, if `first` is the number of the first ones. Both wrap. O(1).
    pub(super) fn distances<T, G>(&self, first: u32) -> (usize, usize) {
        let first = first as usize;
        let values = first.wrapping_mul(size_of::<Slot<T>>()).wrapping_neg();
        (values, self.generations.wrapping_sub(first.wrapping_mul(size_of::<G>())))
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

impl<T, G: Copy> Slots<T, G> {
    /// Returns the two arrays at these wrapping distances from the base of `range`, or `None` if they are misaligned
    /// there. O(1), without a check if the base is always aligned enough.
    #[inline(always)]
    pub(super) fn locate<B: FixedRange>(range: &B, values: usize, generations: usize) -> Option<Self> {
        let base = range.base().as_ptr();
        let values = base.wrapping_add(values).cast::<Slot<T>>();
        let generations = base.wrapping_add(generations).cast::<G>();
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
        // SAFETY: the caller passes the number of a slot of the pool, which lies in an allocation and so not at null (I1).
        unsafe { NonNull::new_unchecked(self.values.wrapping_add(number as usize)) }
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
        unsafe { self.generations.wrapping_add(number as usize).read() }
    }

    /// Sets the generation of a slot. O(1).
    ///
    /// # Safety
    ///
    /// `number` is that of a slot of the pool, and nobody else uses the arrays.
    #[inline(always)]
    pub(super) unsafe fn set_generation(self, number: u32, generation: G) {
        // SAFETY: the caller promises that the generation lies in the array (I1), to which nobody else has access.
        unsafe { self.generations.wrapping_add(number as usize).write(generation) }
    }

    /// Reads the link of a free slot. O(1).
    ///
    /// # Safety
    ///
    /// `number` is that of a slot of the pool, and the slot was linked and not used since.
    #[inline(always)]
    pub(super) unsafe fn link(self, number: u32) -> u32 {
        // SAFETY: the caller promises that the slot lies in the array (I1) and holds a link.
        unsafe { read_link(self.slot(number).cast()) }
    }

    /// Links a free slot to `next`. O(1).
    ///
    /// # Safety
    ///
    /// `number` is that of a slot of the pool, the slot holds no value, and nobody else uses the arrays.
    #[inline(always)]
    pub(super) unsafe fn set_link(self, number: u32, next: u32) {
        // SAFETY: the slot lies in the array (I1), and as a union with a `u32` is large and aligned enough for a link;
        // the caller promises that it holds no value.
        unsafe { write_link(self.slot(number).cast(), next) }
    }
}
