#![allow(unsafe_code)]

use std::vec::Vec;

use forge_os::SimOs;

use super::*;
use crate::fast::profile::Fast;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

#[test]
fn a_block_is_found_by_its_address_whatever_its_layout() {
    let heap = Heap::<Fast, _>::new(SimOs::new(4 << 10));
    let (cache, closed) = (ThreadCache::new(), ThreadCache::closed());
    let sizes: &[usize] = match cfg!(miri) {
        true => &[1, 100, (1 << 20) + 1],
        false => &[1, 16, 17, 100, 4096, 40_000, 1 << 20, (1 << 20) + 1, 3 << 20],
    };
    let mut blocks = Vec::new();
    for &size in sizes {
        for align in [1, 16, 4096, 32 << 10, 64 << 10] {
            // SAFETY: both caches go to this heap.
            let block = unsafe { cache.allocate(&heap, layout(size, align)) };
            assert_eq!(block.addr() % align, 0);
            let usable = heap.usable_size(block).unwrap();
            assert!(usable >= size);
            // SAFETY: the block has these bytes.
            unsafe { block.write_bytes(align as u8, if cfg!(miri) { size.min(64) } else { usable }) };
            blocks.push((block, usable));
        }
    }
    for (index, (block, usable)) in blocks.into_iter().enumerate() {
        assert_eq!(heap.usable_size(block), Some(usable), "as long as the block lives");
        // SAFETY: each block is freed once, through either cache.
        unsafe {
            match index % 2 {
                0 => cache.free(&heap, block),
                _ => closed.free(&heap, block),
            }
        }
    }
    // SAFETY: as above.
    unsafe { cache.close(&heap) };
    heap.trim();
    assert_eq!(heap.stats().live, 0);
}

#[test]
fn what_is_no_block_is_not_found() {
    let heap = Heap::<Fast, _>::new(SimOs::new(4 << 10));
    let (cache, local) = (ThreadCache::new(), 0_u8);
    // SAFETY: one heap, and the block is freed once.
    unsafe {
        let block = cache.allocate(&heap, layout(2 << 20, 16));
        assert_eq!(heap.usable_size(block.wrapping_add(4096)), None);
        assert_eq!(heap.usable_size(&raw const local), None);
        assert_eq!(heap.usable_size(ptr::null()), None);
        cache.free(&heap, block);
        assert_eq!(heap.usable_size(block), None);
        cache.close(&heap);
    }
}

#[test]
fn a_moved_block_keeps_its_bytes_and_stays_where_it_is_well_used() {
    let heap = Heap::<Fast, _>::new(SimOs::new(4 << 10));
    let cache = ThreadCache::new();
    // SAFETY: one heap; the block is written within its size and freed once.
    unsafe {
        let mut block = cache.allocate(&heap, layout(1, 16));
        let mut size = 1;
        block.write(7);
        let sizes: &[usize] = match cfg!(miri) {
            true => &[30, 31, 17, 5000, 2501, 2 << 20, 1],
            false => &[30, 31, 32, 17, 5000, 2501, 5, 60_000, 2 << 20, 1_500_000, 5 << 20, 100, 1],
        };
        for &new in sizes {
            let usable = heap.usable_size(block).unwrap();
            let moved = cache.move_to(&heap, block, layout(new, 16));
            assert_eq!(moved.addr() % 16, 0);
            if new <= usable && new >= usable / 2 && usable <= 1 << 20 {
                assert_eq!(moved, block, "{usable} to {new}");
            }
            let last = size.min(new) - 1;
            assert_eq!((moved.read(), moved.add(last).read()), (7, 7), "{size} to {new}");
            moved.write_bytes(7, new);
            (block, size) = (moved, new);
        }
        let aligned = cache.move_to(&heap, block, layout(1, 4096));
        assert_eq!((aligned.addr() % 4096, aligned.read()), (0, 7));
        cache.free(&heap, aligned);
        cache.close(&heap);
    }
    assert_eq!(heap.stats().live, 0);
}
