#![allow(unsafe_code)]

use core::ptr::NonNull;
use std::boxed::Box;

use super::{Canary, GATHER, SPREAD, around, behind, code, is_code, prefix};
use crate::{Allocator, BumpArena, Deallocator, FixedRange, InlineBacked, NonZeroLayout, Slab};

type Arena = Canary<BumpArena<InlineBacked<512>>>;

fn layout(size: usize, align: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, align).unwrap()
}

fn arena(seed: u64) -> Arena {
    Canary::new_with_seed(BumpArena::new(InlineBacked::new()).unwrap(), seed)
}

/// Returns the words before and behind a live block.
fn words(block: NonNull<u8>, size: usize) -> [u64; 2] {
    // SAFETY: the tests ask about live blocks, around which the words are.
    unsafe { [block.sub(8).cast::<u64>().read(), block.add(size).cast::<u64>().read_unaligned()] }
}

#[test]
fn a_block_lies_between_two_words_whatever_its_layout() {
    let arena = arena(1);
    for (size, align) in [(1, 1), (3, 2), (8, 8), (13, 4), (24, 16)] {
        let layout = layout(size, align);
        let block = arena.allocate(layout).unwrap();
        assert_eq!((block.len(), block.cast::<u8>().addr().get() % align), (size, 0));
        // SAFETY: the block is live; its words are not its own.
        unsafe {
            block.cast::<u8>().write_bytes(0xFF, size);
            arena.deallocate(block.cast(), layout);
        }
        assert_eq!(prefix(layout), align.max(8));
        assert_eq!(around(layout).unwrap().size().get(), size + 8 + align.max(8));
    }
    assert_eq!(arena.inner().allocated(), 0);
    assert!(arena.allocate(layout(isize::MAX as usize - 7, 1)).is_err());
}

#[test]
fn no_two_blocks_have_the_same_words_and_no_word_behind_starts_with_zero() {
    let arena = arena(2);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..16 {
        let block = arena.allocate(layout(8, 8)).unwrap().cast::<u8>();
        let [before, after] = words(block, 8);
        assert!(seen.insert(before) && seen.insert(after));
        assert_ne!(after.to_ne_bytes()[0], 0);
    }
    assert!(!seen.contains(&arena.canary_value()));
}

#[test]
fn the_words_of_a_block_follow_from_the_seed_and_its_place() {
    let value = |seed| arena(seed).canary_value();
    assert_eq!(value(5), value(5));
    assert_ne!(value(5), value(6));
    assert_eq!(value(0), value(0xCAFE_BABE_DEAD_BEEF));
    let (one, other) = (Box::new(arena(3)), Box::new(arena(3)));
    let [one, other] = [&one, &other].map(|arena| arena.allocate(layout(16, 8)).unwrap().cast());
    assert_eq!(words(one, 16), words(other, 16));
}

#[cfg(feature = "std")]
#[test]
fn random_keys_differ() {
    let value = || Canary::new(InlineBacked::<64>::new()).canary_value();
    assert_ne!(value(), value());
}

#[test]
fn both_words_are_gone_after_the_free() {
    let arena = arena(4);
    let block = arena.allocate(layout(16, 8)).unwrap().cast::<u8>();
    // SAFETY: the block is live; its bytes stay memory of the arena.
    unsafe { arena.deallocate(block, layout(16, 8)) };
    assert_eq!(words(block, 16), [0, 0]);
}

#[test]
fn a_resize_in_place_moves_the_word_behind_and_leaves_none_in_the_block() {
    let arena = arena(5);
    let block = arena.allocate(layout(16, 8)).unwrap().cast::<u8>();
    // SAFETY: the block is live, of the layout that each step leaves it with.
    unsafe {
        let old = words(block, 16)[1];
        let longer = arena.grow_zeroed(block, layout(16, 8), layout(40, 8)).unwrap().cast::<u8>();
        assert_eq!(longer, block);
        assert!(block.add(16).cast::<[u8; 24]>().read() == [0; 24] && words(block, 40)[1] == old);
        let shorter = arena.shrink(block, layout(40, 8), layout(3, 8)).unwrap().cast::<u8>();
        assert_eq!((shorter, words(block, 3)[1]), (block, old));
        assert_eq!(words(block, 40)[1], 0);
        arena.deallocate(block, layout(3, 8));
    }
    assert_eq!(arena.inner().allocated(), 0);
}

#[test]
fn a_resize_that_changes_the_distance_to_the_inner_block_moves_the_block() {
    let arena = arena(6);
    let block = arena.allocate(layout(16, 8)).unwrap().cast::<u8>();
    // SAFETY: the block is live, of the layout that each step leaves it with.
    unsafe {
        block.write_bytes(7, 16);
        assert!(!arena.stays_in_place(block, layout(16, 8), layout(16, 16)));
        let aligned = arena.grow(block, layout(16, 8), layout(16, 16)).unwrap().cast::<u8>();
        assert!(aligned != block && aligned.cast::<[u8; 16]>().read() == [7; 16]);
        arena.deallocate(aligned, layout(16, 16));
    }
}

#[test]
fn blocks_of_before_a_move_may_be_freed_at_their_offset() {
    let slab = Slab::<[u64; 8], _>::new(4, InlineBacked::<256>::new()).unwrap();
    let canary = Canary::new_with_seed(slab, 7);
    let block = canary.allocate(layout(40, 8)).unwrap().cast::<u8>();
    let offset = block.addr().get() - canary.base().addr().get();
    let moved = core::hint::black_box(Box::new(canary));
    // SAFETY: a range promises that the block may be freed where it is now.
    unsafe { moved.deallocate(moved.base().add(offset), layout(40, 8)) };
    assert!(moved.inner().is_empty());
}

#[test]
fn slots_without_room_for_the_words_are_refused() {
    let slab = Slab::<u64, _>::new(4, InlineBacked::<64>::new()).unwrap();
    assert!(Canary::new_with_seed(slab, 1).allocate(layout(8, 8)).is_err());
}

#[test]
fn a_reset_passes_through() {
    let mut arena = arena(8);
    arena.allocate(layout(100, 8)).unwrap();
    assert!(arena.can_reset() && arena.reset().is_ok());
    assert_eq!(arena.inner().allocated(), 0);
}

#[test]
fn a_code_can_be_undone_and_a_changed_byte_of_it_is_noise() {
    assert_eq!(SPREAD.wrapping_mul(GATHER), 1);
    let ptr = NonNull::without_provenance(core::num::NonZeroUsize::new(1 << 20).unwrap());
    let mut passed = 0;
    for (size, align) in [(1, 1), (64, 8), (4096, 64), (1 << 30, 16)] {
        let code = code(layout(size, align));
        assert!(is_code(code, ptr));
        for byte in 0..8 {
            for change in (1..=255u64).step_by(if cfg!(miri) { 23 } else { 1 }) {
                passed += u32::from(is_code(code ^ change << (8 * byte), ptr));
            }
        }
    }
    assert_eq!(passed, 0);
    assert_eq!(behind(0).to_ne_bytes(), [1, 0, 0, 0, 0, 0, 0, 0]);
}
