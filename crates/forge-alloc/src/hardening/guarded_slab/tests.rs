#![allow(unsafe_code)]

use forge_alloc_core::{AllocError, Allocator, Deallocator, NonZeroLayout};
use forge_os::OsError;
use forge_os::sim::{SimCall, SimOs};

use super::GuardedSlab;

const PAGE: usize = 4096;

fn slab<T>(os: SimOs, capacity: usize) -> GuardedSlab<T, SimOs> {
    GuardedSlab::map_on(os, capacity).unwrap()
}

fn layout(size: usize, align: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, align).unwrap()
}

#[test]
fn making_a_slab_touches_no_slot_and_each_guard_comes_with_the_first_issue() {
    let os = SimOs::new(PAGE);
    let slab = slab::<[u8; 100]>(os, 64);
    assert_eq!((os.live_mappings(), os.resident_bytes(), slab.slot_size()), (2, 0, 2 * PAGE));
    let advised = os.calls().advise;
    let boxes: Vec<_> = (0..4).map(|_| slab.insert([1; 100]).unwrap()).collect();
    assert_eq!(os.calls().advise, advised + 4);
    let place = boxes.last().map(|value| value.as_ptr().addr()).unwrap();
    drop(boxes);
    let again = slab.insert([2; 100]).unwrap();
    assert_eq!(again.as_ptr().addr(), place, "the slot freed last is the next one");
    assert_eq!(os.calls().advise, advised + 4, "a slot that was issued has its guard");
    assert_eq!((slab.len(), slab.is_empty(), slab.capacity()), (1, false, 64));
}

#[test]
fn a_block_ends_at_a_guard_whatever_its_layout() {
    let os = SimOs::new(PAGE);
    let slab = slab::<[u8; 100]>(os, 8);
    for (size, align) in [(1, 1), (7, 1), (100, 4), (PAGE, 1), (PAGE, PAGE), (1, PAGE), (33, 32), (4095, 1)] {
        let layout = layout(size, align);
        let block = slab.allocate(layout).unwrap();
        let (start, end) = (block.cast::<u8>(), block.cast::<u8>().addr().get() + size);
        assert_eq!((block.len(), start.addr().get() % align), (size, 0));
        let guard = end.next_multiple_of(PAGE);
        assert!(guard - end < align, "at most padding for the alignment lies between");
        assert!(os.page(start.with_addr(guard.try_into().unwrap())).is_some_and(|page| page.guard));
        // SAFETY: the block is live, and freed once.
        unsafe {
            assert_eq!(slab.usable_size(start, layout), Some(size));
            start.write_bytes(1, size);
            slab.deallocate(start, layout);
        }
    }
    assert_eq!(slab.allocate(layout(PAGE + 1, 1)), Err(AllocError));
    assert_eq!(slab.allocate(layout(1, 2 * PAGE)), Err(AllocError));
}

#[test]
fn slots_are_a_power_of_two_of_pages_with_a_guard_at_least() {
    fn size<const N: usize>() -> usize {
        slab::<[u8; N]>(SimOs::new(PAGE), 1).slot_size() / PAGE
    }
    assert_eq!(
        [size::<1>(), size::<PAGE>(), size::<4097>(), size::<12288>(), size::<12289>()],
        [2, 2, 4, 4, 8]
    );
    let os = SimOs::new(16 << 10);
    let large = slab::<[u8; 3 * PAGE]>(os, 3);
    assert_eq!((large.slot_size(), large.capacity_bytes()), (32 << 10, Some(48 << 10)));
    let value = large.insert([1; 3 * PAGE]).unwrap();
    assert_eq!((value.as_ptr().addr() + 3 * PAGE) % (16 << 10), 0);
}

#[test]
fn the_slot_freed_last_is_the_next_one() {
    let slab = slab::<u64>(SimOs::new(PAGE), 3);
    let blocks = [(); 3].map(|()| slab.allocate(layout(8, 8)).unwrap().cast::<u8>());
    assert_eq!(slab.allocate(layout(8, 8)), Err(AllocError));
    for block in blocks {
        // SAFETY: each block is freed once.
        unsafe { slab.deallocate(block, layout(8, 8)) };
    }
    assert_eq!(slab.len(), 0);
    for block in blocks.iter().rev() {
        assert_eq!(slab.allocate(layout(8, 8)).unwrap().cast(), *block);
    }
}

#[test]
fn a_resized_block_moves_within_its_slot_and_keeps_its_bytes() {
    let slab = slab::<[u8; PAGE]>(SimOs::new(PAGE), 1);
    let (small, large) = (layout(100, 4), layout(3000, 8));
    // SAFETY: the block is live throughout, and each call names its layout.
    unsafe {
        let block = slab.allocate(small).unwrap().cast::<u8>();
        for index in 0..100 {
            block.add(index).write(index as u8);
        }
        assert!(
            slab.stays_in_place(block, small, layout(99, 4)) && !slab.stays_in_place(block, small, large)
        );
        let grown = slab.grow_zeroed(block, small, large).unwrap().cast::<u8>();
        assert_eq!(block.addr().get() + 100, grown.addr().get() + 3000);
        assert!((0..100).all(|index| grown.add(index).read() == index as u8));
        assert!((100..3000).all(|index| grown.add(index).read() == 0));
        assert_eq!(slab.grow(grown, large, layout(PAGE + 1, 8)), Err(AllocError));
        let shrunk = slab.shrink(grown, large, small).unwrap().cast::<u8>();
        assert_eq!(shrunk, block);
        assert!((0..100).all(|index| shrunk.add(index).read() == index as u8));
        slab.deallocate(shrunk, small);
    }
    assert!(slab.is_empty());
}

#[test]
fn spans_are_the_data_pages_of_the_slots_that_were_issued() {
    let mut slab = slab::<u64>(SimOs::new(PAGE), 5);
    drop([slab.insert(1).unwrap(), slab.insert(2).unwrap()]);
    let mut spans = Vec::new();
    // SAFETY: no block is live.
    unsafe { slab.visit_spans(&mut |span| spans.push(span.len())).unwrap() };
    assert_eq!(spans, [PAGE, PAGE]);
}

#[test]
fn a_refused_guard_leaves_the_slot_unissued() {
    let os = SimOs::new(PAGE);
    let slab = slab::<u64>(os, 2);
    os.fail_nth(Some(SimCall::Advise), 1, 12);
    assert!(slab.insert(1).is_err());
    assert_eq!(crate::last_os_failure(), Some(OsError::new("madvise(MADV_GUARD_INSTALL)", 12)));
    assert_eq!(slab.len(), 0);
    let boxes = [slab.insert(1).unwrap(), slab.insert(2).unwrap()];
    assert_eq!(boxes.map(|value| *value), [1, 2]);
}

#[test]
fn impossible_slabs_are_errors_and_leave_nothing_mapped() {
    #[repr(align(8192))]
    struct Aligned(#[allow(dead_code)] u8);
    let os = SimOs::new(PAGE);
    assert!(GuardedSlab::<Aligned, _>::map_on(os, 1).is_err());
    for capacity in [0, usize::MAX, usize::MAX / PAGE, u32::MAX as usize] {
        assert!(GuardedSlab::<u64, _>::map_on(os, capacity).is_err(), "{capacity}");
    }
    for nth in 1.. {
        let os = SimOs::new(PAGE);
        os.fail_nth(None, nth, 12);
        match GuardedSlab::<u64, _>::map_on(os, 1) {
            Ok(_) => break,
            Err(error) => assert_eq!((error.code(), os.live_mappings()), (12, 0)),
        }
    }
    assert_eq!(os.live_mappings(), 0);
}
