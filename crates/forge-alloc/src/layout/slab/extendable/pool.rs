//! What the lock of an extendable slab guards: the segments, and which of them serves the next request.
//!
//! ```text
//!   take:  the depot -> first of Room -> first of Empty -> none: the caller maps a segment and installs it
//!   put:   the depot; what that evicts: map -> segment -> its slab;  Full -> Room,  Room -> Empty or out of the pool
//! ```
//!
//! # Invariants
//!
//! - (I1) The map has exactly the segments of the directory, under their numbers.
//! - (I2) Segments on `Room` and `Full` have slots in use; at most `reserve()` segments are on `Empty`. A slot in a
//!   magazine or in the depot is in use, as far as its segment can tell.
//! - (I3) `Counters` are those of this pool; they change under its lock only.
//!
//! # Operations
//!
//! `put_bundle` and `take_bundle`: O(magazine). Taking and putting slots of segments: O(1) expected a slot, amortized over
//! the segments that fill up.
//!
//! # Design
//!
//! A segment that fills up is noticed by the request that finds it full, so that nothing but the slab keeps count. The
//! segment that got a slot back last is asked first: its memory is warm. Segments are made and ended by the caller, outside
//! of the lock: nobody waits for the system.
#![allow(unsafe_code)]

use core::iter;
use core::ptr::NonNull;

use forge_alloc_core::sync::atomic::{AtomicUsize, Ordering};
use forge_alloc_core::{Allocator, FixedRange, FreelistProtection};
use forge_os::Os;

use super::depot::Depot;
use super::directory::{Directory, List};
use super::magazine::{Bundle, Magazine};
use super::segment::SegmentSlab;
use super::segment_map::{Entry, SegmentMap, Tables};

/// Numbers that any thread may read, and that change under the lock.
pub(super) struct Counters {
    segments: AtomicUsize,
    taken: AtomicUsize,
    corruptions: AtomicUsize,
}

impl Counters {
    /// Returns the numbers of an empty pool.
    pub(super) fn new() -> Self {
        Self { segments: AtomicUsize::new(0), taken: AtomicUsize::new(0), corruptions: AtomicUsize::new(0) }
    }

    // Relaxed: each number is one by itself, and the lock orders the writers.

    /// Returns how many segments there are.
    pub(super) fn segments(&self) -> usize {
        self.segments.load(Ordering::Relaxed)
    }

    /// Returns how many slots are in use or in magazines; those in the depot are not.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Returns how many corruptions were noticed.
    pub(super) fn corruptions(&self) -> usize {
        self.corruptions.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn step(counter: &AtomicUsize, by: isize) {
        counter.store(counter.load(Ordering::Relaxed).wrapping_add_signed(by), Ordering::Relaxed);
    }
}

/// The segments of an extendable slab.
pub(super) struct Pool<T, M: FreelistProtection, O: Os> {
    directory: Directory<T, M, O>,
    tables: Tables<O>,
    depot: Depot,
    /// How many empty segments are kept at least.
    spare: u32,
    /// Whether the map follows how many slots each segment has handed out; else all of them count as handed out.
    follows_issues: bool,
}

/// What became of a slot that was put back.
pub(super) enum Put<S> {
    /// It is free.
    Done,
    /// It is free, and one or two segments left the pool.
    Retired([Option<S>; 2]),
    /// It is no slot of the pool that was ever handed out. Nothing has changed.
    Foreign,
}

impl<T, M: FreelistProtection, O: Os> Pool<T, M, O> {
    /// Returns a pool without segments. O(1).
    pub(super) fn new(os: O, depot: Depot, follows_issues: bool) -> Self {
        Self { directory: Directory::new(os), tables: Tables::new(os), depot, spare: 1, follows_issues }
    }

    /// Sets how many empty segments are kept at least, which is 1 otherwise. O(1).
    pub(super) fn keep_spare(&mut self, spare: u32) {
        self.spare = spare;
    }

    /// Returns how many empty segments are kept now: half as many as are in use, or the least number. O(1).
    fn reserve(&self) -> u32 {
        let used = self.directory.count(List::Room) + self.directory.count(List::Full);
        (used / 2).max(self.spare)
    }

    /// Moves the `count` oldest slots of a magazine into the depot, and returns the slots that have to go to their segments
    /// instead. O(magazine).
    pub(super) fn put_bundle(
        &mut self,
        counters: &Counters,
        magazine: &Magazine,
        count: usize,
    ) -> Option<Bundle> {
        let (place, evicted) = self.depot.put();
        let Some(place) = place else {
            let mut bundle = Bundle::EMPTY;
            magazine.move_oldest(count, &mut bundle);
            return Some(bundle);
        };
        magazine.move_oldest(count, place);
        let more = evicted.as_ref().map_or(0, Bundle::len) as isize - place.len() as isize;
        Counters::step(&counters.taken, more);
        evicted
    }

    /// Takes the newest bundle from the depot, if there is one. O(1).
    pub(super) fn take_bundle(&mut self, counters: &Counters) -> Option<&Bundle> {
        let bundle = self.depot.take()?;
        Counters::step(&counters.taken, bundle.len() as isize);
        Some(bundle)
    }

    /// Takes one slot, from the depot or a segment, if there is any. O(1) expected, amortized.
    pub(super) fn take_one(&mut self, map: &SegmentMap, counters: &Counters) -> Option<NonNull<u8>> {
        if let Some(slot) = self.depot.take_one() {
            Counters::step(&counters.taken, 1);
            return Some(slot);
        }
        let mut found = None;
        self.take_while(map, counters, |slot| {
            found = Some(slot);
            false
        });
        found
    }

    /// Takes slots, the one to use first first, until `visit` has had enough and returns `false` or no segment has any.
    pub(super) fn take_while(
        &mut self,
        map: &SegmentMap,
        counters: &Counters,
        mut visit: impl FnMut(NonNull<u8>) -> bool,
    ) {
        let mut any = false;
        while let Some(number) = self.directory.first(List::Room).or_else(|| self.reopen(any)) {
            let (more, found) = self.take_from(number, map, counters, &mut visit);
            any |= found;
            if !more {
                return;
            }
            self.directory.move_to(number, List::Full);
        }
    }

    /// Takes slots of one segment. Returns whether `visit` wants more, and whether there was a slot.
    fn take_from(
        &mut self,
        number: u32,
        map: &SegmentMap,
        counters: &Counters,
        visit: &mut impl FnMut(NonNull<u8>) -> bool,
    ) -> (bool, bool) {
        let Some(segment) = self.directory.get(number) else { return (true, false) };
        let Some(slab) = &segment.slab else { return (true, false) };
        let (mut issued, mut taken, mut more) = (segment.issued, 0, true);
        while more {
            let Some(slot) = slab.take() else { break };
            taken += 1;
            issued = issued.max(slab.number_of(slot).map_or(0, |number| number + 1));
            more = visit(slot);
        }
        let corruptions = slab.corruption_events();
        Counters::step(&counters.taken, taken);
        Counters::step(&counters.corruptions, corruptions.wrapping_sub(segment.corruptions) as isize);
        segment.corruptions = corruptions;
        if self.follows_issues && issued != segment.issued {
            segment.issued = issued;
            map.set_issued(&mut self.tables, slab.base(), issued);
        }
        (more, taken != 0)
    }

    /// Makes an empty segment one with room, unless the request was `served` already.
    fn reopen(&mut self, served: bool) -> Option<u32> {
        let number = if served { None } else { self.directory.first(List::Empty) }?;
        self.directory.move_to(number, List::Room);
        Some(number)
    }

    /// Puts a slot back that nobody uses any more.
    ///
    /// # Safety
    ///
    /// If `slot` is a slot that was handed out, it is not used any more; and it is in use as far as the pool can tell,
    /// unless the policy tracks.
    #[inline]
    pub(super) unsafe fn put(
        &mut self,
        map: &SegmentMap,
        counters: &Counters,
        slot: NonNull<u8>,
    ) -> Put<SegmentSlab<T, M, O>> {
        // SAFETY: the caller's promise.
        unsafe { self.put_run(map, counters, slot, iter::empty()) }.1
    }

    /// Puts slots back that nobody uses any more: `first`, and those of `others` up to one of another segment. Returns how
    /// many that are, and what became of them. O(1) expected for the first, O(1) for each other.
    ///
    /// # Safety
    ///
    /// As [`put`](Self::put), for each of the slots; they are distinct.
    #[inline]
    pub(super) unsafe fn put_run(
        &mut self,
        map: &SegmentMap,
        counters: &Counters,
        first: NonNull<u8>,
        others: impl Iterator<Item = NonNull<u8>>,
    ) -> (usize, Put<SegmentSlab<T, M, O>>) {
        let foreign = (1, Put::Foreign);
        let Some(number) = map.find(first.addr().get()).map(|entry| entry.segment) else { return foreign };
        let Some(segment) = self.directory.get(number) else { return foreign };
        let Some(slab) = &segment.slab else { return foreign };
        let mut count = 0;
        for place in iter::once(first).chain(others).map_while(|slot| slab.number_of(slot)) {
            // SAFETY: the slot was handed out; the rest is the caller's promise.
            unsafe { slab.put(place) };
            count += 1;
        }
        if count == 0 {
            return foreign;
        }
        let (empty, full) = (slab.is_empty(), segment.is_on(List::Full));
        Counters::step(&counters.taken, -(count as isize));
        if empty {
            return (count, self.settle(number, map, counters));
        }
        if full {
            self.directory.move_to(number, List::Room);
        }
        (count, Put::Done)
    }

    /// Keeps a segment that has become empty, or takes it out of the pool.
    #[cold]
    fn settle(&mut self, number: u32, map: &SegmentMap, counters: &Counters) -> Put<SegmentSlab<T, M, O>> {
        let slab = self.directory.get(number).and_then(|segment| segment.slab.as_ref());
        // A segment that has lost slots to an overwritten link is not worth keeping.
        let whole = slab.is_some_and(|slab| slab.lost() == 0);
        let broken = if whole { None } else { self.retire(number, map, counters) };
        if whole {
            self.directory.move_to(number, List::Empty);
        }
        // One is in use less than before, so there is one empty one too many, or two because the reserve has shrunk.
        let mut surplus = || {
            if self.directory.count(List::Empty) <= self.reserve() {
                return None;
            }
            let number = self.directory.first(List::Empty)?;
            self.retire(number, map, counters)
        };
        match [broken.or_else(&mut surplus), surplus()] {
            [None, None] => Put::Done,
            retired => Put::Retired(retired),
        }
    }

    /// Takes a segment out of the pool.
    fn retire(&mut self, number: u32, map: &SegmentMap, counters: &Counters) -> Option<SegmentSlab<T, M, O>> {
        let slab = self.directory.vacate(number)?;
        map.remove(&mut self.tables, slab.base());
        Counters::step(&counters.segments, -1);
        Some(slab)
    }

    /// Takes in a new segment, to be asked after the others. If as many empty ones are kept as shall be, because another
    /// thread was faster, or if there is no memory to keep track of it, the segment comes back.
    pub(super) fn install(
        &mut self,
        map: &SegmentMap,
        counters: &Counters,
        slab: SegmentSlab<T, M, O>,
    ) -> Option<SegmentSlab<T, M, O>> {
        if self.directory.count(List::Empty) >= self.reserve() {
            return Some(slab);
        }
        if self.directory.prepare().is_err() || map.reserve(&mut self.tables).is_err() {
            return Some(slab);
        }
        let Some(number) = self.directory.next_number() else { return Some(slab) };
        let issued = if self.follows_issues { 0 } else { u32::MAX };
        map.insert(&mut self.tables, Entry { base: slab.base(), segment: number, issued });
        self.directory.occupy(number, slab, issued, List::Empty);
        Counters::step(&counters.segments, 1);
        None
    }

    /// Counts a free of what the pool never handed out.
    pub(super) fn count_foreign(&mut self, counters: &Counters) {
        Counters::step(&counters.corruptions, 1);
    }

    /// Calls `visit` with each segment.
    pub(super) fn for_each(&mut self, mut visit: impl FnMut(&SegmentSlab<T, M, O>)) {
        for list in [List::Room, List::Full, List::Empty] {
            let mut next = self.directory.first(list);
            while let Some(number) = next {
                if let Some(slab) = self.directory.get(number).and_then(|segment| segment.slab.as_ref()) {
                    visit(slab);
                }
                next = self.directory.after(number);
            }
        }
    }

    /// Takes an empty segment out of the pool, or any if `all`; `None` if there is none left.
    pub(super) fn remove_one(
        &mut self,
        map: &SegmentMap,
        counters: &Counters,
        all: bool,
    ) -> Option<SegmentSlab<T, M, O>> {
        let mut number = self.directory.first(List::Empty);
        if all {
            number = number.or(self.directory.first(List::Room)).or(self.directory.first(List::Full));
        }
        self.retire(number?, map, counters)
    }

    /// Gives back what the bookkeeping does not need any more.
    ///
    /// # Safety
    ///
    /// Nobody else reads the map during the call.
    pub(super) unsafe fn shrink(&mut self, map: &SegmentMap) {
        // SAFETY: the caller's promise; the tables are those of the map (I1).
        unsafe { map.shrink(&mut self.tables) };
        if self.directory.segments() == 0 {
            self.directory.release();
        }
    }
}
