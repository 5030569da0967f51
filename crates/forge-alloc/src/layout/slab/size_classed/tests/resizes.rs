//! Growing and shrinking: in place, between classes, and to and from the backing.
#![allow(unsafe_code)]

use super::*;

fn grow(pool: &impl Allocator, ptr: NonNull<u8>, old: NonZeroLayout, new: NonZeroLayout) -> NonNull<[u8]> {
    // SAFETY: the tests grow live blocks with their layout.
    unsafe { pool.grow(ptr, old, new) }.unwrap()
}

fn grow_zeroed(
    pool: &impl Allocator,
    ptr: NonNull<u8>,
    old: NonZeroLayout,
    new: NonZeroLayout,
) -> NonNull<[u8]> {
    // SAFETY: the tests grow live blocks with their layout.
    unsafe { pool.grow_zeroed(ptr, old, new) }.unwrap()
}

fn shrink(pool: &impl Allocator, ptr: NonNull<u8>, old: NonZeroLayout, new: NonZeroLayout) -> NonNull<[u8]> {
    // SAFETY: the tests shrink live blocks with their layout.
    unsafe { pool.shrink(ptr, old, new) }.unwrap()
}

#[test]
fn a_block_grows_within_its_slot_also_when_its_class_is_full() {
    let pool = pool(1);
    let ptr = take(&pool, layout(33, 8));
    fill(ptr, 5, 33);
    let grown = grow(&pool, ptr, layout(33, 8), layout(64, 8));
    assert_eq!((grown.cast(), grown.len()), (ptr, 64));
    let zeroed = grow_zeroed(&pool, ptr, layout(40, 8), layout(60, 8));
    assert_eq!((zeroed.cast(), zeroed.len()), (ptr, 64));
    assert!(holds(ptr, 5, 33));
    // SAFETY: the block has 60 bytes, of which those from 40 on were cleared.
    assert!(holds(unsafe { ptr.add(40) }, 0, 20));
}

#[test]
fn a_block_shrinks_within_its_slot_and_is_found_there_when_it_is_freed() {
    let pool = pool(2);
    let ptr = take(&pool, layout(1000, 8));
    fill(ptr, 6, 1000);
    let shrunk = shrink(&pool, ptr, layout(1000, 8), layout(5, 1));
    assert_eq!((shrunk.cast(), shrunk.len()), (ptr, 1024));
    assert_eq!(usable(&pool, ptr, layout(5, 1)), Some(1024));
    assert!(holds(ptr, 6, 5));
    let grown = grow(&pool, ptr, layout(5, 1), layout(700, 8));
    assert_eq!(grown.cast(), ptr);
    free(&pool, shrink(&pool, ptr, layout(700, 8), layout(5, 1)).cast(), layout(5, 1));
    assert_eq!(take(&pool, layout(1000, 8)), ptr);
    assert_eq!(pool.corruption_events(), 0);
}

#[test]
fn a_block_moves_to_a_larger_class_and_to_the_backing() {
    let pool = pool(2);
    let (small, large, huge) = (layout(16, 8), layout(100, 8), layout(3000, 8));
    let ptr = take(&pool, small);
    fill(ptr, 7, 16);
    let moved = grow(&pool, ptr, small, large);
    assert_eq!(moved.len(), 128);
    assert_eq!(take(&pool, small), ptr, "the old slot is free");
    assert!(holds(moved.cast(), 7, 16));
    fill(moved.cast(), 8, 100);
    let outside = grow_zeroed(&pool, moved.cast(), large, huge);
    assert_eq!(outside.len(), 3000);
    assert!(holds(outside.cast(), 8, 100));
    // SAFETY: the block has 3000 bytes, all of which were written.
    assert!(holds(unsafe { outside.cast::<u8>().add(100) }, 0, 2900));
    assert_eq!(take(&pool, large), moved.cast(), "the old slot is free");
    let zeroed = grow_zeroed(&pool, take(&pool, layout(200, 8)), layout(200, 8), layout(300, 8));
    assert_eq!(zeroed.len(), 512);
    // SAFETY: the block has 300 bytes, of which those from 200 on were cleared.
    assert!(holds(unsafe { zeroed.cast::<u8>().add(200) }, 0, 100));
}

#[test]
fn a_block_of_the_backing_is_resized_by_the_backing() {
    let pool = pool(2);
    let (one, more) = (layout(2000, 8), layout(3000, 8));
    let ptr = take(&pool, one);
    fill(ptr, 9, 2000);
    assert_eq!(grow(&pool, ptr, one, more).cast(), ptr, "the arena grows its last block in place");
    let less = shrink(&pool, ptr, more, layout(20, 8));
    assert_eq!((less.cast(), less.len()), (ptr, 20));
    let zeroed = grow_zeroed(&pool, ptr, layout(20, 8), layout(40, 8));
    assert_eq!(zeroed.cast(), ptr);
    // SAFETY: the block has 40 bytes, of which those from 20 on were cleared.
    assert!(holds(ptr, 9, 20) && holds(unsafe { ptr.add(20) }, 0, 20));
    free(&pool, ptr, layout(40, 8));
}

#[test]
fn a_block_that_the_backing_cannot_resize_moves_into_a_class() {
    const TABLE: ClassTable<2> = ClassTable::new([8, 64]);
    let pool = SizeClassed::with_slots(heap(512), TABLE, [1, 3]).unwrap();
    let small = layout(8, 8);
    let _slot = take(&pool, small);
    let mut outside = Vec::new();
    while let Ok(block) = pool.allocate(small) {
        outside.push(block.cast::<u8>());
    }
    let first = outside[0];
    fill(first, 3, 8);
    let moved = grow(&pool, first, small, layout(48, 8));
    assert_eq!(moved.len(), 64, "the backing is full, and the class of 64 is not");
    assert!(holds(moved.cast(), 3, 8));
    fill(outside[1], 4, 8);
    let zeroed = grow_zeroed(&pool, outside[1], small, layout(48, 8));
    assert_eq!(zeroed.len(), 64);
    // SAFETY: the block has 48 bytes, all of which were written.
    assert!(holds(zeroed.cast(), 4, 8) && holds(unsafe { zeroed.cast::<u8>().add(8) }, 0, 40));
    // SAFETY: the block is live with this layout.
    let refused = unsafe { pool.grow(outside[2], small, layout(200, 8)) };
    assert!(refused.is_err(), "neither has room");
    fill(outside[2], 5, 8);
    let aligned = shrink(&pool, outside[2], small, layout(8, 64));
    assert_eq!((aligned.len(), aligned.addr().get() % 64), (64, 0));
    assert!(holds(aligned.cast(), 5, 8));
    assert_eq!(pool.corruption_events(), 0);
}

#[test]
fn a_failed_resize_leaves_the_block() {
    let pool = pool(1);
    let one = layout(64, 8);
    let ptr = take(&pool, one);
    fill(ptr, 1, 64);
    // SAFETY: the block is live with this layout.
    unsafe {
        assert!(pool.grow(ptr, one, layout(1 << 20, 8)).is_err());
        assert!(pool.grow_zeroed(ptr, one, layout(1 << 20, 8)).is_err());
        assert!(pool.shrink(ptr, one, layout(8, 1 << 20)).is_err());
    }
    assert!(holds(ptr, 1, 64));
    free(&pool, ptr, one);
    assert_eq!(take(&pool, one), ptr);
}

#[test]
fn a_resize_to_a_larger_alignment_moves_unless_the_slot_has_it() {
    let pool = pool(4);
    let plain = layout(64, 8);
    let ptr = take(&pool, plain);
    assert_eq!(grow(&pool, ptr, plain, layout(64, 64)).cast(), ptr);
    let moved = grow(&pool, ptr, layout(64, 64), layout(64, 1024));
    assert_eq!((moved.len(), moved.addr().get() % 1024), (1024, 0));
    let back = shrink(&pool, moved.cast(), layout(64, 1024), layout(10, 1));
    assert_eq!(back, moved, "a slot is kept while it fits");
    free(&pool, back.cast(), layout(10, 1));
    assert_eq!(take(&pool, layout(1024, 8)), back.cast());
}

#[test]
fn a_resize_of_what_is_no_slot_is_refused() {
    let pool = pool(2);
    let one = layout(64, 8);
    // SAFETY: the address lies in the slot.
    let inside = unsafe { take(&pool, one).add(4) };
    // SAFETY: not sound for a program: the pool is to notice that no block starts there.
    unsafe {
        reported("free of a pointer", || assert!(pool.grow(inside, one, layout(65, 8)).is_err()));
        reported("free of a pointer", || assert!(pool.grow_zeroed(inside, one, layout(65, 8)).is_err()));
        reported("free of a pointer", || assert!(pool.shrink(inside, one, layout(5, 8)).is_err()));
    }
    reported("free of a pointer", || assert_eq!(usable(&pool, inside, one), None));
    assert_eq!(pool.corruption_events(), 4);
}
