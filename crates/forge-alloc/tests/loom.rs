//! Models of the shipped lock-free structures: every interleaving of a few threads, with the orderings of the memory
//! model.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p forge-alloc --test loom`.
//!
//! The first thread of a model only starts the others and looks at the result: it would give a thread slot back after
//! the model checker has taken down the statics.
#![cfg(loom)]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

use forge_alloc::{Allocator, Deallocator, FixedRange, HeapBytes, NonZeroLayout, SharedBumpArena};
use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

/// Runs `body` in every interleaving with at most three forced switches between threads, more than most mistakes need;
/// without a bound the number of interleavings is out of reach.
fn model(body: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(body);
}

fn layout(size: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, 8).unwrap()
}

/// Allocates until the arena is exhausted and returns where the blocks lie.
fn exhaust(arena: &SharedBumpArena<HeapBytes>, size: usize) -> Vec<(usize, usize)> {
    let mut blocks = Vec::new();
    while let Ok(block) = arena.allocate(layout(size)) {
        blocks.push((block.addr().get(), size));
    }
    blocks
}

/// Asserts that no two blocks overlap and returns how many bytes they hold.
fn disjoint(mut blocks: Vec<(usize, usize)>) -> usize {
    blocks.sort_unstable();
    for pair in blocks.windows(2) {
        assert!(pair[0].0 + pair[0].1 <= pair[1].0, "two blocks overlap");
    }
    blocks.iter().map(|(_, size)| size).sum()
}

#[test]
fn two_threads_share_a_small_arena_to_the_last_byte() {
    model(|| {
        let arena = Arc::new(SharedBumpArena::new(HeapBytes::new(48).unwrap()).unwrap());
        let threads = [(); 2].map(|()| {
            let arena = Arc::clone(&arena);
            thread::spawn(move || exhaust(&arena, 16))
        });
        let blocks = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(disjoint(blocks), 48);
        assert_eq!(arena.remaining(), 0);
    });
}

#[test]
fn two_threads_take_chunks_of_a_large_arena() {
    model(|| {
        let arena = Arc::new(SharedBumpArena::new(HeapBytes::new(40 << 10).unwrap()).unwrap());
        let work = |arena: &SharedBumpArena<HeapBytes>| {
            // One from the chunk, one that the chunk is too small for, one that takes half of the range.
            let sizes = [24, 250, 20 << 10];
            sizes
                .into_iter()
                .filter_map(|size| arena.allocate(layout(size)).ok().map(|block| (block.addr().get(), size)))
                .collect::<Vec<_>>()
        };
        let threads = [(); 2].map(|()| {
            let arena = Arc::clone(&arena);
            thread::spawn(move || work(&arena))
        });
        let blocks = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        // One of the two large requests fails: the other and the chunks leave no room for it.
        assert_eq!(disjoint(blocks), 2 * 274 + (20 << 10));
    });
}

#[test]
fn a_thread_that_ends_hands_its_chunk_to_the_next() {
    model(|| {
        let arena = Arc::new(SharedBumpArena::new(HeapBytes::new(40 << 10).unwrap()).unwrap());
        let one = |arena: &Arc<SharedBumpArena<HeapBytes>>| {
            let arena = Arc::clone(arena);
            thread::spawn(move || (arena.allocate(layout(24)).unwrap().addr().get(), 24))
        };
        // The two threads may hold one slot after the other without a join between them.
        let (first, second) = (one(&arena), one(&arena));
        let blocks = vec![first.join().unwrap(), second.join().unwrap(), one(&arena).join().unwrap()];
        assert_eq!(disjoint(blocks), 72);
        assert_eq!(arena.allocated(), 72);
    });
}

#[test]
fn a_freed_block_is_not_issued_twice() {
    model(|| {
        let arena = Arc::new(SharedBumpArena::new(HeapBytes::new(40 << 10).unwrap()).unwrap());
        let handed = Arc::new(AtomicUsize::new(0));
        let giver = {
            let (arena, handed) = (Arc::clone(&arena), Arc::clone(&handed));
            thread::spawn(move || {
                let block = arena.allocate(layout(32)).unwrap().addr().get();
                // Release: pairs with the Acquire load of the thread that frees the block.
                handed.store(block, Ordering::Release);
                [(arena.allocate(layout(32)).unwrap().addr().get(), 32)]
            })
        };
        let taker = {
            let (arena, handed) = (Arc::clone(&arena), Arc::clone(&handed));
            thread::spawn(move || {
                let mut blocks = vec![(arena.allocate(layout(16)).unwrap().addr().get(), 16)];
                let block = handed.load(Ordering::Acquire);
                if block != 0 {
                    let base = FixedRange::base(&*arena);
                    let block = base.map_addr(|address| address.saturating_add(block - address.get()));
                    // SAFETY: the other thread handed the block over and does not use it any more.
                    unsafe { arena.deallocate(block, layout(32)) };
                }
                blocks.extend((0..2).map(|_| (arena.allocate(layout(32)).unwrap().addr().get(), 32)));
                blocks
            })
        };
        let mut blocks = giver.join().unwrap().to_vec();
        blocks.extend(taker.join().unwrap());
        assert_eq!(disjoint(blocks), 112);
    });
}
