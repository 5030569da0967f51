//! The reference forge-alloc of the registry: its slab, its size classes, and its slab that grows.

use forge_alloc_reference::{
    AllocError, BumpArena, ExtendableSlab, HeapBytes, MmapBacked, SipHashMAC, SizeClassed, Slab,
};

use super::{Object, allocator_sized_slots, allocator_slots};
use crate::rows::growing::SEGMENT;

/// Returns the bytes of the default size classes, with `slots` slots each.
fn classes_room(slots: usize) -> usize {
    2048 * slots + 4096
}

allocator_slots!(forge_alloc_reference, ReferenceSlab(Slab<Object, MmapBacked>), Peer, "reference Slab",
    slots => MmapBacked::new(slots * size_of::<Object>()).and_then(|backing| Slab::new(slots, backing)));

allocator_slots!(forge_alloc_reference, ReferenceOnHeap(Slab<Object, BumpArena<HeapBytes>>), Peer,
"reference Slab<BumpArena<HeapBytes>>",
slots => HeapBytes::new(slots * size_of::<Object>() + 64).and_then(BumpArena::new).and_then(|backing| {
    Slab::new(slots, backing)
}));

allocator_slots!(forge_alloc_reference, ReferenceSigned(Slab<Object, MmapBacked, SipHashMAC>), Context,
"reference Slab, SipHashMAC",
slots => MmapBacked::new(slots * size_of::<Object>()).and_then(|backing| {
    Slab::with_protection(slots, backing, SipHashMAC::new())
}));

allocator_slots!(forge_alloc_reference, ReferenceClasses(SizeClassed<MmapBacked, 8>), Peer, "reference SizeClassed",
slots => MmapBacked::new(classes_room(slots)).and_then(|backing| {
    SizeClassed::with_default_classes(backing, slots as u32)
}));

allocator_sized_slots!(forge_alloc_reference, ReferenceClasses);

allocator_slots!(forge_alloc_reference, ReferenceGrowing(ExtendableSlab<Object>), Peer, "reference ExtendableSlab",
    _slots => Ok::<_, AllocError>(ExtendableSlab::new(SEGMENT)));
