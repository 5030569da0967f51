//! The slab under every policy: order, bounds, misuse, corruption, moves, and random histories.
#![allow(unsafe_code)]

use core::ptr::NonNull;
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::vec::Vec;

use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FixedRange, FreelistCorruption, FreelistProtection, NoProtection,
    NonZeroLayout, OffSlab, Tracked, Trusting,
};
use forge_trace::shadow::{Checks, Limits, drive_moving_empty, random_ops};

use super::Slab;
use crate::{BumpArena, HeapBytes, InlineBacked, SipHashMAC};

type Inline<M> = Slab<[u64; 2], InlineBacked<4096>, M>;

fn layout(size: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, 4).unwrap()
}

fn inline<M: FreelistProtection>(capacity: usize, policy: M) -> Inline<M> {
    Slab::with_protection(capacity, InlineBacked::new(), policy).unwrap()
}

fn take<M: FreelistProtection>(slab: &Inline<M>) -> NonNull<u8> {
    slab.allocate(layout(16)).unwrap().cast()
}

/// Frees a block.
fn free<M: FreelistProtection>(slab: &Inline<M>, block: NonNull<u8>) {
    // SAFETY: the tests free live blocks, or others where that is the point.
    unsafe { slab.deallocate(block, layout(16)) };
}

/// Allocates from a slab with a corrupted link, as if debug builds did not panic; the panic has the message.
fn take_noticing<M: FreelistProtection>(slab: &Inline<M>) -> Option<NonNull<u8>> {
    match catch_unwind(AssertUnwindSafe(|| slab.take())) {
        Ok(block) => block,
        Err(message) => {
            let text = message.downcast_ref::<&str>().copied().unwrap_or_default();
            assert!(cfg!(debug_assertions) && text.contains("Slab freelist corruption"), "{text}");
            slab.take()
        }
    }
}

/// Runs a generic test under every policy.
macro_rules! under_every_policy {
    ($($test:ident),* $(,)?) => {
        mod every_policy {
            use super::*;
            $(
                #[test]
                fn $test() {
                    super::$test(|| NoProtection);
                    super::$test(|| SipHashMAC::with_key([7; 16]));
                    super::$test(|| OffSlab);
                    super::$test(|| Tracked(NoProtection));
                    super::$test(|| Tracked(SipHashMAC::with_key([7; 16])));
                    super::$test(|| Tracked(OffSlab));
                    super::$test(|| Tracked(Trusting(OffSlab)));
                }
            )*
        }
    };
}

/// Runs a generic test that frees only what is live under every policy, with checks and without.
macro_rules! with_checks_and_without {
    ($($test:ident),* $(,)?) => {
        under_every_policy!($($test),*);

        mod without_checks {
            use super::*;
            $(
                #[test]
                fn $test() {
                    super::$test(|| Trusting(NoProtection));
                    super::$test(|| Trusting(OffSlab));
                    super::$test(|| Trusting(SipHashMAC::with_key([7; 16])));
                }
            )*
        }
    };
}

with_checks_and_without! {
    slots_come_back_last_in_first_out,
    a_full_slab_fails_and_serves_again,
    only_what_fits_a_slot_is_served,
    blocks_change_their_size_in_place_although_the_slab_is_full,
    a_slab_may_move_between_calls,
    the_live_slots_are_listed_in_the_order_of_addresses,
    random_histories_conform_while_the_slab_moves,
}

fn slots_come_back_last_in_first_out<M: FreelistProtection>(policy: impl Fn() -> M) {
    let slab = inline(64, policy());
    let blocks: Vec<_> = (0..40).map(|_| take(&slab)).collect();
    assert_eq!(blocks[0], slab.base());
    for pair in blocks.windows(2) {
        assert_eq!(pair[1].addr().get() - pair[0].addr().get(), slab.block_stride());
    }
    blocks.iter().for_each(|&block| free(&slab, block));
    assert!(slab.is_empty());
    for &block in blocks.iter().rev() {
        assert_eq!(take(&slab), block);
    }
    assert_eq!(slab.len(), 40);
    assert_eq!(slab.corruption_events(), 0);
}

fn a_full_slab_fails_and_serves_again<M: FreelistProtection>(policy: impl Fn() -> M) {
    let slab = inline(3, policy());
    let blocks: Vec<_> = (0..3).map(|_| take(&slab)).collect();
    assert_eq!(slab.allocate(layout(16)), Err(AllocError));
    assert_eq!((slab.len(), slab.capacity(), slab.capacity_bytes()), (3, 3, Some(48)));
    free(&slab, blocks[1]);
    assert_eq!(take(&slab), blocks[1]);
    assert_eq!(slab.allocate(layout(16)), Err(AllocError));
}

fn only_what_fits_a_slot_is_served<M: FreelistProtection>(policy: impl Fn() -> M) {
    let slab = inline(8, policy());
    for size in 1..=16 {
        assert_eq!(slab.allocate(layout(size)).unwrap().len(), 16);
        free(&slab, slab.slot(0));
    }
    assert_eq!(slab.allocate(layout(17)), Err(AllocError));
    let aligned = |align| slab.allocate(NonZeroLayout::from_size_align(8, align).unwrap());
    let limit = align_of::<u64>();
    assert!(aligned(limit).is_ok() && aligned(2 * limit).is_err() && aligned(4096).is_err());
    assert!(slab.allocate(layout(isize::MAX as usize - 3)).is_err());
}

fn blocks_change_their_size_in_place_although_the_slab_is_full<M: FreelistProtection>(
    policy: impl Fn() -> M,
) {
    let slab = inline(1, policy());
    let block = slab.allocate(layout(4)).unwrap().cast::<u8>();
    // SAFETY: the block is live and has the layout of its latest resize.
    unsafe {
        block.write_bytes(0xAB, 4);
        let grown = slab.grow(block, layout(4), layout(16)).unwrap();
        assert_eq!((grown.cast(), grown.len()), (block, 16));
        assert!(slab.grow(block, layout(16), layout(17)).is_err());
        let zeroed = slab.shrink(block, layout(16), layout(2)).unwrap();
        assert_eq!(zeroed.cast(), block);
        slab.grow_zeroed(block, layout(2), layout(16)).unwrap();
        assert_eq!(block.cast::<[u8; 4]>().read(), [0xAB, 0xAB, 0, 0]);
        assert_eq!(slab.usable_size(block, layout(16)), Some(16));
    }
}

fn a_foreign_free_is_counted_and_changes_nothing<M: FreelistProtection>(policy: impl Fn() -> M) {
    if M::TRACKS {
        // The process ends: see tests/death.
        return;
    }
    let slab = inline(8, policy());
    let (one, two) = (take(&slab), take(&slab));
    let elsewhere = NonNull::from(&0u64).cast::<u8>();
    let wrong = [
        one.map_addr(|address| address.saturating_add(8)),
        two.map_addr(|address| address.saturating_add(1)),
        slab.slot(2),
        one.map_addr(|address| (address.get() - 16).try_into().unwrap()),
        elsewhere,
        NonNull::without_provenance(usize::MAX.try_into().unwrap()),
    ];
    for (index, &pointer) in wrong.iter().enumerate() {
        let freed = catch_unwind(AssertUnwindSafe(|| free(&slab, pointer)));
        assert_eq!(freed.is_err(), cfg!(debug_assertions), "{index}");
        assert_eq!((slab.corruption_events(), slab.len()), (index as u64 + 1, 2));
    }
    free(&slab, two);
    assert_eq!(take(&slab), two);
}

fn a_slab_may_move_between_calls<M: FreelistProtection>(policy: impl Fn() -> M) {
    let slab = inline(32, policy());
    let blocks: Vec<_> = (0..20).map(|_| take(&slab)).collect();
    blocks.iter().for_each(|&block| free(&slab, block));
    let moved = Box::new(slab);
    for number in (0..20).rev() {
        assert_eq!(take(&moved), moved.slot(number));
    }
    assert!(moved.backing().contains(moved.slot(31)));
    assert_eq!(moved.corruption_events(), 0);
}

fn the_live_slots_are_listed_in_the_order_of_addresses<M: FreelistProtection>(policy: impl Fn() -> M) {
    let slots = if cfg!(miri) { 40 } else { 10_000 };
    let backing = BumpArena::new(HeapBytes::new(slots * 40).unwrap()).unwrap();
    let slab = Slab::<[u64; 2], _, M>::with_protection(slots, backing, policy()).unwrap();
    assert_eq!(slab.iter().count(), 0);
    let blocks: Vec<NonNull<u8>> = (0..slots - 3).map(|_| slab.take().unwrap()).collect();
    assert_eq!(slab.iter().count(), slots - 3);
    let (freed, kept): (Vec<_>, Vec<_>) = blocks.iter().partition(|block| block.addr().get() / 16 % 3 == 0);
    for &block in &freed {
        // SAFETY: the block is live.
        unsafe { slab.deallocate(block, layout(16)) };
    }
    assert_eq!((&slab).into_iter().map(NonNull::cast::<u8>).collect::<Vec<_>>(), kept);
    assert_eq!(slab.len(), kept.len());
}

fn random_histories_conform_while_the_slab_moves<M: FreelistProtection>(policy: impl Fn() -> M) {
    let limits = Limits { live_blocks: 24, size: 16, align: align_of::<u64>(), ..Limits::small() };
    for seed in 0..if cfg!(miri) { 1 } else { 8 } {
        let operations = random_ops(seed, if cfg!(miri) { 60 } else { 2000 }, &limits);
        let slab = inline(20, policy());
        let summary = drive_moving_empty(slab, &operations, 19, Checks::within).unwrap();
        assert!(summary.done > summary.failed);
    }
}

#[test]
fn the_distance_of_slots_is_that_of_values_with_room_for_a_link() {
    type Of<T> = Slab<T, InlineBacked<64>>;
    assert_eq!((Of::<u8>::STRIDE, Of::<[u8; 24]>::STRIDE, Of::<[u16; 5]>::STRIDE), (8, 24, 12));
    assert_eq!(Slab::<u64, _>::new(8, InlineBacked::<64>::new()).unwrap().size(), 64);
}

#[test]
fn a_slab_that_cannot_be_made_is_an_error() {
    assert!(Slab::<u64, _>::new(0, InlineBacked::<64>::new()).is_err());
    assert!(Slab::<u64, _>::new(9, InlineBacked::<64>::new()).is_err());
    assert!(Slab::<u64, _>::new(usize::MAX, InlineBacked::<64>::new()).is_err());
    assert!(Slab::<u64, _>::new(usize::MAX / 8 + 1, InlineBacked::<64>::new()).is_err());
    assert!(
        Slab::<u64, _, _>::with_protection(8, InlineBacked::<64>::new(), OffSlab).is_err(),
        "no room beside"
    );
    let mut slab = Slab::<u64, _>::new(8, InlineBacked::<64>::new()).unwrap();
    assert!(slab.claim().is_err());
    assert!(slab.reset().is_err());
}

#[test]
fn the_end_of_a_slab_gives_its_block_back() {
    let backing = BumpArena::new(InlineBacked::<256>::new()).unwrap();
    drop(Slab::<u64, _>::new(4, WithRange(&backing)).unwrap());
    assert_eq!(backing.allocated(), 0);
}

/// A borrowed arena as a backing.
struct WithRange<'a>(&'a BumpArena<InlineBacked<256>>);

// SAFETY: all calls reach the one arena.
unsafe impl Deallocator for WithRange<'_> {
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.0.deallocate(ptr, layout) }
    }
}

// SAFETY: all calls reach the one arena.
unsafe impl Allocator for WithRange<'_> {
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.0.allocate(layout)
    }
}

// SAFETY: the test uses the arena through this value alone.
unsafe impl FixedRange for WithRange<'_> {
    fn base(&self) -> NonNull<u8> {
        self.0.base()
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

#[test]
fn a_free_writes_the_link_and_nothing_else() {
    let slab = inline(4, NoProtection);
    let (below, block) = (take(&slab), take(&slab));
    // SAFETY: both blocks are live, and a freed slot stays readable.
    unsafe {
        block.write_bytes(0xCD, 16);
        free(&slab, below);
        free(&slab, block);
        assert_eq!(block.cast::<u32>().read(), 1, "the number of the slot below, counted from 1");
        assert_eq!(block.add(4).cast::<[u8; 12]>().read(), [0xCD; 12]);
    }
}

#[test]
fn a_foreign_free_is_counted_and_changes_nothing_under_every_policy_that_checks() {
    a_foreign_free_is_counted_and_changes_nothing(|| NoProtection);
    a_foreign_free_is_counted_and_changes_nothing(|| SipHashMAC::with_key([7; 16]));
    a_foreign_free_is_counted_and_changes_nothing(|| OffSlab);
    a_foreign_free_is_counted_and_changes_nothing(|| Tracked(OffSlab));
    a_foreign_free_is_counted_and_changes_nothing(|| Tracked(Trusting(OffSlab)));
}

#[test]
#[cfg(debug_assertions)]
fn a_slab_that_trusts_asserts_what_it_is_told_in_debug_builds() {
    fn asserts<M: FreelistProtection>(policy: M) {
        let slab = inline(4, policy);
        let block = take(&slab);
        // SAFETY: the slot is 16 bytes long.
        let inside = unsafe { block.add(4) };
        for wrong in [inside, NonNull::dangling()] {
            let message = catch_unwind(AssertUnwindSafe(|| free(&slab, wrong))).unwrap_err();
            let text = message.downcast_ref::<&str>().copied().unwrap_or_default();
            assert!(text.contains("no slot of the slab"), "{text}");
        }
        free(&slab, block);
        assert_eq!(take(&slab), block);
    }
    asserts(Trusting(OffSlab));
    asserts(Trusting(NoProtection));
}

#[test]
fn a_free_leaves_the_slot_alone_if_the_list_is_off_the_slab() {
    let slab = inline(4, OffSlab);
    let block = take(&slab);
    // SAFETY: the block is live, and a freed slot stays readable.
    unsafe {
        block.write_bytes(0xCD, 16);
        free(&slab, block);
        assert_eq!(block.cast::<[u8; 16]>().read(), [0xCD; 16]);
        block.write_bytes(0xFF, 16);
    }
    assert_eq!(take(&slab), block, "a write to a free slot changes nothing");
    assert_eq!(slab.corruption_events(), 0);
}

/// Flips one bit of each byte of a free slot's link, and checks that no live slot is issued and the rest goes on.
fn a_flipped_bit_never_leads_to_a_live_slot<M: FreelistProtection>(policy: impl Fn() -> M, noticed: usize) {
    for byte in 0..8 {
        for bit in (0..8).step_by(if cfg!(miri) { 7 } else { 1 }) {
            let slab = inline(64, policy());
            let live: Vec<_> = (0..30).map(|_| take(&slab)).collect();
            let freed: Vec<_> = (0..20).map(|_| take(&slab)).collect();
            // SAFETY: the block is live.
            unsafe { freed[19].write_bytes(0, 16) };
            freed.iter().for_each(|&block| free(&slab, block));
            let victim = freed[19];
            // SAFETY: the byte lies in a free slot of the slab.
            unsafe { victim.add(byte).write(victim.add(byte).read() ^ (1 << bit)) };
            let mut issued = Vec::new();
            while let Some(block) = take_noticing(&slab) {
                assert!(!live.contains(&block) && !issued.contains(&block), "byte {byte}, bit {bit}");
                issued.push(block);
            }
            let events = slab.corruption_events();
            assert_eq!(events, u64::from(byte < noticed), "byte {byte}, bit {bit}");
            assert_eq!(slab.len() + slab.lost(), 64);
            if M::TRACKS {
                assert_eq!((slab.lost(), issued.len()), (0, 34), "nothing is lost with a map");
            }
        }
    }
}

#[test]
fn a_changed_link_is_noticed_under_every_policy_that_keeps_links_in_slots() {
    a_flipped_bit_never_leads_to_a_live_slot(|| NoProtection, 4);
    a_flipped_bit_never_leads_to_a_live_slot(|| SipHashMAC::with_key([3; 16]), 8);
    a_flipped_bit_never_leads_to_a_live_slot(|| Tracked(NoProtection), 4);
    a_flipped_bit_never_leads_to_a_live_slot(|| Tracked(SipHashMAC::with_key([3; 16])), 8);
    a_flipped_bit_never_leads_to_a_live_slot(|| OffSlab, 0);
}

#[test]
fn a_corrupted_link_is_counted_before_it_is_reported() {
    let slab = inline(8, NoProtection);
    let (one, two) = (take(&slab), take(&slab));
    free(&slab, one);
    free(&slab, two);
    // SAFETY: the word lies in a free slot of the slab.
    unsafe { two.cast::<u32>().write(u32::MAX) };
    let next = take_noticing(&slab).unwrap();
    assert_eq!(slab.corruption_events(), 1);
    assert_eq!(next, slab.slot(2), "the free list is dropped; the next slot was never used");
    assert_eq!((slab.len(), slab.lost()), (1, 2));
}

#[test]
fn a_signed_link_is_worth_nothing_in_another_slot_or_another_slab() {
    let key = [9; 16];
    let make = || inline(8, SipHashMAC::with_key(key));
    let (one, other) = (make(), make());
    // The same history in two slabs with the same key.
    for slab in [&one, &other] {
        let blocks: Vec<_> = (0..4).map(|_| take(slab)).collect();
        blocks.iter().for_each(|&block| free(slab, block));
    }
    // SAFETY: the slots are free and start with a link.
    let (own, foreign, sibling) = unsafe {
        (
            one.slot(3).cast::<[u32; 2]>().read(),
            other.slot(3).cast::<[u32; 2]>().read(),
            one.slot(2).cast::<[u32; 2]>().read(),
        )
    };
    assert_eq!(own[0], foreign[0], "both links lead to the same number");
    assert_ne!(own, foreign, "and their tags differ");
    for replayed in [foreign, sibling] {
        let slab = make();
        let blocks: Vec<_> = (0..4).map(|_| take(&slab)).collect();
        blocks.iter().for_each(|&block| free(&slab, block));
        // SAFETY: the slot is free.
        unsafe { slab.slot(3).cast::<[u32; 2]>().write(replayed) };
        take_noticing(&slab).unwrap();
        assert_eq!(slab.corruption_events(), 1);
    }
}

/// A policy that counts how often it is asked.
#[derive(Default)]
struct Asked(core::cell::Cell<u32>);

impl FreelistProtection for Asked {
    fn sign(&self, next_idx: u32, slot_addr: usize) -> u32 {
        self.0.set(self.0.get() + 1);
        next_idx ^ slot_addr as u32
    }

    fn verify(&self, next_idx: u32, stored_mac: u32, slot_addr: usize) -> Result<(), FreelistCorruption> {
        if self.sign(next_idx, slot_addr) == stored_mac { Ok(()) } else { Err(FreelistCorruption) }
    }
}

#[test]
fn a_link_that_comes_again_is_signed_once() {
    let slab = inline(8, Asked::default());
    let block = take(&slab);
    for _ in 0..100 {
        free(&slab, block);
        assert_eq!(take(&slab), block);
    }
    assert_eq!(slab.policy.0.get(), 1);
}

#[test]
fn a_slab_that_was_moved_to_a_misaligned_place_issues_nothing() {
    #[repr(align(64))]
    struct Wide([u8; 64]);
    // The arena aligns its block by padding, which a move of 16 bytes makes wrong.
    #[repr(C, align(64))]
    struct Shifted<A>([u8; 16], A);
    #[repr(C, align(64))]
    struct Straight<A>(A);
    type Of = Slab<Wide, BumpArena<InlineBacked<1024>>>;
    let make = || Of::new(4, BumpArena::new(InlineBacked::new()).unwrap()).unwrap();
    let aligned = |slab: &Of| slab.base().addr().get() % 64 == 0;
    let straight = Straight(make());
    let first = aligned(&straight.0);
    assert_eq!(straight.0.take().is_some(), first);
    let shifted = Shifted([0; 16], straight.0);
    let second = aligned(&shifted.1);
    assert_eq!(shifted.1.take().is_some(), second);
    assert!(!(first && second), "16 bytes apart, not both places are aligned to 64");
    assert_eq!((shifted.0, Wide([1; 64]).0.len()), ([0; 16], 64));
}
