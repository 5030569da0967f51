#![allow(unsafe_code)]

use core::alloc::Layout;
use std::vec::Vec;

use forge_alloc_core::testing::{
    assert_allocator_basic_round_trip, assert_allocator_contract, assert_allocator_respects_alignment,
};
use forge_os::sim::SimCall;
use forge_os::{Native, SimOs};
use forge_trace::shadow::{Checks, Limits, drive, random_ops};

use super::*;

const PAGE: usize = 4 << 10;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

#[test]
fn it_keeps_the_contract_of_an_allocator() {
    let os = SimOs::new(PAGE);
    if cfg!(miri) {
        // The whole contract is several hundred blocks.
        assert_allocator_basic_round_trip(&Heap::new(os));
        assert_allocator_respects_alignment(&Heap::new(os));
    } else {
        // What is absurd is refused, because the simulation would hand out real memory for it.
        os.limit_mapped_bytes(64 << 20);
        assert_allocator_contract(&Heap::new(os));
        assert_allocator_contract(&Heap::new(SimOs::new(64 << 10)));
        assert_allocator_contract(&Heap::new(Native));
    }
}

/// Runs a random history over a heap that fails now and then if it is told to, and checks that all memory comes back.
fn history(seed: u64, page: usize, limits: &Limits, failing: bool) {
    let os = SimOs::new(page);
    let heap = Heap::new(os);
    let steps = if cfg!(miri) { 15 } else { 1000 };
    let history = random_ops(seed, steps, limits);
    if failing {
        for n in 1..20 {
            os.fail_nth(Some(SimCall::Map), n * n, 12);
            os.fail_nth(Some(SimCall::Advise), 5 * n * n, 12);
            os.fail_nth(None, 3 * n, 12);
        }
    }
    drive(&heap, &history, Checks { vary_alignment: true, ..Checks::default() }).unwrap();
    os.clear_failures();
    heap.reclaim(true);
    let stats = heap.stats();
    assert_eq!((stats.live_blocks, stats.live_bytes), (0, 0), "{stats:?}");
    assert_eq!((stats.mapped, stats.metadata, stats.quarantined_blocks), (0, 0, 0), "{stats:?}");
}

#[test]
fn random_histories_agree_with_the_shadow_model() {
    let small = Limits { live_blocks: 60, size: 600, align: 256, ..Limits::default() };
    let large = Limits { live_blocks: 12, size: 300 << 10, align: 32 << 10, ..Limits::default() };
    for seed in 0..if cfg!(miri) { 1 } else { 4 } {
        history(seed, PAGE, &small, false);
        if !cfg!(miri) {
            history(seed, 64 << 10, &Limits { hostile: true, ..small }, false);
            history(seed, PAGE, &Limits { hostile: true, ..large }, false);
        }
    }
}

#[test]
fn a_system_that_refuses_now_and_then_spoils_nothing() {
    let small = Limits { live_blocks: 60, size: 600, align: 256, ..Limits::default() };
    let large = Limits { live_blocks: 12, size: 300 << 10, align: 32 << 10, ..Limits::default() };
    for seed in 0..if cfg!(miri) { 1 } else { 4 } {
        history(seed, PAGE, &small, true);
        if !cfg!(miri) {
            history(seed, 64 << 10, &large, true);
        }
    }
}

/// What a program does in a few calls; it goes on where there is no memory.
fn walk(heap: &Heap<SimOs>) {
    let sizes = [(24, 8), (0, 1), (5000, 16), (24, 4 << 10), (1 << 20, 8)];
    let mut blocks = Vec::new();
    for (size, align) in sizes.into_iter().take(if cfg!(miri) { 2 } else { 5 }) {
        let layout = layout(size, align);
        let block = heap.allocate(layout);
        if !block.is_null() {
            // SAFETY: a live block, written within its size.
            unsafe { block.write_bytes(3, size) };
            blocks.push((block, layout));
        }
    }
    for (block, old) in blocks {
        let new = layout(old.size() / 2 + 40, old.align());
        // SAFETY: live blocks, freed once each with the layout that they have.
        unsafe {
            let moved = heap.reallocate(block, old, new);
            match moved.is_null() {
                true => heap.deallocate(block, old),
                false => {
                    let common = old.size().min(new.size());
                    let step = if cfg!(miri) { 509 } else { 1 };
                    assert!((0..common).step_by(step).all(|byte| moved.add(byte).read() == 3));
                    heap.deallocate(moved, new);
                }
            }
        }
    }
    heap.trim();
}

#[test]
fn each_call_of_the_system_may_fail_and_everything_comes_back() {
    let calls = {
        let os = SimOs::new(if cfg!(miri) { PAGE } else { 16 << 10 });
        walk(&Heap::new(os));
        os.calls().total()
    };
    assert!(calls > 20, "{calls}");
    for nth in (1..=calls).step_by(if cfg!(miri) { calls / 2 } else { 1 }) {
        let os = SimOs::new(if cfg!(miri) { PAGE } else { 16 << 10 });
        let heap = Heap::new(os);
        os.fail_nth(None, nth, 12);
        walk(&heap);
        // It may not have come to this call: how many there are depends on addresses.
        os.clear_failures();
        let stats = heap.stats();
        assert_eq!((stats.live_blocks, stats.live_bytes), (0, 0), "call {nth}: {stats:?}");
        heap.reclaim(true);
        let stats = heap.stats();
        assert_eq!((stats.mapped, stats.metadata, stats.retired), (0, 0, 0), "call {nth}: {stats:?}");
    }
}

#[test]
fn an_exhausted_system_gives_errors_and_serves_again_when_blocks_are_freed() {
    let os = SimOs::new(PAGE);
    let heap = Heap::new(os);
    let (room, kinds) = if cfg!(miri) { (3 << 19, 1) } else { (24 << 20, 3) };
    os.limit_mapped_bytes(room);
    for layout in [layout(64 << 10, 8), layout(24, 8), layout(900_000, 64)].into_iter().take(kinds) {
        let mut blocks = Vec::new();
        loop {
            let block = heap.allocate(layout);
            if block.is_null() {
                break;
            }
            blocks.push(block);
        }
        let bytes = blocks.len() * layout.size().next_multiple_of(PAGE);
        assert!(bytes >= room / 8, "{} of {layout:?}", blocks.len());
        // SAFETY: live blocks of this layout, freed once.
        blocks.into_iter().for_each(|block| unsafe { heap.deallocate(block, layout) });
    }
}

#[test]
fn a_request_that_is_larger_than_the_heap_does_not_shorten_the_quarantine() {
    let os = SimOs::new(PAGE);
    let heap = Heap::new(os);
    let small = layout(24, 8);
    let block = heap.allocate(small);
    // SAFETY: a live block, freed once.
    unsafe { heap.deallocate(block, small) };
    os.limit_mapped_bytes(0);
    assert!(heap.allocate(layout(1 << 30, 8)).is_null());
    assert!(heap.allocate(layout(isize::MAX as usize & !7, 8)).is_null());
    assert_eq!(heap.stats().quarantined_blocks, 1);
}
