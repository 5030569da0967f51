//! Pools of 64-byte objects: what each library calls taking a slot and giving it back.
//!
//! ```text
//!   ours, the reference      slabs, size classes, growing slabs, through the allocator traits
//!   by_hand                  a stack of free pointers, and a list through the free slots: what people write themselves
//!   malloc, snmalloc         mimalloc, the system's malloc, snmalloc: any size, any number of threads
//!   keyed                    slab and slotmap: slots named by keys
//!   limit                    stacks without a check
//! ```
//!
//! # Design
//!
//! A program writes the first word of an object when it takes the slot, and reads it when it gives the slot back: so do
//! [`Slots::take`] and [`Slots::give`], for every contestant. The other seven words stay as they are. The loops of the rows
//! let the whole pool escape after each call, and an object escapes when it is taken, so that neither a word nor a link can
//! stay in a register from one call to the next.
#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use core::ptr::NonNull;

use crate::harness::Side;
use crate::sink::keep;

mod by_hand;
pub mod hardened;
mod keyed;
mod limit;
mod malloc;
mod memory;
mod ours;
mod reference;
#[cfg(feature = "snmalloc")]
mod snmalloc;

pub use by_hand::{FreePointers, Intrusive};
pub use keyed::{SlabCrate, SlotMapCrate};
pub use limit::{FreeNumbers, OneWay, SegmentedPointers, UncheckedClasses, UncheckedPointers};
pub use malloc::{Mimalloc, SystemMalloc, mi_malloc, mi_release};
pub use memory::Memory;
pub use ours::{
    Classes, FineClasses, Growing, OffSlots, OffTrust, Plain, PlainOnHeap, Signed, Trust, Watched,
};
pub use reference::{ReferenceClasses, ReferenceGrowing, ReferenceOnHeap, ReferenceSigned, ReferenceSlab};
#[cfg(feature = "snmalloc")]
pub use snmalloc::Snmalloc;

/// The first word of an object, which the rows write and read, and the rest, which they leave alone.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Object {
    word: u64,
    rest: MaybeUninit<[u64; 7]>,
}

const _: () = assert!(size_of::<Object>() == 64);

impl Object {
    /// Returns an object with `word` in front.
    #[inline(always)]
    pub const fn new(word: u64) -> Self {
        Self { word, rest: MaybeUninit::uninit() }
    }

    /// Returns the first word.
    #[inline(always)]
    pub const fn word(&self) -> u64 {
        self.word
    }
}

/// A pool of objects.
pub trait Slots: Sized + 'static {
    /// The library and its configuration.
    const NAME: &'static str;
    /// Whose code it is.
    const SIDE: Side;
    /// What names a slot.
    type Slot: Copy + 'static;

    /// Returns a pool that holds `slots` objects at once.
    fn with_capacity(slots: usize) -> Self;

    /// Takes a slot and writes `word` to its start.
    fn take(&mut self, word: u64) -> Self::Slot;

    /// Reads the word at the start of a slot and gives the slot back.
    ///
    /// # Safety
    ///
    /// `slot` was taken from this pool and not given back since.
    unsafe fn give(&mut self, slot: Self::Slot) -> u64;

    /// Prepares for the end of the pool while the slots of `live` are taken. They are gone with the pool, unless it is a
    /// process's.
    #[inline(always)]
    fn end(&mut self, live: &[Self::Slot]) {
        let _: &[Self::Slot] = live;
    }
}

/// A pool of blocks of several sizes, aligned to eight.
pub trait SizedSlots: Slots {
    /// The library's own form of a size.
    type Size: Copy + 'static;

    /// Converts a size from 1 to 1024 bytes, before the rounds.
    fn size(bytes: usize) -> Self::Size;

    /// Takes a block.
    fn take_sized(&mut self, size: Self::Size) -> NonNull<u8>;

    /// Gives a block back.
    ///
    /// # Safety
    ///
    /// `block` was taken from this pool with `size` and not given back since.
    unsafe fn give_sized(&mut self, block: NonNull<u8>, size: Self::Size);
}

/// Writes the first word of an object and lets it escape.
///
/// # Safety
///
/// `object` is valid for writes.
#[inline(always)]
pub unsafe fn write_word(object: NonNull<Object>, word: u64) {
    // SAFETY: the caller's contract.
    unsafe { (&raw mut (*object.as_ptr()).word).write(word) };
    keep(object.as_ptr());
}

/// Reads the first word of an object.
///
/// # Safety
///
/// `object` is valid for reads, and its first word was written.
#[inline(always)]
pub unsafe fn read_word(object: NonNull<Object>) -> u64 {
    // SAFETY: the caller's contract.
    unsafe { (&raw const (*object.as_ptr()).word).read() }
}

/// Makes a contestant of an allocator of `$library`, ours or the reference: `$make` returns one for `$slots` objects.
macro_rules! allocator_slots {
    ($library:ident, $contestant:ident($allocator:ty), $side:ident, $name:expr, $slots:ident => $make:expr) => {
        /// The contestant with this allocator.
        pub struct $contestant($allocator);

        impl $crate::contestants::slabs::Slots for $contestant {
            const NAME: &'static str = $name;
            const SIDE: $crate::harness::Side = $crate::harness::Side::$side;
            type Slot = core::ptr::NonNull<$crate::contestants::slabs::Object>;

            fn with_capacity($slots: usize) -> Self {
                match $make {
                    Ok(allocator) => Self(allocator),
                    Err($library::AllocError { .. }) => $crate::sink::exhausted(),
                }
            }

            #[inline(always)]
            fn take(&mut self, word: u64) -> Self::Slot {
                let layout =
                    const { $library::NonZeroLayout::for_type::<$crate::contestants::slabs::Object>() };
                match layout.map(|layout| $library::Allocator::allocate(&self.0, layout)) {
                    Some(Ok(block)) => {
                        let object = block.cast();
                        // SAFETY: the block has the layout of an object.
                        unsafe { $crate::contestants::slabs::write_word(object, word) };
                        object
                    }
                    _ => $crate::sink::exhausted(),
                }
            }

            #[inline(always)]
            unsafe fn give(&mut self, slot: Self::Slot) -> u64 {
                let layout =
                    const { $library::NonZeroLayout::for_type::<$crate::contestants::slabs::Object>() };
                let Some(layout) = layout else { $crate::sink::exhausted() };
                // SAFETY: the slot is live by the caller's contract, so its word was written, and it has this layout.
                unsafe {
                    let word = $crate::contestants::slabs::read_word(slot);
                    $library::Deallocator::deallocate(&self.0, slot.cast(), layout);
                    word
                }
            }
        }
    };
}

/// Makes a contestant of [`allocator_slots`] serve several sizes.
macro_rules! allocator_sized_slots {
    ($library:ident, $contestant:ident) => {
        impl $crate::contestants::slabs::SizedSlots for $contestant {
            type Size = $library::NonZeroLayout;

            fn size(bytes: usize) -> Self::Size {
                $library::NonZeroLayout::from_size_align(bytes, 8)
                    .unwrap_or_else(|_| $crate::sink::exhausted())
            }

            #[inline(always)]
            fn take_sized(&mut self, size: Self::Size) -> core::ptr::NonNull<u8> {
                match $library::Allocator::allocate(&self.0, size) {
                    Ok(block) => block.cast(),
                    Err(_) => $crate::sink::exhausted(),
                }
            }

            #[inline(always)]
            unsafe fn give_sized(&mut self, block: core::ptr::NonNull<u8>, size: Self::Size) {
                // SAFETY: the caller's contract.
                unsafe { $library::Deallocator::deallocate(&self.0, block, size) };
            }
        }
    };
}

use {allocator_sized_slots, allocator_slots};
