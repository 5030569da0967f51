//! Slabs whose bookkeeping is out of reach, under every policy, and slabs whose every block ends at a guard.
#![allow(unsafe_code)]

use core::ptr::NonNull;
use std::panic::{AssertUnwindSafe, catch_unwind};

use forge_alloc::{
    Allocator, Deallocator, GuardedSlab, HardenedSlab, MmapBacked, NonZeroLayout, Slab, SplitMetadata,
};

use super::dies;

const DOUBLE_FREE: &str = "forge-alloc: double free of a slab slot";
const FOREIGN_FREE: &str = "forge-alloc: free of a pointer that this slab did not issue";
const WRONG_LAYOUT: &str =
    "forge-alloc: a block was freed with another size or alignment than it was allocated with";

type Value = [u8; 48];

fn layout() -> NonZeroLayout {
    NonZeroLayout::for_type::<Value>().unwrap()
}

fn hardened() -> HardenedSlab<Value> {
    HardenedSlab::with_slots(64).unwrap()
}

fn guarded() -> GuardedSlab<Value> {
    GuardedSlab::new(64).unwrap()
}

fn plain() -> Slab<Value, MmapBacked> {
    Slab::new(64, MmapBacked::new(1 << 16).unwrap()).unwrap()
}

/// Frees a block, and then what `attack` makes of its address.
fn free_then(slab: &impl Allocator, attack: impl Fn(NonNull<u8>) -> NonNull<u8>) {
    let blocks = [(); 3].map(|()| slab.allocate(layout()).unwrap().cast::<u8>());
    // SAFETY: the first free is right; the second one is the misuse under test.
    unsafe {
        slab.deallocate(blocks[1], layout());
        slab.deallocate(attack(blocks[1]), layout());
    }
}

/// Frees what lies so many bytes from the start of a live block.
fn free_at(slab: &impl Allocator, offset: isize) {
    let blocks = [(); 3].map(|()| slab.allocate(layout()).unwrap().cast::<u8>());
    // SAFETY: the offset stays in the slab; the free is the misuse under test.
    unsafe { slab.deallocate(blocks[1].offset(offset), layout()) };
}

fn free_foreign(slab: &impl Allocator) {
    let other = [0_u8; 64];
    slab.allocate(layout()).unwrap();
    // SAFETY: none: the misuse under test.
    unsafe { slab.deallocate(NonNull::from(&other).cast(), layout()) };
}

#[test]
fn a_second_free() {
    dies("hardened_slab::a_second_free", DOUBLE_FREE, || free_then(&hardened(), |block| block));
}

#[test]
fn a_second_free_over_split_metadata_alone() {
    dies("hardened_slab::a_second_free_over_split_metadata_alone", DOUBLE_FREE, || {
        let split = SplitMetadata::new(MmapBacked::new(4096).unwrap(), 64).unwrap();
        free_then(&Slab::<Value, _>::new(64, split).unwrap(), |block| block);
    });
}

#[test]
fn a_free_inside_of_a_slot() {
    dies("hardened_slab::a_free_inside_of_a_slot", FOREIGN_FREE, || free_at(&hardened(), 8));
}

#[test]
fn a_free_of_a_slot_that_was_never_issued() {
    dies("hardened_slab::a_free_of_a_slot_that_was_never_issued", FOREIGN_FREE, || {
        free_at(&hardened(), 2 * 48);
    });
}

#[test]
fn a_free_of_other_memory() {
    dies("hardened_slab::a_free_of_other_memory", FOREIGN_FREE, || free_foreign(&hardened()));
}

#[test]
fn a_free_of_the_metadata() {
    dies("hardened_slab::a_free_of_the_metadata", FOREIGN_FREE, || {
        let slab = hardened();
        slab.allocate(layout()).unwrap();
        // SAFETY: none: the misuse under test.
        unsafe { slab.deallocate(slab.backing().inner().meta_base(), layout()) };
    });
}

#[test]
fn a_second_free_of_a_guarded_block() {
    dies("hardened_slab::a_second_free_of_a_guarded_block", DOUBLE_FREE, || {
        free_then(&guarded(), |block| block);
    });
}

#[test]
fn a_free_inside_of_a_guarded_block() {
    dies("hardened_slab::a_free_inside_of_a_guarded_block", FOREIGN_FREE, || free_at(&guarded(), 8));
}

#[test]
fn a_free_in_front_of_a_guarded_block() {
    dies("hardened_slab::a_free_in_front_of_a_guarded_block", FOREIGN_FREE, || free_at(&guarded(), -48));
}

#[test]
fn a_free_of_other_memory_to_a_guarded_slab() {
    dies(
        "hardened_slab::a_free_of_other_memory_to_a_guarded_slab",
        FOREIGN_FREE,
        || free_foreign(&guarded()),
    );
}

#[test]
fn a_free_of_a_guarded_block_with_another_layout() {
    dies("hardened_slab::a_free_of_a_guarded_block_with_another_layout", WRONG_LAYOUT, || {
        let slab = guarded();
        let block = slab.allocate(layout()).unwrap().cast::<u8>();
        // SAFETY: none: the misuse under test.
        unsafe { slab.deallocate(block, NonZeroLayout::from_size_align(47, 1).unwrap()) };
    });
}

#[test]
fn a_resize_of_a_guarded_block_that_is_free() {
    dies("hardened_slab::a_resize_of_a_guarded_block_that_is_free", DOUBLE_FREE, || {
        let slab = guarded();
        let block = slab.allocate(layout()).unwrap().cast::<u8>();
        // SAFETY: none for the resize: the misuse under test.
        unsafe {
            slab.deallocate(block, layout());
            let _ = slab.grow(block, layout(), NonZeroLayout::from_size_align(64, 1).unwrap());
        }
    });
}

#[test]
fn a_plain_slab_goes_on_after_each_of_them() {
    free_then(&plain(), |block| block);
    // A free of what is no slot is counted, and a debug build tells the author of it.
    let attacks: [fn(&Slab<Value, MmapBacked>); 3] =
        [|slab| free_at(slab, 8), |slab| free_at(slab, 2 * 48), |slab| free_foreign(slab)];
    for attack in attacks {
        let slab = plain();
        let told = catch_unwind(AssertUnwindSafe(|| attack(&slab))).is_err();
        assert_eq!((told, slab.corruption_events()), (cfg!(debug_assertions), 1));
        assert!(slab.allocate(layout()).is_ok());
    }
}
