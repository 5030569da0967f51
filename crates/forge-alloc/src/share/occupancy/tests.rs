#![allow(unsafe_code)]

use core::alloc::Layout;
use core::mem::MaybeUninit;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use forge_alloc_core::{ByteAllocator, HeapBlock, Region};

use super::{Occupancy, Shares, Span};
use crate::share::testing::{GRANULE, ListHeap, region_of};

#[repr(align(64))]
struct Pool<const N: usize>([MaybeUninit<u8>; N]);

/// Returns the shares of a span of `size` bytes with `blocks` of these lengths, taken and free in turn.
fn drawn(width: usize, blocks: &[(usize, bool)]) -> String {
    struct Shown(usize, Vec<HeapBlock>);
    impl core::fmt::Display for Shown {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            let size = self.1.iter().map(|block| block.size).sum();
            let span = Span { start: 100, size, ..Span::default() };
            let mut shares = Shares { span, width: self.0, share: 0, taken: 0 };
            self.1.iter().try_for_each(|block| shares.pass(f, *block))
        }
    }
    let mut at = 100;
    let blocks = blocks
        .iter()
        .map(|(size, free)| {
            at += size;
            HeapBlock::new(at - size, *size, *free)
        })
        .collect();
    Shown(width, blocks).to_string()
}

#[test]
fn a_share_is_full_in_part_or_free() {
    assert_eq!(drawn(4, &[(4, false), (4, true)]), "##..");
    assert_eq!(drawn(4, &[(3, false), (5, true)]), "#+..");
    assert_eq!(drawn(4, &[(1, true), (1, false), (5, true), (1, false)]), "+..+");
    assert_eq!(drawn(3, &[(1, false), (1, false), (1, false), (1, false), (1, true)]), "##+");
    assert_eq!(drawn(1, &[(1, false), (1, true)]), "+");
}

#[test]
fn every_width_gives_that_many_characters() {
    for width in 1..40 {
        for blocks in [&[(7, false)][..], &[(3, true), (5, false), (1, true)], &[(1, false), (100, true)]] {
            assert_eq!(drawn(width, blocks).len(), width);
        }
    }
}

#[test]
fn every_span_of_a_heap_is_drawn() {
    let mut pool = Pool([MaybeUninit::uninit(); 16 * 64]);
    let (low, high) = region_of(&mut pool.0).split_at(8 * 64).unwrap();
    let (low_base, high_base) = (low.base().addr().get(), high.base().addr().get());
    let mut heap = ListHeap::new();
    let layout = |units: usize| Layout::from_size_align(units * 64, 64).unwrap();
    // The last granule of the low region is left out, so that there are two spans.
    let (low, _gap): (Region, Region) = low.split_at(8 * 64 - GRANULE).unwrap();
    heap.add_region(low).unwrap();
    heap.add_region(high).unwrap();
    let first = heap.alloc(layout(2)).unwrap();
    heap.alloc(layout(1)).unwrap();
    // SAFETY: the block is live, and this is its layout.
    unsafe { heap.dealloc(first, layout(2)) };
    let low_size = 8 * 64 - GRANULE;
    let expected = format!(
        "{low_base:#x} + {low_size}  {} % taken  largest free {}\n[..++....]\n{high_base:#x} + 512  0 % taken  largest free 512\n[........]\n",
        64 * 100 / low_size,
        low_size - 192,
    );
    assert_eq!(Occupancy::of(&heap).width(8).to_string(), expected);
    assert_eq!(format!("{:?}", Occupancy::of(&heap).width(8)), expected);
}

#[test]
fn what_shows_no_blocks_is_a_level() {
    assert_eq!(Occupancy::of(&ListHeap::new()).width(4).to_string(), "0 bytes  0 % taken\n[....]\n");
    assert_eq!(Occupancy::level(5, 8).width(4).to_string(), "8 units  62 % taken\n[##+.]\n");
    assert_eq!(Occupancy::level(usize::MAX, usize::MAX).width(0).to_string().lines().nth(1), Some("[#]"));
}
