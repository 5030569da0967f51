#![allow(unsafe_code)]

use core::ptr::NonNull;

use super::{DEFAULT_POISON, PoisonOnFree};
use crate::{Allocator, BumpArena, Deallocator, FixedRange, InlineBacked, NonZeroLayout, Slab};

fn layout(size: usize, align: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, align).unwrap()
}

/// Returns the bytes at `place`, which are initialised memory of a range.
fn bytes_at<const N: usize>(place: NonNull<u8>) -> [u8; N] {
    // SAFETY: the tests ask only for bytes that they have written or that a free has filled.
    unsafe { place.cast().read() }
}

#[test]
fn all_of_a_freed_block_holds_the_pattern_and_its_neighbours_do_not() {
    let arena = PoisonOnFree::with_pattern(BumpArena::new(InlineBacked::<256>::new()).unwrap(), 0x6B);
    assert_eq!(arena.pattern(), 0x6B);
    let [before, block, after] = [(); 3].map(|()| arena.allocate_zeroed(layout(24, 8)).unwrap().cast::<u8>());
    // SAFETY: the block is live.
    unsafe { arena.deallocate(block, layout(24, 8)) };
    assert_eq!((bytes_at(before), bytes_at(block), bytes_at(after)), ([0u8; 24], [0x6B; 24], [0u8; 24]));
}

#[test]
fn the_whole_slot_is_filled_not_only_what_was_asked_for() {
    let slab = PoisonOnFree::new(Slab::<[u8; 64], _>::new(2, InlineBacked::<128>::new()).unwrap());
    let block = slab.allocate(layout(3, 1)).unwrap().cast::<u8>();
    // SAFETY: the block is live, and all of its slot may be used.
    unsafe {
        assert_eq!(slab.usable_size(block, layout(3, 1)), Some(64));
        block.write_bytes(1, 64);
        slab.deallocate(block, layout(3, 1));
        // The slab has put a link over the first word.
        assert_eq!(bytes_at(block.add(8)), [DEFAULT_POISON; 56]);
    }
}

#[test]
fn what_a_resize_gives_up_holds_the_pattern() {
    let arena = PoisonOnFree::new(BumpArena::new(InlineBacked::<256>::new()).unwrap());
    let block = arena.allocate_zeroed(layout(64, 8)).unwrap().cast::<u8>();
    // SAFETY: the block is live, of the layout that each step leaves it with.
    unsafe {
        let shorter = arena.shrink(block, layout(64, 8), layout(16, 8)).unwrap().cast::<u8>();
        assert_eq!(shorter, block);
        assert_eq!((bytes_at(block), bytes_at(block.add(16))), ([0u8; 16], [DEFAULT_POISON; 48]));
        let longer = arena.grow_zeroed(block, layout(16, 8), layout(32, 8)).unwrap().cast::<u8>();
        assert_eq!((longer, bytes_at(block)), (block, [0u8; 32]));
        arena.allocate(layout(8, 8)).unwrap();
        let moved = arena.grow(block, layout(32, 8), layout(48, 8)).unwrap().cast::<u8>();
        assert_ne!(moved, block);
        assert_eq!((bytes_at(moved), bytes_at(block)), ([0u8; 32], [DEFAULT_POISON; 32]));
    }
}

#[test]
fn a_reset_passes_through_and_poisons_nothing() {
    let mut arena = PoisonOnFree::new(BumpArena::new(InlineBacked::<64>::new()).unwrap());
    arena.allocate_zeroed(layout(64, 8)).unwrap();
    assert!(arena.allocate(layout(1, 1)).is_err());
    arena.reset().unwrap();
    assert_eq!(bytes_at(arena.base()), [0u8; 64]);
    assert_eq!(arena.into_inner().allocated(), 0);
}
