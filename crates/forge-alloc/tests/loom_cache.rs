//! Models of the object cache: every interleaving of a few threads with the shipped source, with the orderings of the memory
//! model.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p forge-alloc --test loom_cache`.
//!
//! What loom watches are cells beside the cache: one per slot that a box is made in, written while the box lives, and one per
//! slab, which every user of the slab reads and its release writes. An access that is not ordered with the one before it fails
//! the model: a slot that is issued twice, or a slab, or the root with the lock in it, that goes while a thread is still there.
//!
//! Slabs lie at the same addresses in every execution, because loom repeats one step by step.
#![cfg(loom)]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

use std::alloc::Layout;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use forge_alloc::cache::locks::SpinLock;
use forge_alloc::cache::{Result, SlabBox, SlabCache, SlabError, SlabSource};
use forge_alloc::{NonZeroLayout, Region};
use loom::cell::UnsafeCell;
use loom::model::Builder;
use loom::thread;

const SIZE: usize = 512;
/// How many slabs there can be at once.
const PLACES: usize = 4;

type Value = [u64; 20];
type Cache = SlabCache<Value, SpinLock, SIZE, Shelf>;
type Boxed = SlabBox<Value, SpinLock, SIZE>;

/// A provider whose slabs lie at the same addresses in every execution.
#[derive(Clone)]
struct Shelf {
    base: NonNull<u8>,
    slabs: Arc<Mutex<[Option<Arc<Watched>>; PLACES]>>,
}

/// A cell that loom watches.
#[derive(Default)]
struct Watched(UnsafeCell<usize>);

// SAFETY: loom checks that accesses are ordered.
unsafe impl Send for Watched {}
// SAFETY: as above.
unsafe impl Sync for Watched {}

// SAFETY: the memory is one block that is never freed, and a place is handed out to one slab at a time.
unsafe impl Send for Shelf {}
// SAFETY: as above; the places are behind a mutex.
unsafe impl Sync for Shelf {}

impl Shelf {
    fn base() -> usize {
        let layout = Layout::from_size_align(PLACES * SIZE, SIZE).unwrap();
        // SAFETY: the size is not zero.
        unsafe { std::alloc::alloc(layout) }.expose_provenance()
    }

    fn at(base: usize) -> Self {
        Self {
            base: NonNull::new(std::ptr::with_exposed_provenance_mut(base)).unwrap(),
            slabs: Arc::default(),
        }
    }

    fn place(&self, address: usize) -> usize {
        (address - self.base.addr().get()) / SIZE
    }

    /// Reads the cell of the slab around an address, as everybody may who has a box there.
    fn visit(&self, address: usize) {
        let slab = self.slabs.lock().unwrap()[self.place(address)].clone();
        // SAFETY: the slab is not released, so nobody writes; loom checks it.
        slab.unwrap().0.with(|cell| assert_eq!(unsafe { *cell }, 0));
    }

    fn out(&self) -> usize {
        self.slabs.lock().unwrap().iter().flatten().count()
    }
}

// SAFETY: a region is a free place of the block, exclusive until it is taken back.
unsafe impl SlabSource for Shelf {
    unsafe fn supply(&self, _: NonZeroLayout) -> Result<Region> {
        let mut slabs = self.slabs.lock().unwrap();
        let free = slabs.iter().position(Option::is_none).ok_or(SlabError::OutOfMemory)?;
        slabs[free] = Some(Arc::default());
        // SAFETY: the place lies in the block and is nobody else's.
        Ok(unsafe { Region::from_raw(self.base.add(free * SIZE), SIZE) })
    }

    unsafe fn take_back(&self, region: Region, _: NonZeroLayout) {
        let place = self.place(region.base().addr().get());
        let slab = self.slabs.lock().unwrap()[place].take().unwrap();
        // SAFETY: nobody uses the slab any more; loom checks it.
        slab.0.with_mut(|cell| unsafe { *cell += 1 });
        // Whoever reads a slab that is gone, or a lock in it, reads this.
        // SAFETY: as above.
        unsafe { region.base().write_bytes(0xDD, SIZE) };
    }
}

/// What slots hold where loom sees it, by address.
type Contents = Arc<Mutex<BTreeMap<usize, Arc<Watched>>>>;

/// A box, and the cell of its slot.
struct Live {
    boxed: Boxed,
    content: Arc<Watched>,
    shelf: Shelf,
}

fn make(cache: &Cache, shelf: &Shelf, contents: &Contents) -> Option<Live> {
    let boxed = cache.alloc_value([7; 20]).ok()?;
    let address = boxed.as_ptr().addr();
    let content = Arc::clone(contents.lock().unwrap().entry(address).or_default());
    // SAFETY: the slot is this box's alone; loom checks it.
    let before = content.0.with_mut(|cell| unsafe { std::mem::replace(&mut *cell, 1) });
    assert_eq!(before, 0, "a slot is issued twice");
    shelf.visit(address);
    Some(Live { boxed, content, shelf: shelf.clone() })
}

impl Live {
    fn end(self) {
        assert_eq!(*self.boxed, [7; 20]);
        // SAFETY: as above.
        self.content.0.with_mut(|cell| unsafe { *cell = 0 });
        self.shelf.visit(self.boxed.as_ptr().addr());
        drop(self.boxed);
    }
}

/// Runs `body` in every interleaving with at most so many forced switches between threads.
fn model(switches: usize, body: impl Fn(Shelf) + Send + Sync + 'static) {
    let base = Shelf::base();
    let mut builder = Builder::new();
    builder.preemption_bound = Some(switches);
    // Filling slabs takes more steps than loom allows by itself.
    builder.max_branches = 10_000;
    builder.check(move || {
        let shelf = Shelf::at(base);
        body(shelf.clone());
        assert_eq!(shelf.out(), 0, "every slab went back");
    });
}

/// Runs both at once; a third thread at a spin lock would starve the one that holds it under loom's scheduler.
fn both(one: impl FnOnce() + 'static, other: impl FnOnce() + 'static) {
    let threads = (thread::spawn(one), thread::spawn(other));
    threads.0.join().unwrap();
    threads.1.join().unwrap();
}

#[test]
fn the_last_of_two_boxes_takes_the_root_down_once() {
    model(3, |shelf| {
        let cache = Cache::new_in(shelf.clone()).unwrap();
        let contents = Contents::default();
        let [one, other] = [(); 2].map(|()| make(&cache, &shelf, &contents).unwrap());
        drop(cache);
        both(|| one.end(), || other.end());
    });
}

#[test]
fn a_handle_and_a_box_end_in_any_order() {
    model(3, |shelf| {
        let cache = Cache::new_in(shelf.clone()).unwrap();
        let live = make(&cache, &shelf, &Contents::default()).unwrap();
        both(|| live.end(), || drop(cache));
    });
}

#[test]
fn threads_that_make_boxes_get_slots_of_their_own_and_slabs_go_back() {
    model(3, |shelf| {
        let cache = Cache::new_in(shelf.clone()).unwrap();
        let contents = Contents::default();
        let work = |cache: Cache| {
            let (shelf, contents) = (shelf.clone(), Arc::clone(&contents));
            move || {
                let lives: Vec<Live> = (0..2).filter_map(|_| make(&cache, &shelf, &contents)).collect();
                drop(cache);
                lives.into_iter().for_each(Live::end);
            }
        };
        let another = cache.clone();
        both(work(cache), work(another));
    });
}

#[test]
fn a_release_of_a_spare_keeps_the_root_that_others_leave() {
    model(3, |shelf| {
        let cache = Cache::new_in(shelf.clone()).unwrap();
        let contents = Contents::default();
        // Every slab is full, and then all but the first and the last are empty: spares, of which one is kept.
        let mut lives: Vec<Live> = core::iter::from_fn(|| make(&cache, &shelf, &contents)).collect();
        let theirs = lives.split_off(lives.len() - 2);
        lives.split_off(2).into_iter().for_each(Live::end);
        both(
            || theirs.into_iter().for_each(Live::end),
            || {
                drop(cache);
                lives.into_iter().for_each(Live::end);
            },
        );
    });
}
