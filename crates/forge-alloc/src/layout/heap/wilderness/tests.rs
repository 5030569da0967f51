#![allow(unsafe_code)]

use forge_alloc_core::ByteAllocator;

use crate::layout::heap::testing::{Checked, Memory, Random, layout};
use crate::layout::heap::tlsf::Tlsf;

/// Returns a heap over `memory`.
fn heap_over(memory: &Memory) -> Tlsf<12, 8> {
    let mut heap = Tlsf::new();
    heap.add_region(memory.region(0, memory.size())).unwrap();
    heap.check();
    heap
}

#[test]
fn the_last_block_grows_and_shrinks_in_place_over_every_length() {
    let memory = Memory::new(1 << 17, 64);
    let mut heap = heap_over(&memory);
    let all = heap.largest_free().unwrap();
    assert_eq!(heap.available_bytes(), all);
    let mut random = Random::new(7);
    for align in [1, 8, 16, 64] {
        let mut size = 24;
        let block = heap.alloc(layout(size, align)).unwrap();
        for _ in 0..if cfg!(miri) { 8 } else { 200 } {
            let to = 1 + random.below(all + all / 8);
            // SAFETY: the block is live with this layout.
            let resized = unsafe { heap.resize_in_place(block, layout(size, align), layout(to, align)) };
            assert!(resized || to + 2 * align.max(8) > all, "{size} to {to}");
            size = if resized { to } else { size };
            heap.check();
            // SAFETY: the block is as long as it was asked for.
            unsafe { block.add(size - 1).write(1) };
        }
        // SAFETY: the block is live with this layout.
        unsafe { heap.dealloc(block, layout(size, align)) };
        assert_eq!(heap.largest_free(), Some(all));
    }
}

#[test]
fn a_heap_that_was_full_has_its_end_back() {
    let memory = Memory::new(1 << 12, 64);
    let mut heap = heap_over(&memory);
    let all = heap.largest_free().unwrap();
    let block = heap.alloc(layout(all, 8)).unwrap();
    assert_eq!((heap.available_bytes(), heap.largest_free()), (0, Some(0)));
    assert!(heap.alloc(layout(1, 1)).is_err());
    heap.check();
    // SAFETY: the block is live with these layouts in turn.
    unsafe {
        assert!(!heap.resize_in_place(block, layout(all, 8), layout(all + 1, 8)));
        assert!(heap.resize_in_place(block, layout(all, 8), layout(32, 8)));
        heap.check();
        assert!(
            heap.resize_in_place(block, layout(32, 8), layout(all - 8, 8)),
            "a scrap stays with the block"
        );
        heap.check();
        assert!(heap.resize_in_place(block, layout(all - 8, 8), layout(all, 8)));
        heap.dealloc(block, layout(all, 8));
    }
    heap.check();
    assert_eq!((heap.available_bytes(), heap.largest_free()), (all, Some(all)));
}

#[test]
fn a_region_that_comes_later_has_the_wilderness_and_the_earlier_one_serves_on() {
    let memory = Memory::new(3 << 12, 64);
    let mut heap = Tlsf::<12, 8>::new();
    let mut all = 0;
    for part in 0..3 {
        heap.add_region(memory.region(part << 12, (part + 1) << 12)).unwrap();
        heap.check();
        all = heap.available_bytes();
    }
    let mut blocks = Vec::new();
    while let Ok(block) = heap.alloc(layout(200, 32)) {
        heap.check();
        blocks.push(block);
    }
    assert!(blocks.len() > 3 * ((1 << 12) / 300));
    for block in blocks {
        // SAFETY: the block is live with this layout.
        unsafe { heap.dealloc(block, layout(200, 32)) };
        heap.check();
    }
    assert_eq!((heap.available_bytes(), heap.iter_free()), (all, 3));
}
