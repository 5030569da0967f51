//! Models of the slab that grows by segments: every interleaving of a few threads with the shipped source, with the
//! orderings of the memory model.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p forge-alloc --test loom_extendable`.
//!
//! The content of each block is a cell that loom watches, so an access that is not ordered with the one before it fails the
//! model, whatever value it would have seen. The first thread of a model uses no magazine, because it would give a thread
//! slot back after the model checker has taken down the statics.
//!
//! Addresses decide where the segment map looks, and loom repeats an execution step by step, so every execution must meet
//! the same addresses: segments lie on a [`Shelf`], not on the host heap. Like the system it uses the lowest place that is
//! free, at once for another segment; it orders nothing between threads.
#![cfg(loom)]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

use std::alloc::Layout;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use forge_alloc::{Allocator, Deallocator, ExtendableSlab, NoProtection, NonZeroLayout};
use forge_os::{Advice, HugePageSizes, MapOptions, Os, OsError, Protection};
use loom::cell::UnsafeCell;
use loom::model::Builder;
use loom::sync::atomic::{AtomicPtr, Ordering};
use loom::thread::{self, JoinHandle};

type Value = [u64; 2];
type Slab = ExtendableSlab<Value, NoProtection, Shelf>;

const PAGE: usize = 4096;
/// How many mappings there can be at once.
const PLACES: usize = 16;
/// The distance between two mappings in pages. It is a Fibonacci number, so neighbours share a home in the segment map.
const SPACING: usize = 13;

/// A system whose mappings lie at the same addresses in every execution.
#[derive(Clone, Copy)]
struct Shelf {
    places: &'static Mutex<[bool; PLACES]>,
    base: NonNull<u8>,
}

// SAFETY: the memory is one block that is never freed, and a place is handed out to one mapping at a time.
unsafe impl Send for Shelf {}
// SAFETY: as above; the places are behind a mutex.
unsafe impl Sync for Shelf {}

impl Shelf {
    /// Returns a shelf of its own, kept until the process ends.
    fn new() -> Self {
        let layout = Layout::from_size_align(PLACES * SPACING * PAGE, PAGE).unwrap();
        // SAFETY: the size is not zero.
        let base = NonNull::new(unsafe { std::alloc::alloc(layout) }).unwrap();
        Self { places: Box::leak(Box::new(Mutex::new([false; PLACES]))), base }
    }

    fn mappings(&self) -> usize {
        self.places.lock().unwrap().iter().filter(|used| **used).count()
    }
}

// SAFETY: a mapping is a free place that is long enough, aligned to a page as nobody asks for more, and zero; a place is
// free again only when it is unmapped. Nothing else is offered, and nothing unwinds unless the model is wrong.
unsafe impl Os for Shelf {
    fn map(&self, len: usize, options: MapOptions) -> Result<NonNull<u8>, OsError> {
        assert!(options.alignment <= PAGE && len <= SPACING * PAGE, "a mapping has the size of a place");
        let mut places = self.places.lock().unwrap();
        let free = places.iter().position(|used| !used).ok_or(OsError::out_of_memory("map"))?;
        places[free] = true;
        // SAFETY: the place lies in the block, and is nobody else's now.
        unsafe {
            let start = self.base.add(free * SPACING * PAGE);
            start.write_bytes(0, len);
            Ok(start)
        }
    }

    unsafe fn unmap(&self, ptr: NonNull<u8>, _: usize) -> Result<(), OsError> {
        let place = (ptr.addr().get() - self.base.addr().get()) / (SPACING * PAGE);
        assert!(std::mem::take(&mut self.places.lock().unwrap()[place]), "unmapped twice");
        Ok(())
    }

    unsafe fn protect(&self, _: NonNull<u8>, _: usize, _: Protection) -> Result<(), OsError> {
        Err(OsError::unsupported("protect"))
    }

    unsafe fn commit(&self, _: NonNull<u8>, _: usize) -> Result<(), OsError> {
        Err(OsError::unsupported("commit"))
    }

    unsafe fn decommit(&self, _: NonNull<u8>, _: usize) -> Result<(), OsError> {
        Err(OsError::unsupported("decommit"))
    }

    unsafe fn advise(&self, _: NonNull<u8>, _: usize, _: Advice) -> Result<(), OsError> {
        Err(OsError::unsupported("advise"))
    }

    unsafe fn lock(&self, _: NonNull<u8>, _: usize) -> Result<(), OsError> {
        Err(OsError::unsupported("lock"))
    }

    unsafe fn unlock(&self, _: NonNull<u8>, _: usize) -> Result<(), OsError> {
        Err(OsError::unsupported("unlock"))
    }

    unsafe fn remap(&self, _: NonNull<u8>, _: usize, _: usize, _: bool) -> Result<NonNull<u8>, OsError> {
        Err(OsError::unsupported("remap"))
    }

    fn page_size(&self) -> usize {
        PAGE
    }

    fn huge_page_sizes(&self) -> HugePageSizes {
        HugePageSizes::new()
    }

    fn transparent_huge_page_size(&self) -> Option<usize> {
        None
    }
}

/// What a slot holds: 1 while it is a block, else 0.
#[derive(Default)]
struct Content(UnsafeCell<usize>);

// SAFETY: loom checks that accesses are ordered.
unsafe impl Send for Content {}
// SAFETY: as above.
unsafe impl Sync for Content {}

/// A slab, and the content of its slots where loom sees it, by address.
#[derive(Clone)]
struct Pool {
    slab: Arc<Slab>,
    contents: Arc<Mutex<BTreeMap<usize, Arc<Content>>>>,
}

/// A live block of a pool.
struct Block {
    place: NonNull<u8>,
    content: Arc<Content>,
}

// SAFETY: an address; what is done with it argues for itself, and loom checks the content.
unsafe impl Send for Block {}

fn layout() -> NonZeroLayout {
    NonZeroLayout::for_type::<Value>().unwrap()
}

impl Pool {
    /// Returns a slab of so many segments, all empty, each with so many slots.
    fn new(shelf: Shelf, segments: usize, capacity: usize) -> Self {
        let slab = Slab::with_initial_segments_on(shelf, segments, capacity, || NoProtection).unwrap();
        Self { slab: Arc::new(slab), contents: Arc::default() }
    }

    /// Takes a slot and writes to it.
    fn take(&self) -> Block {
        let place = self.slab.allocate(layout()).unwrap().cast::<u8>();
        let mut contents = self.contents.lock().unwrap();
        let content = contents.entry(place.addr().get()).or_default();
        let block = Block { place, content: Arc::clone(content) };
        drop(contents);
        block.content.enter();
        block
    }

    /// Takes so many slots.
    fn take_some(&self, count: usize) -> Vec<Block> {
        (0..count).map(|_| self.take()).collect()
    }

    /// Writes to the block and frees it.
    fn free(&self, block: Block) {
        block.content.leave();
        // SAFETY: the block is live and not used afterwards.
        unsafe { self.slab.deallocate(block.place, layout()) };
    }

    /// Returns whether the slab knows the block as its own.
    fn knows(&self, block: &Block) -> bool {
        // SAFETY: the block is live with this layout.
        unsafe { self.slab.usable_size(block.place, layout()) == Some(size_of::<Value>()) }
    }

    /// Starts a thread that uses the slab.
    fn using<R: 'static>(&self, run: impl FnOnce(&Self) -> R + 'static) -> JoinHandle<R> {
        let pool = self.clone();
        thread::spawn(move || run(&pool))
    }

    /// Ends the slab, which had no block left, and looks for what it may have lost or left behind.
    fn end(self, shelf: Shelf) {
        assert_eq!((self.slab.len(), self.slab.corruption_events()), (0, 0));
        drop(self);
        assert_eq!(shelf.mappings(), 0);
    }
}

impl Content {
    /// Writes to a block that was just handed out, as any owner may.
    fn enter(&self) {
        // SAFETY: the block is live, and this side's alone; loom checks it.
        let before = self.0.with_mut(|content| unsafe { std::mem::replace(&mut *content, 1) });
        assert_eq!(before, 0, "a slot is issued twice");
    }

    /// Writes to a block that is about to be freed.
    fn leave(&self) {
        // SAFETY: as above.
        let before = self.0.with_mut(|content| unsafe { std::mem::replace(&mut *content, 0) });
        assert_eq!(before, 1, "a slot was freed by somebody else");
    }
}

/// Runs `body` in every interleaving with at most so many forced switches between threads; without a bound the number of
/// interleavings is out of reach.
fn model(switches: usize, body: impl Fn(Shelf) + Send + Sync + 'static) {
    let shelf = Shelf::new();
    let mut builder = Builder::new();
    builder.preemption_bound = Some(switches);
    // Filling four segments takes more steps than loom allows by itself.
    builder.max_branches = 10_000;
    builder.check(move || body(shelf));
}

fn join<const N: usize>(threads: [JoinHandle<()>; N]) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn two_threads_share_a_segment() {
    model(3, |shelf| {
        let pool = Pool::new(shelf, 1, 2);
        join([(); 2].map(|()| {
            pool.using(|pool| {
                let block = pool.take();
                pool.free(block);
            })
        }));
        assert_eq!(pool.slab.segment_count(), 1);
        pool.end(shelf);
    });
}

#[test]
fn two_threads_grow_and_shrink_the_slab() {
    model(3, |shelf| {
        let pool = Pool::new(shelf, 0, 1);
        join([(); 2].map(|()| {
            pool.using(|pool| {
                let blocks = pool.take_some(2);
                blocks.into_iter().for_each(|block| pool.free(block));
            })
        }));
        assert_eq!(pool.slab.segment_count(), 1, "one empty segment is kept");
        pool.end(shelf);
    });
}

#[test]
fn two_threads_with_magazines_share_a_segment() {
    model(3, |shelf| {
        // Magazines of two slots: the third block that a thread frees goes past them.
        let pool = Pool::new(shelf, 1, 8);
        join([3, 1].map(|count| {
            pool.using(move |pool| {
                let blocks = pool.take_some(count);
                blocks.into_iter().for_each(|block| pool.free(block));
            })
        }));
        assert_eq!(pool.slab.segment_count(), 1);
        pool.end(shelf);
    });
}

#[test]
fn a_block_is_found_while_the_map_grows() {
    model(3, |shelf| {
        // The map has room for four segments.
        let pool = Pool::new(shelf, 4, 1);
        let [first, ..] = <[Block; 4]>::try_from(pool.take_some(4)).ok().unwrap();
        let growing = pool.using(Pool::take);
        let finding = pool.using(move |pool| {
            assert!(pool.knows(&first));
            first
        });
        let (fifth, first) = (growing.join().unwrap(), finding.join().unwrap());
        assert!(pool.knows(&fifth) && pool.knows(&first));
        assert_eq!(pool.slab.segment_count(), 5);
        drop(pool);
        assert_eq!(shelf.mappings(), 0);
    });
}

#[test]
fn a_block_is_freed_without_the_lock_while_the_map_grows() {
    model(3, |shelf| {
        let pool = Pool::new(shelf, 4, 8);
        let mut blocks = pool.using(|pool| pool.take_some(32)).join().unwrap();
        let freed = blocks.split_off(30);
        let growing = pool.using(Pool::take);
        // The first free gets the thread a magazine, so the second needs no lock.
        let freeing = pool.using(|pool| freed.into_iter().for_each(|block| pool.free(block)));
        freeing.join().unwrap();
        let fifth = growing.join().unwrap();
        assert!(pool.knows(&fifth) && blocks.iter().all(|block| pool.knows(block)));
        assert_eq!((pool.slab.len(), pool.slab.corruption_events()), (31, 0));
        drop(pool);
        assert_eq!(shelf.mappings(), 0);
    });
}

#[test]
fn a_block_is_found_while_segments_come_and_go() {
    model(2, |shelf| {
        let pool = Pool::new(shelf, 0, 1);
        let [first, second, third] = <[Block; 3]>::try_from(pool.take_some(3)).ok().unwrap();
        // The first segment is kept, the second leaves and its place is for the next; cells of the map move meanwhile.
        let changing = pool.using(|pool| {
            pool.free(first);
            pool.free(second);
            let blocks = pool.take_some(2);
            blocks.into_iter().for_each(|block| pool.free(block));
        });
        let finding = pool.using(move |pool| {
            assert!(pool.knows(&third));
            pool.free(third);
        });
        join([changing, finding]);
        assert_eq!(pool.slab.segment_count(), 1);
        pool.end(shelf);
    });
}

#[test]
fn a_block_is_freed_by_another_thread() {
    model(3, |shelf| {
        let pool = Pool::new(shelf, 0, 4);
        let handed = Arc::new(AtomicPtr::<Block>::new(std::ptr::null_mut()));
        let give = Arc::clone(&handed);
        let giver = pool.using(move |pool| {
            let block = Box::into_raw(Box::new(pool.take()));
            // Release: pairs with the Acquire swap of the thread that frees the block.
            give.store(block, Ordering::Release);
            let block = pool.take();
            pool.free(block);
        });
        let take = move |pool: &Pool| {
            let block = handed.load(Ordering::Acquire);
            if !block.is_null() {
                // SAFETY: it came out of a box, and whoever comes here later comes only if this was too early.
                pool.free(*unsafe { Box::from_raw(block) });
            }
            !block.is_null()
        };
        let taking = take.clone();
        let taker = pool.using(move |pool| {
            // From here on the thread has a magazine with room, so it looks for the other's block without the lock.
            let block = pool.take();
            let freed = taking(pool);
            pool.free(block);
            freed
        });
        giver.join().unwrap();
        let freed = taker.join().unwrap();
        assert!(freed || pool.using(move |pool| take(pool)).join().unwrap());
        pool.end(shelf);
    });
}

#[test]
fn a_thread_that_ends_leaves_its_magazine_to_the_next() {
    model(3, |shelf| {
        let pool = Pool::new(shelf, 1, 4);
        let one = || {
            pool.using(|pool| {
                let block = pool.take();
                pool.free(block);
            })
        };
        // The two threads may hold one thread slot after the other without a join between them.
        let (first, second) = (one(), one());
        join([first, second]);
        join([one()]);
        assert_eq!(pool.slab.segment_count(), 1);
        pool.end(shelf);
    });
}
