//! Models of the process allocator: every interleaving of a few threads with the shipped source, with the orderings of the
//! memory model.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p forge-malloc --test loom_fast`.
//!
//! What loom watches is a cell per block, beside the heap, which whoever owns the block writes. A block that is issued twice, or whose
//! two lives are not ordered, fails the model; so does a segment that goes while a block of it is live, because its
//! memory is overwritten and the map that the next free meets is none. At the end of a model the heap is asked to give
//! everything back, and the system must have it: nothing was lost.
//!
//! Each ordering of the stacks of batches and of their chunks, weakened by a step, fails a model here. The version in the word of a
//! stack does not: to meet a batch again on top of another one takes more requests than a model can have.
//!
//! The profile keeps next to nothing, so that a few requests pass every room: caches of two blocks, batches of one, a
//! depot of two batches. Mappings lie at the same addresses in every execution, because loom repeats one step by step.
#![cfg(loom)]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use forge_alloc_core::{Allocator, Deallocator, NonZeroLayout};
use forge_malloc::fast::{Attached, Heap, Profile};
use forge_os::{Advice, HugePageSizes, MapOptions, Os, OsError, Protection};
use loom::cell::UnsafeCell;
use loom::model::Builder;
use loom::thread;

const PAGE: usize = 4096;
/// The bytes and the alignment of a place.
const PLACE: usize = 4 << 20;
/// How many mappings there can be at once.
const PLACES: usize = 6;
/// The bytes at the start of a place that a mapping must find zero: the header of a segment is shorter.
const HEADER: usize = 128 << 10;

/// A profile under which few requests reach every room.
#[derive(Debug)]
struct Tight;

impl Profile for Tight {
    const CACHE_BYTES: usize = 64;
    const CACHE_BLOCKS: usize = 2;
    const BATCH: usize = 1;
    const DEPOT_BYTES: usize = 64;
    const RETAINED_BYTES: usize = 0;
    const RETAINED_HUGE_BYTES: usize = 0;
}

type Shared = Heap<Tight, Places>;

/// A system whose mappings lie at the same addresses in every execution.
#[derive(Clone, Copy)]
struct Places {
    used: &'static Mutex<[bool; PLACES]>,
    base: NonNull<u8>,
}

// SAFETY: the memory is one block that is never freed, and a place is handed out to one mapping at a time.
unsafe impl Send for Places {}
// SAFETY: as above; which places are used is behind a mutex.
unsafe impl Sync for Places {}

impl Places {
    /// Returns places of their own, kept until the process ends.
    fn new() -> Self {
        let layout = std::alloc::Layout::from_size_align(PLACES * PLACE, PLACE).unwrap();
        // SAFETY: the size is not zero.
        let base = NonNull::new(unsafe { std::alloc::alloc(layout) }).unwrap();
        Self { used: Box::leak(Box::default()), base }
    }

    fn mappings(&self) -> usize {
        self.used.lock().unwrap().iter().filter(|used| **used).count()
    }
}

// SAFETY: a mapping is a free place, which is aligned and long enough for whatever the heap asks for here; what is read before
// it is written is zero. A place is free again only when it is unmapped. Nothing unwinds unless the model is wrong.
unsafe impl Os for Places {
    fn map(&self, len: usize, options: MapOptions) -> Result<NonNull<u8>, OsError> {
        assert!(options.alignment <= PLACE && len <= PLACE, "a mapping fits into a place");
        let mut used = self.used.lock().unwrap();
        let free = used.iter().position(|used| !used).ok_or(OsError::out_of_memory("map"))?;
        used[free] = true;
        // SAFETY: the place lies in the block, and is nobody else's now.
        unsafe {
            let start = self.base.add(free * PLACE);
            start.write_bytes(0, len.min(HEADER));
            Ok(start)
        }
    }

    unsafe fn unmap(&self, ptr: NonNull<u8>, _: usize) -> Result<(), OsError> {
        let place = (ptr.addr().get() - self.base.addr().get()) / PLACE;
        // Whoever reads a segment that is gone reads this.
        // SAFETY: the caller gives the place up.
        unsafe { ptr.write_bytes(0xDD, HEADER) };
        assert!(std::mem::take(&mut self.used.lock().unwrap()[place]), "a place is unmapped once");
        Ok(())
    }

    unsafe fn protect(&self, _: NonNull<u8>, _: usize, _: Protection) -> Result<(), OsError> {
        Err(OsError::unsupported("protect"))
    }

    unsafe fn advise(&self, _: NonNull<u8>, _: usize, _: Advice) -> Result<(), OsError> {
        Err(OsError::unsupported("advise"))
    }

    unsafe fn commit(&self, _: NonNull<u8>, _: usize) -> Result<(), OsError> {
        Err(OsError::unsupported("commit"))
    }

    unsafe fn decommit(&self, _: NonNull<u8>, _: usize) -> Result<(), OsError> {
        Err(OsError::unsupported("decommit"))
    }

    unsafe fn remap(&self, _: NonNull<u8>, _: usize, _: usize, _: bool) -> Result<NonNull<u8>, OsError> {
        Err(OsError::unsupported("remap"))
    }

    unsafe fn lock(&self, _: NonNull<u8>, _: usize) -> Result<(), OsError> {
        Err(OsError::unsupported("lock"))
    }

    unsafe fn unlock(&self, _: NonNull<u8>, _: usize) -> Result<(), OsError> {
        Err(OsError::unsupported("unlock"))
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

/// What a block holds where loom sees it: 1 while it is live, else 0.
#[derive(Default)]
struct Content(UnsafeCell<usize>);

// SAFETY: loom checks that accesses are ordered.
unsafe impl Send for Content {}
// SAFETY: as above.
unsafe impl Sync for Content {}

impl Content {
    fn change(&self, from: usize, to: usize) {
        self.0.with_mut(|cell| {
            // SAFETY: the block is its owner's alone; loom checks it.
            let now = unsafe { &mut *cell };
            assert_eq!(*now, from, "a block is issued once before it is freed once");
            *now = to;
        });
    }
}

/// A heap, and the contents of its blocks by address.
#[derive(Clone)]
struct Model {
    heap: Arc<Shared>,
    places: Places,
    contents: Arc<Mutex<BTreeMap<usize, Arc<Content>>>>,
}

/// A live block.
struct Block {
    place: NonNull<u8>,
    content: Arc<Content>,
}

// SAFETY: an address; what is done with it argues for itself, and loom checks the content.
unsafe impl Send for Block {}

fn layout() -> NonZeroLayout {
    NonZeroLayout::from_size_align(64, 8).unwrap()
}

impl Model {
    /// Returns an empty heap over the places, all of which are free.
    fn new(places: Places) -> Self {
        *places.used.lock().unwrap() = [false; PLACES];
        Self { heap: Arc::new(Heap::new(places)), places, contents: Arc::default() }
    }

    fn take(&self, cache: &Attached<'_, Tight, Places>) -> Block {
        let place = cache.allocate(layout()).unwrap().cast::<u8>();
        let mut contents = self.contents.lock().unwrap();
        let content = Arc::clone(contents.entry(place.addr().get()).or_default());
        drop(contents);
        content.change(0, 1);
        Block { place, content }
    }

    fn free(cache: &Attached<'_, Tight, Places>, block: Block) {
        block.content.change(1, 0);
        // SAFETY: the block is live, of this layout and heap, and freed once.
        unsafe { cache.deallocate(block.place, layout()) };
    }

    /// Takes the blocks, and then frees them, the first one first.
    fn take_and_free(&self, cache: &Attached<'_, Tight, Places>, count: usize) {
        let blocks: Vec<Block> = (0..count).map(|_| self.take(cache)).collect();
        blocks.into_iter().for_each(|block| Self::free(cache, block));
    }

    /// Runs `work` on a thread of its own, with a cache that is closed at its end.
    fn on_thread(
        &self,
        work: impl FnOnce(&Self, &Attached<'_, Tight, Places>) + 'static,
    ) -> thread::JoinHandle<()> {
        let model = self.clone();
        thread::spawn(move || {
            let heap = Arc::clone(&model.heap);
            work(&model, &Attached::new(&heap));
        })
    }

    /// Checks that everything comes back: with every cache closed and no live block, nothing but batches stays mapped.
    fn check_end(&self, batches: usize) {
        self.heap.trim();
        let stats = self.heap.stats();
        assert_eq!((stats.live, stats.mapped, stats.retained), (0, 0, 0));
        assert_eq!(self.places.mappings(), batches, "only the memory of batches stays");
    }
}

/// Runs a model, in memory of its own, with all interleavings of so many forced switches between threads.
fn check(preemptions: usize, model: impl Fn(Places) + Send + Sync + 'static) {
    let places = Places::new();
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || model(places));
}

#[test]
fn two_threads_take_and_free() {
    check(3, |places| {
        let model = Model::new(places);
        let other = model.on_thread(|model, cache| model.take_and_free(cache, 1));
        model.take_and_free(&Attached::new(&model.heap), 1);
        other.join().unwrap();
        model.check_end(1);
    });
}

#[test]
fn a_block_that_another_thread_frees_comes_back() {
    check(3, |places| {
        let model = Model::new(places);
        let here = Attached::new(&model.heap);
        let block = model.take(&here);
        let other = model.on_thread(move |_, cache| Model::free(cache, block));
        model.take_and_free(&here, 2);
        other.join().unwrap();
        drop(here);
        model.check_end(1);
    });
}

#[test]
fn threads_exchange_batches_through_the_depot() {
    check(3, |places| {
        let model = Model::new(places);
        // Three frees overflow a cache of two, so one block is in the depot, and each thread takes from there.
        let here = Attached::new(&model.heap);
        model.take_and_free(&here, 3);
        let other = model.on_thread(|model, cache| model.take_and_free(cache, 1));
        here.empty();
        model.take_and_free(&here, 1);
        other.join().unwrap();
        drop(here);
        model.check_end(1);
    });
}

#[test]
fn a_thread_that_ends_leaves_its_blocks_to_others() {
    check(3, |places| {
        let model = Model::new(places);
        let here = Attached::new(&model.heap);
        let (first, second) = (model.take(&here), model.take(&here));
        let one = model.on_thread(move |_, cache| Model::free(cache, first));
        let two = model.on_thread(move |model, cache| {
            Model::free(cache, second);
            model.take_and_free(cache, 1);
        });
        one.join().unwrap();
        two.join().unwrap();
        drop(here);
        model.check_end(1);
    });
}

#[test]
fn a_segment_is_returned_only_when_nothing_lives_in_it() {
    check(3, |places| {
        let model = Model::new(places);
        let here = Attached::new(&model.heap);
        model.take_and_free(&here, 1);
        // The memory of the segment is overwritten when it is returned, and mapped again for the next block.
        let other = model.on_thread(|model, cache| model.take_and_free(cache, 1));
        drop(here);
        model.heap.trim();
        other.join().unwrap();
        model.check_end(1);
    });
}
