#![allow(unsafe_code)]

use forge_alloc_core::{FixedRange, NonZeroLayout};

use super::{FrameStack, RECORD};
use crate::InlineBacked;

fn layout(size: usize, align: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, align).unwrap()
}

#[test]
fn every_lower_block_is_found_by_its_address() {
    const DEPTH: usize = 33;
    for victim in 0..DEPTH {
        let range = InlineBacked::<4096>::new();
        let frames = FrameStack::new(range.size());
        let blocks: Vec<_> = (0..DEPTH)
            .map(|n| frames.push(&range, layout(1 + n % 7, 1 << (n % 4))).unwrap().cast())
            .collect();
        let ends: Vec<_> =
            (0..DEPTH).map(|n| blocks[n].addr().get() - range.base().addr().get() + 1 + n % 7).collect();
        // SAFETY: each block is freed once: the victim first, the others from the top.
        unsafe {
            frames.free(&range, blocks[victim]);
            for n in (0..DEPTH).rev().filter(|&n| n != victim) {
                let below = if n > 0 && n - 1 == victim { n.checked_sub(2) } else { n.checked_sub(1) };
                frames.free(&range, blocks[n]);
                assert_eq!(frames.offset(), below.map_or(0, |n| ends[n]));
            }
        }
        assert_eq!(frames.offset(), 0);
        assert_eq!(frames.room(), 4096 - RECORD);
    }
}

#[test]
fn all_dead_blocks_go_when_the_last_live_one_goes() {
    let range = InlineBacked::<4096>::new();
    let frames = FrameStack::new(range.size());
    let blocks: Vec<_> = (0..100).map(|_| frames.push(&range, layout(5, 1)).unwrap().cast()).collect();
    // SAFETY: each block is freed once.
    unsafe {
        for &block in &blocks[..99] {
            frames.free(&range, block);
        }
        assert_eq!(frames.offset(), 500);
        frames.free(&range, blocks[99]);
    }
    assert_eq!(frames.offset(), 0);
}

#[test]
fn records_and_blocks_never_meet() {
    let range = InlineBacked::<64>::new();
    let frames = FrameStack::new(range.size());
    let mut count = 0;
    while frames.push(&range, layout(1, 1)).is_ok() {
        count += 1;
    }
    assert_eq!(count, 64 / (1 + RECORD));
    assert!(frames.offset() + count * RECORD <= 64);
}
