//! Slabs that keep a map of their live slots.
#![allow(unsafe_code)]

use forge_alloc::{
    Allocator, Deallocator, ExtendableSlab, FreelistProtection, InlineBacked, NoProtection, NonZeroLayout,
    OffSlab, Slab, Tracked,
};

use super::dies;

const DOUBLE_FREE: &str = "forge-alloc: double free of a slab slot";
const FOREIGN_FREE: &str = "forge-alloc: free of a pointer that this slab did not issue";

fn slab<M: FreelistProtection>(policy: M) -> Slab<u64, InlineBacked<256>, Tracked<M>> {
    Slab::with_protection(8, InlineBacked::new(), Tracked(policy)).unwrap()
}

fn layout() -> NonZeroLayout {
    NonZeroLayout::for_type::<u64>().unwrap()
}

fn free_twice<M: FreelistProtection>(policy: M) {
    let slab = slab(policy);
    let blocks = [(); 3].map(|()| slab.allocate(layout()).unwrap().cast());
    // SAFETY: the first free of each block is right; the last one is the misuse under test, which does not return.
    unsafe {
        blocks.into_iter().for_each(|block| slab.deallocate(block, layout()));
        slab.deallocate(blocks[1], layout());
    }
}

#[test]
fn a_second_free_of_a_slot() {
    dies("slab::a_second_free_of_a_slot", DOUBLE_FREE, || free_twice(NoProtection));
}

#[test]
fn a_second_free_of_a_slot_off_the_slab() {
    dies("slab::a_second_free_of_a_slot_off_the_slab", DOUBLE_FREE, || free_twice(OffSlab));
}

#[test]
fn a_free_inside_of_a_slot() {
    dies("slab::a_free_inside_of_a_slot", FOREIGN_FREE, || {
        let slab = slab(NoProtection);
        let block = slab.allocate(layout()).unwrap().cast::<u8>();
        // SAFETY: none; the misuse under test does not return.
        unsafe { slab.deallocate(block.add(4), layout()) };
    });
}

#[test]
fn a_free_of_a_slot_that_was_never_issued() {
    dies("slab::a_free_of_a_slot_that_was_never_issued", FOREIGN_FREE, || {
        let slab = slab(NoProtection);
        let block = slab.allocate(layout()).unwrap().cast::<u8>();
        // SAFETY: none; the misuse under test does not return.
        unsafe { slab.deallocate(block.add(8), layout()) };
    });
}

#[test]
fn a_free_of_other_memory() {
    dies("slab::a_free_of_other_memory", FOREIGN_FREE, || {
        let (slab, other) = (slab(NoProtection), 0u64);
        slab.allocate(layout()).unwrap();
        // SAFETY: none; the misuse under test does not return.
        unsafe { slab.deallocate(core::ptr::NonNull::from(&other).cast(), layout()) };
    });
}

#[test]
fn a_second_free_of_a_slot_of_a_segment() {
    dies("slab::a_second_free_of_a_slot_of_a_segment", DOUBLE_FREE, || {
        let slab = ExtendableSlab::<u64, _>::with_protection(64, || Tracked(NoProtection));
        let (kept, block) = (slab.allocate(layout()).unwrap(), slab.allocate(layout()).unwrap().cast());
        // SAFETY: the first free is right; the second one is the misuse under test, which does not return.
        unsafe {
            slab.deallocate(block, layout());
            slab.deallocate(block, layout());
        }
        assert_ne!(kept.cast(), block);
    });
}
