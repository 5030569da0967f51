#![allow(unsafe_code)]

use core::cell::{Cell, RefCell};
use core::ptr::NonNull;

use forge_alloc_core::{AllocError, Allocator, Deallocator, NonZeroLayout, Region, RegionSource};

use super::Arena;
use crate::HeapSource;

/// A source that counts its regions, checks that each comes back once, and fails when told to.
#[derive(Default)]
struct Counting {
    live: RefCell<Vec<(usize, NonZeroLayout)>>,
    requests: Cell<usize>,
    fail: Cell<bool>,
}

// SAFETY: the regions are those of the heap source.
unsafe impl RegionSource for Counting {
    unsafe fn request(&self, layout: NonZeroLayout) -> Result<Region, AllocError> {
        self.requests.set(self.requests.get() + 1);
        if self.fail.get() {
            return Err(AllocError);
        }
        // SAFETY: the regions of the heap source outlive it.
        let region = unsafe { HeapSource.request(layout) }?;
        self.live.borrow_mut().push((region.base().addr().get(), layout));
        Ok(region)
    }

    unsafe fn release(&self, region: Region, layout: NonZeroLayout) {
        let mut live = self.live.borrow_mut();
        let entry = (region.base().addr().get(), layout);
        let index = live.iter().position(|&other| other == entry).expect("released what was not requested");
        live.swap_remove(index);
        // SAFETY: the region is one of ours and comes back for the first time.
        unsafe { HeapSource.release(region, layout) };
    }
}

fn layout(size: usize, align: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, align).unwrap()
}

fn address(block: NonNull<[u8]>) -> usize {
    block.cast::<u8>().addr().get()
}

#[test]
fn an_empty_arena_asks_for_nothing() {
    let source = Counting::default();
    let mut arena: Arena<&Counting> = Arena::with_source(&source);
    arena.reset();
    arena.release_all();
    assert_eq!((arena.held_bytes(), arena.allocated_bytes(), arena.chunk_count()), (0, 0, 0));
    drop(arena);
    assert_eq!(source.requests.get(), 0);
}

#[test]
fn chunks_grow_geometrically_and_all_come_back() {
    let source = Counting::default();
    let arena: Arena<&Counting> = Arena::with_source(&source);
    for index in 0..40_000_u64 {
        assert_eq!(*arena.alloc(index).unwrap(), index);
    }
    assert!(source.requests.get() <= 11, "{} requests", source.requests.get());
    assert!(arena.allocated_bytes() >= 320_000);
    drop(arena);
    assert!(source.live.borrow().is_empty());
}

#[test]
fn the_same_work_after_a_reset_asks_the_source_for_nothing() {
    let source = Counting::default();
    let mut arena: Arena<&Counting> = Arena::with_source(&source);
    let mut requests = None;
    for _ in 0..5 {
        for size in [10, 5000, 100, 100_000, 3, 70_000, 900, 900, 900, 20_000] {
            arena.allocate(layout(size, 8)).unwrap();
        }
        let so_far = source.requests.get();
        assert_eq!(*requests.get_or_insert(so_far), so_far);
        arena.reset();
        assert_eq!(arena.allocated_bytes(), 0);
    }
    let held = arena.held_bytes();
    arena.allocate(layout(16, 8)).unwrap();
    arena.release_spare();
    assert_eq!(arena.chunk_count(), 1);
    assert!(arena.held_bytes() < held);
    arena.release_all();
    assert_eq!((arena.held_bytes(), source.live.borrow().len()), (0, 0));
}

#[test]
fn every_size_and_alignment_is_served_aligned() {
    let arena = Arena::new();
    for shift in 0..=21 {
        for size in [1, 7, 8, 100, 40_000, 100_000] {
            let block = arena.allocate(layout(size, 1 << shift)).unwrap();
            assert_eq!((address(block) % (1 << shift), block.len()), (0, size));
            // SAFETY: the block is fresh and `size` bytes long.
            unsafe { block.cast::<u8>().write_bytes(1, size) };
        }
    }
}

#[test]
fn impossible_requests_fail_and_change_nothing() {
    let arena = Arena::new().limited_to(1 << 20);
    arena.alloc(1_u8).unwrap();
    let (held, allocated) = (arena.held_bytes(), arena.allocated_bytes());
    let largest = isize::MAX as usize;
    for (size, align) in
        [(largest, 1), (largest - 15, 16), (1, largest / 2 + 1), (largest / 2, largest / 4 + 1)]
    {
        assert!(arena.allocate(layout(size, align)).is_err(), "{size} at {align}");
    }
    assert_eq!((arena.held_bytes(), arena.allocated_bytes()), (held, allocated));
}

#[test]
fn a_limit_is_kept_and_what_is_held_stays_usable() {
    let source = Counting::default();
    let mut arena: Arena<&Counting> = Arena::with_source(&source).limited_to(10_000);
    assert!(arena.allocate(layout(10_000, 8)).is_err());
    let mut count = 0;
    while arena.alloc(0_u64).is_ok() {
        count += 1;
    }
    assert!(arena.held_bytes() <= 10_000 && count > 1000, "{count} in {}", arena.held_bytes());
    assert_eq!(arena.capacity_bytes(), Some(10_000));
    arena.reset();
    for _ in 0..count {
        arena.alloc(0_u64).unwrap();
    }
    assert!(arena.alloc(0_u64).is_err());
}

#[test]
fn a_limit_below_what_is_held_reports_what_is_held() {
    let arena = Arena::with_capacity(5000).unwrap().limited_to(10);
    assert_eq!(arena.capacity_bytes(), Some(arena.held_bytes()));
    arena.allocate(layout(5000, 8)).unwrap();
    assert!(arena.allocate(layout(5000, 8)).is_err());
}

#[test]
fn a_source_that_fails_leaves_the_arena_as_it_was() {
    let source = Counting::default();
    let arena: Arena<&Counting> = Arena::with_source(&source);
    source.fail.set(true);
    assert!(arena.alloc(1_u64).is_err());
    source.fail.set(false);
    let kept = arena.alloc(7_u64).unwrap();
    source.fail.set(true);
    assert!(arena.alloc([0_u8; 8192]).is_err());
    assert_eq!(*arena.alloc(8_u64).unwrap(), 8);
    assert_eq!(*kept, 7);
}

#[test]
fn the_last_block_grows_shrinks_and_is_reclaimed_in_place() {
    let arena = Arena::with_capacity(2000).unwrap();
    arena.alloc(1_u8).unwrap();
    let before = arena.allocated_bytes();
    let block = arena.allocate(layout(20, 4)).unwrap().cast::<u8>();
    // SAFETY: the block is live and the layouts are those of its latest size.
    unsafe {
        block.write_bytes(6, 20);
        assert_eq!(arena.grow(block, layout(20, 4), layout(1000, 4)).unwrap().cast(), block);
        assert_eq!(arena.shrink(block, layout(1000, 4), layout(9, 4)).unwrap().cast(), block);
        assert_eq!(arena.allocated_bytes(), before + 16);
        let moved = arena.grow(block, layout(9, 4), layout(100_000, 64)).unwrap();
        assert_eq!((*moved.cast::<[u8; 9]>().as_ptr(), address(moved) % 64), ([6; 9], 0));
        arena.deallocate(moved.cast(), layout(100_000, 64));
    }
    assert!(arena.allocated_bytes() < 100_000);
}

#[test]
fn a_smallest_alignment_of_one_packs_strings() {
    let arena: Arena<HeapSource, 1> = Arena::with_source(HeapSource);
    for word in ["a", "bc", "def"] {
        assert_eq!(arena.alloc_str(word).unwrap(), word);
    }
    assert_eq!(arena.allocated_bytes(), 6);
    assert_eq!(core::ptr::from_ref(arena.alloc(1_u64).unwrap()).addr() % 8, 0);
}

#[test]
fn scopes_rewind_across_chunks_and_keep_what_was_before() {
    let mut arena = Arena::new();
    let kept = NonNull::from(arena.alloc(5_u64).unwrap());
    let before = arena.allocated_bytes();
    {
        let mut outer = arena.scope();
        outer.alloc([1_u8; 3000]).unwrap();
        {
            let inner = outer.scope();
            for _ in 0..50 {
                inner.alloc([2_u8; 4000]).unwrap();
            }
        }
        assert_eq!(*outer.alloc(9_u32).unwrap(), 9);
    }
    assert_eq!(arena.allocated_bytes(), before);
    // SAFETY: the value was allocated before the scopes and the arena was not reset.
    assert_eq!(unsafe { kept.read() }, 5);
    let chunks = arena.chunk_count();
    arena.scope().alloc([1_u8; 3000]).unwrap();
    assert_eq!(arena.chunk_count(), chunks);
}

#[test]
fn a_scope_over_an_empty_arena_leaves_it_empty_but_keeps_the_chunk() {
    let mut arena = Arena::new();
    arena.scope().alloc(1_u64).unwrap();
    assert_eq!((arena.allocated_bytes(), arena.chunk_count()), (0, 1));
    assert_eq!(*arena.alloc(2_u64).unwrap(), 2);
    assert_eq!(arena.chunk_count(), 1);
}

#[test]
fn reserved_room_is_one_chunk() {
    let mut arena = Arena::with_capacity(100_000).unwrap();
    let held = arena.held_bytes();
    arena.allocate(layout(100_000, 16)).unwrap();
    assert_eq!((arena.held_bytes(), arena.chunk_count()), (held, 1));
    arena.reserve(0).unwrap();
    assert!(arena.reserve(usize::MAX).is_err());
}

#[test]
fn a_moved_arena_keeps_its_blocks() {
    let arena = Arena::new();
    let kept = NonNull::from(arena.alloc(5_u64).unwrap());
    let moved = std::thread::spawn(move || {
        arena.alloc(6_u64).map(|_| ()).unwrap();
        arena
    });
    let arena = moved.join().unwrap();
    // SAFETY: the arena is not dropped yet, and its blocks stay in place.
    assert_eq!(unsafe { kept.read() }, 5);
    drop(arena);
}

#[test]
fn slices_are_filled_by_index_and_values_without_size_take_no_space() {
    let arena = Arena::new();
    assert_eq!(arena.alloc_slice_with(4, |index| index * 2).unwrap(), [0, 2, 4, 6]);
    assert_eq!(arena.alloc_slice_with(0, |_| 1).unwrap(), [0_i32; 0]);
    let held = arena.allocated_bytes();
    arena.alloc(()).unwrap();
    assert!(arena.alloc_slice_copy::<u64>(&[]).unwrap().is_empty());
    assert_eq!(arena.allocated_bytes(), held);
}
