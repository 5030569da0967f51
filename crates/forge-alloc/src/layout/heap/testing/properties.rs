//! Properties of heaps, each by its own short history.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;
use std::vec::Vec;

use forge_alloc_core::HeapError;

use super::{Checked, Memory, Random, layout};

fn with_region<H: Checked>(make: impl Fn() -> H, memory: &Memory) -> H {
    let mut heap = make();
    heap.add_region(memory.region(0, memory.size())).unwrap();
    heap
}

/// Runs every property that holds for all heaps.
pub(crate) fn properties<H: Checked + Send + Sync>(make: impl Fn() -> H + Copy) {
    before_the_first_region(make);
    refuses_what_overlaps(make);
    joins_addresses_and_not_regions(make);
    joins_in_any_order(make);
    grows_by_pages(make);
    takes_tiny_regions_or_refuses_them(make);
    takes_any_number_of_regions(make);
    counts_what_is_unavailable(make);
    tells_what_is_not_allocated(make);
    resizes_both_ways(make);
    says_what_could_be_had(make);
    fills_spans_with_blocks(make);
    short_histories(make);
    if cfg!(all(target_pointer_width = "64", not(miri))) {
        aligns_up_to_a_gib(make);
    }
}

fn before_the_first_region<H: Checked>(make: impl Fn() -> H) {
    let mut heap = make();
    assert_eq!(heap.alloc(layout(1, 1)), Err(HeapError::NoMemory));
    assert_eq!(heap.alloc(layout(isize::MAX as usize, 1)), Err(HeapError::NoMemory));
    assert_eq!(heap.alloc(layout(8, 1 << 30)), Err(HeapError::NoMemory));
    assert_eq!(heap.alloc(layout(0, 1)), Err(HeapError::InvalidParam));
    // SAFETY: nothing is allocated, so nothing is freed; spans of no memory are refused.
    unsafe {
        assert_eq!(heap.dealloc_checked(NonNull::dangling(), layout(1, 1)), Err(HeapError::NotAllocated));
        for (start, size) in [(0, 4096), (usize::MAX - 7, 4096), (4096, usize::MAX), (4096, 0)] {
            assert_eq!(heap.add_memory(start, size), Err(HeapError::InvalidParam));
            heap.init(start, size);
        }
    }
    assert_eq!((heap.total_bytes(), heap.used_bytes(), heap.available_bytes()), (0, 0, 0));
    assert_eq!(heap.largest_free(), Some(0));
    heap.for_each_block(&mut |block| panic!("{block:?}"));
    heap.check();
}

fn refuses_what_overlaps<H: Checked>(make: impl Fn() -> H) {
    let memory = Memory::new(4096, 8);
    let mut heap = make();
    heap.add_region(memory.region(1001, 2003)).unwrap();
    let total = heap.total_bytes();
    for (start, end) in [(1001, 2003), (0, 1002), (2002, 4096), (0, 4096), (1500, 1600), (2000, 2003)] {
        let rejected = heap.add_region(memory.region(start, end)).unwrap_err();
        assert_eq!(rejected.error, HeapError::MemoryOverlap);
        assert_eq!(
            (rejected.region.base(), rejected.region.len()),
            (memory.region(start, end).base(), end - start)
        );
        // SAFETY: what overlaps is refused.
        let again = unsafe { heap.add_memory(memory.address(start), end - start) };
        assert_eq!(again, Err(HeapError::MemoryOverlap));
    }
    assert_eq!(heap.total_bytes(), total);
    heap.add_region(memory.region(0, 1001)).unwrap();
    heap.add_region(memory.region(2003, 4096)).unwrap();
    heap.check();
}

fn joins_addresses_and_not_regions<H: Checked>(make: impl Fn() -> H) {
    let memory = Memory::new(8192, 16);
    for seam in [4096, 4096 - 3] {
        let mut heap = make();
        heap.add_region(memory.region(0, seam)).unwrap();
        heap.add_region(memory.region(seam, 8192)).unwrap();
        heap.check();
        assert_eq!(heap.alloc(layout(5000, 8)), Err(HeapError::NoMemory));
        assert!(heap.alloc(layout(3000, 8)).is_ok() && heap.alloc(layout(3000, 8)).is_ok());

        let mut heap = make();
        // SAFETY: the spans are disjoint parts of one object, which outlives the heap.
        unsafe {
            heap.init(memory.address(0), seam);
            heap.add_memory(memory.address(seam), 8192 - seam).unwrap();
        }
        heap.check();
        let long = layout(heap.largest_free().unwrap(), 8);
        let block = heap.alloc(long).unwrap();
        assert!(long.size() > 4096 && block.addr().get() < memory.address(seam));
        // SAFETY: the block is live; it lies on both sides of the seam.
        unsafe {
            block.write_bytes(7, long.size());
            heap.dealloc(block, long);
        }
        heap.check();
    }
}

fn joins_in_any_order<H: Checked>(make: impl Fn() -> H) {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let memory = Memory::new(3072, 16);
        let mut heap = make();
        let mut live = Vec::new();
        for part in order {
            // SAFETY: the spans are disjoint parts of one object, which outlives the heap.
            unsafe { heap.add_memory(memory.address(part * 1024), 1024) }.unwrap();
            heap.check();
            live.push(heap.alloc(layout(100, 8)).unwrap());
            live.push(heap.alloc(layout(40, 64)).unwrap());
        }
        for pair in live.chunks(2) {
            // SAFETY: both are live.
            unsafe {
                assert_eq!(heap.dealloc_checked(pair[0], layout(100, 8)), Ok(()));
                assert_eq!(heap.dealloc_checked(pair[1], layout(40, 64)), Ok(()));
            }
            heap.check();
        }
        assert!(heap.alloc(layout(1500, 8)).is_ok(), "the parts did not join in the order {order:?}");
    }
}

fn grows_by_pages<H: Checked>(make: impl Fn() -> H) {
    let pages = if cfg!(miri) { 6 } else { 200 };
    let memory = Memory::new(pages * 4096, 4096);
    let mut heap = make();
    for page in 0..pages {
        // SAFETY: the spans are disjoint parts of one object, which outlives the heap.
        unsafe { heap.add_memory(memory.address(page * 4096), 4096) }.unwrap();
        heap.check();
    }
    assert_eq!(heap.total_bytes(), pages * 4096);
    assert!(heap.largest_free().unwrap() > pages * 4096 / 2, "{:?}", heap.largest_free());
}

fn takes_tiny_regions_or_refuses_them<H: Checked>(make: impl Fn() -> H) {
    let memory = Memory::new(256, 8);
    for start in if cfg!(miri) { 3..4 } else { 0..9 } {
        for len in (0..200).step_by(if cfg!(miri) { 23 } else { 1 }) {
            let mut heap = make();
            match heap.add_region(memory.region(start, start + len)) {
                Ok(()) => {
                    assert!(heap.total_bytes() <= len && heap.total_bytes() + 16 > len);
                    let layout = layout(heap.available_bytes(), 8);
                    let block = heap.alloc(layout).unwrap();
                    assert_eq!(heap.available_bytes(), 0);
                    // SAFETY: the block is live.
                    unsafe { heap.dealloc(block, layout) };
                }
                Err(rejected) => {
                    assert!(len < 128, "{len} bytes were refused");
                    assert_eq!(rejected.error, HeapError::InvalidParam);
                    assert_eq!((heap.total_bytes(), rejected.region.len()), (0, len));
                }
            }
            heap.check();
        }
    }
}

fn takes_any_number_of_regions<H: Checked>(make: impl Fn() -> H) {
    let count = if cfg!(miri) { 12 } else { 100 };
    let memory = Memory::new(count * 600, 8);
    let mut heap = make();
    for index in 0..count {
        // An order that is none, with gaps.
        let at = index * 7 % count * 600;
        heap.add_region(memory.region(at, at + 500)).unwrap();
        heap.check();
    }
    let mut live = Vec::new();
    while let Ok(block) = heap.alloc(layout(200, 8)) {
        live.push(block);
    }
    assert!(live.len() > count);
    for block in &live {
        // SAFETY: the block is live.
        assert_eq!(unsafe { heap.dealloc_checked(*block, layout(200, 8)) }, Ok(()));
    }
    heap.check();
}

fn counts_what_is_unavailable<H: Checked>(make: impl Fn() -> H) {
    let memory = Memory::new(4096, 8);
    let mut heap = with_region(make, &memory);
    let (total, start) = (heap.total_bytes(), heap.used_bytes());
    let mut live = Vec::new();
    while let Ok(block) = heap.alloc(layout(1, 1)) {
        live.push(block);
        assert_eq!(heap.used_bytes() + heap.available_bytes(), total);
    }
    assert_eq!(heap.available_bytes(), 0, "the bytes of a full heap are used");
    for block in live {
        // SAFETY: the block is live.
        unsafe { heap.dealloc(block, layout(1, 1)) };
    }
    assert_eq!(heap.used_bytes(), start);
    let more = Memory::new(4096, 8);
    // SAFETY: the memory is other memory, and outlives the heap.
    unsafe { heap.init(more.address(0), 4096) };
    assert_eq!(heap.total_bytes(), total + 4096);
    assert_eq!(heap.used_bytes() + heap.available_bytes(), heap.total_bytes());
}

fn tells_what_is_not_allocated<H: Checked>(make: impl Fn() -> H) {
    let memory = Memory::new(4096, 4096);
    let mut heap = with_region(make, &memory);
    let sizes = [100, 16, 24, 700, 8];
    let blocks = sizes.map(|size| heap.alloc(layout(size, 8)).unwrap());
    // SAFETY: the block is live.
    unsafe { heap.dealloc(blocks[2], layout(24, 8)) };
    let mut elsewhere = 0_u64;
    let foreign = NonNull::from(&mut elsewhere).cast();
    // SAFETY: only the last frees in the loop name live blocks, which are forgotten.
    unsafe {
        assert_eq!(heap.dealloc_checked(foreign, layout(8, 8)), Err(HeapError::NotAllocated));
        for offset in (0..4096).step_by(if cfg!(miri) { 72 } else { 1 }) {
            let pos = memory.region(offset, 4096).base();
            for size in [1, 8, 16, 24, 32, 100, 104, 700, 4096] {
                let live = blocks.iter().zip(sizes).enumerate().any(|(index, (block, own))| {
                    let granules = |size: usize| size.div_ceil(8).max(2);
                    index != 2 && *block == pos && granules(own).abs_diff(granules(size)) <= 2
                });
                if !live {
                    let found = heap.dealloc_checked(pos, layout(size, 1));
                    assert_eq!(found, Err(HeapError::NotAllocated), "{size} bytes at {offset}");
                }
            }
        }
        let misaligned = heap.dealloc_checked(blocks[0], layout(100, 4096));
        assert_eq!(misaligned, Err(HeapError::NotAllocated));
        for index in [0, 1, 3, 4] {
            assert_eq!(heap.dealloc_checked(blocks[index], layout(sizes[index], 8)), Ok(()));
            let twice = heap.dealloc_checked(blocks[index], layout(sizes[index], 8));
            assert_eq!(twice, Err(HeapError::NotAllocated));
            heap.check();
        }
    }
}

fn resizes_both_ways<H: Checked>(make: impl Fn() -> H) {
    let memory = Memory::new(65536, 4096);
    let mut heap = with_region(make, &memory);
    let start = heap.used_bytes();
    let block = heap.alloc(layout(64, 8)).unwrap();
    let mut old = layout(64, 8);
    // SAFETY: the block is live, and `old` is its layout.
    unsafe {
        for size in [65, 128, 5000, 40_000, 39_990, 3000, 17, 1, 20_000] {
            assert!(heap.resize_in_place(block, old, layout(size, 8)), "to {size} bytes");
            old = layout(size, 8);
            block.write_bytes(1, size);
            heap.check();
            assert!(heap.used_bytes() - start <= size.max(16) + 16);
        }
        assert!(!heap.resize_in_place(block, old, layout(65_536, 8)));
        assert!(!heap.resize_in_place(block, old, layout(0, 8)));
        let behind = heap.alloc(layout(16, 8)).unwrap();
        let (size, align) = (old.size(), 1 << block.addr().get().trailing_zeros());
        assert!(!heap.resize_in_place(block, old, layout(size + 100, 8)), "a block lies behind");
        assert!(heap.resize_in_place(block, old, layout(size, align)));
        assert!(!heap.resize_in_place(block, layout(size, align), layout(size, align * 2)));
        let old = layout(size, align);
        let moved = heap.realloc(block, old, layout(size + 100, 8)).unwrap();
        assert!(moved != block && *moved.as_ptr() == 1);
        heap.dealloc(moved, layout(size + 100, 8));
        heap.dealloc(behind, layout(16, 8));
    }
    assert_eq!(heap.used_bytes(), start);
    heap.check();
}

fn says_what_could_be_had<H: Checked>(make: impl Fn() -> H) {
    let memory = Memory::new(20_000, 8);
    let mut heap = with_region(make, &memory);
    let mut random = Random::new(3);
    let mut live = Vec::new();
    for _ in 0..if cfg!(miri) { 8 } else { 300 } {
        let size = 1 + random.below(900);
        if let Ok(block) = heap.alloc(layout(size, 8)) {
            live.push((block, layout(size, 8)));
        }
        if random.below(2) == 0 && !live.is_empty() {
            let (block, layout) = live.swap_remove(random.below(live.len()));
            // SAFETY: the block is live.
            unsafe { heap.dealloc(block, layout) };
        }
        let largest = heap.largest_free().unwrap();
        assert_eq!(heap.alloc(layout(largest + 1, 1)), Err(HeapError::NoMemory));
        if largest > 0 {
            let block = heap.alloc(layout(largest, 1)).unwrap();
            // SAFETY: the block is live.
            unsafe { heap.dealloc(block, layout(largest, 1)) };
        }
    }
}

fn fills_spans_with_blocks<H: Checked>(make: impl Fn() -> H) {
    let memory = Memory::new(10_000, 8);
    let mut heap = make();
    heap.add_region(memory.region(0, 5000)).unwrap();
    heap.add_region(memory.region(6000, 10_000)).unwrap();
    let blocks: Vec<_> =
        (1..if cfg!(miri) { 8 } else { 40 }).map(|size| heap.alloc(layout(size * 5, 8)).unwrap()).collect();
    for block in blocks.iter().step_by(2) {
        let index = blocks.iter().position(|other| other == block).unwrap();
        // SAFETY: the block is live.
        unsafe { heap.dealloc(*block, layout((index + 1) * 5, 8)) };
    }
    let (mut seen, mut free, mut end) = (0, 0, 0);
    heap.for_each_block(&mut |block| {
        assert!(block.address >= end);
        end = block.address + block.size;
        seen += block.size;
        free += if block.free { block.size } else { 0 };
    });
    assert_eq!((seen, free), (heap.total_bytes(), heap.available_bytes()));
}

/// All histories of a few operations on a heap of a few hundred bytes.
fn short_histories<H: Checked>(make: impl Fn() -> H) {
    let memory = Memory::new(320, 64);
    let length = if cfg!(miri) { 1 } else { 4 };
    for number in 0..8_usize.pow(length) {
        let mut heap = with_region(&make, &memory);
        let start = heap.available_bytes();
        let mut live: Vec<(NonNull<u8>, Layout)> = Vec::new();
        let mut rest = number;
        for _ in 0..length {
            let choice = rest % 8;
            rest /= 8;
            match choice {
                0..4 => {
                    let layout = [layout(8, 8), layout(24, 8), layout(72, 8), layout(40, 32)][choice];
                    if let Ok(block) = heap.alloc(layout) {
                        assert_eq!(block.addr().get() % layout.align(), 0);
                        let own = block.addr().get()..block.addr().get() + layout.size();
                        let apart = |(other, other_layout): &(NonNull<u8>, Layout)| {
                            let other = other.addr().get();
                            other >= own.end || other + other_layout.size() <= own.start
                        };
                        assert!(live.iter().all(apart));
                        live.push((block, layout));
                    }
                }
                // SAFETY: the blocks are live with these layouts.
                4 | 5 if !live.is_empty() => unsafe {
                    let (block, layout) = live.remove(if choice == 4 { 0 } else { live.len() - 1 });
                    heap.dealloc(block, layout);
                },
                // SAFETY: as above.
                6 | 7 if !live.is_empty() => unsafe {
                    let (block, old) = live[0];
                    let new = layout(if choice == 6 { 56 } else { 16 }, 8);
                    if heap.resize_in_place(block, old, new) {
                        live[0].1 = new;
                    }
                },
                _ => {}
            }
            heap.check();
        }
        for (block, layout) in live {
            // SAFETY: the block is live.
            assert_eq!(unsafe { heap.dealloc_checked(block, layout) }, Ok(()));
        }
        heap.check();
        assert_eq!(heap.available_bytes(), start);
        assert!(heap.iter_free() == 1);
    }
}

fn aligns_up_to_a_gib<H: Checked>(make: impl Fn() -> H) {
    let memory = Memory::new((2 << 30) + (64 << 20), 4096);
    let mut heap = with_region(make, &memory);
    let mut live = Vec::new();
    for shift in (0..=30).rev() {
        let layout = layout(1 + shift, 1 << shift);
        let block = heap.alloc(layout).unwrap();
        assert_eq!(block.addr().get() % layout.align(), 0);
        live.push((block, layout));
    }
    for (block, layout) in live {
        // SAFETY: the block is live.
        unsafe { heap.dealloc(block, layout) };
    }
    heap.check();
    assert_eq!(heap.iter_free(), 1);
}
