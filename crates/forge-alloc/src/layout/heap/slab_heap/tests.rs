//! Slab heaps against a model, the contract of the kernel family, and what slab heaps of others get wrong.
#![allow(unsafe_code, clippy::unwrap_used)]

mod histories;

use core::mem::MaybeUninit;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::vec::Vec;

use forge_alloc_core::{BaseAllocator, HeapBlock, Region, RejectedRegion};

use super::*;
use crate::layout::heap::testing::{Checked, Memory, layout};
use crate::raw::testing::forever;

/// Spans of 2 KiB, in units of 512 bytes.
type Small = SlabHeap<Tlsf, 2048>;

/// Returns bytes that live as long as the program.
fn leaked(size: usize) -> &'static mut [MaybeUninit<u8>] {
    forever(Box::new_uninit_slice(size))
}

/// Returns a heap of `size` bytes that live as long as the program.
fn heap<const SPAN: usize>(size: usize) -> SlabHeap<Tlsf, SPAN> {
    let mut heap = SlabHeap::new();
    heap.add_region(Region::from(leaked(size))).unwrap();
    heap
}

impl<P: ByteAllocator, const SPAN: usize> Checked for SlabHeap<P, SPAN> {
    const KNOWS_SIZES: bool = false;

    fn check(&self) {
        let mut listed = BTreeSet::new();
        for (number, class) in self.classes.iter().enumerate() {
            let mut link = class.head;
            while let Some(span) = link {
                assert!(listed.insert(span.header().addr()), "a span is in one list, once");
                // SAFETY: the spans of a list exist.
                let (note, live) = unsafe { (span.note(), span.live()) };
                assert_eq!(usize::from(note.class), number);
                assert!(0 < live && live < usize::from(note.capacity));
                // SAFETY: as above.
                link = unsafe { span.next() };
            }
            if let Some(spare) = class.spare {
                assert!(listed.insert(spare.header().addr()), "a spare is in no list");
                // SAFETY: a spare exists.
                assert_eq!(unsafe { (spare.live(), usize::from(spare.note().class)) }, (0, number));
            }
            let (held, limit) = class.held();
            assert!(held.len() < limit, "a full magazine was settled");
            assert!(class.counts()[2] <= 1 || class.live() != 0, "a class without live slots has one span");
            for (at, slot) in held.iter().enumerate() {
                assert!(!held[..at].contains(slot), "a slot is in a magazine once");
                let pos = slot.unwrap();
                let entry = self.map.peek(Self::unit(pos.addr().get())).unwrap();
                assert_eq!(class_of(entry), number);
            }
        }
        let mut counts = [[0; 4]; CLASSES];
        let mut units: Vec<(usize, NonNull<u8>)> = Vec::new();
        self.map.for_each(&mut |unit, entry| units.push((unit, entry)));
        units.sort_by_key(|(unit, _)| *unit);
        let mut at = 0;
        while let Some((unit, entry)) = units.get(at).copied() {
            // SAFETY: the entry is one of the map.
            let (span, note) = unsafe { (span_at(entry), span_at(entry).note()) };
            let (length, capacity) = ((SPAN >> note.level) / Shape::<SPAN>::UNIT, usize::from(note.capacity));
            // SAFETY: as above.
            let live = unsafe {
                span.check(capacity);
                span.live()
            };
            assert_eq!(span.header().addr().get() / Shape::<SPAN>::UNIT, unit, "(I1): in its first unit");
            assert_eq!(class_of(entry), usize::from(note.class), "(I1)");
            for next in 0..length {
                assert_eq!(units[at + next], (unit + next, entry), "(I1)");
            }
            at += length;
            assert_eq!(listed.remove(&span.header().addr()), live != capacity, "full spans are in no list");
            for (count, more) in
                counts[class_of(entry)].iter_mut().zip([capacity, live, 1, note.cost as usize])
            {
                *count += more;
            }
        }
        assert!(listed.is_empty(), "(I1): every span is in the map");
        for (class, counts) in self.classes.iter().zip(counts) {
            assert_eq!(class.counts(), counts);
        }
        assert_eq!(self.used_bytes() + self.available_bytes(), self.total_bytes());
    }

    fn settle(&mut self) {
        self.release_empty();
    }
}

#[test]
fn without_memory_everything_is_refused() {
    let mut heap = SlabByteAllocator::new();
    for size in [1, 64, 4096, 1 << 20] {
        assert_eq!(heap.alloc(layout(size, 8)), Err(HeapError::NoMemory));
    }
    assert_eq!(heap.alloc(layout(0, 8)), Err(HeapError::InvalidParam));
    assert_eq!((heap.total_bytes(), heap.used_bytes(), heap.available_bytes()), (0, 0, 0));
    assert_eq!(heap.largest_free(), Some(0));
    heap.for_each_block(&mut |block| panic!("{block:?}"));
    let mut byte = 0_u8;
    // SAFETY: nothing is live there.
    let freed = unsafe { heap.dealloc_checked(NonNull::from(&mut byte), layout(1, 1)) };
    assert_eq!(freed, Err(HeapError::NotAllocated));
}

#[test]
fn a_heap_fits_a_static() {
    static HEAP: Mutex<SlabByteAllocator> = Mutex::new(SlabHeap::new());
    let mut heap = HEAP.lock().unwrap();
    heap.add_region(Region::from(leaked(1 << 16))).unwrap();
    assert!(heap.alloc(layout(24, 8)).is_ok());
}

#[test]
fn an_alignment_beyond_the_classes_is_honoured() {
    let mut heap = heap::<8192>(1 << 20);
    for align in (0..14).map(|bit| 1 << bit) {
        for size in [1, 8, 24, 100, 1024, 4096] {
            for _ in 0..2 {
                let block = heap.alloc(layout(size, align)).unwrap();
                assert_eq!(block.addr().get() % align, 0, "{size} bytes at {align}");
            }
        }
    }
    heap.check();
}

#[test]
fn every_small_layout_has_a_place_of_its_own() {
    let step = if cfg!(miri) { 61 } else { 1 };
    let mut heap = heap::<8192>(if cfg!(miri) { 1 << 20 } else { 16 << 20 });
    let mut ends = BTreeSet::new();
    for align in (0..11).map(|bit| 1 << bit) {
        for size in (1..1100).step_by(step) {
            let start = heap.alloc(layout(size, align)).unwrap().addr().get();
            assert_eq!(start % align, 0);
            ends.insert((start, start + size));
        }
    }
    assert!(ends.iter().zip(ends.iter().skip(1)).all(|(one, next)| one.1 <= next.0), "blocks overlap");
}

#[test]
fn spans_return_to_the_parent() {
    let mut heap = heap::<8192>(if cfg!(miri) { 1 << 15 } else { 1 << 20 });
    let (start, parent) = (heap.used_bytes(), heap.parent().used_bytes());
    let small = layout(64, 8);
    let mut blocks = Vec::new();
    while let Ok(block) = heap.alloc(small) {
        blocks.push(block);
    }
    assert!(heap.available_bytes() < 1024, "the heap fills up to the last slot");
    heap.check();
    for block in blocks {
        // SAFETY: the block is live.
        unsafe { heap.dealloc(block, small) };
    }
    heap.check();
    assert_eq!(heap.used_bytes(), start);
    let available = heap.available_bytes();
    assert!(heap.alloc(layout(available / 2, 8)).is_ok(), "a large block after small ones");
    assert!(heap.alloc(layout(128, 8)).is_ok(), "a block of another class");
    assert!(heap.parent().used_bytes() > parent + available / 2);
}

#[test]
fn a_heap_of_a_few_pages_gives_what_it_has() {
    for size in [4 << 10, 32 << 10, 128 << 10] {
        let mut heap = heap::<{ 8 << 10 }>(size);
        let one = heap.alloc(layout(8, 8)).unwrap();
        let large = layout(size * 3 / 4, 8);
        let block = heap.alloc(large).unwrap();
        // SAFETY: the blocks are live.
        unsafe {
            heap.dealloc(block, large);
            heap.dealloc(one, layout(8, 8));
        }
        heap.check();
        let mut bytes = 0;
        while heap.alloc(layout(1000, 8)).is_ok() {
            bytes += 1000;
        }
        assert!(bytes >= size * 7 / 10, "{bytes} of {size}");
    }
}

#[test]
fn totals_are_those_of_the_parent() {
    let mut heap = heap::<8192>(1 << 17);
    let total = heap.total_bytes();
    for size in [64, 8, 300, 1024, 5000] {
        heap.alloc(layout(size, 8)).unwrap();
        assert_eq!((heap.total_bytes(), heap.parent().total_bytes()), (total, total));
        heap.check();
    }
}

#[test]
fn spans_that_cannot_be_used_are_refused() {
    let mut heap = Small::new();
    let memory = Memory::new(1 << 15, 4096);
    // SAFETY: the memory outlives the heap; what is refused is not touched.
    unsafe {
        assert_eq!(heap.add_memory(0, 1 << 14), Err(HeapError::InvalidParam));
        assert_eq!(heap.add_memory(memory.address(0), 3), Err(HeapError::InvalidParam));
        assert_eq!(heap.add_memory(usize::MAX - 100, 1 << 12), Err(HeapError::InvalidParam));
        heap.init(memory.address(0), 1);
        assert_eq!(heap.alloc(layout(8, 8)), Err(HeapError::NoMemory));
        heap.init(memory.address(13), (1 << 14) - 13);
        assert!(heap.alloc(layout(8, 8)).is_ok(), "a region need not be aligned");
        heap.check();
        let used = heap.used_bytes();
        assert_eq!(heap.add_memory(memory.address(1 << 10), 1 << 14), Err(HeapError::MemoryOverlap));
        let Err(RejectedRegion { error, region }) = heap.add_region(memory.region(1 << 10, 1 << 15)) else {
            panic!("an overlap was taken");
        };
        assert_eq!((error, region.len()), (HeapError::MemoryOverlap, 31 << 10));
        assert_eq!(heap.used_bytes(), used);
        heap.check();
    }
}

#[test]
fn a_free_of_what_is_no_block_is_noticed() {
    let mut heap = heap::<8192>(1 << 17);
    let mut refused = |pos: NonNull<u8>, layout: Layout| {
        // SAFETY: nothing of the caller's is live there.
        assert_eq!(unsafe { heap.dealloc_checked(pos, layout) }, Err(HeapError::NotAllocated));
        heap.check();
        heap.alloc(layout).unwrap()
    };
    let mut foreign = 0_u64;
    let block = refused(NonNull::from(&mut foreign).cast(), layout(48, 8));
    for offset in 1..48 {
        // SAFETY: the place is inside of the block.
        refused(unsafe { block.add(offset) }, layout(1, 1));
    }
    refused(block, layout(49, 1));
    refused(block, layout(4000, 1));
    // SAFETY: the next slot exists, and is free or live; the previous probes took none of this class.
    let next = unsafe { block.add(48) };
    refused(next, layout(20, 4));
    // SAFETY: the block is live, once.
    unsafe {
        assert_eq!(heap.dealloc_checked(block, layout(48, 8)), Ok(()));
        assert_eq!(heap.dealloc_checked(block, layout(48, 8)), Err(HeapError::NotAllocated));
    }
}

#[test]
fn the_heap_s_own_blocks_cannot_be_freed() {
    // As addresses, so that the table is a block of the parent.
    let mut heap = SlabHeap::<Tlsf, 8192>::new();
    let memory = leaked(1 << 17);
    let start = memory.as_mut_ptr().expose_provenance();
    // SAFETY: the memory is the heap's for ever.
    unsafe { heap.add_memory(start, memory.len()) }.unwrap();
    let span_layout = Shape::<8192>::layout(0).unwrap();
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let used = |heap: &SlabHeap<Tlsf, 8192>, list: &mut Vec<HeapBlock>| {
        heap.parent().for_each_block(&mut |block| list.extend((!block.free).then_some(block)));
    };
    let block = heap.alloc(layout(48, 8)).unwrap();
    used(&heap, &mut before);
    assert!(before.len() >= 3, "marks of the parent, a table and a span");
    for own in before.clone() {
        let pos = block.with_addr(own.address.try_into().unwrap());
        for layout in [layout(own.size, 8), span_layout, layout(own.size - 7, 1)] {
            // SAFETY: nothing of the caller's is live there, since the slot has another address.
            assert_eq!(unsafe { heap.dealloc_checked(pos, layout) }, Err(HeapError::NotAllocated));
        }
    }
    used(&heap, &mut after);
    assert_eq!(before, after);
}

#[test]
fn blocks_are_resized_in_place_in_their_slot_and_by_the_parent() {
    let mut heap = heap::<8192>(1 << 17);
    let start = heap.used_bytes();
    // SAFETY: blocks are live and used with their latest layout.
    unsafe {
        let block = heap.alloc(layout(100, 4)).unwrap();
        assert!(heap.resize_in_place(block, layout(100, 4), layout(112, 8)), "the class has 112 bytes");
        assert!(!heap.resize_in_place(block, layout(112, 8), layout(113, 8)));
        assert!(!heap.resize_in_place(block, layout(112, 8), layout(0, 8)));
        assert!(!heap.resize_in_place(block, layout(112, 8), layout(8, 1 << 20)));
        assert!(heap.resize_in_place(block, layout(112, 8), layout(5, 1)));
        block.write_bytes(7, 5);
        let block = heap.realloc(block, layout(5, 1), layout(3000, 16)).unwrap();
        assert_eq!(core::slice::from_raw_parts(block.as_ptr(), 5), [7; 5]);
        assert!(
            heap.resize_in_place(block, layout(3000, 16), layout(5000, 16)),
            "the parent has room behind it"
        );
        assert!(
            heap.resize_in_place(block, layout(5000, 16), layout(20, 16)),
            "a block of the parent may be small"
        );
        heap.check();
        assert_eq!(heap.dealloc_checked(block, layout(20, 16)), Ok(()));
    }
    heap.check();
    assert_eq!(heap.used_bytes(), start);
}

#[test]
fn a_request_that_the_parent_refuses_gets_the_memory_of_empty_spans() {
    let mut heap = heap::<8192>(1 << 16);
    let small: Vec<Layout> = (1..32).map(|index| layout(index * 32, 8)).collect();
    let blocks: Vec<_> = small.iter().map(|layout| (heap.alloc(*layout).unwrap(), *layout)).collect();
    for (block, layout) in blocks {
        // SAFETY: the block is live.
        unsafe { heap.dealloc(block, layout) };
    }
    assert!(heap.parent().available_bytes() < heap.available_bytes(), "spans are kept");
    let all = layout(heap.available_bytes() * 9 / 10, 8);
    let block = heap.alloc(all).unwrap();
    heap.check();
    // SAFETY: the block is live.
    unsafe { heap.dealloc(block, all) };
    assert!(!heap.release_empty());
}

#[test]
fn a_program_at_the_boundary_of_a_span_does_not_call_the_parent() {
    let mut heap = heap::<8192>(1 << 17);
    let small = layout(64, 8);
    let span = |heap: &SlabHeap<Tlsf, 8192>| heap.parent().used_bytes();
    let first = heap.alloc(small).unwrap();
    let one = span(&heap);
    let mut blocks = Vec::from([first]);
    while span(&heap) == one {
        blocks.push(heap.alloc(small).unwrap());
    }
    let two = span(&heap);
    for depth in [1, 2, 3] {
        for _ in 0..20 {
            for _ in 0..depth {
                let block = blocks.pop().unwrap();
                // SAFETY: the block is live.
                unsafe { heap.dealloc(block, small) };
                assert_eq!(span(&heap), two);
            }
            for _ in 0..depth {
                blocks.push(heap.alloc(small).unwrap());
                assert_eq!(span(&heap), two);
            }
        }
    }
    heap.check();
}

#[test]
fn the_walk_fills_the_regions_and_agrees_with_the_figures() {
    let mut heap = heap::<8192>(1 << 18);
    let mut blocks = Vec::new();
    for index in 0..if cfg!(miri) { 12 } else { 300 } {
        let layout = layout(1 + index * 37 % 1500, 8);
        blocks.push((heap.alloc(layout).unwrap(), layout));
        if index % 3 == 2 {
            let (block, layout) = blocks.swap_remove(index * 7 % blocks.len());
            // SAFETY: the block is live.
            unsafe { heap.dealloc(block, layout) };
        }
        let mut walk: Vec<HeapBlock> = Vec::new();
        heap.for_each_block(&mut |block| walk.push(block));
        let sum = |free: bool| -> usize {
            walk.iter().filter(|block| block.free == free).map(|block| block.size).sum()
        };
        assert_eq!((sum(false), sum(true)), (heap.used_bytes(), heap.available_bytes()));
        assert!(walk.windows(2).all(|pair| pair[0].address + pair[0].size == pair[1].address));
        for (block, layout) in &blocks {
            let found = walk.iter().find(|other| other.address == block.addr().get());
            assert!(found.is_some_and(|found| !found.free && found.size >= layout.size()));
        }
        let largest = heap.largest_free().unwrap();
        assert!(walk.iter().any(|block| block.free && block.size >= largest));
    }
}
