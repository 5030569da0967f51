use forge_alloc_core::{FreelistProtection, NoProtection, OffSlab, Tracked};
use forge_trace::random::Random;

use super::{Shape, block_align, block_layout, entries_offset, map_offset};

/// Compares the arithmetic with a division, for offsets near slots and for any word.
fn agrees_with_a_division<T>(stride: usize, align: usize) {
    assert_eq!((Shape::<T>::STRIDE, Shape::<T>::ALIGN), (stride, align));
    let mut random = Random::new(stride as u64);
    let slots = (u32::MAX as usize).min(isize::MAX as usize / stride);
    let number = |offset: usize| Shape::<T>::number_at(offset);
    for _ in 0..if cfg!(miri) { 100 } else { 20_000 } {
        let slot = random.bits() as usize % slots;
        assert_eq!(number(slot * stride), slot);
        let inside = 1 + random.bits() as usize % (stride - 1);
        assert!(number(slot * stride + inside) >= slots, "{slot} {inside}");
        let any = random.bits() as usize;
        let exact = any % stride == 0 && any / stride < slots;
        assert_eq!(number(any) < slots, exact, "{any:#x}");
    }
    for back in 1..=4 * stride {
        assert!(number(back.wrapping_neg()) >= slots, "an offset before the first slot");
    }
}

#[test]
fn an_offset_names_a_slot_exactly_if_one_starts_there() {
    #[repr(align(64))]
    struct Wide([u8; 65]);
    let _ = Wide([0; 65]).0;
    agrees_with_a_division::<u8>(8, 4);
    agrees_with_a_division::<u64>(8, align_of::<u64>());
    agrees_with_a_division::<[u32; 3]>(12, 4);
    agrees_with_a_division::<[u8; 13]>(16, 4);
    agrees_with_a_division::<[u8; 24]>(24, 4);
    agrees_with_a_division::<[u8; 25]>(28, 4);
    agrees_with_a_division::<[u64; 8]>(64, align_of::<u64>());
    agrees_with_a_division::<[u16; 499]>(1000, 4);
    agrees_with_a_division::<Wide>(128, 64);
}

/// Checks that the parts of a block follow each other, aligned, and end where the block does.
fn parts_follow_each_other<T, M: FreelistProtection>() {
    for capacity in (1..100).chain([4096, 65_537]) {
        let layout = block_layout::<T, M>(capacity).unwrap();
        let count = capacity as usize;
        let slots = count * Shape::<T>::STRIDE;
        let (entries, map) = (entries_offset::<T>(count), map_offset::<T, M>(count));
        assert_eq!(layout.align().get(), block_align::<T, M>());
        if M::OFF_SLAB {
            assert!(entries >= slots && entries % align_of::<usize>() == 0);
            assert_eq!(map, entries + count * size_of::<usize>());
        } else {
            assert_eq!(map, slots);
        }
        assert_eq!(map % align_of::<u32>(), 0);
        let words = if M::TRACKS { count.div_ceil(32) } else { 0 };
        assert_eq!(layout.size().get(), map + 4 * words);
    }
}

#[test]
fn the_parts_of_a_block_follow_each_other() {
    parts_follow_each_other::<[u32; 3], NoProtection>();
    parts_follow_each_other::<[u32; 3], OffSlab>();
    parts_follow_each_other::<[u32; 3], Tracked>();
    parts_follow_each_other::<[u64; 3], Tracked<OffSlab>>();
}

#[test]
fn a_block_that_is_empty_or_too_large_has_no_layout() {
    assert!(block_layout::<u64, NoProtection>(0).is_none());
    // So large that some capacity overflows, and small enough to be a type on this target.
    const LARGE: usize = if usize::BITS > 32 { 1 << 40 } else { 1 << 20 };
    assert!(block_layout::<[u8; LARGE], NoProtection>(u32::MAX).is_none());
    assert!(block_layout::<[u8; LARGE], Tracked<OffSlab>>(u32::MAX).is_none());
    assert!(block_layout::<[u8; LARGE], Tracked<OffSlab>>(2).is_some());
}
