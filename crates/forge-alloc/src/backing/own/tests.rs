#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{AllocError, FixedRange};

use super::OwnCursor;
use crate::HeapBytes;
use crate::backing::testing::layout;

fn bytes(block: NonNull<[u8]>) -> Vec<u8> {
    // SAFETY: the tests pass live blocks whose bytes were written or came zeroed.
    unsafe { block.as_ref() }.to_vec()
}

/// Zero bytes, as a system maps them.
fn zeroes(size: usize) -> HeapBytes {
    HeapBytes::new_zeroed(size).unwrap()
}

/// Proves which bytes were cleared: the storage is soiled behind the cursor's back first.
fn soiled(size: usize) -> HeapBytes {
    let range = zeroes(size);
    // SAFETY: the bytes are ours and no block exists.
    unsafe { range.base().write_bytes(0xEE, size) };
    range
}

#[test]
fn bytes_that_were_never_handed_out_are_not_cleared() {
    let range = soiled(64);
    let own = OwnCursor::<{ usize::MAX }>::over_zeroes();
    let block = own.allocate_zeroed(&range, layout(64, 1)).unwrap();
    assert_eq!(bytes(block), [0xEE; 64], "a fresh block is not written");
}

#[test]
fn bytes_of_unknown_content_are_cleared() {
    let range = soiled(64);
    let own = OwnCursor::<{ usize::MAX }>::over_unknown();
    let block = own.allocate_zeroed(&range, layout(64, 1)).unwrap();
    assert_eq!(bytes(block), [0; 64]);
}

#[test]
fn only_the_used_part_of_a_block_is_cleared() {
    let range = soiled(64);
    let mut own = OwnCursor::<{ usize::MAX }>::over_zeroes();
    let _ = own.allocate(&range, layout(24, 1)).unwrap();
    assert_eq!(own.reset(), Ok(()));
    let block = own.allocate_zeroed(&range, layout(40, 1)).unwrap();
    let mut expected = [0; 40];
    expected[24..].fill(0xEE);
    assert_eq!(bytes(block), expected);
}

#[test]
fn freeing_and_shrinking_are_remembered_as_use() {
    for free in [true, false] {
        let range = soiled(64);
        let own = OwnCursor::<{ usize::MAX }>::over_zeroes();
        let block = own.allocate(&range, layout(32, 1)).unwrap().cast();
        // SAFETY: the block is live with this layout; freed, it is not used again.
        unsafe {
            if free {
                own.free(&range, block, layout(32, 1));
            } else {
                let _ = own.shrink(&range, block, layout(32, 1), layout(8, 1)).unwrap();
            }
        }
        let start = own.allocated();
        let block = own.allocate_zeroed(&range, layout(40 - start, 1)).unwrap();
        let mut expected = [0; 40];
        expected[32..].fill(0xEE);
        assert_eq!(bytes(block), expected[start..]);
    }
}

#[test]
fn growing_with_zeroes_keeps_the_old_bytes_and_clears_used_ones() {
    let range = soiled(64);
    let own = OwnCursor::<{ usize::MAX }>::over_zeroes();
    let block = own.allocate(&range, layout(32, 1)).unwrap().cast::<u8>();
    // SAFETY: the block is live with the layout given in each step.
    let grown = unsafe {
        block.write_bytes(7, 32);
        let _ = own.shrink(&range, block, layout(32, 1), layout(8, 1)).unwrap();
        own.grow_zeroed(&range, block, layout(8, 1), layout(48, 1)).unwrap()
    };
    let mut expected = [0; 48];
    expected[..8].fill(7);
    expected[32..].fill(0xEE);
    assert_eq!(bytes(grown), expected);
}

#[test]
fn an_alignment_above_the_bound_is_refused_even_where_the_address_has_it() {
    let range = HeapBytes::with_align(256, 64).unwrap();
    let own = OwnCursor::<16>::over_unknown();
    assert!(own.allocate(&range, layout(8, 32)).is_err());
    assert!(own.allocate_zeroed(&range, layout(8, 32)).is_err());
    let block = own.allocate(&range, layout(8, 16)).unwrap().cast();
    // SAFETY: the block is live with this layout.
    unsafe {
        assert!(own.grow(&range, block, layout(8, 16), layout(16, 64)).is_none());
        assert!(own.grow_zeroed(&range, block, layout(8, 16), layout(16, 64)).is_none());
        assert!(own.shrink(&range, block, layout(8, 16), layout(4, 64)).is_none());
        assert!(own.grow(&range, block, layout(8, 16), layout(16, 16)).is_some());
    }
}

#[test]
fn an_empty_range_can_be_claimed_once() {
    let mut own = OwnCursor::<{ usize::MAX }>::over_unknown();
    assert_eq!(own.claim(0), Ok(()));
    assert_eq!(own.claim(0), Err(AllocError));
    assert_eq!(own.reset(), Err(AllocError));
}
