#![allow(unsafe_code)]

use core::ptr::NonNull;
use std::boxed::Box;
use std::vec::Vec;

use super::CacheJitter;
use crate::{
    Allocator, BumpArena, Deallocator, FixedRange, HeapBytes, InlineBacked, NonZeroLayout, NullBacked, Slab,
};

type Jitter = CacheJitter<BumpArena<HeapBytes>>;

fn layout(size: usize, align: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, align).unwrap()
}

fn jitter(associativity: usize, seed: u64) -> Jitter {
    let arena = BumpArena::new(HeapBytes::with_align(1 << 16, 64).unwrap()).unwrap();
    CacheJitter::with_params(arena, 64, associativity, seed).unwrap()
}

/// Returns the distance of a fresh block in lines, and frees it.
fn distance(jitter: &Jitter) -> usize {
    let block = jitter.allocate(layout(40, 8)).unwrap().cast::<u8>();
    let lines = (block.addr().get() - jitter.base().addr().get()) / 64 - 1;
    assert_eq!(block.addr().get() % 64, 0);
    assert_eq!(jitter.inner().allocated(), (lines + 1) * 64 + 40);
    // SAFETY: the block is live.
    unsafe { jitter.deallocate(block, layout(40, 8)) };
    assert_eq!(jitter.inner().allocated(), 0);
    lines
}

#[test]
fn every_distance_occurs_and_takes_only_what_it_needs() {
    let jitter = jitter(5, 1);
    let mut counts = [0; 5];
    (0..200).for_each(|_| counts[distance(&jitter)] += 1);
    assert!(counts.iter().all(|count| *count > 10), "{counts:?}");
}

#[test]
fn the_same_seed_gives_the_same_distances() {
    let sequence = |seed| {
        let jitter = jitter(64, seed);
        (0..20).map(|_| distance(&jitter)).collect::<Vec<_>>()
    };
    assert_eq!(sequence(7), sequence(7));
    assert_ne!(sequence(7), sequence(8));
    assert_eq!(sequence(0), sequence(0x9E37_79B9_7F4A_7C15));
}

#[test]
fn parameters_are_checked() {
    let make = |line, associativity| CacheJitter::with_params(NullBacked, line, associativity, 1);
    for (line, associativity) in [(0, 4), (4, 4), (48, 4), (64, 0), (64, 65536), (1 << (usize::BITS - 1), 2)]
    {
        assert!(make(line, associativity).is_none(), "{line} {associativity}");
    }
    for (line, associativity) in [(8, 65535), (64, 1), (4096, 8)] {
        let jitter = make(line, associativity).unwrap();
        assert_eq!((jitter.cache_line_size(), jitter.associativity()), (line, associativity));
    }
}

#[cfg(feature = "std")]
#[test]
fn random_seeds_differ() {
    let header = |jitter: Jitter| {
        let block = jitter.allocate(layout(8, 8)).unwrap().cast::<u8>();
        // SAFETY: the header is in front of the live block.
        unsafe { block.sub(8).cast::<u64>().read() }
    };
    let make = || CacheJitter::new(BumpArena::new(HeapBytes::new(4096).unwrap()).unwrap(), 64, 1).unwrap();
    assert_ne!(header(make()) >> 16, header(make()) >> 16);
}

#[test]
fn a_block_above_the_alignment_of_a_line_is_the_inner_one() {
    let jitter = jitter(8, 1);
    let large = layout(128, 128);
    let block = jitter.allocate(large).unwrap().cast::<u8>();
    let start = block.addr().get() - jitter.base().addr().get();
    assert_eq!(jitter.inner().allocated(), start + 128);
    // SAFETY: the block is live, of the layout that each step leaves it with.
    unsafe {
        block.write_bytes(3, 128);
        let smaller = jitter.shrink(block, large, layout(64, 8)).unwrap().cast::<u8>();
        assert!(smaller != block && smaller.cast::<[u8; 64]>().read() == [3; 64]);
        jitter.deallocate(smaller, layout(64, 8));
    }
}

#[test]
fn a_resize_in_place_keeps_the_header() {
    let jitter = jitter(8, 2);
    let block = jitter.allocate_zeroed(layout(40, 8)).unwrap().cast::<u8>();
    // SAFETY: the block is live, of the layout that each step leaves it with.
    unsafe {
        let header = block.sub(8).cast::<u64>();
        let before = header.read();
        let longer = jitter.grow_zeroed(block, layout(40, 8), layout(400, 8)).unwrap();
        assert_eq!((longer.cast(), longer.len(), header.read()), (block, 400, before));
        let shorter = jitter.shrink(block, layout(400, 8), layout(1, 1)).unwrap().cast::<u8>();
        assert_eq!((shorter, header.read()), (block, before));
        jitter.deallocate(block, layout(1, 1));
        assert_eq!(header.read(), 0);
    }
    assert_eq!(jitter.inner().allocated(), 0);
}

#[test]
fn blocks_of_before_a_move_may_be_freed_at_their_offset() {
    /// A slot of two lines of 64 bytes, aligned to 16 on every processor.
    #[repr(align(16))]
    struct Slot {
        _bytes: [u8; 128],
    }

    let slab = Slab::<Slot, _>::new(4, InlineBacked::<512>::new()).unwrap();
    let jitter = CacheJitter::with_params(slab, 16, 3, 1).unwrap();
    let blocks = [(); 3].map(|()| jitter.allocate(layout(60, 8)).unwrap().cast::<u8>());
    let offsets = blocks.map(|block: NonNull<u8>| block.addr().get() - jitter.base().addr().get());
    let moved = core::hint::black_box(Box::new(jitter));
    // SAFETY: a range promises that the blocks may be freed where they are now.
    offsets.iter().for_each(|offset| unsafe { moved.deallocate(moved.base().add(*offset), layout(60, 8)) });
    assert!(moved.inner().is_empty());
}

#[test]
fn inline_storage_cannot_align_to_a_line() {
    let jitter = CacheJitter::with_params(InlineBacked::<1024>::new(), 64, 2, 1).unwrap();
    assert!(jitter.allocate(layout(8, 8)).is_err());
}
