//! Models of frees from other threads: every interleaving of a few threads with the shipped slab, with the orderings of
//! the memory model.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p forge-alloc --test loom_remote`.
//!
//! The content of each block is a cell that loom watches, so an access that is not ordered with the one before it fails the
//! model, whatever value it would have seen. The first thread of a model frees nothing through a handle, because it would
//! give a thread slot back after the model checker has taken down the statics. The owner's thread starts after those that
//! free: of the accesses to an atomic loom remembers the last, and a load by the thread that then stores would hide an
//! earlier load of the owner.
#![cfg(loom)]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

use std::ptr::NonNull;

use forge_alloc::{
    Allocator, BatchPolicy, BumpArena, Deallocator, FixedRange, HeapBytes, NonZeroLayout, SlabOwner,
    SlabRemote,
};
use loom::cell::UnsafeCell;
use loom::model::Builder;
use loom::sync::{Arc, Notify};
use loom::thread::{self, JoinHandle};

type Value = [u64; 2];
type Heap = BumpArena<HeapBytes>;
type Owner = SlabOwner<Value, Heap>;
type Remote = SlabRemote<Value, Heap>;

/// Runs `body` in every interleaving with at most so many forced switches between threads; without a bound the number of
/// interleavings is out of reach.
fn model(switches: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(switches);
    builder.check(body);
}

fn layout() -> NonZeroLayout {
    NonZeroLayout::for_type::<Value>().unwrap()
}

/// A slab, and the content of its slots where loom sees it.
struct Pool {
    owner: Owner,
    contents: Arc<Vec<UnsafeCell<usize>>>,
}

// SAFETY: the owner is `Send`, and loom checks the content.
unsafe impl Send for Pool {}

/// A live block of a pool.
struct Block {
    place: NonNull<u8>,
    index: usize,
    contents: Arc<Vec<UnsafeCell<usize>>>,
}

// SAFETY: an address; what is done with it argues for itself, and loom checks the content.
unsafe impl Send for Block {}

impl Pool {
    fn new(capacity: usize, threshold: usize) -> Self {
        let backing = BumpArena::new(HeapBytes::with_align(capacity * 16, 16).unwrap()).unwrap();
        let policy = BatchPolicy::Fixed(threshold);
        Self {
            owner: Owner::with_batch_policy(capacity, backing, policy, 4).unwrap(),
            contents: Arc::new((0..capacity).map(|_| UnsafeCell::new(0)).collect()),
        }
    }

    /// Takes a slot and writes to it, as any owner of a block may.
    fn take(&self) -> Option<Block> {
        let place = self.owner.allocate(layout()).ok()?.cast::<u8>();
        let index = (place.addr().get() - self.owner.base().addr().get()) / 16;
        let block = Block { place, index, contents: Arc::clone(&self.contents) };
        block.write(1);
        Some(block)
    }

    /// Takes every slot that can be had, checks that none is had twice, and returns how many there were.
    fn take_all(&self) -> usize {
        let blocks: Vec<Block> = std::iter::from_fn(|| self.take()).collect();
        let mut indices: Vec<usize> = blocks.iter().map(|block| block.index).collect();
        indices.sort_unstable();
        indices.dedup();
        assert_eq!(indices.len(), blocks.len(), "a slot is issued twice");
        indices.len()
    }

    /// Takes up to `count` slots.
    fn take_some(&self, count: usize) -> Vec<Block> {
        (0..count).filter_map(|_| self.take()).collect()
    }

    /// Starts the owner's thread.
    fn owning<R: 'static>(self, run: impl FnOnce(&Self) -> R + 'static) -> JoinHandle<(Self, R)> {
        thread::spawn(move || {
            let result = run(&self);
            (self, result)
        })
    }

    /// Starts a thread that writes to the blocks and frees them one after another.
    fn freeing(&self, blocks: Vec<Block>) -> JoinHandle<()> {
        let remote = self.owner.remote();
        thread::spawn(move || blocks.into_iter().for_each(|block| block.free(&remote)))
    }
}

impl Block {
    fn write(&self, value: usize) {
        // SAFETY: the block is live, and this side's alone; loom checks it.
        self.contents[self.index].with_mut(|content| unsafe { *content = value });
    }

    fn free(self, remote: &Remote) {
        self.write(2);
        // SAFETY: the block is live and not used afterwards.
        unsafe { remote.deallocate(self.place, layout()) };
    }
}

#[test]
fn the_owner_takes_over_while_a_thread_frees() {
    model(3, || {
        let pool = Pool::new(3, 2);
        let blocks = pool.take_some(2);
        let freeing = pool.freeing(blocks);
        let owner = pool.owning(|pool| {
            // Each takes the third slot, or one that was freed at this moment.
            let held = pool.take_some(2);
            pool.owner.drain();
            held
        });
        freeing.join().unwrap();
        let (pool, held) = owner.join().unwrap();
        assert!(!held.is_empty());
        assert_eq!(pool.take_all() + held.len(), 3);
    });
}

#[test]
fn a_slot_that_was_issued_again_is_freed_again() {
    model(3, || {
        let pool = Pool::new(1, 1);
        let blocks = pool.take_some(1);
        let first = pool.freeing(blocks);
        let owner = pool.owning(|pool| {
            let second = pool.take().map(|block| pool.freeing(vec![block]));
            let third = pool.take();
            second.into_iter().for_each(|thread| thread.join().unwrap());
            third
        });
        first.join().unwrap();
        let (pool, third) = owner.join().unwrap();
        assert_eq!(pool.take_all() + usize::from(third.is_some()), 1);
    });
}

#[test]
fn two_threads_free_at_once() {
    model(1, || {
        let pool = Pool::new(3, 1);
        let threads = [2, 1].map(|count| pool.freeing(pool.take_some(count)));
        let owner = pool.owning(|pool| pool.take_some(2));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let (pool, held) = owner.join().unwrap();
        assert_eq!(pool.take_all() + held.len(), 3);
    });
}

#[test]
fn a_thread_goes_on_with_the_lane_of_one_that_ended() {
    model(1, || {
        let pool = Pool::new(3, 8);
        // Three threads, two lanes: with no join in between, one may inherit the lane of another that has ended.
        let threads = [1, 1, 1].map(|count| pool.freeing(pool.take_some(count)));
        let owner = pool.owning(|pool| pool.take_some(1));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let (pool, held) = owner.join().unwrap();
        assert_eq!(pool.take_all() + held.len(), 3);
    });
}

/// Starts two threads that take the two thread slots, by a free each, and hold them until they are told to end.
fn holding(pool: &Pool) -> [(JoinHandle<()>, Arc<Notify>); 2] {
    [1; 2].map(|count| {
        let [ready, end] = [(); 2].map(|()| Arc::new(Notify::new()));
        let (remote, blocks) = (pool.owner.remote(), pool.take_some(count));
        let (tell, told) = (Arc::clone(&ready), Arc::clone(&end));
        let thread = thread::spawn(move || {
            blocks.into_iter().for_each(|block| block.free(&remote));
            tell.notify();
            told.wait();
        });
        ready.wait();
        (thread, end)
    })
}

fn end(holding: [(JoinHandle<()>, Arc<Notify>); 2]) {
    for (thread, end) in holding {
        end.notify();
        thread.join().unwrap();
    }
}

#[test]
fn the_owner_takes_over_while_a_thread_without_a_lane_frees() {
    model(1, || {
        let pool = Pool::new(3, 8);
        let holding = holding(&pool);
        let freeing = pool.freeing(pool.take_some(1));
        let owner = pool.owning(|pool| pool.take_some(1));
        freeing.join().unwrap();
        let (pool, held) = owner.join().unwrap();
        end(holding);
        assert_eq!(pool.take_all() + held.len(), 3);
    });
}

#[test]
fn threads_without_a_lane_share_one() {
    model(1, || {
        let pool = Pool::new(4, 8);
        let holding = holding(&pool);
        let freeing = pool.freeing(pool.take_some(1));
        // This thread gets no slot that it would have to give back.
        pool.take_some(1).into_iter().for_each(|block| block.free(&pool.owner.remote()));
        freeing.join().unwrap();
        end(holding);
        assert_eq!(pool.take_all(), 4);
    });
}

#[test]
fn the_owner_goes_while_a_thread_frees() {
    model(3, || {
        let pool = Pool::new(2, 1);
        let (blocks, remote) = (pool.take_some(2), pool.owner.remote());
        let freeing = thread::spawn(move || {
            let refused = |block: &Block| {
                block.write(2);
                // SAFETY: the block is live; if it is handed back it still is.
                let refused = unsafe { remote.try_deallocate(block.place, layout()) }.is_err();
                if refused {
                    block.write(3);
                }
                refused
            };
            blocks.iter().filter(|block| refused(block)).count()
        });
        let owner = thread::spawn(move || pool.take_some(1).len());
        let (refused, taken) = (freeing.join().unwrap(), owner.join().unwrap());
        assert!(refused + taken <= 2);
    });
}

#[test]
fn the_last_handle_ends_the_slab() {
    model(3, || {
        let pool = Pool::new(2, 1);
        let threads = [1, 1].map(|count| pool.freeing(pool.take_some(count)));
        // Whoever is last, the owner or one of the two, drops the slab and its backing; loom reports a leak.
        let owner = thread::spawn(move || drop(pool));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        owner.join().unwrap();
    });
}
