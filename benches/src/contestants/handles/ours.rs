//! Ours: the generational slab over one block of the global allocator.

use forge_alloc::{BumpArena, GenerationalSlab, Handle, HeapBytes};

use super::Pool;
use crate::contestants::Wide;
use crate::harness::Side;
use crate::sink::exhausted;

/// The alignment of the memory: no value of 32 bytes lies in two cache lines.
const LINE: usize = 64;

/// The generational slab with handles of 8 bytes.
pub struct Ours(GenerationalSlab<Wide, BumpArena<HeapBytes>>);

impl Pool for Ours {
    const NAME: &'static str = "ours: GenerationalSlab";
    const SIDE: Side = Side::Ours;
    type Handle = Handle<Wide>;

    fn with_capacity(capacity: usize) -> Self {
        let backing = HeapBytes::with_align(48 * capacity + 64, LINE).and_then(BumpArena::new);
        match backing.and_then(|backing| GenerationalSlab::new(capacity, backing)) {
            Ok(pool) => Self(pool),
            Err(_) => exhausted(),
        }
    }

    #[inline(always)]
    fn insert(&mut self, value: Wide) -> Handle<Wide> {
        match self.0.insert(value) {
            Ok(handle) => handle,
            Err(_) => exhausted(),
        }
    }

    #[inline(always)]
    fn remove(&mut self, handle: Handle<Wide>) -> Option<Wide> {
        self.0.remove(handle)
    }

    #[inline(always)]
    fn get(&self, handle: Handle<Wide>) -> Option<&Wide> {
        self.0.get(handle)
    }
}
