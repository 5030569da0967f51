//! Pools whose slots are named by keys: the crates slab and slotmap. Values are moved in and out.
#![allow(unsafe_code)]

use slotmap::{DefaultKey, SlotMap};

use super::{Object, Slots};
use crate::harness::Side;
use crate::sink::exhausted;

/// The crate slab: keys are indices, and a stale one reaches whatever took its place.
pub struct SlabCrate(slab::Slab<Object>);

impl Slots for SlabCrate {
    const NAME: &'static str = "slab";
    const SIDE: Side = Side::Peer;
    type Slot = usize;

    #[inline(always)]
    fn with_capacity(slots: usize) -> Self {
        Self(slab::Slab::with_capacity(slots))
    }

    #[inline(always)]
    fn take(&mut self, word: u64) -> usize {
        self.0.insert(Object::new(word))
    }

    #[inline(always)]
    unsafe fn give(&mut self, slot: usize) -> u64 {
        self.0.remove(slot).word()
    }
}

/// The crate slotmap: keys have a version.
pub struct SlotMapCrate(SlotMap<DefaultKey, Object>);

impl Slots for SlotMapCrate {
    const NAME: &'static str = "slotmap";
    const SIDE: Side = Side::Peer;
    type Slot = DefaultKey;

    #[inline(always)]
    fn with_capacity(slots: usize) -> Self {
        Self(SlotMap::with_capacity(slots))
    }

    #[inline(always)]
    fn take(&mut self, word: u64) -> DefaultKey {
        self.0.insert(Object::new(word))
    }

    #[inline(always)]
    unsafe fn give(&mut self, slot: DefaultKey) -> u64 {
        match self.0.remove(slot) {
            Some(object) => object.word(),
            None => exhausted(),
        }
    }
}
