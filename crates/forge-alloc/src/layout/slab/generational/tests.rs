//! Random calls against a map, destructors that count and panic, and what a misaligned move leaves.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::ptr::NonNull;
use std::boxed::Box;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::vec::Vec;

use forge_alloc_core::{AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout};
use forge_trace::random::Random;

use super::GenerationalSlab;
use crate::layout::slab::handle::{GenerationInt, Handle};
use crate::{BumpArena, HeapBytes, InlineBacked};

/// A pool beside the map that it ought to equal.
struct Model<G: GenerationInt> {
    pool: Box<GenerationalSlab<Box<u64>, InlineBacked<2048>, G>>,
    live: HashMap<Handle<Box<u64>, G>, u64>,
    stale: Vec<Handle<Box<u64>, G>>,
    random: Random,
}

impl<G: GenerationInt> Model<G> {
    fn new(capacity: usize, seed: u64) -> Self {
        let pool = Box::new(GenerationalSlab::with_generation(capacity, InlineBacked::new()).unwrap());
        Self { pool, live: HashMap::new(), stale: Vec::new(), random: Random::new(seed) }
    }

    fn any_live(&mut self) -> Option<Handle<Box<u64>, G>> {
        let mut handles: Vec<_> = self.live.keys().copied().collect();
        handles.sort_unstable();
        handles.get(self.random.index(handles.len())).copied()
    }

    fn insert(&mut self) {
        let value = self.random.bits();
        let full = self.live.len() + self.pool.retired() == self.pool.capacity();
        match self.pool.insert(Box::new(value)) {
            Ok(handle) => {
                assert!(!full && !self.stale.contains(&handle));
                assert_eq!(self.live.insert(handle, value), None);
            }
            Err(AllocError) => assert!(full),
        }
    }

    fn remove(&mut self) {
        let Some(handle) = self.any_live() else { return };
        assert_eq!(self.pool.remove(handle).map(|value| *value), self.live.remove(&handle));
        self.stale.push(handle);
    }

    fn change(&mut self) {
        let Some(handle) = self.any_live() else { return };
        let value = self.random.bits();
        **self.pool.get_mut(handle).unwrap() = value;
        self.live.insert(handle, value);
    }

    fn present_stale(&mut self) {
        let Some(&handle) = self.stale.get(self.random.index(self.stale.len())) else { return };
        assert_eq!((self.pool.get(handle), self.pool.contains(handle)), (None, false));
        assert_eq!(self.pool.remove(handle), None);
    }

    fn retain(&mut self) {
        let bit = 1 << self.random.below(64);
        self.pool.retain(|_, value| **value & bit == 0);
        self.forget(|value| value & bit != 0);
    }

    fn drain_some(&mut self) {
        let taken = self.random.index(self.live.len() + 1);
        let mut drain = self.pool.drain();
        assert_eq!(drain.len(), self.live.len());
        for (handle, value) in drain.by_ref().take(taken) {
            assert_eq!(self.live.get(&handle), Some(&*value));
        }
        drop(drain);
        self.forget(|_| true);
    }

    fn forget(&mut self, gone: impl Fn(u64) -> bool) {
        let (dead, live) = self.live.drain().partition(|(_, value)| gone(*value));
        self.live = live;
        let dead: HashMap<_, u64> = dead;
        self.stale.extend(dead.into_keys());
    }

    fn iterate(&mut self) {
        assert_eq!(self.pool.iter().len(), self.live.len());
        let seen: HashMap<_, _> = self.pool.iter().map(|(handle, value)| (handle, **value)).collect();
        assert_eq!(seen, self.live);
        for (handle, value) in self.pool.iter_mut() {
            **value = !**value;
            self.live.insert(handle, **value);
        }
    }

    fn move_elsewhere(&mut self) {
        let old = std::mem::replace(&mut self.pool, Self::new(1, 0).pool);
        let moved = *old;
        *self.pool = moved;
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..=39 => self.insert(),
            40..=74 => self.remove(),
            75..=84 => self.change(),
            85..=93 => self.present_stale(),
            94..=95 => self.iterate(),
            96 => self.retain(),
            97 => self.drain_some(),
            _ => self.move_elsewhere(),
        }
        assert_eq!((self.pool.len(), self.pool.is_empty()), (self.live.len(), self.live.is_empty()));
    }

    fn check_everything(&self) {
        for (&handle, value) in &self.live {
            assert_eq!(self.pool.get(handle).map(|held| **held), Some(*value));
        }
        for &handle in &self.stale {
            assert_eq!(self.pool.get(handle), None);
        }
    }
}

fn random_calls_match_a_map<G: GenerationInt>(capacity: usize) {
    let (seeds, steps) = if cfg!(miri) { (1, 200) } else { (10, 3000) };
    for seed in 0..seeds {
        let mut model = Model::<G>::new(capacity, seed);
        for _ in 0..steps {
            model.step();
        }
        model.check_everything();
    }
}

#[test]
fn random_calls_match_a_map_for_every_generation() {
    random_calls_match_a_map::<u8>(5);
    random_calls_match_a_map::<u16>(40);
    random_calls_match_a_map::<u32>(100);
    random_calls_match_a_map::<u64>(100);
}

#[test]
fn the_model_wears_slots_out() {
    let mut model = Model::<u8>::new(2, 1);
    for _ in 0..if cfg!(miri) { 800 } else { 4000 } {
        model.insert();
        model.remove();
        model.present_stale();
    }
    model.check_everything();
    assert_eq!((model.pool.retired(), model.stale.len()), (2, 256));
    assert_eq!(model.pool.insert(Box::new(0)), Err(AllocError));
}

/// Removes and inserts at random and asserts that an insertion takes the slot freed last, or else the next unused one.
fn slots_come_back_in_order<T: Copy>(value: T, capacity: usize) {
    let bytes = capacity * (size_of::<T>().max(1).next_multiple_of(4) + 4) + 64;
    let backing = BumpArena::new(HeapBytes::new(bytes).unwrap()).unwrap();
    let mut pool = GenerationalSlab::<T, _>::new(capacity, backing).unwrap();
    let mut random = Random::new(size_of::<T>() as u64);
    let (mut live, mut freed, mut used) = (Vec::new(), Vec::new(), 0);
    for _ in 0..if cfg!(miri) { 20 } else { 400 } {
        for _ in 0..random.index(capacity + 1) {
            let Ok(handle) = pool.insert(value) else { break };
            let expected = freed.pop().unwrap_or_else(|| {
                used += 1;
                used - 1
            });
            assert_eq!(pool.position(handle), Some(expected));
            live.push(handle);
        }
        for _ in 0..random.index(live.len() + 1) {
            let handle = live.swap_remove(random.index(live.len()));
            freed.push(pool.position(handle).unwrap());
            assert!(pool.remove(handle).is_some());
            assert_eq!(pool.len(), live.len());
        }
    }
    assert_eq!(used, capacity, "the pool was full once");
}

#[test]
fn slots_come_back_last_in_first_out_whatever_their_size() {
    slots_come_back_in_order((), 50);
    slots_come_back_in_order(1_u8, 50);
    slots_come_back_in_order(1_u64, 50);
    slots_come_back_in_order([1_u8; 13], 50);
    slots_come_back_in_order([1_u64; 4], 50);
    slots_come_back_in_order([1_u32; 9], 70);
    slots_come_back_in_order([1_u32; 200], 20);
}

/// A value that counts its end, and panics there if told to.
struct Counted<'a> {
    drops: &'a Cell<usize>,
    panics: bool,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.drops.set(self.drops.get() + 1);
        assert!(!self.panics, "this destructor panics");
    }
}

fn counted(
    drops: &Cell<usize>,
    count: usize,
    panics_at: usize,
) -> GenerationalSlab<Counted<'_>, InlineBacked<512>> {
    let mut pool = GenerationalSlab::new(16, InlineBacked::new()).unwrap();
    for index in 0..count {
        assert!(pool.insert(Counted { drops, panics: index == panics_at }).is_ok());
    }
    pool
}

#[test]
fn every_value_is_dropped_once() {
    let drops = Cell::new(0);
    let mut pool = counted(&drops, 16, usize::MAX);
    assert!(pool.insert(Counted { drops: &drops, panics: false }).is_err());
    assert_eq!(drops.get(), 1, "the refused value");
    let handles: Vec<_> = pool.iter().map(|(handle, _)| handle).collect();
    drop(pool.remove(handles[3]));
    assert_eq!(drops.get(), 2);
    pool.retain(|handle, _| handle >= handles[8]);
    assert_eq!((drops.get(), pool.len()), (9, 8));
    drop(pool.drain().next());
    assert_eq!((drops.get(), pool.len()), (17, 0));
    assert!(pool.insert(Counted { drops: &drops, panics: false }).is_ok());
    drop(pool);
    assert_eq!(drops.get(), 18);
}

#[test]
fn a_panicking_destructor_drops_nothing_twice() {
    // The pool's own end: the values after the one that panics are leaked.
    let drops = Cell::new(0);
    let pool = counted(&drops, 5, 2);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(pool))).is_err());
    assert_eq!(drops.get(), 3);

    // Emptying: they stay, and go with the pool.
    type Pool<'a> = GenerationalSlab<Counted<'a>, InlineBacked<512>>;
    for how in 0..3 {
        let empty = |pool: &mut Pool<'_>| match how {
            0 => pool.clear(),
            1 => drop(pool.drain()),
            _ => pool.retain(|_, _| false),
        };
        let drops = Cell::new(0);
        let mut pool = counted(&drops, 5, 2);
        assert!(catch_unwind(AssertUnwindSafe(|| empty(&mut pool))).is_err());
        assert_eq!((drops.get(), pool.len()), (3, 2));
        drop(pool);
        assert_eq!(drops.get(), 5);
    }
}

#[test]
fn a_panicking_predicate_leaves_the_pool_whole() {
    let drops = Cell::new(0);
    let mut pool = counted(&drops, 6, usize::MAX);
    let mut seen = 0;
    let result = catch_unwind(AssertUnwindSafe(|| {
        pool.retain(|_, _| {
            seen += 1;
            assert!(seen < 4, "this predicate panics");
            false
        });
    }));
    assert!(result.is_err());
    assert_eq!((drops.get(), pool.len(), pool.iter().count()), (3, 3, 3));
    drop(pool);
    assert_eq!(drops.get(), 6);
}

#[test]
fn a_forgotten_drain_leaves_the_rest_in_the_pool() {
    let drops = Cell::new(0);
    let mut pool = counted(&drops, 4, usize::MAX);
    let mut drain = pool.drain();
    drop(drain.next());
    std::mem::forget(drain);
    assert_eq!((drops.get(), pool.len()), (1, 3));
    drop(pool);
    assert_eq!(drops.get(), 4);
}

/// A value that needs more alignment than inline storage promises.
#[derive(Debug, PartialEq)]
#[repr(align(64))]
struct Wide(u64);

/// A place for a value at `16 * N` bytes past a multiple of 64.
#[repr(C, align(64))]
struct Shifted<P, const N: usize> {
    before: [u128; N],
    pool: P,
}

type WidePool = GenerationalSlab<Wide, BumpArena<InlineBacked<1024>>>;

/// Moves `pool` to another alignment, calls `look` on it there, and moves it back out.
fn at<const N: usize>(pool: WidePool, look: impl FnOnce(&mut WidePool)) -> WidePool {
    let mut place = Box::new(Shifted::<_, N> { before: [0; N], pool });
    look(&mut place.pool);
    assert_eq!(place.before, [0; N]);
    place.pool
}

#[test]
fn a_pool_moved_to_a_misaligned_place_finds_no_value_until_it_moves_back() {
    assert!(BumpArena::<InlineBacked<1024>>::BASE_ALIGN < align_of::<Wide>());
    let mut pool = GenerationalSlab::new(4, BumpArena::new(InlineBacked::new()).unwrap()).unwrap();
    let (mut handles, mut refusals) = (Vec::new(), 0);
    let mut fill = |pool: &mut WidePool| match pool.try_insert(Wide(7)) {
        Ok(handle) => handles.push(handle),
        Err(value) => {
            refusals += 1;
            assert_eq!(value, Wide(7));
        }
    };
    pool = at::<0>(pool, &mut fill);
    pool = at::<1>(pool, &mut fill);
    pool = at::<2>(pool, &mut fill);
    pool = at::<3>(pool, &mut fill);
    assert_eq!((handles.len(), refusals, pool.len()), (1, 3, 1), "one of the four places fits");
    let mut found = 0;
    let mut look = |pool: &mut WidePool| {
        let here = pool.contains(handles[0]);
        found += usize::from(here);
        assert_eq!(pool.get(handles[0]), here.then_some(&Wide(7)));
        assert_eq!(pool.iter().count(), usize::from(here));
        assert_eq!(pool.iter().len(), usize::from(here));
        pool.retain(|_, _| true);
        if !here {
            assert_eq!(pool.remove(handles[0]), None);
            pool.clear();
        }
    };
    pool = at::<0>(pool, &mut look);
    pool = at::<1>(pool, &mut look);
    pool = at::<2>(pool, &mut look);
    pool = at::<3>(pool, &mut look);
    assert_eq!((found, pool.len()), (1, 1));
    // The one slot is vacant wherever the pool goes after its value is taken.
    let mut taken = 0;
    let mut take = |pool: &mut WidePool| taken += usize::from(pool.remove(handles[0]).is_some());
    pool = at::<0>(pool, &mut take);
    pool = at::<1>(pool, &mut take);
    pool = at::<2>(pool, &mut take);
    pool = at::<3>(pool, &mut take);
    assert_eq!(taken, 1);
    let empty = |pool: &mut WidePool| assert!(pool.is_empty());
    pool = at::<0>(pool, empty);
    pool = at::<1>(pool, empty);
    drop(pool);
}

/// A backing that counts its blocks, and may hand them out from outside its own range.
struct Watched<'a> {
    range: InlineBacked<64>,
    elsewhere: Option<InlineBacked<64>>,
    live: &'a Cell<usize>,
}

impl Watched<'_> {
    fn allocator(&self) -> &InlineBacked<64> {
        self.elsewhere.as_ref().unwrap_or(&self.range)
    }
}

// SAFETY: the range is the one of `range`, which hands out its bytes only through this value.
unsafe impl FixedRange for Watched<'_> {
    fn base(&self) -> NonNull<u8> {
        self.range.base()
    }

    fn size(&self) -> usize {
        self.range.size()
    }
}

// SAFETY: blocks go back to where they came from.
unsafe impl Deallocator for Watched<'_> {
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        self.live.set(self.live.get() - 1);
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.allocator().deallocate(ptr, layout) }
    }
}

// SAFETY: blocks are those of inline storage.
unsafe impl Allocator for Watched<'_> {
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.allocator().allocate(layout)?;
        self.live.set(self.live.get() + 1);
        Ok(block)
    }
}

#[test]
fn a_pool_takes_one_block_and_gives_it_back() {
    let live = Cell::new(0);
    let backing = Watched { range: InlineBacked::new(), elsewhere: None, live: &live };
    let mut pool = GenerationalSlab::<u64, _>::new(4, backing).unwrap();
    for value in 0..4 {
        assert!(pool.insert(value).is_ok());
    }
    assert_eq!(live.get(), 1);
    let pool = Box::new(pool);
    drop(pool);
    assert_eq!(live.get(), 0);
}

#[test]
fn memory_outside_the_backings_range_is_refused_and_given_back() {
    let live = Cell::new(0);
    let backing = Watched { range: InlineBacked::new(), elsewhere: Some(InlineBacked::new()), live: &live };
    assert!(GenerationalSlab::<u64, _>::new(4, backing).is_err());
    assert_eq!(live.get(), 0);
}

/// Asserts that `values` of one size have their places in the order of insertion and keep their bytes.
fn places_are_apart<T: Copy + PartialEq + core::fmt::Debug, G: GenerationInt>(values: [T; 9]) {
    let backing = BumpArena::new(HeapBytes::new(9 * (size_of::<T>() + 16) + 64).unwrap()).unwrap();
    let mut pool = GenerationalSlab::<T, _, G>::with_generation(9, backing).unwrap();
    let handles = values.map(|value| pool.insert(value).unwrap());
    assert_eq!(pool.insert(values[0]), Err(AllocError));
    assert!(pool.iter().map(|(handle, _)| handle).eq(handles));
    for (place, (&handle, value)) in handles.iter().zip(&values).enumerate() {
        assert_eq!((pool.position(handle), pool.get(handle)), (Some(place), Some(value)));
    }
}

#[test]
fn values_and_generations_of_every_size_lie_apart() {
    fn of<G: GenerationInt>() {
        places_are_apart::<u8, G>(core::array::from_fn(|place| place as u8));
        places_are_apart::<[u8; 6], G>(core::array::from_fn(|place| [place as u8; 6]));
        places_are_apart::<u64, G>(core::array::from_fn(|place| place as u64));
        places_are_apart::<[u32; 3], G>(core::array::from_fn(|place| [place as u32; 3]));
        places_are_apart::<[u64; 4], G>(core::array::from_fn(|place| [place as u64; 4]));
        places_are_apart::<[u64; 9], G>(core::array::from_fn(|place| [place as u64; 9]));
    }
    of::<u8>();
    of::<u16>();
    of::<u32>();
    of::<u64>();
}

#[test]
fn a_capacity_without_a_number_for_each_slot_is_refused() {
    let arena = || BumpArena::new(HeapBytes::new(64).unwrap()).unwrap();
    assert!(GenerationalSlab::<u8, _, u32>::with_generation(0, arena()).is_err());
    assert!(GenerationalSlab::<u8, _, u32>::with_generation(1 << 30, arena()).is_err());
    assert!(GenerationalSlab::<u8, _, u16>::with_generation(1 << 31, arena()).is_err());
}

#[test]
fn a_pool_says_how_full_it_is() {
    let mut pool = GenerationalSlab::<u8, _>::new(4, InlineBacked::<64>::new()).unwrap();
    assert!(pool.insert(1).is_ok());
    assert_eq!(format!("{pool:?}"), "GenerationalSlab { len: 1, capacity: 4, retired: 0, .. }");
    assert_eq!(pool.backing().capacity(), 64);
}
