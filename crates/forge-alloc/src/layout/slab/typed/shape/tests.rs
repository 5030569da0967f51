#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{FixedRange, FreelistProtection, NoProtection, OffSlab, Tracked};
use forge_trace::random::Random;

use super::{ENTRY, Keeps, LINE, PERIOD, Plan, Shape};

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

/// A backing as a type only: its memory is never asked for.
struct Range<const GUARDED: bool, const SPLIT: bool>;

// SAFETY: it is empty, so nothing may be touched.
unsafe impl<const G: bool, const S: bool> FixedRange for Range<G, S> {
    const GUARDED: bool = G;
    const SPLIT: bool = S;

    fn base(&self) -> NonNull<u8> {
        NonNull::dangling()
    }

    fn size(&self) -> usize {
        0
    }
}

type Plain = Range<false, false>;

fn plan<T, B: FixedRange, M: FreelistProtection>(capacity: u32, room: Option<usize>) -> Option<Plan> {
    Plan::new::<T, B, M>(capacity, room)
}

/// Checks that the parts of a block follow each other, aligned, at most two lines apart, and end where the block does.
fn parts_follow_each_other<T, M: FreelistProtection>() {
    for capacity in (1..100).chain([4096, 65_537]) {
        let plan = plan::<T, Plain, M>(capacity, None).unwrap();
        let count = capacity as usize;
        let slots = count * Shape::<T>::STRIDE;
        assert_eq!((plan.slots, plan.split), (0, 0));
        assert_eq!(plan.block.align().get(), Plan::align::<T, Plain, M>());
        if M::OFF_SLAB {
            assert!((slots..=slots + LINE + ENTRY).contains(&plan.entries));
            assert_eq!(plan.entries % align_of::<usize>(), 0);
        }
        let before = if M::OFF_SLAB { plan.entries + count * size_of::<usize>() } else { slots };
        let skipped = plan.map - before;
        assert!(skipped <= if M::TRACKS { 2 * LINE } else { 0 } && skipped % LINE == 0);
        assert_eq!(plan.block.size().get(), plan.map + if M::TRACKS { count } else { 0 });
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
fn over_a_guarded_backing_the_last_slot_ends_where_the_block_does() {
    const ROOM: usize = 4096;
    for capacity in 1..=ROOM as u32 / 16 {
        let plan = plan::<[u32; 3], Range<true, false>, Tracked<OffSlab>>(capacity, Some(ROOM));
        let slots = capacity as usize * 12;
        let aside = capacity as usize * (size_of::<usize>() + 1);
        if slots + aside > ROOM {
            assert!(plan.is_none(), "{capacity}");
            continue;
        }
        let plan = plan.unwrap();
        assert_eq!((plan.block.size().get(), plan.slots + slots), (ROOM, ROOM));
        assert!(plan.entries == 0 && plan.map + capacity as usize <= plan.slots);
    }
}

#[test]
fn over_a_split_backing_the_block_holds_slots_only() {
    let plan = plan::<u64, Range<false, true>, NoProtection>(100, None).unwrap();
    assert_eq!((plan.block.size().get(), plan.slots, plan.entries), (800, 0, LINE));
    assert_eq!((plan.map, plan.split), (LINE + 100 * size_of::<usize>(), plan.map + 100));
    let both = Plan::new::<u64, Range<true, true>, NoProtection>(100, Some(8192)).unwrap();
    // At the end of its block the first slot is in another line of its page than the list.
    assert_eq!((both.block.size().get(), both.slots, both.entries), (8192, 8192 - 800, 0));
    assert_eq!(both.split, plan.split - LINE);
    const { assert!(Keeps::<Range<false, true>, NoProtection>::TRACKS) };
}

/// Checks that no two of the first entry, the first state and the first slot are at the same offset in different pages.
fn first_ones_are_apart<B: FixedRange>(room: Option<usize>) {
    for capacity in (1..100).chain([512, 1024, 4096]) {
        let plan = plan::<u64, B, Tracked<OffSlab>>(capacity, room).unwrap();
        let alias = |one: usize, other: usize, elsewhere| {
            one % PERIOD == other % PERIOD && (elsewhere || one != other)
        };
        assert!(!alias(plan.entries, plan.slots, B::SPLIT), "{capacity}");
        assert!(!alias(plan.map, plan.slots, B::SPLIT), "{capacity}");
        assert!(!alias(plan.map, plan.entries, false), "{capacity}");
    }
}

#[test]
fn the_first_ones_of_the_parts_are_apart() {
    first_ones_are_apart::<Plain>(None);
    first_ones_are_apart::<Range<false, true>>(None);
    first_ones_are_apart::<Range<true, true>>(Some(1 << 17));
    first_ones_are_apart::<Range<true, false>>(Some(1 << 17));
}

#[test]
fn a_small_block_has_no_gaps() {
    let plan = plan::<u64, Plain, Tracked<OffSlab>>(100, None).unwrap();
    assert_eq!((plan.entries, plan.map, plan.block.size().get()), (800, 1600, 1700));
}

#[test]
fn a_block_that_is_empty_or_too_large_has_no_layout() {
    assert!(plan::<u64, Plain, NoProtection>(0, None).is_none());
    assert!(plan::<u64, Range<true, false>, NoProtection>(0, Some(64)).is_none());
    assert!(plan::<u64, Range<true, true>, NoProtection>(9, Some(64)).is_none());
    // So large that some capacity overflows, and small enough to be a type on this target.
    const LARGE: usize = if usize::BITS > 32 { 1 << 40 } else { 1 << 20 };
    assert!(plan::<[u8; LARGE], Plain, NoProtection>(u32::MAX, None).is_none());
    assert!(plan::<[u8; LARGE], Plain, Tracked<OffSlab>>(u32::MAX, None).is_none());
    assert!(plan::<[u8; LARGE], Plain, Tracked<OffSlab>>(2, None).is_some());
}
