#![allow(unsafe_code)]

use std::vec::Vec;

use forge_alloc_core::testing::assert_allocator_contract;
use forge_os::sim::SimCall;
use forge_os::{Native, SimOs};
use forge_trace::shadow::{Checks, Limits, drive, random_ops};

use super::*;
use crate::fast::profile::{Fast, Hardened};

/// A profile that keeps next to nothing, so that few operations reach every room.
#[derive(Debug)]
struct Tight;

impl Profile for Tight {
    const CACHE_BYTES: usize = 64;
    const CACHE_BLOCKS: usize = 4;
    const BATCH: usize = 2;
    const DEPOT_BYTES: usize = 64;
    const RETAINED_BYTES: usize = 64 << 10;
    const RETAINED_HUGE_BYTES: usize = 64 << 10;
}

/// The same with armed blocks and a reserve.
#[derive(Debug)]
struct TightArmed;

impl Profile for TightArmed {
    const CACHE_BYTES: usize = 256;
    const CACHE_BLOCKS: usize = 16;
    const BATCH: usize = 2;
    const DEPOT_BYTES: usize = 64;
    const RETAINED_BYTES: usize = 64 << 10;
    const RETAINED_HUGE_BYTES: usize = 0;
    const ARMED: bool = true;
    const RESERVE: usize = 3;
}

fn layout(size: usize, align: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, align).unwrap()
}

#[test]
fn it_keeps_the_contract_of_an_allocator() {
    assert_allocator_contract(&Attached::new(&Heap::<Fast, _>::new(SimOs::new(4 << 10))));
    assert_allocator_contract(&Attached::new(&Heap::<Tight, _>::new(SimOs::new(4 << 10))));
    assert_allocator_contract(&Attached::new(&Heap::<TightArmed, _>::new(SimOs::new(4 << 10))));
    if !cfg!(miri) {
        assert_allocator_contract(&Attached::new(&Heap::<Hardened, _>::new(SimOs::new(64 << 10))));
        assert_allocator_contract(&Attached::new(&Heap::<Hardened, _>::new(Native)));
        assert_allocator_contract(&Attached::new(&Heap::<Fast, _>::new(SimOs::new(64 << 10))));
        assert_allocator_contract(&Attached::new(&Heap::<Fast, _>::new(Native)));
    }
}

/// Runs a random history over a heap that fails now and then if it is told to, and checks that all memory comes back.
fn history<P: Profile>(seed: u64, page: usize, limits: &Limits, failing: bool) {
    let os = SimOs::new(page);
    let heap = Heap::<P, _>::new(os);
    let steps = if cfg!(miri) { 60 } else { 2000 };
    let history = random_ops(seed, steps, limits);
    if failing {
        for n in 1..20 {
            os.fail_nth(Some(SimCall::Map), n * n, 12);
            os.fail_nth(None, 3 * n, 12);
        }
    }
    let attached = Attached::new(&heap);
    drive(&attached, &history, Checks { vary_alignment: true, ..Checks::default() }).unwrap();
    drop(attached);
    os.clear_failures();
    heap.trim();
    let stats = heap.stats();
    assert_eq!((stats.live, stats.mapped, stats.retained), (0, 0, 0), "{stats:?}");
}

#[test]
fn random_histories_agree_with_the_shadow_model() {
    let small = Limits { live_blocks: 60, size: 600, align: 256, ..Limits::default() };
    let large = Limits { live_blocks: 20, size: 3 << 20, align: 128 << 10, ..Limits::default() };
    for seed in 0..if cfg!(miri) { 1 } else { 12 } {
        history::<Tight>(seed, 4 << 10, &small, false);
        history::<TightArmed>(seed, 4 << 10, &small, false);
        if !cfg!(miri) {
            history::<Fast>(seed, 4 << 10, &small, false);
            history::<Hardened>(seed, 4 << 10, &small, false);
            history::<Fast>(seed, 64 << 10, &Limits { hostile: true, ..small }, false);
            history::<Tight>(seed, 64 << 10, &large, false);
            history::<Fast>(seed, 4 << 10, &Limits { hostile: true, ..large }, false);
        }
    }
}

#[test]
fn random_histories_of_large_armed_blocks_agree_with_the_shadow_model() {
    let limits =
        Limits { live_blocks: 10, size: 2 << 20, align: 128 << 10, hostile: true, ..Limits::default() };
    for seed in 0..if cfg!(miri) { 0 } else { 2 } {
        history::<TightArmed>(seed, 64 << 10, &limits, seed % 2 == 1);
        history::<Hardened>(seed, 4 << 10, &limits, seed % 2 == 0);
    }
}

#[test]
fn a_system_that_refuses_now_and_then_spoils_nothing() {
    let small = Limits { live_blocks: 60, size: 600, align: 256, ..Limits::default() };
    let large = Limits { live_blocks: 20, size: 3 << 20, align: 128 << 10, ..Limits::default() };
    for seed in 0..if cfg!(miri) { 1 } else { 12 } {
        history::<Tight>(seed, 4 << 10, &small, true);
        history::<TightArmed>(seed, 4 << 10, &small, true);
        if !cfg!(miri) {
            history::<Fast>(seed, 4 << 10, &large, true);
            history::<Tight>(seed, 64 << 10, &large, true);
        }
    }
}

#[test]
fn an_exhausted_system_gives_errors_and_serves_again_when_blocks_are_freed() {
    let os = SimOs::new(4 << 10);
    let heap = Heap::<Fast, _>::new(os);
    let attached = Attached::new(&heap);
    os.limit_mapped_bytes(14 << 20);
    for layout in [layout(24 << 10, 8), layout(2 << 20, 8), layout(900_000, 64)] {
        let mut blocks = Vec::new();
        while let Ok(block) = attached.allocate(layout) {
            blocks.push(block.cast::<u8>());
        }
        assert!(blocks.len() * layout.size().get() >= 7 << 20, "{} of {layout:?}", blocks.len());
        assert!(attached.allocate(layout).is_err());
        // What one kind of request left behind does not keep the next kind from its memory.
        // SAFETY: live blocks of this layout, freed once.
        blocks.into_iter().for_each(|block| unsafe { attached.deallocate(block, layout) });
        attached.empty();
    }
}

#[test]
fn a_block_may_change_its_alignment_where_it_has_a_mapping_of_its_own() {
    let heap = Heap::<Fast, _>::new(SimOs::new(4 << 10));
    let attached = Attached::new(&heap);
    let mut old = layout(2 << 20, 8);
    let mut block = attached.allocate(old).unwrap().cast::<u8>();
    for (size, align) in [(3 << 20, 1 << 20), (2 << 20, 4 << 20), (100, 4 << 20), (5 << 20, 1), (1 << 20, 8)]
    {
        let new = layout(size, align);
        // SAFETY: a live block of the layout `old`, written within its size.
        unsafe {
            block.write_bytes(7, old.size().get());
            let moved = attached.grow(block, old, new).unwrap().cast::<u8>();
            assert_eq!(moved.addr().get() % align, 0);
            let last = size.min(old.size().get()) - 1;
            assert_eq!((moved.read(), moved.add(last).read()), (7, 7));
            (block, old) = (moved, new);
        }
    }
    // SAFETY: as above.
    unsafe { attached.deallocate(block, old) };
}

#[test]
fn a_dropped_attachment_keeps_no_block() {
    let heap = Heap::<Fast, _>::new(SimOs::new(4 << 10));
    let layout = layout(100, 8);
    for _ in 0..if cfg!(miri) { 2 } else { 50 } {
        let (first, second) = (Attached::new(&heap), Attached::new(&heap));
        let blocks: Vec<_> = (0..20).map(|_| first.allocate(layout).unwrap().cast::<u8>()).collect();
        // SAFETY: live blocks of one heap, freed once, through another attachment.
        blocks.into_iter().for_each(|block| unsafe { second.deallocate(block, layout) });
    }
    assert!(heap.stats().mapped <= 8 << 20, "{:?}", heap.stats());
    assert_eq!(heap.stats().live, 0);
}

#[test]
fn the_statistics_never_say_less_than_what_lives() {
    let heap = Heap::<Fast, _>::new(SimOs::new(4 << 10));
    let attached = Attached::new(&heap);
    let mut live = Vec::new();
    let mut bytes = 0;
    for size in [8, 100, 2000, 30_000, 100_000] {
        let layout = layout(size, 8);
        for round in 0..10 {
            let block = attached.allocate(layout).unwrap().cast::<u8>();
            if round == 5 {
                live.push((block, layout));
                bytes += size;
            } else {
                // SAFETY: a live block of this layout, freed once.
                unsafe { attached.deallocate(block, layout) };
            }
        }
        // What the cache kept waits for any thread, in batches that are not full.
        attached.empty();
        assert!((bytes..bytes * 2).contains(&heap.stats().live), "{bytes}: {:?}", heap.stats());
    }
    for (block, layout) in live {
        // SAFETY: a live block of this layout, freed once.
        unsafe { attached.deallocate(block, layout) };
    }
    attached.empty();
    assert_eq!(heap.stats().live, 0);
}

#[test]
fn free_memory_goes_back_when_it_was_not_needed_for_a_delay_and_not_before() {
    const DELAY: u64 = 50;
    let (large, count, few) = if cfg!(miri) { (1_200_000, 1, 70) } else { (5 << 20, 8, 200) };
    let os = SimOs::new(4 << 10);
    let heap = Heap::<Tight, _>::new(os);
    heap.set_retention(Some(64 << 20), Some(64 << 20));
    heap.set_purge_delay(DELAY);
    let attached = Attached::new(&heap);
    // Whatever goes on meanwhile needs none of the memory.
    let go_on = || {
        let small: Vec<_> =
            (0..few).map(|_| attached.allocate(layout(512, 8)).unwrap().cast::<u8>()).collect();
        // SAFETY: live blocks of this layout, freed once.
        small.into_iter().for_each(|block| unsafe { attached.deallocate(block, layout(512, 8)) });
    };
    go_on();
    for size in [100_000, large] {
        let blocks: Vec<_> =
            (0..count).map(|_| attached.allocate(layout(size, 8)).unwrap().cast::<u8>()).collect();
        // SAFETY: as above.
        blocks.into_iter().for_each(|block| unsafe { attached.deallocate(block, layout(size, 8)) });
    }
    attached.empty();
    let (retained, resident) = (heap.stats().retained, os.resident_bytes());
    assert!(retained > large * count);
    os.pass(DELAY - 1);
    go_on();
    assert_eq!((os.calls().unmap, os.calls().advise), (0, 0), "nothing went back");
    for _ in 0..2 {
        os.pass(DELAY);
        go_on();
    }
    let gone = resident - os.resident_bytes();
    assert!(
        gone >= large * count && heap.stats().retained < 1 << 20,
        "{gone} of {retained} bytes: {:?}",
        heap.stats()
    );
}
