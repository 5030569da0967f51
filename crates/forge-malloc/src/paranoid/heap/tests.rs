#![allow(unsafe_code)]

use std::vec::Vec;

use forge_os::SimOs;

use super::*;

const PAGE: usize = 4 << 10;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// Returns what is wrong with an address and a layout, if anything is.
fn wrong<O: Os>(heap: &Heap<O>, address: usize, layout: Option<Layout>) -> Option<Misuse> {
    heap.try_with_block(address, layout, |_, _, _| ()).err()
}

#[test]
fn each_kind_of_misuse_is_told_from_the_others_and_changes_nothing() {
    let heap = Heap::new(SimOs::new(PAGE));
    let right = layout(24, 8);
    assert_eq!(wrong(&heap, 4096, None), Some(Misuse::Foreign), "before the first block");
    let block = heap.allocate(right);
    let address = block.addr();
    for wrong_layout in [layout(23, 8), layout(25, 8), layout(24, 4), layout(24, 16), layout(0, 8)] {
        assert_eq!(wrong(&heap, address, Some(wrong_layout)), Some(Misuse::Layout));
    }
    for inside in [address + 1, address + 8, address - 8, address + 24] {
        assert_eq!(wrong(&heap, inside, Some(right)), Some(Misuse::NoStart));
    }
    for foreign in [0, 1, usize::MAX, address ^ (1 << 30), (&raw const heap).addr()] {
        assert_eq!(wrong(&heap, foreign, Some(right)), Some(Misuse::Foreign));
    }
    assert_eq!((wrong(&heap, address, Some(right)), wrong(&heap, address, None)), (None, None));
    // SAFETY: the page of the block is memory, and the byte gets its value back.
    unsafe {
        let front = block.sub(1);
        front.write(front.read() ^ 1);
        assert_eq!(wrong(&heap, address, Some(right)), Some(Misuse::Front));
        front.write(front.read() ^ 1);
        assert_eq!(heap.size_of_block(block), 24);
        heap.deallocate(block, right);
    }
    assert_eq!(wrong(&heap, address, Some(right)), Some(Misuse::NotLive));
    assert_eq!(wrong(&heap, address + 1, Some(right)), Some(Misuse::NoStart));
    heap.reclaim(true);
    assert_eq!(wrong(&heap, address, Some(right)), Some(Misuse::Foreign));
}

#[test]
fn a_block_that_has_the_layout_stays_and_every_other_moves() {
    let heap = Heap::new(SimOs::new(PAGE));
    let old = layout(100, 8);
    let block = heap.allocate(old);
    // SAFETY: live blocks, written within their size, and freed once.
    unsafe {
        block.write_bytes(7, 100);
        assert_eq!(heap.reallocate(block, old, old), block);
        let others = [layout(9000, 8), layout(99, 8), layout(101, 8), layout(100, 16)];
        for new in others.into_iter().take(if cfg!(miri) { 1 } else { 4 }) {
            let block = heap.allocate(old);
            block.write_bytes(7, 100);
            let moved = heap.reallocate(block, old, new);
            assert_ne!(moved, block);
            assert!(
                (0..new.size())
                    .step_by(if cfg!(miri) { 33 } else { 1 })
                    .all(|at| moved.add(at).read() == if at < 100 { 7 } else { 0 })
            );
            assert_eq!(wrong(&heap, block.addr(), Some(old)), Some(Misuse::NotLive));
            heap.deallocate(moved, new);
        }
        heap.deallocate(block, old);
    }
}

#[test]
#[cfg(not(miri))]
fn what_is_known_about_a_block_is_at_another_distance_in_another_heap() {
    let mut distances = std::collections::BTreeSet::new();
    for _ in 0..16 {
        let heap = Heap::new(forge_os::Native);
        let address = heap.allocate(layout(24, 8)).addr();
        let hall = heap.hall().unwrap();
        let number = crate::paranoid::grounds::number_in(hall.grounds.directory.get(address));
        // SAFETY: the record of a range that is in the directory; no other thread has this heap.
        let table = unsafe { hall.grounds.extent(number).unwrap().as_ref() }.vault.data();
        distances.insert(table.addr().get().wrapping_sub(address));
    }
    assert!(distances.len() >= 14, "{distances:?}");
}

#[test]
fn threads_free_each_others_blocks() {
    let heap = Heap::new(SimOs::new(PAGE));
    let rounds = if cfg!(miri) { 1 } else { 300 };
    let (sender, receiver) = std::sync::mpsc::channel::<Vec<usize>>();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for block in receiver.into_iter().flatten() {
                heap.free(block, Some(layout(40, 8)));
                // SAFETY: a live block, freed once.
                unsafe { heap.deallocate(heap.allocate(layout(200, 8)), layout(200, 8)) };
            }
        });
        for _ in 0..rounds {
            sender.send((0..4).map(|_| heap.allocate(layout(40, 8)).addr()).collect()).unwrap();
        }
        drop(sender);
    });
    assert_eq!(heap.stats().live_blocks, 0);
}
