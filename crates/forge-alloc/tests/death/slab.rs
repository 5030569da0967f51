//! Slabs that keep a map of their live slots.
#![allow(unsafe_code)]

use forge_alloc::{
    Allocator, Deallocator, ExtendableSlab, Fatal, FreelistProtection, InlineBacked, Misuse, NoProtection,
    NonZeroLayout, OffSlab, SipHashMAC, Slab, Tracked, set_misuse_hook,
};

use super::dies;

const DOUBLE_FREE: &str = "forge-alloc: double free of a slab slot";
const FREELIST: &str =
    "forge-alloc: Slab freelist corruption: a free slot was written to; look for a use after free";
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

/// Frees two slots, names another one in the link of the second, and takes both again.
fn forge_a_link<M: FreelistProtection>(policy: M) -> Slab<u64, InlineBacked<256>, M> {
    let slab = Slab::<u64, _, M>::with_protection(8, InlineBacked::new(), policy).unwrap();
    let blocks = [(); 4].map(|()| slab.allocate(layout()).unwrap().cast::<u8>());
    // SAFETY: the blocks are live and freed once; the write to the free slot is the misuse under test.
    unsafe {
        slab.deallocate(blocks[0], layout());
        slab.deallocate(blocks[1], layout());
        blocks[1].cast::<u32>().write(4);
    }
    let taken = [(); 2].map(|()| slab.allocate(layout()).unwrap().cast::<u8>());
    assert!(!taken.contains(&blocks[2]) && !taken.contains(&blocks[3]), "a live slot is issued again");
    slab
}

#[test]
fn a_forged_link() {
    dies("slab::a_forged_link", FREELIST, || drop(forge_a_link(Fatal(NoProtection))));
}

#[test]
fn a_forged_link_that_lacks_its_tag() {
    dies("slab::a_forged_link_that_lacks_its_tag", FREELIST, || {
        drop(forge_a_link(Fatal(SipHashMAC::with_key([9; 16]))));
    });
}

#[test]
fn a_forged_link_beside_which_the_list_lies_changes_nothing() {
    assert_eq!(forge_a_link(Fatal(OffSlab)).len(), 4);
}

#[test]
fn a_foreign_free_without_a_map() {
    dies("slab::a_foreign_free_without_a_map", FOREIGN_FREE, || {
        let slab =
            Slab::<u64, _, _>::with_protection(8, InlineBacked::<64>::new(), Fatal(NoProtection)).unwrap();
        let block = slab.allocate(layout()).unwrap().cast::<u8>();
        // SAFETY: none; the misuse under test does not return.
        unsafe { slab.deallocate(block.add(1), layout()) };
    });
}

#[test]
fn the_hook_sees_a_misuse_before_the_message() {
    dies("slab::the_hook_sees_a_misuse_before_the_message", "hook: DoubleFree", || {
        set_misuse_hook(Some(|event| {
            assert_eq!((event.misuse, event.misuse.message()), (Misuse::DoubleFree, DOUBLE_FREE));
            assert!(event.address != 0);
            eprintln!("hook: {:?}", event.misuse);
        }));
        free_twice(NoProtection);
    });
}

#[test]
fn a_hook_that_unwinds_ends_the_process_with_the_message() {
    dies("slab::a_hook_that_unwinds_ends_the_process_with_the_message", DOUBLE_FREE, || {
        set_misuse_hook(Some(|_| panic!("the hook gives up")));
        free_twice(NoProtection);
    });
}
