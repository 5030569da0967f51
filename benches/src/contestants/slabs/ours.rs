//! Ours: slabs under each policy, size classes, and the slab that grows.

use forge_alloc::{
    AllocError, BumpArena, ExtendableSlab, HeapBytes, MmapBacked, NoProtection, OffSlab, SipHashMAC,
    SizeClassed, Slab, Tracked, Trusting,
};

use super::{Object, allocator_sized_slots, allocator_slots};
use crate::rows::growing::SEGMENT;

/// Returns the bytes of a mapping for `slots` objects and what a policy keeps beside them.
fn room(slots: usize) -> usize {
    slots * (size_of::<Object>() + 8) + 4096
}

/// Returns the bytes of size classes up to 1024 bytes, each twice the one before, with `slots` slots each.
fn classes_room(slots: usize) -> usize {
    2048 * slots + 4096
}

allocator_slots!(forge_alloc, Plain(Slab<Object, MmapBacked>), Ours, "ours: Slab",
    slots => MmapBacked::new(room(slots)).and_then(|backing| Slab::new(slots, backing)));

allocator_slots!(forge_alloc, OffSlots(Slab<Object, MmapBacked, OffSlab>), Ours, "ours: Slab, OffSlab",
    slots => MmapBacked::new(room(slots)).and_then(|backing| Slab::with_protection(slots, backing, OffSlab)));

allocator_slots!(forge_alloc, Trust(Slab<Object, MmapBacked, Trusting<NoProtection>>), Ours, "ours: Slab, Trusting",
slots => MmapBacked::new(room(slots)).and_then(|backing| {
    Slab::with_protection(slots, backing, Trusting(NoProtection))
}));

allocator_slots!(forge_alloc, OffTrust(Slab<Object, MmapBacked, Trusting>), Ours, "ours: Slab, Trusting OffSlab",
slots => MmapBacked::new(room(slots)).and_then(|backing| {
    Slab::with_protection(slots, backing, Trusting(OffSlab))
}));

allocator_slots!(forge_alloc, Watched(Slab<Object, MmapBacked, Tracked>), Context, "ours: Slab, Tracked",
slots => MmapBacked::new(room(slots)).and_then(|backing| {
    Slab::with_protection(slots, backing, Tracked(NoProtection))
}));

allocator_slots!(forge_alloc, Signed(Slab<Object, MmapBacked, SipHashMAC>), Context, "ours: Slab, SipHashMAC",
slots => MmapBacked::new(room(slots)).and_then(|backing| {
    Slab::with_protection(slots, backing, SipHashMAC::new())
}));

allocator_slots!(forge_alloc, PlainOnHeap(Slab<Object, BumpArena<HeapBytes>>), Ours, "ours: Slab<BumpArena<HeapBytes>>",
    slots => HeapBytes::new(room(slots)).and_then(BumpArena::new).and_then(|backing| Slab::new(slots, backing)));

allocator_slots!(forge_alloc, Classes(SizeClassed<MmapBacked, 8>), Ours, "ours: SizeClassed",
slots => MmapBacked::new(classes_room(slots)).and_then(|backing| {
    SizeClassed::with_default_classes(backing, slots as u32)
}));
allocator_sized_slots!(forge_alloc, Classes);

allocator_slots!(forge_alloc, FineClasses(SizeClassed<MmapBacked, 24>), Ours, "ours: SizeClassed, fine",
slots => MmapBacked::new(classes_room(4 * slots)).and_then(|backing| {
    SizeClassed::with_fine_classes(backing, slots as u32)
}));
allocator_sized_slots!(forge_alloc, FineClasses);

allocator_slots!(forge_alloc, Growing(ExtendableSlab<Object>), Ours, "ours: ExtendableSlab",
    _slots => Ok::<_, AllocError>(ExtendableSlab::new(SEGMENT)));
