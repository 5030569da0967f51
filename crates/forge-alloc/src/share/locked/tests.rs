use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use std::boxed::Box;
use std::vec::Vec;

use forge_alloc_core::sync::SpinLock;
use forge_alloc_core::testing::assert_allocator_contract;
use forge_alloc_core::{
    Allocator, BaseAllocator, ByteAllocator, Deallocator, HeapError, NonZeroLayout, StdCompat,
};
use forge_trace::shadow::{Checks, Limits, Shadow, drive_moving, random_ops};

use super::{Local, Locked};
use crate::share::testing::{GRANULE, ListHeap, region_of};

const BYTES: usize = 64 << 10;

fn bytes(len: usize) -> Box<[MaybeUninit<u8>]> {
    Box::new_uninit_slice(len)
}

fn layout(size: usize, align: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, align).unwrap()
}

fn checks() -> Checks {
    Checks { vary_alignment: true, ..Checks::default() }
}

#[test]
fn a_local_heap_keeps_the_contract() {
    let mut pool = bytes(BYTES);
    assert_allocator_contract(&Local::over(ListHeap::new(), region_of(&mut pool)).unwrap());
}

#[test]
fn random_calls_match_the_model_at_every_occupancy() {
    let mut pool = bytes(BYTES);
    // Blocks of 512 bytes on average: from a tenth of the pool to more than all of it.
    for live_blocks in [12, 64, 115, 127, 400] {
        let limits = Limits { live_blocks, size: 1024, ..Limits::default() };
        for seed in 0..if cfg!(miri) { 1 } else { 3 } {
            let heap = Locked::<_, SpinLock>::new(ListHeap::new());
            let (left, right) = region_of(&mut pool).split_at(BYTES / 3).unwrap();
            heap.lock().add_region(right).unwrap();
            heap.lock().add_region(left).unwrap();
            let mut shadow = Shadow::with_checks(&heap, checks());
            for op in random_ops(seed, if cfg!(miri) { 60 } else { 1000 }, &limits) {
                shadow.step(&op).unwrap_or_else(|violation| panic!("{violation}"));
                heap.lock().check();
            }
            shadow.free_all().unwrap_or_else(|violation| panic!("{violation}"));
            assert_eq!(heap.lock().used_bytes(), 0);
        }
    }
}

#[test]
fn blocks_survive_a_move_of_their_allocator() {
    let mut pool = bytes(BYTES);
    for seed in 0..if cfg!(miri) { 1 } else { 8 } {
        let heap = Local::over(ListHeap::new(), region_of(&mut pool)).unwrap();
        let ops = random_ops(seed, if cfg!(miri) { 60 } else { 2000 }, &Limits::default().hostile(true));
        drive_moving(heap, &ops, 17, checks()).unwrap_or_else(|violation| panic!("{violation}"));
    }
}

#[test]
fn without_a_region_every_request_fails() {
    let heap = Local::new(ListHeap::new());
    assert!(heap.allocate(layout(1, 1)).is_err());
    assert_eq!(heap.capacity_bytes(), Some(0));
}

#[test]
fn blocks_grow_and_shrink_in_place_where_they_can() {
    let mut pool = bytes(4096);
    let heap = Local::over(ListHeap::new(), region_of(&mut pool)).unwrap();
    let (small, large) = (layout(64, 8), layout(640, 8));
    let block = heap.allocate(small).unwrap().cast::<u8>();
    // SAFETY: the block is passed on with the layout that it has.
    unsafe {
        assert!(!heap.stays_in_place(block, small, large), "others may take the room");
        assert_eq!(heap.grow_zeroed(block, small, large).unwrap().cast(), block);
        assert_eq!(block.add(64).cast::<[u8; 576]>().read(), [0; 576]);
        assert!(heap.stays_in_place(block, large, small));
        assert_eq!(heap.shrink(block, large, small).unwrap().cast(), block);
        let behind = heap.allocate(small).unwrap().cast::<u8>();
        let moved = heap.grow(block, small, large).unwrap().cast::<u8>();
        assert_ne!(moved, block);
        heap.deallocate(moved, large);
        heap.deallocate(behind, small);
    }
    assert_eq!(heap.lock().used_bytes(), 0);
}

#[test]
fn a_guard_is_the_heap_and_excludes_everybody_else() {
    let mut pool = bytes(4096);
    let heap = Local::new(ListHeap::new());
    let mut guard = heap.lock();
    assert!(heap.try_lock().is_none());
    guard.add_region(region_of(&mut pool)).unwrap();
    let one = Layout::new::<u64>();
    let block = guard.alloc(one).unwrap();
    assert_eq!((guard.used_bytes(), guard.largest_free()), (GRANULE, Some(guard.available_bytes())));
    // SAFETY: the block is freed with the layout that it has; the zero span is refused.
    unsafe {
        let block = guard.realloc(block, one, Layout::new::<[u64; 4]>()).unwrap();
        guard.dealloc_checked(block, Layout::new::<[u64; 4]>()).unwrap();
        assert_eq!(guard.add_memory(0, 4096), Err(HeapError::InvalidParam));
    }
    drop(guard);
    let mut heap = { heap };
    assert_eq!(heap.get_mut().used_bytes(), 0);
    assert!(heap.into_inner().total_bytes() > 4096 - 2 * GRANULE);
}

#[test]
fn the_global_contract_answers_with_null() {
    let mut pool = bytes(4096);
    let heap = Locked::<_, SpinLock>::over(ListHeap::new(), region_of(&mut pool)).unwrap();
    let (small, large) = (Layout::new::<[u64; 4]>(), Layout::new::<[u64; 4096]>());
    // SAFETY: the block is passed on with the layout that it has.
    unsafe {
        assert!(GlobalAlloc::alloc(&heap, large).is_null());
        assert!(GlobalAlloc::alloc_zeroed(&heap, large).is_null());
        let block = GlobalAlloc::alloc_zeroed(&heap, small);
        assert_eq!(block.cast::<[u64; 4]>().read(), [0; 4]);
        block.cast::<u64>().write(7);
        assert!(GlobalAlloc::realloc(&heap, block, small, 1 << 20).is_null());
        assert!(GlobalAlloc::realloc(&heap, block, small, usize::MAX).is_null());
        assert_eq!(GlobalAlloc::realloc(&heap, block, small, 1024), block);
        let grown = Layout::from_size_align(1024, small.align()).unwrap();
        assert_eq!(GlobalAlloc::realloc(&heap, block, grown, 8), block);
        assert_eq!(block.cast::<u64>().read(), 7);
        GlobalAlloc::dealloc(&heap, block, Layout::new::<u64>());
    }
    assert_eq!(heap.lock().used_bytes(), 0);
}

/// Allocates, fills, compares and frees blocks whose every byte says whose they are.
fn churn<A: Allocator>(heap: &A, tag: u8, rounds: usize) {
    let mut live: Vec<(NonNull<u8>, NonZeroLayout, u8)> = Vec::new();
    let mut number = usize::from(tag) * 7919;
    for round in 0..rounds {
        number = number.wrapping_mul(1_103_515_245).wrapping_add(12345);
        let size = 1 + (number >> 8) % 300;
        let mark = tag.wrapping_mul(64).wrapping_add((round % 61) as u8);
        if live.len() < 24 {
            if let Ok(block) = heap.allocate(layout(size, 1 << ((number >> 5) % 6))) {
                let block = block.cast::<u8>();
                // SAFETY: the block is ours and this long.
                unsafe { block.write_bytes(mark, size) };
                live.push((block, layout(size, 1 << ((number >> 5) % 6)), mark));
                continue;
            }
        }
        if live.is_empty() {
            continue;
        }
        let (block, old, mark) = live.swap_remove(number % live.len());
        let holds = |block: NonNull<u8>, len: usize| {
            // SAFETY: the block is ours, and was filled to this length.
            let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), len) };
            assert!(bytes.iter().all(|byte| *byte == mark));
        };
        holds(block, old.size().get());
        let new = layout(old.size().get() * 2, old.align().get());
        // SAFETY: the block is passed on with the layout that it has.
        unsafe {
            match heap.grow(block, old, new) {
                Ok(grown) => {
                    holds(grown.cast(), old.size().get());
                    heap.deallocate(grown.cast(), new);
                }
                Err(_) => heap.deallocate(block, old),
            }
        }
    }
    for (block, layout, _) in live {
        // SAFETY: the block is live, and this is its layout.
        unsafe { heap.deallocate(block, layout) };
    }
}

#[test]
fn four_threads_never_share_a_byte() {
    let mut pool = bytes(32 << 10);
    let heap = Locked::<_, SpinLock>::over(ListHeap::new(), region_of(&mut pool)).unwrap();
    std::thread::scope(|threads| {
        for tag in 0..4 {
            let heap = &heap;
            threads.spawn(move || churn(heap, tag, if cfg!(miri) { 40 } else { 20_000 }));
        }
    });
    heap.lock().check();
    assert_eq!(heap.lock().used_bytes(), 0);
}

#[test]
fn a_collection_owns_its_heap() {
    let mut pool = bytes(BYTES);
    let heap = Local::over(ListHeap::new(), region_of(&mut pool)).unwrap();
    let mut numbers = allocator_api2::vec::Vec::new_in(StdCompat::new(heap));
    numbers.extend(0..500_u32);
    let mut moved = Box::new(numbers);
    moved.extend(500..1000);
    moved.shrink_to_fit();
    assert!(moved.iter().copied().eq(0..1000));
}

#[test]
fn threads_may_share_it_where_the_lock_says_so() {
    fn shared<T: Sync + Send>() {}
    fn sent<T: Send>() {}
    shared::<Locked<ListHeap, SpinLock>>();
    sent::<Local<ListHeap>>();
}
