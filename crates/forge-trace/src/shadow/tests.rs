use alloc::vec::Vec;

use super::{Checks, Limits, Promise, Shadow, Step, Violation, check, drive, random_ops};
use crate::Op;
use crate::doubles::{Broken, Defect, Host, Inline};

fn allocate(id: u32, size: usize, align: usize) -> Op {
    Op::Allocate { id, size, align, zeroed: false, thread: 0 }
}

fn zeroed(id: u32, size: usize) -> Op {
    Op::Allocate { id, size, align: 8, zeroed: true, thread: 0 }
}

fn resize(id: u32, size: usize) -> Op {
    Op::Resize { id, size, thread: 0 }
}

fn free(id: u32) -> Op {
    Op::Free { id, thread: 0 }
}

/// A history that calls every method, small enough to read.
fn history() -> Vec<Op> {
    let mut ops =
        alloc::vec![allocate(0, 32, 8), allocate(1, 33, 16), zeroed(2, 40), resize(1, 70), resize(2, 90)];
    ops.extend([resize(1, 20), allocate(3, 24, 8), free(3), allocate(4, 1, 1), free(1)]);
    ops
}

fn caught(defect: Defect) -> Violation {
    let broken = Broken::new(defect);
    let checks = Checks { range: Some(broken.range()), sweep_every: 1, ..Checks::default() };
    match drive(&broken, &history(), checks) {
        Err(violation) => violation,
        Ok(summary) => panic!("{defect:?} went unnoticed: {summary:?}"),
    }
}

#[test]
fn an_allocator_without_defect_passes() {
    let broken = Broken::new(Defect::None);
    let checks = Checks { range: Some(broken.range()), sweep_every: 1, vary_alignment: true };
    let summary = drive(&broken, &history(), checks).unwrap();
    assert_eq!((summary.done, summary.failed, summary.skipped), (history().len(), 0, 0));
}

#[test]
fn every_planted_defect_is_caught_as_what_it_is() {
    let expected = [
        (Defect::Overlaps, Promise::Overlap, 2, 2),
        (Defect::ClaimsTooMuch, Promise::Overlap, 1, 1),
        (Defect::ClaimsTooLittle, Promise::UsableSize, 0, 0),
        (Defect::Misaligns, Promise::Alignment, 0, 0),
        (Defect::Shortens, Promise::Length, 0, 0),
        (Defect::ForgetsZeroing, Promise::Zeroed, 2, 2),
        (Defect::ForgetsZeroingTheTail, Promise::Zeroed, 4, 2),
        (Defect::CorruptsOnGrow, Promise::Content, 3, 1),
        (Defect::LosesOnShrink, Promise::Content, 5, 1),
        (Defect::CorruptsOnFailure, Promise::Content, 3, 1),
        (Defect::CorruptsOthers, Promise::Content, 8, 0),
        (Defect::ExceedsCapacity, Promise::Capacity, 2, 2),
        (Defect::LeavesRange, Promise::Containment, 1, 1),
        (Defect::ReportsCorruption, Promise::Bookkeeping, 7, 3),
        (Defect::MovesDespitePromise, Promise::InPlace, 3, 1),
    ];
    for (defect, promise, operation, id) in expected {
        let violation = caught(defect);
        let seen = (violation.promise, violation.operation, violation.id);
        assert_eq!(seen, (promise, operation, id), "{defect:?}: {violation}");
    }
}

#[test]
fn a_violation_says_when_which_block_and_what() {
    let message = alloc::format!("{}", caught(Defect::CorruptsOnGrow));
    assert!(message.starts_with("Content broken at operation 3, block 1: byte 32 of "), "{message}");
    let message = alloc::format!("{}", caught(Defect::Shortens));
    assert!(message.contains("a slice of 31 bytes"), "{message}");
}

#[test]
#[should_panic(expected = "Zeroed broken at operation 2, block 2")]
fn check_panics_with_the_violation() {
    check(&Broken::new(Defect::ForgetsZeroing), &history());
}

#[test]
fn the_host_passes_random_and_hostile_operations_and_gets_everything_back() {
    let count = if cfg!(miri) { 150 } else { 5000 };
    for seed in 0..if cfg!(miri) { 2 } else { 20 } {
        let host = Host::default();
        let limits = Limits::default().hostile(true);
        let checks = Checks { vary_alignment: seed % 2 == 1, ..Checks::default() };
        let summary = drive(&host, &random_ops(seed, count, &limits), checks).unwrap();
        assert_eq!(summary.done + summary.failed + summary.skipped, count);
        assert!(summary.done > count / 2, "{summary:?}");
        assert!(summary.failed + summary.skipped > 0, "{summary:?}");
        assert_eq!(host.live.get(), 0);
    }
}

#[test]
fn an_inline_arena_passes_youngest_first_operations_in_its_range() {
    let arena = Inline::<4096>::new();
    let ops = random_ops(7, if cfg!(miri) { 200 } else { 20_000 }, &Limits::small().lifo(true));
    let summary = drive(&arena, &ops, Checks::within(&arena)).unwrap();
    assert!(summary.done > 0, "{summary:?}");
}

#[test]
fn a_failed_allocation_leaves_operations_that_are_skipped() {
    let arena = Inline::<64>::new();
    let mut shadow = Shadow::new(&arena);
    assert_eq!(shadow.step(&allocate(0, 48, 1)), Ok(Step::Done));
    assert_eq!(shadow.step(&allocate(1, 48, 1)), Ok(Step::Failed));
    assert_eq!(shadow.step(&resize(1, 4)), Ok(Step::Skipped));
    assert_eq!(shadow.step(&free(1)), Ok(Step::Skipped));
    assert_eq!(shadow.step(&resize(0, 100)), Ok(Step::Failed));
    assert_eq!(shadow.step(&allocate(0, 1, 1)), Ok(Step::Skipped));
    assert_eq!((shadow.live_blocks(), shadow.live_bytes()), (1, 48));
    assert_eq!(shadow.block(0).map(|(_, layout)| layout.size().get()), Some(48));
    shadow.finish().unwrap();
}

#[test]
fn the_largest_sizes_are_refused_or_skipped() {
    const MAX: usize = isize::MAX as usize;
    let host = Host::default();
    let mut shadow = Shadow::new(&host);
    assert_eq!(shadow.step(&allocate(0, MAX, 1)), Ok(Step::Failed));
    assert_eq!(shadow.step(&allocate(0, MAX, 2)), Ok(Step::Skipped));
    assert_eq!(shadow.step(&allocate(0, usize::MAX, 1)), Ok(Step::Skipped));
    assert_eq!(shadow.step(&allocate(0, 1, 1 << 30)), Ok(Step::Failed));
    assert_eq!(shadow.step(&allocate(0, 1, 3)), Ok(Step::Skipped));
    assert_eq!(shadow.step(&allocate(0, 0, 1)), Ok(Step::Done));
    assert_eq!(shadow.step(&resize(0, MAX)), Ok(Step::Failed));
    shadow.finish().unwrap();
    assert_eq!(host.live.get(), 0);
}

#[test]
fn a_reset_ends_all_blocks_and_a_refused_one_ends_none() {
    let mut arena = Inline::<4096>::new();
    let history = history();
    for _ in 0..3 {
        check(&arena, &history);
        forge_alloc_core::Allocator::reset(&mut arena).unwrap();
    }
    let host = Host::default();
    let mut shadow = Shadow::new(host);
    shadow.step(&allocate(0, 8, 8)).unwrap();
    assert_eq!(shadow.reset(), Ok(Step::Failed));
    assert_eq!(shadow.live_blocks(), 1);
    assert_eq!(shadow.finish().unwrap().live.get(), 0);
}
