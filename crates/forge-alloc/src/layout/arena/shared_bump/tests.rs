#![allow(unsafe_code)]

use core::mem::offset_of;
use core::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::vec::Vec;

use allocator_api2::vec::Vec as ApiVec;
use forge_alloc_core::{
    AllocError, Allocator, CACHE_LINE, Deallocator, FixedRange, NonZeroLayout, StableAddress, StdCompat,
    testing,
};

use super::{CHUNK_SHARE, MIN_CHUNK};
use crate::{BumpArena, HeapBytes, InlineBacked, SharedBumpArena, StackAlloc};

fn layout(size: usize, align: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, align).unwrap()
}

fn arena(size: usize) -> SharedBumpArena<HeapBytes> {
    SharedBumpArena::new(HeapBytes::with_align(size, 64).unwrap()).unwrap()
}

fn take<B: FixedRange>(arena: &SharedBumpArena<B>, size: usize, align: usize) -> NonNull<u8> {
    arena.allocate(layout(size, align)).unwrap().cast()
}

/// The smallest range that has chunks, and then some.
const LARGE: usize = 2 * (MIN_CHUNK << CHUNK_SHARE);

const THREADS: usize = if cfg!(miri) { 3 } else { 8 };

#[test]
fn keeps_the_public_invariants() {
    testing::assert_combined_invariants(&arena(4096));
    testing::assert_combined_invariants(&arena(LARGE));
    testing::assert_allocator_respects_alignment(&arena(LARGE));
}

#[test]
fn is_shared_between_threads_whatever_the_backing() {
    fn shared<T: Send + Sync>() {}
    fn stable<T: StableAddress>() {}
    shared::<SharedBumpArena<InlineBacked<64>>>();
    shared::<SharedBumpArena<HeapBytes>>();
    stable::<SharedBumpArena<HeapBytes>>();
}

#[test]
fn the_cursor_is_alone_on_its_lines() {
    type Arena = SharedBumpArena<InlineBacked<64>>;
    let line = |offset: usize| offset / CACHE_LINE;
    let (cursor, stripes) = (offset_of!(Arena, cursor), offset_of!(Arena, stripes));
    assert_eq!(cursor % CACHE_LINE, 0);
    assert_eq!(stripes % CACHE_LINE, 0);
    assert_ne!(line(cursor), line(stripes));
    assert_ne!(line(cursor), line(offset_of!(Arena, backing)));
}

#[test]
fn a_small_arena_hands_out_exactly_its_bytes() {
    let arena = SharedBumpArena::new(InlineBacked::<1024>::new()).unwrap();
    assert_eq!(take(&arena, 1024, 1), arena.base());
    assert_eq!((arena.allocated(), arena.remaining()), (1024, 0));
    assert!(arena.allocate(layout(1, 1)).is_err());
    assert!(SharedBumpArena::new(InlineBacked::<0>::new()).is_err());
}

#[test]
fn one_thread_fills_any_arena_without_a_gap() {
    for size in if cfg!(miri) { [64, 1000, LARGE + 7] } else { [1000, LARGE + 7, 100_000] } {
        let arena = arena(size);
        for n in 0..size / 32 {
            assert_eq!(take(&arena, 32, 8).addr().get() - arena.base().addr().get(), n * 32);
            assert_eq!((arena.allocated(), arena.remaining()), (n * 32 + 32, size - n * 32 - 32));
        }
        for _ in 0..size % 32 {
            take(&arena, 1, 1);
        }
        assert_eq!(arena.remaining(), 0);
        assert!(arena.allocate(layout(1, 1)).is_err());
    }
}

#[test]
fn a_large_block_and_the_rest_of_the_range_fit_exactly() {
    let arena = arena(LARGE);
    take(&arena, 1, 1);
    take(&arena, LARGE / 2, 1);
    let rest = arena.remaining();
    assert!(arena.allocate(layout(rest + 1, 1)).is_err());
    // The rest lies in the thread's chunk and behind the large block; in small pieces all of it is there.
    while arena.allocate(layout(32, 1)).is_ok() {}
    while arena.allocate(layout(1, 1)).is_ok() {}
    assert_eq!((arena.allocated(), arena.remaining()), (LARGE, 0));
}

#[test]
fn padding_counts_as_allocated_and_hostile_requests_change_nothing() {
    let arena = arena(4096);
    take(&arena, 1, 1);
    take(&arena, 1, 64);
    assert_eq!(arena.allocated(), 65);
    let huge = isize::MAX as usize;
    for (size, align) in [(huge, 1), (huge - 4095, 4096), (1, 1 << 30), (1, huge / 2 + 1), (4096, 1)] {
        assert!(arena.allocate(layout(size, align)).is_err());
        assert_eq!(arena.allocated(), 65);
    }
}

#[test]
fn the_last_block_of_a_thread_is_freed_and_resized_in_place() {
    for size in [4096, LARGE] {
        let arena = arena(size);
        take(&arena, 16, 8);
        let block = take(&arena, 16, 8);
        // SAFETY: the block is live with this layout each time.
        unsafe {
            let grown = arena.grow(block, layout(16, 8), layout(100, 8)).unwrap();
            assert_eq!((grown.cast(), grown.len(), arena.allocated()), (block, 100, 116));
            let shrunk = arena.shrink(block, layout(100, 8), layout(40, 8)).unwrap();
            assert_eq!((shrunk.cast(), shrunk.len(), arena.allocated()), (block, 40, 56));
            let grown = arena.grow(block, layout(40, 8), layout(size - 16, 8)).unwrap();
            assert_eq!((grown.cast(), arena.allocated()), (block, size));
            assert!(arena.grow(block, layout(size - 16, 8), layout(size, 8)).is_err());
            arena.deallocate(block, layout(size - 16, 8));
            assert_eq!(arena.allocated(), 16);
        }
        assert_eq!(take(&arena, 16, 8), block);
    }
}

#[test]
fn other_blocks_move_when_they_grow_and_stay_when_they_shrink() {
    let arena = arena(LARGE);
    let first = take(&arena, 8, 8);
    let second = take(&arena, 8, 8);
    // SAFETY: the blocks are live with these layouts.
    unsafe {
        first.write_bytes(7, 8);
        let moved = arena.grow(first, layout(8, 8), layout(16, 8)).unwrap().cast::<u8>();
        assert_ne!(moved, first);
        assert_eq!(core::slice::from_raw_parts(moved.as_ptr(), 8), [7; 8]);
        let shrunk = arena.shrink(second, layout(8, 8), layout(2, 2)).unwrap();
        assert_eq!((shrunk.cast(), shrunk.len()), (second, 2));
        let raised = arena.shrink(moved, layout(16, 8), layout(4, 512)).unwrap();
        assert_eq!(raised.addr().get() % 512, 0);
    }
}

#[test]
fn a_thread_may_free_and_resize_blocks_of_another() {
    let arena = arena(LARGE);
    let blocks: Vec<usize> = std::thread::scope(|scope| {
        scope.spawn(|| (0..50).map(|_| take(&arena, 40, 8).addr().get()).collect()).join().unwrap()
    });
    let mine = take(&arena, 40, 8);
    // SAFETY: the blocks are live; their addresses lie in the range.
    unsafe {
        mine.write_bytes(1, 40);
        for &address in blocks.iter().rev() {
            let block = arena.base().add(address - arena.base().addr().get());
            block.write_bytes(2, 40);
            let block = arena.grow(block, layout(40, 8), layout(48, 8)).unwrap();
            arena.deallocate(block.cast(), layout(48, 8));
        }
        assert!(core::slice::from_raw_parts(mine.as_ptr(), 40).iter().all(|&byte| byte == 1));
    }
    let fresh = take(&arena, 64, 8);
    assert!(fresh.addr().get().abs_diff(mine.addr().get()) >= 40);
}

#[test]
fn threads_share_all_of_the_range_and_no_byte() {
    for size in [4096, LARGE, if cfg!(miri) { LARGE } else { 1 << 20 }] {
        let arena = arena(size);
        let per_thread: Vec<Vec<usize>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        let mut mine = Vec::new();
                        while let Ok(block) = arena.allocate(layout(64, 8)) {
                            // SAFETY: the block is ours.
                            unsafe { block.cast::<u8>().write_bytes(0xAB, 64) };
                            mine.push(block.addr().get());
                        }
                        mine
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut all: Vec<usize> = per_thread.into_iter().flatten().collect();
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[1] - pair[0] >= 64), "two blocks overlap");
        assert!(all.iter().all(|&start| start - arena.base().addr().get() + 64 <= size));
        // Every thread stopped only when its chunk was used up, and the blocks tile the range.
        assert_eq!(all.len(), size / 64);
        assert_eq!((arena.allocated(), arena.remaining()), (size, 0));
    }
}

#[test]
fn threads_of_mixed_sizes_never_overlap() {
    let size = if cfg!(miri) { LARGE } else { 1 << 20 };
    let arena = arena(size);
    let mut all: Vec<(usize, usize)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let arena = &arena;
                scope.spawn(move || {
                    let mut live: Vec<(NonNull<u8>, NonZeroLayout, u8)> = Vec::new();
                    let mut state = thread as u64 + 1;
                    for step in 0..if cfg!(miri) { 100 } else { 4000 } {
                        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        let random = (state >> 33) as usize;
                        let request = layout(1 + random % 200, 1 << (random % 6));
                        let fill = step as u8 ^ thread as u8;
                        if random % 3 != 0 {
                            let Ok(block) = arena.allocate(request) else { continue };
                            // SAFETY: the block is ours.
                            unsafe { block.cast::<u8>().write_bytes(fill, request.size().get()) };
                            live.push((block.cast(), request, fill));
                        } else if let Some((block, old, fill)) = live.pop() {
                            // SAFETY: the block is live, ours, and filled with one value.
                            unsafe {
                                let bytes = core::slice::from_raw_parts(block.as_ptr(), old.size().get());
                                assert!(bytes.iter().all(|&byte| byte == fill));
                                if random % 2 == 0 {
                                    arena.deallocate(block, old);
                                } else if request.size() >= old.size() {
                                    match arena.grow(block, old, request) {
                                        Ok(block) => {
                                            block.cast::<u8>().write_bytes(fill, request.size().get());
                                            live.push((block.cast(), request, fill));
                                        }
                                        Err(AllocError) => live.push((block, old, fill)),
                                    }
                                } else {
                                    match arena.shrink(block, old, request) {
                                        Ok(block) => live.push((block.cast(), request, fill)),
                                        Err(AllocError) => live.push((block, old, fill)),
                                    }
                                }
                            }
                        }
                    }
                    for &(block, layout, fill) in &live {
                        // SAFETY: the block is live, ours, and filled with one value.
                        let bytes =
                            unsafe { core::slice::from_raw_parts(block.as_ptr(), layout.size().get()) };
                        assert!(
                            bytes.iter().all(|&byte| byte == fill),
                            "another thread wrote to a live block"
                        );
                    }
                    live.iter()
                        .map(|(block, layout, _)| (block.addr().get(), layout.size().get()))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    all.sort_unstable();
    assert!(all.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "two live blocks overlap");
    assert!(arena.allocated() <= size);
}

#[test]
fn idle_threads_hold_at_most_an_eighth() {
    let size = 1 << 20;
    let arena = arena(size);
    let all = std::sync::Barrier::new(THREADS + 1);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                take(&arena, 1, 1);
                all.wait();
                all.wait();
            });
        }
        all.wait();
        let mut own = 0;
        while arena.allocate(layout(32, 8)).is_ok() {
            own += 32;
        }
        assert!(own >= size / 8 * 7, "only {own} of {size} bytes were left to the busy thread");
        all.wait();
    });
}

#[test]
fn reset_makes_the_range_whole_again() {
    let mut arena = arena(LARGE);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| take(&arena, 100, 4).addr());
        }
    });
    take(&arena, 100, 4);
    assert_eq!(Allocator::reset(&mut arena), Ok(()));
    assert_eq!((arena.allocated(), arena.remaining()), (0, LARGE));
    assert_eq!(take(&arena, LARGE, 1), arena.base());
}

#[test]
fn survives_moves_with_inline_storage() {
    let arena = SharedBumpArena::new(InlineBacked::<256>::new()).unwrap();
    take(&arena, 100, 1);
    let boxed = Box::new(arena);
    assert!(boxed.contains(take(&boxed, 100, 1)));
    assert!(boxed.allocate(layout(100, 1)).is_err());
    assert_eq!(boxed.allocated(), 200);
}

#[test]
fn the_backing_is_turned_off_and_so_is_an_arena_below_another() {
    let arena = SharedBumpArena::new(InlineBacked::<256>::new()).unwrap();
    take(&arena, 1, 1);
    assert!(StackAlloc::new(arena).is_err());

    let mut arena = SharedBumpArena::new(InlineBacked::<256>::new()).unwrap();
    assert_eq!(arena.claim(), Ok(()));
    assert_eq!(arena.claim(), Err(AllocError));
    assert_eq!(arena.reset(), Err(AllocError));
    assert_eq!(arena.allocate(layout(1, 1)), Err(AllocError));

    let used = InlineBacked::<64>::new();
    used.allocate(layout(1, 1)).unwrap();
    assert!(SharedBumpArena::new(used).is_err());
    let outer = BumpArena::new(SharedBumpArena::new(InlineBacked::<256>::new()).unwrap()).unwrap();
    assert!(outer.allocate(layout(256, 1)).is_ok());
}

/// A range whose tail cannot be committed.
struct Reluctant {
    bytes: HeapBytes,
    committable: usize,
    calls: AtomicUsize,
}

// SAFETY: the range is that of `bytes`; `commit` only refuses.
unsafe impl FixedRange for Reluctant {
    fn base(&self) -> NonNull<u8> {
        self.bytes.base()
    }

    fn size(&self) -> usize {
        self.bytes.size()
    }

    fn committed(&self) -> usize {
        0
    }

    fn commit(&self, offset: usize, len: usize) -> Result<(), AllocError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if offset + len <= self.committable { Ok(()) } else { Err(AllocError) }
    }
}

#[test]
fn blocks_are_committed_chunk_by_chunk_and_refusal_is_an_error() {
    let committable = LARGE / 2 + 40;
    let backing =
        Reluctant { bytes: HeapBytes::new(LARGE).unwrap(), committable, calls: AtomicUsize::new(0) };
    let arena = SharedBumpArena::new(backing).unwrap();
    let mut count = 0;
    while let Ok(block) = arena.allocate(layout(16, 8)) {
        assert!(block.addr().get() - arena.base().addr().get() + 16 <= committable);
        count += 1;
    }
    assert_eq!(count, committable / 16);
    assert_eq!(arena.allocated(), count * 16);
    // At least half of the blocks came from chunks of sixteen.
    assert!(arena.backing.calls.load(Ordering::Relaxed) < count / 2);
}

#[test]
fn collections_work_in_it_from_several_threads() {
    let arena = Arc::new(arena(if cfg!(miri) { LARGE } else { 1 << 20 }));
    let count = if cfg!(miri) { 50 } else { 2000 };
    std::thread::scope(|scope| {
        for thread in 0..THREADS as u64 {
            let arena = Arc::clone(&arena);
            scope.spawn(move || {
                let mut numbers = ApiVec::new_in(StdCompat::new(arena));
                for i in 0..count {
                    numbers.push(i * thread);
                }
                assert!(numbers.iter().copied().eq((0..count).map(|i| i * thread)));
            });
        }
    });
}

#[test]
fn debug_output_does_not_ask_the_backing() {
    let text = std::format!("{:?}", arena(64));
    assert_eq!(text, "SharedBumpArena { allocated: 0, capacity: 64, .. }");
}
