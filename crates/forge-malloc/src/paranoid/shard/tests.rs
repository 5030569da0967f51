#![allow(unsafe_code)]

use core::alloc::Layout;
use std::collections::BTreeSet;
use std::vec::Vec;

use forge_os::SimOs;
use forge_os::sim::SimCall;

use super::*;
use crate::paranoid::heap::Heap;

const PAGE: usize = 4 << 10;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn guarded(os: SimOs, address: *mut u8) -> bool {
    let page = os.page(NonNull::new(address).unwrap()).unwrap();
    page.guard || page.protection == forge_os::Protection::NONE
}

/// Allocates, looks at the pages, frees, and looks again.
fn opens_its_pages_only(os: SimOs, heap: &Heap<SimOs>) {
    let kinds = [(24, 8), (4097, 1), (1, 1), (4096, 16), (100, 8192), (70_000, 4)];
    for (size, align) in kinds.into_iter().take(if cfg!(miri) { 2 } else { 6 }) {
        let block = heap.allocate(layout(size, align));
        let end = block.wrapping_add(size - 1);
        assert!(!guarded(os, block) && !guarded(os, end));
        let lead = block.addr() % PAGE;
        assert!(guarded(os, block.wrapping_sub(lead + 1)), "in front of {size}");
        assert!(guarded(os, block.wrapping_add(size + align.min(PAGE) - 1)), "behind {size}");
        // SAFETY: a live block that is freed once.
        unsafe { heap.deallocate(block, layout(size, align)) };
        assert!(guarded(os, block) && guarded(os, end));
        assert!(
            !os.page(NonNull::new(block).unwrap()).unwrap().resident || heap.stats().guarded_by_rights > 0
        );
    }
    let nothing = heap.allocate(layout(0, 64));
    assert!(guarded(os, nothing) && nothing.addr() % 64 == 0);
    // SAFETY: as above.
    unsafe { heap.deallocate(nothing, layout(0, 64)) };
}

#[test]
fn only_the_pages_of_live_blocks_are_memory() {
    let os = SimOs::new(PAGE);
    let heap = Heap::new(os);
    opens_its_pages_only(os, &heap);
    assert_eq!(heap.stats().guarded_by_rights, 0);
}

#[test]
fn a_system_without_marks_has_guards_by_rights_and_the_statistics_say_so() {
    let os = SimOs::new(PAGE);
    let heap = Heap::new(os);
    // Every call of this kind but those that give pages back comes from a mark, and each is refused.
    for nth in 1..60 {
        os.fail_nth(Some(SimCall::Advise), nth, 22);
    }
    let block = heap.allocate(layout(24, 8));
    os.clear_failures();
    assert!(!guarded(os, block) && guarded(os, block.wrapping_add(24)));
    let stats = heap.stats();
    assert!(stats.guarded_by_rights > 0 && stats.guarded_by_rights == stats.mapped, "{stats:?}");
    // SAFETY: a live block, freed once.
    unsafe { heap.deallocate(block, layout(24, 8)) };
    assert!(guarded(os, block));
    assert_eq!(heap.stats().retired, 0);
}

#[test]
fn an_address_waits_until_so_many_others_were_freed_after_it() {
    let heap = Heap::new(SimOs::new(PAGE));
    let layout = layout(24, 8);
    let first = heap.allocate(layout);
    // SAFETY: live blocks, freed once each, throughout.
    unsafe { heap.deallocate(first, layout) };
    let rounds = if cfg!(miri) { QUARANTINED_BLOCKS - 1 } else { 2000 };
    for _ in 0..rounds {
        let block = heap.allocate(layout);
        assert_ne!(block, first);
        // SAFETY: as above.
        unsafe { heap.deallocate(block, layout) };
    }
    assert_eq!(heap.stats().quarantined_blocks, rounds + 1);
}

/// Takes and frees so many blocks of a size, and returns how many addresses they had.
fn addresses_of(heap: &Heap<impl Os>, size: usize, rounds: usize) -> usize {
    let layout = layout(size, 8);
    let mut seen = BTreeSet::new();
    for _ in 0..rounds {
        let block = heap.allocate(layout);
        assert!(!block.is_null());
        seen.insert(block);
        // SAFETY: a live block, freed once.
        unsafe { heap.deallocate(block, layout) };
    }
    let stats = heap.stats();
    assert!(stats.quarantined_bytes <= QUARANTINED_BYTES && stats.quarantined_blocks <= QUARANTINED_BLOCKS);
    assert!(stats.quarantined_blocks < rounds && stats.live_blocks == 0, "{stats:?}");
    seen.len()
}

#[test]
fn no_more_addresses_wait_than_may_and_those_that_waited_are_drawn_again() {
    if cfg!(miri) {
        addresses_of(&Heap::new(SimOs::new(PAGE)), 24, QUARANTINED_BLOCKS + 2);
    } else {
        // As many bytes of addresses wait as may, after a few of these.
        assert!(addresses_of(&Heap::new(forge_os::Native), 100 << 20, 24) < 24);
    }
}

#[test]
fn successive_blocks_are_rarely_neighbours_and_come_in_no_order() {
    let heap = Heap::new(SimOs::new(PAGE));
    let count = if cfg!(miri) { 20 } else { 4000 };
    let addresses: Vec<_> = (0..count).map(|_| heap.allocate(layout(64, 8)).addr()).collect();
    let distinct: BTreeSet<_> = addresses.iter().collect();
    assert_eq!(distinct.len(), count);
    let near = addresses.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) <= 2 * PAGE).count();
    let up = addresses.windows(2).filter(|pair| pair[0] < pair[1]).count();
    // One in 64 of 4000 is 62; the chance of as many as that is far below one in a million where it is one in 128 or less.
    assert!(cfg!(miri) || near <= 62, "{near} of {count}");
    assert!(cfg!(miri) || (count / 3..count * 2 / 3).contains(&up), "{up} of {count}");
}

#[test]
fn a_slot_that_cannot_be_shut_is_never_used_again_and_has_no_content() {
    let os = SimOs::new(PAGE);
    let heap = Heap::new(os);
    let layout = layout(24, 8);
    let block = heap.allocate(layout);
    // SAFETY: a live block, freed once; the simulation's pages can be read whatever their rights.
    unsafe {
        block.write_bytes(9, 24);
        os.fail_nth(Some(SimCall::Advise), 1, 12);
        heap.deallocate(block, layout);
        assert_eq!(heap.stats().retired, 1);
        assert!((0..24).all(|byte| block.add(byte).read() == 0));
    }
    assert_eq!(heap.stats().quarantined_blocks, 0);
    heap.trim();
    assert_eq!((heap.stats().retired, heap.stats().mapped), (0, 0));
}

#[test]
fn a_slot_that_cannot_be_opened_is_put_back() {
    let os = SimOs::new(PAGE);
    let heap = Heap::new(os);
    let layout = layout(24, 8);
    let live = heap.allocate(layout);
    // The first attempt fails, and what is tried next does not.
    os.fail_nth(Some(SimCall::Advise), 1, 12);
    let other = heap.allocate(layout);
    assert!(!live.is_null() && !other.is_null());
    assert_eq!((heap.stats().live_blocks, heap.stats().retired), (2, 0));
}
