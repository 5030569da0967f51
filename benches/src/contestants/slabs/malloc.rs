//! Allocators of a whole process: mimalloc, by its C functions, and the system's malloc, by the standard library.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;

use super::{Object, SizedSlots, Slots, read_word, write_word};
use crate::harness::Side;
use crate::sink::exhausted;

/// Returns `size` bytes of mimalloc.
#[inline(always)]
pub fn mi_malloc(size: usize) -> NonNull<u8> {
    // SAFETY: any size may be asked for.
    let block = unsafe { libmimalloc_sys::mi_malloc(size) };
    NonNull::new(block.cast()).unwrap_or_else(|| exhausted())
}

/// Gives a block back to mimalloc, from any thread.
///
/// # Safety
///
/// `block` came from [`mi_malloc`] and is not used afterwards.
#[inline(always)]
pub unsafe fn mi_release(block: NonNull<u8>) {
    // SAFETY: the caller's contract.
    unsafe { libmimalloc_sys::mi_free(block.as_ptr().cast()) };
}

/// mimalloc, called by its plain functions, which check less than those for a layout.
pub struct Mimalloc;

impl Slots for Mimalloc {
    const NAME: &'static str = "mimalloc";
    const SIDE: Side = Side::Peer;
    type Slot = NonNull<Object>;

    fn with_capacity(_: usize) -> Self {
        Self
    }

    #[inline(always)]
    fn take(&mut self, word: u64) -> NonNull<Object> {
        let object = mi_malloc(size_of::<Object>()).cast();
        // SAFETY: the block has the size of an object, and mimalloc aligns to more than a word.
        unsafe { write_word(object, word) };
        object
    }

    #[inline(always)]
    unsafe fn give(&mut self, slot: NonNull<Object>) -> u64 {
        // SAFETY: the slot is live by the caller's contract, and came from `mi_malloc`.
        unsafe {
            let word = read_word(slot);
            mi_release(slot.cast());
            word
        }
    }

    #[inline(always)]
    fn end(&mut self, live: &[NonNull<Object>]) {
        for &slot in live {
            // SAFETY: the slot is live.
            unsafe { self.give(slot) };
        }
    }
}

impl SizedSlots for Mimalloc {
    type Size = usize;

    fn size(bytes: usize) -> usize {
        bytes
    }

    #[inline(always)]
    fn take_sized(&mut self, size: usize) -> NonNull<u8> {
        mi_malloc(size)
    }

    #[inline(always)]
    unsafe fn give_sized(&mut self, block: NonNull<u8>, _: usize) {
        // SAFETY: the caller's contract.
        unsafe { mi_release(block) };
    }
}

/// The system's malloc.
pub struct SystemMalloc;

impl Slots for SystemMalloc {
    const NAME: &'static str = "system malloc";
    const SIDE: Side = Side::Peer;
    type Slot = NonNull<Object>;

    fn with_capacity(_: usize) -> Self {
        Self
    }

    #[inline(always)]
    fn take(&mut self, word: u64) -> NonNull<Object> {
        // SAFETY: an object has a size.
        let block = unsafe { std::alloc::System.alloc(Layout::new::<Object>()) };
        let object = NonNull::new(block).unwrap_or_else(|| exhausted()).cast();
        // SAFETY: the block has the layout of an object.
        unsafe { write_word(object, word) };
        object
    }

    #[inline(always)]
    unsafe fn give(&mut self, slot: NonNull<Object>) -> u64 {
        // SAFETY: the slot is live by the caller's contract, and came from the system with this layout.
        unsafe {
            let word = read_word(slot);
            std::alloc::System.dealloc(slot.as_ptr().cast(), Layout::new::<Object>());
            word
        }
    }

    #[inline(always)]
    fn end(&mut self, live: &[NonNull<Object>]) {
        for &slot in live {
            // SAFETY: the slot is live.
            unsafe { self.give(slot) };
        }
    }
}

impl SizedSlots for SystemMalloc {
    type Size = Layout;

    fn size(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, 8).unwrap_or_else(|_| exhausted())
    }

    #[inline(always)]
    fn take_sized(&mut self, size: Layout) -> NonNull<u8> {
        // SAFETY: the rows ask for at least one byte.
        let block = unsafe { std::alloc::System.alloc(size) };
        NonNull::new(block).unwrap_or_else(|| exhausted())
    }

    #[inline(always)]
    unsafe fn give_sized(&mut self, block: NonNull<u8>, size: Layout) {
        // SAFETY: the caller's contract.
        unsafe { std::alloc::System.dealloc(block.as_ptr(), size) };
    }
}
