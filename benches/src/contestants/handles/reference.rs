//! The reference forge-alloc of the registry: one array of generation, state and value.

use forge_alloc_reference::{BumpArena, GenerationalSlab, Handle, HeapBytes};

use super::Pool;
use crate::contestants::Wide;
use crate::harness::Side;
use crate::sink::exhausted;

/// The reference's generational slab with handles of 8 bytes.
pub struct Reference(GenerationalSlab<Wide, BumpArena<HeapBytes>>);

impl Pool for Reference {
    const NAME: &'static str = "reference GenerationalSlab";
    const SIDE: Side = Side::Peer;
    type Handle = Handle<Wide>;

    fn with_capacity(capacity: usize) -> Self {
        let backing = HeapBytes::new(64 * capacity + 64).and_then(BumpArena::new);
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
