#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use core::ptr::NonNull;

use super::ZeroizeOnFree;
use crate::{
    AllocError, Allocator, BumpArena, Deallocator, InlineBacked, NonZeroLayout, Slab, SlotBox, StackAlloc,
    StaticBacked,
};

fn layout(size: usize, align: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, align).unwrap()
}

fn arena() -> ZeroizeOnFree<BumpArena<InlineBacked<256>>> {
    ZeroizeOnFree::new(BumpArena::new(InlineBacked::new()).unwrap())
}

/// Returns a block full of secrets.
fn secret<A: Allocator>(from: &A, size: usize) -> NonNull<u8> {
    let block = from.allocate(layout(size, 8)).unwrap().cast::<u8>();
    // SAFETY: the block is live.
    unsafe { block.write_bytes(0x53, size) };
    block
}

fn is_clean(place: NonNull<u8>, len: usize) -> bool {
    // SAFETY: the tests ask only for bytes that they have written.
    (0..len).all(|index| unsafe { place.add(index).read() } == 0)
}

#[test]
fn what_a_free_a_shrink_and_a_move_leave_behind_is_clean() {
    let arena = arena();
    let block = secret(&arena, 64);
    // SAFETY: the block is live, of the layout that each step leaves it with.
    unsafe {
        assert_eq!(arena.shrink(block, layout(64, 8), layout(24, 8)).unwrap().cast(), block);
        assert!(is_clean(block.add(24), 40) && !is_clean(block, 24));
        let barrier = secret(&arena, 8);
        let moved = arena.grow(block, layout(24, 8), layout(40, 8)).unwrap().cast::<u8>();
        assert!(moved != block && is_clean(block, 24) && !is_clean(moved, 24));
        arena.deallocate(moved, layout(40, 8));
        assert!(is_clean(moved, 24) && !is_clean(barrier, 8));
    }
}

#[test]
fn a_shrink_of_a_slot_wipes_the_slack_that_may_have_been_used() {
    let slab = ZeroizeOnFree::new(Slab::<[u64; 8], _>::new(1, InlineBacked::<64>::new()).unwrap());
    let block = slab.allocate(layout(40, 8)).unwrap().cast::<u8>();
    // SAFETY: the block is live, and all of its slot may be used.
    unsafe {
        block.write_bytes(0x53, 64);
        slab.shrink(block, layout(40, 8), layout(8, 8)).unwrap();
        assert!(is_clean(block.add(8), 56));
    }
}

#[test]
fn a_reset_wipes_live_blocks() {
    let mut arena = arena();
    secret(&arena, 128);
    arena.reset().unwrap();
    let block = arena.allocate(layout(128, 8)).unwrap().cast();
    assert!(is_clean(block, 128));
}

#[test]
fn a_reset_that_cannot_be_done_changes_nothing() {
    let mut slab = ZeroizeOnFree::new(Slab::<[u64; 8], _>::new(1, InlineBacked::<64>::new()).unwrap());
    let block = secret(&slab, 64);
    assert_eq!(slab.inner().iter().next().map(NonNull::cast), Some(block));
    assert_eq!(slab.reset(), Err(AllocError));
    let block = slab.inner().iter().next().unwrap();
    // SAFETY: the block is live, and has been written.
    assert_eq!(unsafe { block.read() }, [0x5353_5353_5353_5353; 8]);
}

#[test]
fn a_borrower_neither_resets_nor_wipes() {
    let mut stack = StackAlloc::new(crate::HeapBytes::new(64).unwrap()).unwrap();
    let block = secret(&stack, 32);
    let mut borrower = ZeroizeOnFree::new(&mut stack);
    assert_eq!(borrower.reset(), Err(AllocError));
    drop(borrower);
    assert!(!is_clean(block, 32));
}

#[test]
fn a_drop_wipes_live_blocks() {
    let mut memory = [MaybeUninit::new(0u8); 128];
    {
        let arena = ZeroizeOnFree::new(BumpArena::new(StaticBacked::uninit(&mut memory)).unwrap());
        secret(&arena, 100);
    }
    assert!(is_clean(NonNull::from(&mut memory).cast(), 128));
    {
        let arena = BumpArena::new(StaticBacked::uninit(&mut memory)).unwrap();
        let slab = ZeroizeOnFree::new(Slab::<[u64; 4], _>::new(3, arena).unwrap());
        let _ = SlotBox::leak(slab.insert([u64::MAX; 4]).unwrap());
        core::mem::forget(slab.insert([u64::MAX; 4]));
    }
    assert!(is_clean(NonNull::from(&mut memory).cast(), 64));
}

#[test]
fn the_end_of_a_box_wipes_its_block() {
    let arena = arena();
    let boxed = arena.insert([u64::MAX; 4]).unwrap();
    let place = NonNull::from(&*boxed).cast::<u8>();
    drop(boxed);
    let again = arena.allocate(layout(32, 8)).unwrap().cast::<u8>();
    assert!(again == place && is_clean(again, 32));
    assert!(matches!(arena.insert([0u64; 400]), Err(AllocError)));
    assert_eq!(SlotBox::into_inner(arena.insert(()).unwrap()), ());
}

#[test]
fn a_growth_in_place_stays_in_place() {
    let arena = arena();
    let block = secret(&arena, 16);
    // SAFETY: the block is live.
    unsafe {
        assert!(arena.stays_in_place(block, layout(16, 8), layout(64, 8)));
        assert_eq!(arena.grow(block, layout(16, 8), layout(64, 8)).unwrap().cast(), block);
    }
}
