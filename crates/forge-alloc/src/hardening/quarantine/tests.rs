#![allow(unsafe_code)]

use core::hint::black_box;
use core::ptr::NonNull;
use std::boxed::Box;
use std::vec::Vec;

use super::{Quarantinable, Quarantine};
use crate::{
    AllocError, Allocator, BumpArena, Canary, Deallocator, HeapBytes, InlineBacked, NonZeroLayout, Slab,
    System, WithFallback, ZeroizeOnFree,
};

type Slots = Slab<[u64; 8], InlineBacked<512>>;

fn slots() -> Slots {
    Slab::new(8, InlineBacked::new()).unwrap()
}

fn layout(size: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, 8).unwrap()
}

fn take<A: Allocator>(from: &A, size: usize) -> NonNull<u8> {
    from.allocate(layout(size)).unwrap().cast()
}

#[test]
fn a_block_is_issued_again_after_so_many_further_frees_in_the_order_of_the_frees() {
    let slots = Quarantine::<_, 2>::new(slots());
    let blocks: Vec<_> = (0..8).map(|_| take(&slots, 64)).collect();
    for (freed, block) in blocks.iter().enumerate() {
        // SAFETY: the block is live.
        unsafe { slots.deallocate(*block, layout(64)) };
        assert_eq!(slots.deallocate_count(), freed + 1);
        assert_eq!(slots.inner().len(), 8 - freed.saturating_sub(1));
    }
    // The slab issues what was freed last, which is the youngest that has left.
    assert_eq!(take(&slots, 64), blocks[5]);
    slots.flush();
    assert_eq!([take(&slots, 64), take(&slots, 64)], [blocks[7], blocks[6]]);
}

#[test]
fn one_place_is_enough() {
    let slots = Quarantine::<_, 1>::over(slots());
    let (first, second) = (take(&slots, 64), take(&slots, 64));
    // SAFETY: the blocks are live.
    unsafe {
        slots.deallocate(first, layout(64));
        assert_ne!(take(&slots, 64), first);
        slots.deallocate(second, layout(64));
    }
    assert_eq!(take(&slots, 64), first);
}

#[test]
fn an_exhausted_inner_allocator_refuses_until_a_flush() {
    let slots = Quarantine::<_, 4>::over(slots());
    let blocks: Vec<_> = (0..8).map(|_| take(&slots, 64)).collect();
    // SAFETY: the block is live.
    unsafe { slots.deallocate(blocks[3], layout(64)) };
    assert_eq!(slots.allocate(layout(64)), Err(AllocError));
    slots.flush();
    assert_eq!(take(&slots, 64), blocks[3]);
    assert_eq!(slots.deallocate_count(), 1);
}

#[test]
fn a_drop_and_taking_apart_free_what_is_held() {
    let inner = slots();
    {
        let slots = Quarantine::<_, 4>::over(&inner);
        let blocks: Vec<_> = (0..6).map(|_| take(&slots, 64)).collect();
        // SAFETY: the blocks are live.
        blocks.iter().for_each(|block| unsafe { slots.deallocate(*block, layout(64)) });
        assert_eq!(inner.len(), 4);
    }
    assert!(inner.is_empty());
    let slots = Quarantine::<_, 4>::over(inner);
    let block = take(&slots, 64);
    // SAFETY: the block is live.
    unsafe { slots.deallocate(block, layout(64)) };
    assert!(slots.into_inner().is_empty());
}

#[test]
fn a_reset_forgets_what_is_held() {
    let mut arena = Quarantine::<_, 4>::new(BumpArena::new(HeapBytes::new(256).unwrap()).unwrap());
    let block = take(&arena, 64);
    // SAFETY: the block is live.
    unsafe { arena.deallocate(block, layout(64)) };
    arena.reset().unwrap();
    assert_eq!(take(&arena, 64), block);
    drop(arena);
    let mut slots = Quarantine::<_, 4>::new(slots());
    assert_eq!(slots.reset(), Err(AllocError));
}

#[test]
fn a_resize_that_moves_holds_the_old_block() {
    let slots = Quarantine::<_, 4>::new(WithFallback::new(slots(), System::new()));
    let block = take(&slots, 64);
    // SAFETY: the block is live, of the layout that each step leaves it with.
    unsafe {
        assert_eq!(slots.shrink(block, layout(64), layout(8)).unwrap().cast(), block);
        assert_eq!(slots.deallocate_count(), 0);
        let moved = slots.grow(block, layout(8), layout(100)).unwrap().cast::<u8>();
        assert_eq!((slots.deallocate_count(), slots.inner().primary().len()), (1, 1));
        slots.deallocate(moved, layout(100));
    }
}

/// Frees blocks before and after moves of the wrapper, with and without a pattern, and checks with `is_empty` that all of
/// them have come back.
fn survives_moves<I: Allocator + Quarantinable>(
    make: impl Fn() -> I,
    size: usize,
    is_empty: impl Fn(&I) -> bool,
) {
    for pattern in [None, Some(0xDE)] {
        let mut wrapper = match pattern {
            None => Quarantine::<_, 3>::over(make()),
            Some(pattern) => Quarantine::<_, 3>::poisoning(make(), pattern),
        };
        for _ in 0..4 {
            let blocks = [(); 2].map(|()| take(&wrapper, size));
            // SAFETY: the blocks are live.
            blocks.iter().for_each(|block| unsafe {
                block.write_bytes(1, size);
                wrapper.deallocate(*block, layout(size));
            });
            let boxed = black_box(Box::new(wrapper));
            wrapper = *boxed;
        }
        assert_eq!(wrapper.deallocate_count(), 8);
        let boxed = Box::new(wrapper);
        boxed.flush();
        assert!(is_empty(boxed.inner()));
        drop(boxed);
    }
}

#[test]
fn held_blocks_survive_a_move_over_slots_inside() {
    survives_moves(slots, 64, Slots::is_empty);
}

#[test]
fn held_blocks_survive_a_move_over_slots_inside_and_a_heap_outside() {
    let make = || WithFallback::new(slots(), System::new());
    survives_moves(make, 64, |router| router.primary().is_empty());
    // Blocks that the slots refuse are on the heap.
    survives_moves(make, 100, |router| router.primary().is_empty());
}

#[test]
fn held_blocks_survive_a_move_over_canaries_over_slots_inside() {
    survives_moves(|| Canary::new_with_seed(slots(), 9), 40, |canary| canary.inner().is_empty());
}

#[test]
fn a_held_block_is_filled_up_to_its_usable_size() {
    let slots = Quarantine::<_, 2>::poisoning(slots(), 0xA5);
    let block = take(&slots, 8);
    // SAFETY: the block is live, and then held.
    unsafe {
        slots.deallocate(block, layout(8));
        assert_eq!(block.cast::<[u8; 64]>().read(), [0xA5; 64]);
    }
}

#[test]
fn a_live_block_that_looks_like_a_freed_one_may_be_freed() {
    let slots = Quarantine::<_, 4>::poisoning(slots(), 0xA5);
    let blocks = [(); 3].map(|()| take(&slots, 64));
    // SAFETY: the blocks are live.
    unsafe {
        slots.deallocate(blocks[0], layout(64));
        blocks[1].write_bytes(0xA5, 64);
        slots.deallocate(blocks[1], layout(64));
    }
    assert_eq!(slots.deallocate_count(), 2);
}

#[test]
fn a_scrubber_outside_may_wipe_held_blocks_at_its_end() {
    let slots = ZeroizeOnFree::new(Quarantine::<_, 4>::poisoning(slots(), 0xA5));
    let block = take(&slots, 64);
    // SAFETY: the block is live.
    unsafe { slots.deallocate(block, layout(64)) };
    drop(slots);
}
