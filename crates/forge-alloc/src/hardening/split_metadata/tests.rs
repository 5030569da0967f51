#![allow(unsafe_code)]

use forge_alloc_core::{AllocError, Allocator, FixedRange, NonZeroLayout, OsBacked};
use forge_os::sim::{SimCall, SimOs};

use super::SplitMetadata;
use crate::{BumpArena, GuardPage, InlineBacked, MmapBacked, MmapFlags, Slab};

const PAGE: usize = 4096;

fn mapping(os: SimOs, size: usize) -> MmapBacked<SimOs> {
    MmapBacked::map_on(os, size, MmapFlags::NONE).unwrap()
}

fn split(os: SimOs, data: usize, meta: usize) -> SplitMetadata<MmapBacked<SimOs>, SimOs> {
    SplitMetadata::with_meta(mapping(os, data), mapping(os, meta))
}

fn layout(size: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, 8).unwrap()
}

#[test]
fn everything_but_the_split_span_is_the_data_regions() {
    let os = SimOs::new(PAGE);
    let mut pair = split(os, 4 * PAGE, PAGE);
    assert_eq!((pair.base(), pair.size()), (pair.data().base(), 4 * PAGE));
    assert_eq!((pair.base_ptr(), pair.region_size()), (pair.base(), 4 * PAGE));
    assert_eq!(pair.capacity_bytes(), Some(4 * PAGE));
    let block = pair.allocate_zeroed(layout(100)).unwrap();
    assert!(pair.contains(block.cast()) && !pair.contains(pair.meta_base()));
    assert_eq!((pair.can_reset(), pair.reset(), pair.data().allocated()), (true, Ok(()), 0));
    assert_eq!((pair.meta().allocated(), pair.meta_size()), (0, PAGE));
    assert_eq!(pair.claim(), Ok(()));
    assert_eq!(pair.allocate(layout(8)), Err(AllocError));
}

#[test]
fn the_metadata_is_taken_once_and_hands_nothing_out_then() {
    let mut pair = split(SimOs::new(PAGE), PAGE, PAGE);
    assert_eq!(pair.claim_split(PAGE), Ok(()));
    assert_eq!(pair.split_base(), pair.meta_base());
    assert_eq!(pair.meta().allocate(layout(8)), Err(AllocError));
    assert_eq!(pair.claim_split(1), Err(AllocError));
    assert_eq!(pair.claim_split(2 * PAGE), Err(AllocError));
    assert_eq!(pair.meta_size(), PAGE);
}

#[test]
fn metadata_in_use_is_not_taken() {
    let mut pair = split(SimOs::new(PAGE), PAGE, PAGE);
    pair.meta().allocate(layout(8)).unwrap();
    assert_eq!(pair.claim_split(8), Err(AllocError));
    assert_eq!(pair.claim_split(2 * PAGE), Err(AllocError));
    assert_eq!((pair.meta_size(), pair.meta().allocated()), (PAGE, 8), "nothing has changed");
}

#[test]
fn a_region_that_is_too_short_is_replaced_by_one_between_guards() {
    let os = SimOs::new(PAGE);
    let mut pair = split(os, PAGE, PAGE);
    os.fail_nth(Some(SimCall::Map), 1, 12);
    assert_eq!(pair.claim_split(PAGE + 1), Err(AllocError));
    assert_eq!(pair.meta_size(), PAGE, "a refusal changes nothing");
    assert_eq!(pair.claim_split(PAGE + 1), Ok(()));
    assert_eq!((pair.meta_size(), os.live_mappings()), (2 * PAGE, 2));
    let at = |offset: isize| {
        pair.meta_base()
            .map_addr(|base| base.saturating_add(0).get().wrapping_add_signed(offset).try_into().unwrap())
    };
    for guard in [at(-1), at(2 * PAGE as isize)] {
        assert!(os.page(guard).is_some_and(|page| page.guard));
    }
    assert_eq!(pair.claim_split(1), Err(AllocError));
    drop(pair);
    assert_eq!(os.live_mappings(), 0);
}

#[test]
fn a_slab_keeps_nothing_but_values_in_its_slots() {
    let os = SimOs::new(PAGE);
    let slab = Slab::<u64, _>::new(64, split(os, PAGE, PAGE)).unwrap();
    let slots = core::array::from_fn::<_, 64, _>(|_| slab.allocate(layout(8)).unwrap().cast::<u8>());
    for slot in slots {
        // SAFETY: the slots are live until they are freed; a free slot is overwritten, which is what must not matter.
        unsafe {
            crate::Deallocator::deallocate(&slab, slot, layout(8));
            slot.write_bytes(0xFF, 8);
        }
    }
    for slot in slots.iter().rev() {
        assert_eq!(slab.allocate(layout(8)).unwrap().cast(), *slot);
    }
    assert_eq!(slab.corruption_events(), 0);
}

#[test]
fn bytes_inside_the_value_may_move_while_the_metadata_stays() {
    let pair = SplitMetadata::with_meta(InlineBacked::<256>::new(), mapping(SimOs::new(PAGE), PAGE));
    let slab = Box::new(Slab::<u64, _>::new(16, pair).unwrap());
    let meta = slab.backing().meta_base();
    drop(slab.insert(1).unwrap());
    let slab = *slab;
    assert_eq!(*slab.insert(2).unwrap(), 2);
    assert_eq!(slab.backing().meta_base(), meta);
}

#[test]
fn guards_and_an_arena_go_over_the_data_side() {
    let os = SimOs::new(PAGE);
    let guarded = GuardPage::new(split(os, 4 * PAGE, PAGE), PAGE).unwrap();
    let arena = BumpArena::new(guarded).unwrap();
    assert_eq!(arena.allocate(layout(2 * PAGE)).unwrap().len(), 2 * PAGE);
    assert!(arena.allocate(layout(8)).is_err());
}

#[cfg(not(miri))]
#[test]
fn a_region_of_no_bytes_is_an_error() {
    let data = || MmapBacked::new(PAGE).unwrap();
    assert!(SplitMetadata::new(data(), 0).is_err());
    assert!(SplitMetadata::new(data(), usize::MAX).is_err());
    let pair = SplitMetadata::new(data(), 1).unwrap();
    assert_eq!(pair.meta_size(), crate::page_size());
}
