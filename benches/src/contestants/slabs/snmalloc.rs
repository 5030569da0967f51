//! snmalloc, an allocator of a whole process, called as the global allocator is.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;

use snmalloc_rs::SnMalloc;

use super::{Object, SizedSlots, Slots, read_word, write_word};
use crate::harness::Side;
use crate::sink::exhausted;

/// snmalloc, with its defaults.
pub struct Snmalloc;

impl Slots for Snmalloc {
    const NAME: &'static str = "snmalloc";
    const SIDE: Side = Side::Peer;
    type Slot = NonNull<Object>;

    fn with_capacity(_: usize) -> Self {
        Self
    }

    #[inline(always)]
    fn take(&mut self, word: u64) -> NonNull<Object> {
        let object = self.take_sized(Layout::new::<Object>()).cast();
        // SAFETY: the block has the layout of an object.
        unsafe { write_word(object, word) };
        object
    }

    #[inline(always)]
    unsafe fn give(&mut self, slot: NonNull<Object>) -> u64 {
        // SAFETY: the slot is live by the caller's contract, and came from snmalloc with this layout.
        unsafe {
            let word = read_word(slot);
            self.give_sized(slot.cast(), Layout::new::<Object>());
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

impl SizedSlots for Snmalloc {
    type Size = Layout;

    fn size(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, 8).unwrap_or_else(|_| exhausted())
    }

    #[inline(always)]
    fn take_sized(&mut self, size: Layout) -> NonNull<u8> {
        // SAFETY: the rows ask for at least one byte.
        let block = unsafe { SnMalloc.alloc(size) };
        NonNull::new(block).unwrap_or_else(|| exhausted())
    }

    #[inline(always)]
    unsafe fn give_sized(&mut self, block: NonNull<u8>, size: Layout) {
        // SAFETY: the caller's contract.
        unsafe { SnMalloc.dealloc(block.as_ptr(), size) };
    }
}
