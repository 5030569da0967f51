#![cfg(not(miri))]
#![allow(unsafe_code)]

use forge_alloc_core::{Allocator, FixedRange, NonZeroLayout, OsBacked, Tracked};

use super::{CryptoSlab, HardenedSlab};
use crate::{OffSlab, page_size};

#[test]
fn the_last_slot_ends_at_the_guard_and_every_slot_is_served() {
    fn check<T>(count: usize) {
        let slab = HardenedSlab::<T>::with_slots(count).unwrap();
        let end = slab.base().addr().get() + count * HardenedSlab::<T>::STRIDE;
        let guard = slab.backing().base().addr().get() + slab.backing().size();
        // Pages are the alignment of a guard: a type that needs more may leave padding in front of it.
        assert!(end == guard || align_of::<T>() > page_size() && guard - end < align_of::<T>());
        let layout = NonZeroLayout::for_type::<T>().unwrap();
        for _ in 0..count {
            let slot = slab.allocate(layout).unwrap();
            // SAFETY: the slot is ours, as long as it says.
            unsafe { slot.cast::<u8>().write_bytes(0xAA, slot.len()) };
        }
        assert!(slab.allocate(layout).is_err());
    }
    #[repr(align(16384))]
    struct Aligned(#[allow(dead_code)] u8);
    for count in [1, 2, 63, 64, 65, 1000] {
        check::<u8>(count);
        check::<[u8; 100]>(count);
        check::<[u64; 513]>(count);
        check::<u128>(count);
    }
    check::<Aligned>(5);
}

#[test]
fn no_metadata_is_mapped_twice() {
    // A word and a byte for each slot, and some lines, fill a page of 4 KiB with one of these.
    for count in (1..500).step_by(13).chain([10_000]) {
        let slab = HardenedSlab::<u64, _>::with_slots_under(count, Tracked(OffSlab)).unwrap();
        let needed = count * size_of::<usize>();
        let meta = slab.backing().inner().meta_size();
        assert!(meta >= needed && meta <= (needed + count + 256).next_multiple_of(page_size()));
    }
}

#[test]
fn impossible_counts_are_errors() {
    for count in [0, usize::MAX, usize::MAX / 8, u32::MAX as usize + 1] {
        let Err(error) = HardenedSlab::<u64>::with_slots(count) else { panic!("{count}") };
        assert_eq!(error.call(), "mmap");
        assert!(CryptoSlab::<u64>::with_slots(count).is_err());
    }
}

#[test]
fn the_locked_bytes_are_the_slots_only() {
    match CryptoSlab::<[u8; 64]>::with_slots(100) {
        Ok(slab) => {
            let region = slab.inner().backing().inner().data();
            assert_eq!(region.size(), 6400usize.next_multiple_of(page_size()));
            assert_eq!(region.region_size(), region.size() + 2 * page_size());
            assert_eq!(slab.inner().backing().base(), region.base());
            assert_eq!(*slab.insert([5_u8; 64]).unwrap(), [5; 64]);
        }
        Err(error) => assert!(error.to_string().contains("RLIMIT_MEMLOCK"), "{error}"),
    }
}
