//! The growing slab over a simulated system: what it maps and when, misuse, failures, threads, and random histories.
#![allow(unsafe_code)]

mod threads;

use core::ptr::NonNull;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::String;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::vec::Vec;

use forge_alloc_core::{
    Allocator, Deallocator, FreelistProtection, NoProtection, NonZeroLayout, OffSlab, StableAddress, Tracked,
    testing,
};
use forge_os::Os;
use forge_os::sim::{SimCall, SimOs};
use forge_trace::shadow::{Checks, Limits, drive_moving, random_ops};

use super::magazine::MAGAZINE;
use super::{ExtendableSlab, MAGAZINES_PER_SEGMENT};
use crate::SipHashMAC;

type Value = [u64; 2];
type Growing<M = NoProtection> = ExtendableSlab<Value, M, SimOs>;

fn layout(size: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, 4).unwrap()
}

fn growing(os: SimOs, capacity: usize) -> Growing {
    ExtendableSlab::on(os, capacity, || NoProtection)
}

fn sim() -> SimOs {
    SimOs::new(4096)
}

fn take<T: Send, M: FreelistProtection + Send, O: Os>(slab: &ExtendableSlab<T, M, O>) -> NonNull<u8> {
    slab.allocate(layout(8)).unwrap().cast()
}

fn take_all<M: FreelistProtection + Send>(slab: &Growing<M>, count: usize) -> Vec<NonNull<u8>> {
    (0..count).map(|_| take(slab)).collect()
}

/// Frees a block.
fn free<T: Send, M: FreelistProtection + Send, O: Os>(slab: &ExtendableSlab<T, M, O>, block: NonNull<u8>) {
    // SAFETY: the tests free live blocks, or others where that is the point.
    unsafe { slab.deallocate(block, layout(8)) };
}

/// Frees what is no block, as if debug builds did not panic; the panic has the message.
fn free_noticing(slab: &Growing, block: NonNull<u8>) {
    if let Err(message) = catch_unwind(AssertUnwindSafe(|| free(slab, block))) {
        let text = message.downcast_ref::<&str>().copied().unwrap_or_default();
        assert!(cfg!(debug_assertions) && text.contains("outside slab range"), "{text}");
    }
}

fn key() -> SipHashMAC {
    SipHashMAC::with_key([7; 16])
}

/// Capacities without magazines, with small ones, and with full ones.
const CAPACITIES: [usize; 6] = [1, 3, 4, 16, 100, 4 * MAGAZINE + 1];

#[test]
fn nothing_is_mapped_before_the_first_request() {
    let os = sim();
    let slab = growing(os, 64);
    assert_eq!((os.calls().total(), slab.segment_count(), slab.capacity_bytes()), (0, 0, Some(0)));
    let block = take(&slab);
    assert_eq!((slab.segment_count(), slab.capacity_bytes(), slab.len()), (1, Some(64 * 16), 1));
    free(&slab, block);
    drop(slab);
    assert_eq!(os.live_mappings(), 0);
}

#[test]
fn requests_that_can_never_be_met_map_nothing() {
    let os = sim();
    let slab = growing(os, 64);
    for (size, align) in [(17, 1), (17, 16), (8, 16), (1, 4096), (isize::MAX as usize - 7, 8)] {
        let layout = NonZeroLayout::from_size_align(size, align).unwrap();
        assert!(slab.allocate(layout).is_err(), "{layout:?}");
    }
    for capacity in [0, usize::MAX, usize::MAX / 16] {
        assert!(growing(os, capacity).allocate(layout(8)).is_err());
        assert!(ExtendableSlab::<Value, _, _>::with_initial_segments_on(os, 1, capacity, key).is_err());
    }
    assert!(ExtendableSlab::<Value, _, _>::with_initial_segments_on(os, usize::MAX, 0, key).is_err());
    assert_eq!(os.calls().total(), 0);
}

#[test]
fn a_single_thread_fills_every_segment_before_the_next_is_mapped() {
    for capacity in CAPACITIES {
        let os = sim();
        let slab = growing(os, capacity);
        let mut seen = BTreeSet::new();
        for taken in 0..3 * capacity {
            assert!(seen.insert(take(&slab).addr()), "a slot was issued twice");
            assert_eq!((slab.segment_count(), slab.len()), (taken / capacity + 1, taken + 1));
        }
        drop(slab);
        assert_eq!(os.live_mappings(), 0);
    }
}

#[test]
fn the_slot_freed_last_is_taken_first() {
    for capacity in CAPACITIES {
        let slab = growing(sim(), capacity);
        let blocks = take_all(&slab, capacity);
        for count in (1..=capacity).step_by(if cfg!(miri) { 11 } else { 1 }) {
            blocks.iter().take(count).for_each(|&block| free(&slab, block));
            for &block in blocks.iter().take(count).rev() {
                assert_eq!(take(&slab), block);
            }
        }
        assert_eq!(slab.segment_count(), 1);
    }
}

#[test]
fn a_load_that_swings_around_the_end_of_a_segment_never_calls_the_system() {
    for capacity in CAPACITIES {
        for swing in 1..=capacity.min(8) {
            let os = sim();
            let slab = growing(os, capacity);
            let _kept = take_all(&slab, 2 * capacity);
            take_all(&slab, swing).into_iter().for_each(|block| free(&slab, block));
            let calls = os.calls();
            for _ in 0..20 {
                take_all(&slab, swing).into_iter().rev().for_each(|block| free(&slab, block));
            }
            assert_eq!(os.calls(), calls, "capacity {capacity}, swing {swing}");
        }
    }
}

#[test]
fn a_load_that_swings_by_many_segments_never_calls_the_system() {
    for capacity in [1, 3, 16, 64] {
        let os = sim();
        let slab = growing(os, capacity);
        let _kept = take_all(&slab, 40 * capacity);
        let swing = |count| take_all(&slab, count).into_iter().for_each(|block| free(&slab, block));
        swing(18 * capacity);
        let calls = os.calls();
        for round in 0..if cfg!(miri) { 2 } else { 20 } {
            swing((18 - round % 3) * capacity);
        }
        assert_eq!(os.calls(), calls, "capacity {capacity}");
        // What is kept is in proportion to what is in use.
        assert!((40..=61).contains(&slab.segment_count()), "{}", slab.segment_count());
    }
}

#[test]
fn empty_segments_go_back_except_for_one() {
    let segments = if cfg!(miri) { 40 } else { 1024 };
    for capacity in [1, 3, 64] {
        let os = sim();
        let mut slab = growing(os, capacity);
        let blocks = take_all(&slab, segments * capacity);
        assert_eq!(slab.segment_count(), segments);
        for block in blocks {
            free(&slab, block);
        }
        // What a magazine holds, if the thread has one, is not free for its segment.
        assert!(slab.segment_count() <= if capacity < MAGAZINES_PER_SEGMENT { 1 } else { 2 });
        assert!(slab.is_empty());
        slab.shrink_to_fit();
        assert_eq!((slab.segment_count(), os.live_mappings()), (0, 0));
        // And it serves again.
        assert_eq!((take(&slab).addr().get() % 4, slab.segment_count()), (0, 1));
    }
}

#[test]
fn segments_that_come_and_go_leave_nothing_behind() {
    let os = sim();
    let slab = growing(os, 3);
    let round = || take_all(&slab, 60).into_iter().for_each(|block| free(&slab, block));
    round();
    let mapped = os.mapped_bytes();
    for _ in 0..if cfg!(miri) { 3 } else { 100 } {
        round();
        assert_eq!(os.mapped_bytes(), mapped);
    }
}

#[test]
fn initial_segments_are_there_and_stay() {
    let os = sim();
    let slab = ExtendableSlab::<Value, _, _>::with_initial_segments_on(os, 5, 10, || NoProtection).unwrap();
    assert_eq!((slab.segment_count(), slab.len(), slab.capacity()), (5, 0, 50));
    let calls = os.calls();
    for _ in 0..3 {
        take_all(&slab, 50).into_iter().for_each(|block| free(&slab, block));
    }
    assert_eq!((slab.segment_count(), os.calls()), (5, calls));
    let none = ExtendableSlab::<Value, _, _>::with_initial_segments_on(os, 0, 10, || NoProtection).unwrap();
    assert_eq!(none.segment_count(), 0);
    drop((slab, none));
    assert_eq!(os.live_mappings(), 0);
}

#[test]
fn a_refusal_of_the_system_is_an_error_that_leaks_nothing() {
    // Enough segments for several tables and blocks of headers.
    let (capacity, count) = (3, if cfg!(miri) { 60 } else { 450 });
    for nth in 1.. {
        let os = sim();
        let slab = growing(os, capacity);
        os.fail_nth(Some(SimCall::Map), nth, 12);
        let mut blocks = Vec::new();
        let mut refusals = 0;
        while blocks.len() < count {
            match slab.allocate(layout(8)) {
                Ok(block) => blocks.push(block.cast::<u8>()),
                Err(_) => refusals += 1,
            }
            assert!(refusals < 2, "one failure of the system fails one request");
        }
        assert_eq!((slab.len(), slab.segment_count()), (count, count / capacity));
        blocks.into_iter().for_each(|block| free(&slab, block));
        assert_eq!(slab.segment_count(), 1);
        drop(slab);
        assert_eq!(os.live_mappings(), 0, "call {nth}");
        if refusals == 0 || (cfg!(miri) && nth == 8) {
            break;
        }
    }
    for nth in 1..=6 {
        let os = sim();
        os.fail_nth(Some(SimCall::Map), nth, 12);
        assert!(ExtendableSlab::<Value, _, _>::with_initial_segments_on(os, 4, 300, key).is_err());
        assert_eq!(os.live_mappings(), 0);
    }
}

#[test]
fn a_foreign_free_is_counted_and_changes_nothing() {
    for capacity in CAPACITIES {
        let os = sim();
        let slab = growing(os, capacity);
        let mut local = [0_u64; 2];
        let outside = NonNull::from(&mut local).cast::<u8>();
        free_noticing(&slab, outside);
        assert_eq!(slab.corruption_events(), 1);

        let block = take(&slab);
        let issued = slab.len();
        // SAFETY: the slot is 16 bytes long.
        free_noticing(&slab, unsafe { block.add(8) });
        free_noticing(&slab, outside);
        free_noticing(&slab, NonNull::dangling());
        assert_eq!((slab.corruption_events(), slab.len()), (4, issued));
        // The last slot of a segment was not issued yet, unless a magazine has all.
        let last = block.map_addr(|address| address.saturating_add(16 * (capacity - 1)));
        if capacity > 2 * MAGAZINE {
            free_noticing(&slab, last);
            assert_eq!((slab.corruption_events(), slab.len()), (5, issued));
        }
        assert_eq!(slab.segment_count(), 1);
        free(&slab, block);
        assert_eq!(take(&slab), block);
    }
}

#[test]
fn a_block_of_a_segment_that_is_gone_is_foreign() {
    let os = sim();
    let slab = growing(os, 3);
    let blocks = take_all(&slab, 30);
    blocks.iter().for_each(|&block| free(&slab, block));
    assert_eq!((slab.segment_count(), slab.corruption_events()), (1, 0));
    let foreign = blocks.iter().filter(|&&block| slab.slot_at(block).is_none()).count();
    assert_eq!(foreign, 27);
}

#[test]
fn blocks_change_their_size_within_the_slot() {
    let slab = growing(sim(), 2);
    let block = take(&slab);
    take(&slab);
    // SAFETY: the block is live with this layout.
    unsafe {
        let grown = slab.grow(block, layout(8), layout(16)).unwrap();
        assert_eq!((grown.cast(), grown.len()), (block, 16));
        assert!(slab.grow(block, layout(16), layout(17)).is_err());
        assert_eq!(slab.shrink(block, layout(16), layout(1)).unwrap().cast(), block);
        assert_eq!(slab.usable_size(block, layout(1)), Some(16));
    }
    assert_eq!((slab.segment_count(), slab.len()), (1, 2));
    assert!(Growing::reset(&mut growing(sim(), 2)).is_err());
}

#[test]
fn every_live_block_is_visited_once() {
    for capacity in CAPACITIES {
        let mut slab = growing(sim(), capacity);
        let blocks = take_all(&slab, 3 * capacity);
        let kept: BTreeSet<_> = blocks.iter().step_by(2).map(|block| block.addr()).collect();
        blocks.iter().skip(1).step_by(2).for_each(|&block| free(&slab, block));
        let mut visited = Vec::new();
        slab.for_each_live(|place| visited.push(place.addr()));
        assert_eq!(visited.len(), kept.len());
        assert_eq!(visited.into_iter().collect::<BTreeSet<_>>(), kept);
        assert_eq!(slab.len(), kept.len());
    }
}

#[test]
fn a_policy_that_tracks_sees_every_free_at_once() {
    let slab = ExtendableSlab::<Value, _, _>::on(sim(), 1000, || Tracked(NoProtection));
    let blocks = take_all(&slab, 5);
    assert_eq!(slab.shared.counters.taken(), 5);
    blocks.into_iter().for_each(|block| free(&slab, block));
    assert_eq!(slab.shared.counters.taken(), 0, "no slot may wait in a magazine");
}

#[test]
fn an_overwritten_link_is_counted_and_the_slab_goes_on() {
    fn goes_on<M: FreelistProtection + Send>(factory: fn() -> M) {
        let slab = ExtendableSlab::<Value, M, _>::on(sim(), 3, factory);
        let blocks = take_all(&slab, 3);
        for &block in &blocks[1..] {
            free(&slab, block);
        }
        // SAFETY: the slot is mapped; writing to it after its free is the mistake that is to be noticed.
        unsafe { blocks[2].cast::<u64>().write(u64::MAX) };
        if catch_unwind(AssertUnwindSafe(|| take(&slab))).is_err() {
            assert_eq!(slab.segment_count(), 1, "the lock is free again");
            take(&slab);
        }
        assert_eq!(slab.corruption_events(), 1);
        assert_eq!((slab.segment_count(), slab.len()), (2, 2));
        free(&slab, blocks[0]);
        assert_eq!((slab.segment_count(), slab.len()), (1, 1), "a segment with lost slots is not kept");
        assert_eq!(slab.corruption_events(), 1);
    }
    goes_on(|| NoProtection);
    goes_on(key);
}

/// A slot of many sizes and alignments.
#[repr(align(64))]
#[derive(Clone, Copy)]
struct Wide([u8; 256]);

#[test]
fn keeps_the_public_contract() {
    fn keeps<M: FreelistProtection + Send>(factory: fn() -> M) {
        let wide = || ExtendableSlab::<Wide, M, _>::on(SimOs::new(16 << 10), 21, factory);
        assert_eq!(size_of_val(&Wide([0; 256]).0), wide().block_stride());
        testing::assert_allocator_contract(&wide());
        testing::assert_live_blocks_stay_apart(&wide());
        testing::assert_allocate_zeroed(&wide());
        let limits = Limits { size: 256, align: 64, live_blocks: 200, ..Limits::default() };
        for seed in 0..if cfg!(miri) { 1 } else { 6 } {
            for hostile in [false, true] {
                let ops = random_ops(seed, if cfg!(miri) { 80 } else { 3000 }, &limits.hostile(hostile));
                let checks = Checks { vary_alignment: true, ..Checks::default() };
                let summary = drive_moving(wide(), &ops, 17, checks);
                let summary = summary.unwrap_or_else(|violation| panic!("{violation}"));
                assert!(summary.done > 0);
            }
        }
    }
    keeps(|| NoProtection);
    keeps(key);
    keeps(|| OffSlab);
    keeps(|| Tracked(NoProtection));
    keeps(|| Tracked(OffSlab));
}

#[test]
fn values_of_a_large_alignment_get_it() {
    #[repr(align(8192))]
    struct Aligned([u8; 8192]);
    let os = sim();
    let slab = ExtendableSlab::<Aligned, NoProtection, _>::on(os, 3, || NoProtection);
    let layout = NonZeroLayout::for_type::<Aligned>().unwrap();
    for _ in 0..10 {
        let block = slab.allocate(layout).unwrap();
        assert_eq!((block.addr().get() % 8192, block.len()), (0, size_of_val(&Aligned([0; 8192]).0)));
    }
    assert_eq!(slab.segment_count(), 4);
}

#[test]
fn the_slab_is_shared_and_stays_in_place() {
    fn shared<T: Send + Sync + StableAddress>() {}
    shared::<ExtendableSlab<u64>>();
    shared::<ExtendableSlab<core::cell::Cell<u64>, SipHashMAC>>();
}
