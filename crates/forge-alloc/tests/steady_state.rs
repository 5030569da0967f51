//! What arenas ask of the operating system, counted by the simulated one: in a steady state, nothing.
#![cfg(all(feature = "std", any(unix, windows)))]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use forge_alloc::*;
use forge_os::sim::{SimCall, SimOs};

/// `ENOMEM` of the systems that the tests run on.
const OUT_OF_MEMORY: i32 = 12;

/// Fills `arena` with blocks of many sizes, the same ones each time.
fn work(arena: &impl Allocator) {
    for size in [24, 4000, 7, 60_000, 128, 128, 9_000, 1] {
        arena.allocate(NonZeroLayout::from_size_align(size, 8).unwrap()).unwrap();
    }
}

#[test]
fn resetting_a_bump_arena_keeps_its_mapping() {
    let os = SimOs::new(4096);
    let mut arena = BumpArena::new(MmapBacked::map_on(os, 1 << 17, MmapFlags::NONE).unwrap()).unwrap();
    let (base, calls) = (arena.base(), os.calls());
    for _ in 0..10 {
        work(&arena);
        arena.reset();
    }
    assert_eq!((arena.base(), os.calls(), os.live_mappings()), (base, calls, 1));
    drop(arena);
    assert_eq!((os.calls().unmap, os.live_mappings()), (1, 0));
}

#[test]
fn a_growing_arena_asks_for_its_chunks_once() {
    let os = SimOs::new(16 << 10);
    let mut arena: Arena<_> = Arena::with_source(MmapSource::on(os));
    work(&arena);
    let calls = os.calls();
    for _ in 0..10 {
        arena.reset();
        work(&arena);
    }
    assert_eq!(os.calls(), calls);
    arena.release_all();
    assert_eq!(os.live_mappings(), 0);
    work(&arena);
    drop(arena);
    assert_eq!(os.live_mappings(), 0);
}

#[test]
fn a_scope_that_fits_asks_for_nothing() {
    let os = SimOs::new(4096);
    let mut arena: Arena<_> = Arena::with_source(MmapSource::on(os));
    work(&arena.scope());
    let calls = os.calls();
    for _ in 0..10 {
        work(&arena.scope());
    }
    assert_eq!(os.calls(), calls);
}

#[test]
fn released_pages_leave_the_arena_usable_and_its_memory_given_back() {
    let os = SimOs::new(4096);
    let mut arena = BumpArena::new(MmapBacked::map_on(os, 1 << 20, MmapFlags::NONE).unwrap()).unwrap();
    work(&arena);
    arena.reset();
    let before = os.resident_bytes();
    // SAFETY: the arena was reset, so no block is live.
    unsafe { arena.try_release_pages(arena.base_ptr(), arena.region_size()) }.unwrap();
    assert!(before >= 1 << 20 && os.resident_bytes() == 0, "{before} -> {}", os.resident_bytes());
    work(&arena);
}

#[test]
fn a_limit_counts_what_the_source_adds() {
    let os = SimOs::new(4096);
    let arena: Arena<_> = Arena::with_source(MmapSource::on(os)).limited_to(10_000);
    let block = NonZeroLayout::from_size_align(600, 8).unwrap();
    let served = (0..100).take_while(|_| arena.allocate(block).is_ok()).count();
    assert!(served >= 12 && served * 600 <= 10_000, "{served}");
    assert_eq!((os.mapped_bytes(), arena.held_bytes()), (8192, 8192));
    let small: Arena<_> = Arena::with_source(MmapSource::on(os)).limited_to(1000);
    assert!(small.allocate(block).is_err());
    assert_eq!((small.held_bytes(), os.live_mappings()), (0, 2));
}

/// Grows an arena over `os` until `blocks` blocks are live, and checks what is there after every failure.
fn grow_under_failures(os: SimOs, blocks: u64) -> (usize, usize) {
    let arena: Arena<_> = Arena::with_source(MmapSource::on(os));
    let mut kept: Vec<&mut [u64; 500]> = Vec::new();
    let mut failures = 0;
    for block in 0..blocks {
        match arena.alloc([block; 500]) {
            Ok(values) => kept.push(values),
            Err(AllocError) => failures += 1,
        }
    }
    for values in &kept {
        assert!(values.iter().all(|value| *value == values[0]), "a failure harmed a block");
    }
    (kept.len(), failures)
}

#[test]
fn every_failing_call_is_an_error_that_harms_and_leaks_nothing() {
    let os = SimOs::new(4096);
    assert_eq!(grow_under_failures(os, 100), (100, 0));
    let calls = os.calls().total();
    for n in 1..=calls {
        let os = SimOs::new(4096);
        os.fail_nth(None, n, OUT_OF_MEMORY);
        let (kept, failures) = grow_under_failures(os, 100);
        assert_eq!(kept + failures, 100);
        assert!(failures <= 1, "one failing call fails at most one request");
        let maps = os.calls().map;
        assert!(n > maps || failures == 1, "the failing call {n} of {maps} was hidden");
        // A refused unmapping cannot be undone from here; the simulated system still counts that mapping.
        assert_eq!(os.live_mappings(), usize::from(failures == 0));
    }
}

#[test]
fn a_failing_map_is_named_by_call() {
    let os = SimOs::new(4096);
    os.fail_nth(Some(SimCall::Map), 1, OUT_OF_MEMORY);
    let arena: Arena<_> = Arena::with_source(MmapSource::on(os));
    assert!(arena.alloc(1_u8).is_err());
    let failure = last_os_failure().unwrap();
    assert_eq!((failure.call(), failure.code()), ("mmap", OUT_OF_MEMORY));
    assert_eq!(*arena.alloc(2_u8).unwrap(), 2);
}
