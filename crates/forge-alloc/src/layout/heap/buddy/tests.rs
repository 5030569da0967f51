use std::alloc::Layout;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::vec;
use std::vec::Vec;

use forge_alloc_core::{BaseAllocator, ByteAllocator, GrowableHeap, HeapError, Region};
use forge_trace::random::Random;

use super::BuddyByteAllocator;
use crate::raw::testing::forever;

type Heap = BuddyByteAllocator;

/// A region that no one else has.
fn region(len: usize) -> Region {
    let base = NonNull::from(forever(vec![0_u128; len.div_ceil(16)])).cast::<u8>();
    // SAFETY: the bytes are valid for ever and nobody else's.
    unsafe { Region::from_raw(base, len) }
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// Asserts that the blocks fill what there is, and that the numbers agree with them.
fn check<const MIN: usize, const REGIONS: usize>(heap: &BuddyByteAllocator<MIN, REGIONS>) {
    let (mut free, mut used, mut largest) = (0, 0, 0);
    heap.for_each_block(&mut |block| {
        assert_eq!(block.address % block.size, 0);
        if block.free {
            free += block.size;
            largest = largest.max(block.size);
        } else {
            used += block.size;
        }
    });
    assert_eq!((heap.used_bytes(), heap.available_bytes(), heap.total_bytes()), (used, free, used + free));
    assert_eq!(heap.largest_free(), Some(largest));
}

/// A live block: its layout, and the byte that fills it.
type Live = BTreeMap<usize, (NonNull<u8>, Layout, u8)>;

fn fill(block: NonNull<u8>, layout: Layout, byte: u8) {
    // SAFETY: the block is live and this long.
    unsafe { block.write_bytes(byte, layout.size()) };
}

fn holds(block: NonNull<u8>, size: usize, byte: u8) -> bool {
    // SAFETY: the block is live, this long, and was filled.
    (0..size).all(|at| unsafe { block.add(at).read() } == byte)
}

#[test]
fn random_histories_keep_contents_alignment_and_numbers() {
    for percent in [10, 50, 90, 99] {
        let mut heap = Heap::new();
        for len in [5000, 1 << 14, 777, 1 << 12] {
            assert!(heap.add_region(region(len)).is_ok());
        }
        let (mut live, mut random) = (Live::new(), Random::new(percent));
        for step in 0..if cfg!(miri) { 40 } else { 3000 } {
            let (size, align) = (random.index(1000), random.index(9));
            let asked = layout(1 + random.index(1 + size), 1 << random.index(1 + align));
            let picked = live.keys().nth(random.index(live.len().max(1))).copied();
            let filling = heap.used_bytes() * 100 < heap.total_bytes() * percent as usize;
            match (random.index(4), picked) {
                (0, Some(address)) => {
                    let (block, old, byte) = live.remove(&address).unwrap();
                    // SAFETY: the block is live with this layout.
                    let moved = unsafe { heap.realloc(block, old, asked) };
                    let (block, now) = moved.map_or((block, old), |moved| (moved, asked));
                    assert!(holds(block, old.size().min(now.size()), byte), "step {step}");
                    assert_eq!(block.addr().get() % now.align(), 0);
                    fill(block, now, byte);
                    live.insert(block.addr().get(), (block, now, byte));
                }
                (_, Some(address)) if !filling => {
                    let (block, old, byte) = live.remove(&address).unwrap();
                    assert!(holds(block, old.size(), byte), "step {step}");
                    // SAFETY: the block is live with this layout, and then not.
                    unsafe {
                        if step % 2 == 0 {
                            heap.dealloc(block, old);
                        } else {
                            assert_eq!(heap.dealloc_checked(block, old), Ok(()));
                        }
                        assert_eq!(heap.dealloc_checked(block, old), Err(HeapError::NotAllocated));
                    }
                }
                _ => {
                    let Ok(block) = heap.alloc(asked) else { continue };
                    assert_eq!(block.addr().get() % asked.align(), 0);
                    let byte = random.bits() as u8;
                    fill(block, asked, byte);
                    let below = live.range(..block.addr().get()).next_back();
                    assert!(below.is_none_or(|(start, (_, layout, _))| start + layout.size() <= block.addr().get()));
                    let above = live.range(block.addr().get()..).next();
                    assert!(above.is_none_or(|(start, _)| block.addr().get() + asked.size() <= *start));
                    live.insert(block.addr().get(), (block, asked, byte));
                }
            }
            if step % 16 == 0 {
                check(&heap);
            }
        }
        for (block, layout, byte) in live.into_values() {
            assert!(holds(block, layout.size(), byte));
            // SAFETY: the block is live with this layout.
            assert_eq!(unsafe { heap.dealloc_checked(block, layout) }, Ok(()));
        }
        assert_eq!(heap.used_bytes(), 0);
        check(&heap);
    }
}

#[test]
fn there_is_no_memory_before_the_first_region() {
    let mut heap = Heap::default();
    assert_eq!(heap.alloc(layout(1, 1)), Err(HeapError::NoMemory));
    assert_eq!((heap.total_bytes(), heap.used_bytes(), heap.available_bytes()), (0, 0, 0));
    assert_eq!(heap.largest_free(), Some(0));
    // SAFETY: nothing lives at the dangling pointer.
    let freed = unsafe { heap.dealloc_checked(NonNull::dangling(), layout(1, 1)) };
    assert_eq!(freed, Err(HeapError::NotAllocated));
}

#[test]
fn unusable_overlapping_and_surplus_regions_are_handed_back() {
    let mut heap = BuddyByteAllocator::<16, 1>::new();
    for len in [0, 1, 8, 15] {
        let rejected = heap.add_region(region(len)).unwrap_err();
        assert_eq!((rejected.error, rejected.region.len()), (HeapError::InvalidParam, len));
    }
    let whole = region(4096);
    let (base, _) = whole.into_raw();
    // SAFETY: the bytes are leaked; the second region is never used.
    let (first, second) = unsafe { (Region::from_raw(base, 4096), Region::from_raw(base.add(4000), 96)) };
    assert!(heap.add_region(first).is_ok());
    let total = heap.total_bytes();
    assert_eq!(heap.add_region(second).unwrap_err().error, HeapError::MemoryOverlap);
    assert_eq!(heap.add_region(region(4096)).unwrap_err().error, HeapError::NoMemory);
    // SAFETY: none of these spans can be used.
    unsafe {
        for (start, size) in [(0, 0), (0, 8), (usize::MAX, 16), (16, usize::MAX)] {
            heap.init(start, size);
            assert!(heap.add_memory(start, size).is_err());
        }
    }
    assert_eq!((heap.total_bytes(), heap.used_bytes()), (total, 0));
}

#[test]
fn a_small_region_gives_nearly_all_of_its_bytes() {
    for (len, at_least) in [(64, 16), (256, 128), (4096, 3500), (1 << 16, 63_000), (1 << 20, 1_020_000)] {
        let mut heap = Heap::new();
        assert!(heap.add_region(region(len)).is_ok(), "{len} bytes");
        assert!(heap.total_bytes() >= at_least, "{} of {len} bytes", heap.total_bytes());
        check(&heap);
    }
}

#[test]
fn a_free_does_not_search_and_a_wrong_one_is_refused() {
    let mut heap = Heap::new();
    assert!(heap.add_region(region(if cfg!(miri) { 1 << 11 } else { 1 << 16 })).is_ok());
    let mut blocks: Vec<NonNull<u8>> = Vec::new();
    while let Ok(block) = heap.alloc(layout(48, 8)) {
        blocks.push(block);
    }
    let used = heap.used_bytes();
    for &block in &blocks {
        // SAFETY: nobody uses these bytes; the heap is asked whether it would take them.
        unsafe {
            for wrong in [layout(16, 8), layout(65, 8), layout(1, 4096)] {
                assert_eq!(heap.dealloc_checked(block, wrong), Err(HeapError::NotAllocated));
            }
            for inside in [1, 16, 32] {
                let inside = block.add(inside);
                assert_eq!(heap.dealloc_checked(inside, layout(48, 8)), Err(HeapError::NotAllocated));
                assert_eq!(heap.dealloc_checked(inside, layout(1, 1)), Err(HeapError::NotAllocated));
            }
        }
    }
    assert_eq!(heap.used_bytes(), used);
    for block in blocks {
        // SAFETY: the block is live with this layout.
        assert_eq!(unsafe { heap.dealloc_checked(block, layout(48, 8)) }, Ok(()));
    }
    assert_eq!(heap.used_bytes(), 0);
}

#[test]
fn a_block_grows_and_shrinks_in_place_where_its_buddies_are_free() {
    let mut heap = Heap::new();
    assert!(heap.add_region(region(1 << 14)).is_ok());
    let block = heap.alloc(layout(1024, 1024)).unwrap();
    // SAFETY: the block is live, with these layouts in turn.
    unsafe {
        assert!(heap.resize_in_place(block, layout(1024, 1024), layout(20, 4)));
        assert_eq!(heap.used_bytes(), 32);
        assert!(heap.resize_in_place(block, layout(20, 4), layout(1000, 4)));
        assert_eq!(heap.used_bytes(), 1024);
        assert!(!heap.resize_in_place(block, layout(1000, 4), layout(1 << 15, 4)));
        assert!(!heap.resize_in_place(block, layout(1000, 4), layout(0, 1)));
        assert_eq!(heap.used_bytes(), 1024);
        heap.dealloc(block, layout(1000, 4));
    }
    assert_eq!(heap.used_bytes(), 0);
}

#[test]
fn impossible_layouts_are_refused() {
    let mut heap = Heap::new();
    assert!(heap.add_region(region(1 << 14)).is_ok());
    assert_eq!(heap.alloc(layout(0, 1)), Err(HeapError::InvalidParam));
    for (size, align) in [(1 << 14, 1), (isize::MAX as usize, 1), (1, 1 << (usize::BITS - 2)), (1, 1 << 20)] {
        if let Ok(block) = heap.alloc(layout(size, align)) {
            assert_eq!(block.addr().get() % align, 0);
        }
    }
    // SAFETY: nothing lives there.
    let freed = unsafe { heap.dealloc_checked(NonNull::dangling(), layout(isize::MAX as usize, 1)) };
    assert_eq!(freed, Err(HeapError::NotAllocated));
    check(&heap);
    assert!(heap.add_region(region(100)).is_ok());
    check(&heap);
}

/// Asserts that a region of the asked length serves the layout wherever it starts.
fn serves<const MIN: usize>(asked: Layout) {
    let asked_region = BuddyByteAllocator::<MIN, 1>::new().region_for(asked).unwrap();
    let (size, align) = (asked_region.size().get(), asked_region.align().get());
    let (base, _) = region(2 * size + 4096).into_raw();
    for offset in [0, 1, 2, 3, 7, 16, 31, 100].map(|part| part * align) {
        // SAFETY: the bytes are leaked, and nothing is left of the heap of another turn.
        let part = unsafe { Region::from_raw(base.add(offset), size) };
        let mut heap = BuddyByteAllocator::<MIN, 1>::new();
        assert!(heap.add_region(part).is_ok());
        let block = heap.alloc(asked).unwrap();
        assert_eq!(block.addr().get() % asked.align(), 0);
    }
}

#[test]
fn a_region_of_the_asked_length_serves_the_request_wherever_it_starts() {
    let most = if cfg!(miri) { 10 } else { 20 };
    for (size, align) in [(1, 1), (40, 64), (4096, 8), (5, 1 << 10), ((1 << most) - 1, 2), (1 << most, 4096)]
    {
        serves::<16>(layout(size, align));
        if !cfg!(miri) {
            serves::<8>(layout(size, align));
            serves::<4096>(layout(size, align));
        }
    }
    assert!(Heap::new().region_for(layout(isize::MAX as usize, 1)).is_none());
}

#[test]
fn a_region_leaves_when_it_is_empty_and_its_place_is_free_again() {
    let mut heap = BuddyByteAllocator::<16, 2>::new();
    let (first, _) = region(4096).into_raw();
    let (second, _) = region(4096).into_raw();
    let whole = |base| NonNull::slice_from_raw_parts(base, 4096);
    // SAFETY: the bytes are leaked; each region is in the heap at most once, and the blocks are live until they are freed.
    unsafe {
        assert!(heap.add_region(Region::from_raw(first, 4096)).is_ok());
        let block = heap.alloc(layout(100, 8)).unwrap();
        assert!(heap.add_region(Region::from_raw(second, 4096)).is_ok());
        assert!(!heap.take_region(whole(first)), "a block lies in it");
        assert!(!heap.take_region(NonNull::slice_from_raw_parts(second, 4095)), "it is longer");
        assert!(heap.take_region(whole(second)));
        assert!(!heap.take_region(whole(second)), "it is gone");
        heap.dealloc(block, layout(100, 8));
        assert!(heap.take_region(whole(first)));
        assert_eq!((heap.total_bytes(), heap.alloc(layout(1, 1))), (0, Err(HeapError::NoMemory)));
        for base in [first, second] {
            assert!(heap.add_region(Region::from_raw(base, 4096)).is_ok());
        }
    }
    check(&heap);
}
