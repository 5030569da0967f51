#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{Allocator, Deallocator, NonZeroLayout};

use super::System;
use crate::backing::testing::layout;

fn read(block: NonNull<[u8]>, range: core::ops::Range<usize>) -> Vec<u8> {
    // SAFETY: the tests pass live blocks and ranges that were written or came zeroed.
    range.map(|index| unsafe { block.cast::<u8>().add(index).read() }).collect()
}

fn filled(wanted: NonZeroLayout, byte: u8) -> NonNull<u8> {
    let block = System.allocate(wanted).unwrap().cast::<u8>();
    // SAFETY: the block is live and this long.
    unsafe { block.write_bytes(byte, wanted.size().get()) };
    block
}

#[test]
fn blocks_are_aligned_long_enough_and_freed_through_any_instance() {
    for align in [1, 8, 16, 64, 4096] {
        let wanted = layout(100, align);
        let block = System::new().allocate(wanted).unwrap();
        assert_eq!((block.addr().get() % align, block.len()), (0, 100));
        // SAFETY: the block is live with this layout and not used again.
        unsafe { System.deallocate(block.cast(), wanted) };
    }
}

#[test]
fn zeroed_blocks_are_zero() {
    let wanted = layout(1000, 32);
    let block = System.allocate_zeroed(wanted).unwrap();
    assert_eq!(read(block, 0..1000), [0; 1000]);
    // SAFETY: the block is live with this layout and not used again.
    unsafe { System.deallocate(block.cast(), wanted) };
}

#[test]
fn resizes_keep_the_bytes_and_meet_a_changed_alignment() {
    for (from, to) in [(8, 8), (8, 64), (64, 8), (16, 4096)] {
        let (small, large) = (layout(40, from), layout(400, to));
        let block = filled(small, 5);
        // SAFETY: the block is live with the layout of the step before, and freed at the end.
        unsafe {
            let grown = System.grow_zeroed(block, small, large).unwrap();
            assert_eq!(grown.addr().get() % to, 0);
            assert_eq!(grown.len(), 400);
            assert_eq!(read(grown, 0..40), [5; 40]);
            assert_eq!(read(grown, 40..400), [0; 360]);
            let shrunk = System.shrink(grown.cast(), large, small).unwrap();
            assert_eq!(shrunk.addr().get() % from, 0);
            assert_eq!(read(shrunk, 0..40), [5; 40]);
            let grown = System.grow(shrunk.cast(), small, large).unwrap();
            assert_eq!(read(grown, 0..40), [5; 40]);
            System.deallocate(grown.cast(), large);
        }
    }
}

// The model checker ends the program where a system returns null. 32 bits of addresses may have room for half of them.
#[cfg(all(not(miri), target_pointer_width = "64"))]
#[test]
fn a_refused_resize_keeps_the_block() {
    let small = layout(40, 8);
    let block = filled(small, 6);
    let largest = layout(isize::MAX as usize - 4095, 4096);
    // SAFETY: the block is live with its layout, and freed at the end.
    unsafe {
        assert!(System.grow(block, small, layout(isize::MAX as usize - 7, 8)).is_err());
        assert!(System.grow(block, small, largest).is_err());
        assert!(System.allocate(largest).is_err());
        assert_eq!(read(NonNull::slice_from_raw_parts(block, 40), 0..40), [6; 40]);
        System.deallocate(block, small);
    }
}

// Two blocks of half of the addresses never fit beside the program, so that one of them is refused.
#[cfg(all(not(miri), not(target_pointer_width = "64")))]
#[test]
fn a_refused_resize_keeps_the_block() {
    let (small, half) = (layout(40, 8), layout(isize::MAX as usize - 7, 8));
    let kept = |block: NonNull<u8>| NonNull::slice_from_raw_parts(block, 40);
    let [first, second] = [filled(small, 6), filled(small, 7)];
    // SAFETY: each block is live with its layout until it is freed.
    unsafe {
        match System.grow(first, small, half) {
            Ok(grown) => {
                assert_eq!(read(grown, 0..40), [6; 40]);
                assert!(System.grow(second, small, half).is_err());
                assert!(System.allocate(half).is_err());
                System.deallocate(grown.cast(), half);
            }
            Err(_) => {
                assert_eq!(read(kept(first), 0..40), [6; 40]);
                System.deallocate(first, small);
            }
        }
        assert_eq!(read(kept(second), 0..40), [7; 40]);
        System.deallocate(second, small);
    }
}

#[test]
fn the_heap_has_no_bound_and_no_reset() {
    assert_eq!(System.capacity_bytes(), None);
    let mut system = System;
    assert!(system.reset().is_err());
}
