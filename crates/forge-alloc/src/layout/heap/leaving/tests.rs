use core::alloc::Layout;
use core::ptr::NonNull;
use std::vec::Vec;

use forge_alloc_core::{ByteAllocator, GrowableHeap, Region};

use crate::layout::heap::free_list::{BestFit, FirstFit, FreeListHeap};
use crate::layout::heap::slab_heap::SlabByteAllocator;
use crate::layout::heap::testing::Memory;
use crate::layout::heap::tlsf::Tlsf;

/// The region for each layout serves it, handed over alone and at the least alignment that it asks for.
fn serves_what_it_was_asked_for<H: GrowableHeap>(make: impl Fn() -> H) {
    let memory = Memory::new(8 << 20, 1 << 16);
    let sizes = (0..18)
        .flat_map(|shift| [(1_usize << shift) - 1, 1 << shift, (1 << shift) + 1, 3 << shift, 5 << shift]);
    for (step, size) in sizes.filter(|size| *size != 0).enumerate() {
        for align in if cfg!(miri) { 0..1 } else { 0..14 } {
            if cfg!(miri) && step % 8 != 0 {
                continue;
            }
            let layout = Layout::from_size_align(size, 1 << align).unwrap();
            let mut heap = make();
            let asked = heap.region_for(layout).unwrap();
            assert!(asked.align().get() <= 1 << 16);
            let start = step * asked.align().get();
            heap.add_region(memory.region(start, start + asked.size().get())).unwrap();
            assert!(heap.alloc(layout).is_ok(), "{layout:?} in {asked:?}");
        }
    }
}

#[test]
fn a_region_for_a_request_serves_it() {
    serves_what_it_was_asked_for(Tlsf::<28, 64>::new);
    serves_what_it_was_asked_for(Tlsf::<12, 4>::new);
    serves_what_it_was_asked_for(SlabByteAllocator::new);
    serves_what_it_was_asked_for(FreeListHeap::<FirstFit>::new);
    serves_what_it_was_asked_for(FreeListHeap::<BestFit>::new);
}

/// Regions leave when they are empty, in any order, and the figures and the rest of the heap stay right.
fn regions_come_and_go<H: GrowableHeap>(mut heap: H, check: impl Fn(&H)) {
    let pools: Vec<Memory> =
        (0..if cfg!(miri) { 5 } else { 12 }).map(|number| Memory::new(1000 + number * 777, 16)).collect();
    let spans: Vec<NonNull<[u8]>> = pools
        .iter()
        .map(|pool| {
            let region = pool.region(0, pool.size());
            NonNull::slice_from_raw_parts(region.base(), region.len())
        })
        .collect();
    let layout = Layout::new::<[u64; 5]>();
    for round in 0..if cfg!(miri) { 1 } else { 5 } {
        for span in &spans {
            // SAFETY: the span is ours again after each round.
            heap.add_region(unsafe { Region::from_raw(span.cast(), span.len()) }).unwrap();
        }
        let mut blocks = Vec::new();
        while let Ok(block) = heap.alloc(layout) {
            blocks.push(block);
        }
        for span in &spans {
            // SAFETY: the region was handed over, and not taken back.
            assert!(!unsafe { heap.take_region(*span) }, "blocks lie in it");
        }
        for block in blocks {
            // SAFETY: the block is live, and this is its layout.
            unsafe { heap.dealloc(block, layout) };
        }
        let mut left = spans.clone();
        left.rotate_left(round * 5 % spans.len());
        for span in left.drain(..) {
            // SAFETY: as above.
            assert!(unsafe { heap.take_region(span) }, "a region without blocks stays");
            check(&heap);
        }
        assert_eq!((heap.total_bytes(), heap.largest_free()), (0, Some(0)));
    }
}

#[test]
fn empty_regions_leave_in_any_order() {
    regions_come_and_go(Tlsf::<28, 64>::new(), Tlsf::check_all);
    regions_come_and_go(FreeListHeap::<FirstFit>::new(), FreeListHeap::check_all);
    regions_come_and_go(SlabByteAllocator::new(), |heap| heap.parent().check_all());
}

#[test]
fn what_was_never_handed_over_does_not_leave() {
    let pool = Memory::new(4096, 16);
    let mut heap = Tlsf::<20, 32>::new();
    let region = pool.region(0, 4096);
    let part = NonNull::slice_from_raw_parts(region.base(), region.len() - 8);
    heap.add_region(region).unwrap();
    // SAFETY: the heap finds that this is no region of its own, and changes nothing.
    assert!(!unsafe { heap.take_region(part) });
    assert!(heap.alloc(Layout::new::<u64>()).is_ok());
}
