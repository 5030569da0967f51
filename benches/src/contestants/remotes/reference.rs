//! The reference's owner and remote: a queue behind a lock, drained by the owner.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_reference::{
    Allocator, BatchPolicy, Deallocator, MmapBacked, NonZeroLayout, SlabOwner, SlabRemote,
};

use super::{Owner, Remote};
use crate::contestants::slabs::{Object, read_word, write_word};
use crate::harness::Side;
use crate::sink::exhausted;

const LAYOUT: Option<NonZeroLayout> = NonZeroLayout::for_type::<Object>();

/// The reference's `SlabOwner`, with a queue for every slot.
pub struct Reference(SlabOwner<Object, MmapBacked>);

impl Owner for Reference {
    const NAME: &'static str = "reference SlabOwner";
    const SIDE: Side = Side::Peer;
    type Remote = SlabRemote<Object, MmapBacked>;

    fn with_capacity(slots: usize) -> Self {
        let owner = MmapBacked::new(slots * size_of::<Object>())
            .and_then(|backing| SlabOwner::with_batch_policy(slots, backing, BatchPolicy::Fixed(64), slots));
        Self(owner.unwrap_or_else(|_| exhausted()))
    }

    fn remote(&self) -> Self::Remote {
        self.0.remote()
    }

    #[inline(always)]
    fn take(&mut self, word: u64) -> NonNull<Object> {
        match LAYOUT.map(|layout| self.0.allocate(layout)) {
            Some(Ok(block)) => {
                let object = block.cast();
                // SAFETY: the block has the layout of an object.
                unsafe { write_word(object, word) };
                object
            }
            _ => exhausted(),
        }
    }
}

impl Remote for SlabRemote<Object, MmapBacked> {
    #[inline(always)]
    unsafe fn give(&mut self, slot: NonNull<Object>) -> u64 {
        let Some(layout) = LAYOUT else { exhausted() };
        // SAFETY: the slot is live by the caller's contract, so its word was written, and it has this layout.
        unsafe {
            let word = read_word(slot);
            self.deallocate(slot.cast(), layout);
            word
        }
    }
}
