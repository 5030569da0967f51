//! Random histories of pools over several backings and tables, under the shadow model.

use core::mem::MaybeUninit;

use forge_alloc_core::testing::assert_allocator_contract;
use forge_trace::shadow::{Checks, Limits, check_moving, check_moving_empty, drive, random_ops};

use super::*;

const OPERATIONS: usize = if cfg!(miri) { 30 } else { 3000 };
const SEEDS: u64 = if cfg!(miri) { 1 } else { 8 };

/// Plays usual and hostile histories on pools that `make` makes, in place.
fn conform<A: Allocator>(limits: Limits, make: impl Fn() -> A) {
    assert_allocator_contract(&make());
    for seed in 0..SEEDS {
        for limits in [limits, limits.hostile(true)] {
            let pool = make();
            let checks = Checks { vary_alignment: true, ..Checks::default() };
            let summary = drive(&pool, &random_ops(seed, OPERATIONS, &limits), checks)
                .unwrap_or_else(|violation| panic!("{violation}"));
            assert!(summary.done > 0);
        }
    }
}

/// At most 8 KiB live, which is less than the slots of the pools here have.
fn usual() -> Limits {
    Limits { live_blocks: 16, size: if cfg!(miri) { 96 } else { 512 }, ..Limits::default() }
}

fn fine() -> SizeClassed<Heap, 24> {
    SizeClassed::with_fine_classes(heap(1 << 17), 6).unwrap()
}

/// Classes of which most are not aligned to their size.
fn sparse() -> SizeClassed<Heap, 5> {
    const TABLE: ClassTable<5> = ClassTable::new([12, 40, 96, 112, 640]);
    SizeClassed::with_table(heap(1 << 17), TABLE, 12).unwrap()
}

fn inline() -> SizeClassed<InlineBacked<32768>, 24> {
    let table = ClassTable::new(FINE_CLASS_SIZES_24).with_align_limit(MAX_ALIGN);
    SizeClassed::with_table(InlineBacked::new(), table, 3).unwrap()
}

/// Regions that may lose their alignment in a move.
fn nested_inline() -> SizeClassed<BumpArena<InlineBacked<32768>>, 8> {
    SizeClassed::with_default_classes(BumpArena::new(InlineBacked::new()).unwrap(), 6).unwrap()
}

fn over_a_stack() -> SizeClassed<StackAlloc<HeapBytes>, 8> {
    SizeClassed::with_default_classes(StackAlloc::new(HeapBytes::new(1 << 16).unwrap()).unwrap(), 5).unwrap()
}

#[test]
fn powers_of_two_keep_the_contract() {
    conform(usual(), || pool(16));
}

#[test]
fn fine_classes_keep_the_contract() {
    conform(usual(), fine);
}

#[test]
fn sparse_classes_keep_the_contract() {
    conform(usual(), sparse);
}

#[test]
fn classes_over_a_stack_keep_the_contract() {
    conform(usual(), over_a_stack);
}

#[test]
fn classes_in_inline_storage_keep_the_contract() {
    conform(Limits::small(), inline);
    conform(Limits::small(), nested_inline);
}

#[test]
fn classes_over_unaligned_storage_keep_the_contract() {
    let mut buffer = vec![MaybeUninit::uninit(); 1 << 16];
    for seed in 0..SEEDS {
        let odd = BumpArena::new(StaticBacked::uninit(&mut buffer[seed as usize..])).unwrap();
        let pool = SizeClassed::with_default_classes(odd, 12).unwrap();
        let checks = Checks { vary_alignment: true, ..Checks::default() };
        drive(&pool, &random_ops(seed, OPERATIONS, &usual()), checks)
            .unwrap_or_else(|violation| panic!("{violation}"));
    }
}

#[test]
fn blocks_stay_when_a_pool_over_the_heap_moves() {
    for seed in 0..SEEDS {
        check_moving(pool(16), &random_ops(seed, OPERATIONS, &usual()), 17);
        check_moving(fine(), &random_ops(seed, OPERATIONS, &usual()), 17);
    }
}

#[test]
fn a_pool_in_inline_storage_goes_on_after_a_move() {
    for seed in 0..SEEDS {
        check_moving_empty(inline(), &random_ops(seed, OPERATIONS, &Limits::small()), 17);
        let limits = Limits { align: 1024, ..Limits::small() };
        check_moving_empty(nested_inline(), &random_ops(seed, OPERATIONS, &limits), 17);
    }
}
