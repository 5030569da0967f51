//! What a thread does past its magazine: bundles to and from the pool, under the lock. Invariants are those of the slab.
//!
//! ```text
//!   take_shared:  the magazine of the thread slot -> the depot -> a segment -> a new segment
//!   put_shared:   a full magazine -> the depot -> what that evicts, into its segments
//! ```
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{AllocError, FreelistProtection};
use forge_os::Os;

use super::ExtendableSlab;
use super::magazine::{BUNDLE, Bundle, Magazine};
use super::pool::{Pool, Put};
use super::segment::{self, SegmentSlab};
use crate::report;

impl<T, M: FreelistProtection, O: Os> ExtendableSlab<T, M, O> {
    /// Takes a slot past the magazine, and refills that by the way.
    #[inline(never)]
    pub(super) fn take_shared(&self) -> Result<NonNull<u8>, AllocError> {
        let magazine = self.acquired_magazine();
        // A thread that took its thread slot just now inherits what the last holder left.
        if let Some(slot) = magazine.and_then(Magazine::pop) {
            return Ok(slot);
        }
        if let Some(slot) = self.locked(|pool| self.refill(pool, magazine)) {
            return Ok(slot);
        }
        self.extend(magazine)
    }

    /// Maps a segment, unless another thread has meanwhile, and takes a slot.
    #[cold]
    fn extend(&self, magazine: Option<&Magazine>) -> Result<NonNull<u8>, AllocError> {
        let segment = self.map_segment()?;
        let (slot, refused) = self.locked(|pool| {
            let refused = pool.install(&self.map, &self.shared.counters, segment);
            (self.refill(pool, magazine), refused)
        });
        drop(refused);
        slot.ok_or(AllocError)
    }

    /// Returns a new segment that is not in the pool yet.
    pub(super) fn map_segment(&self) -> Result<SegmentSlab<T, M, O>, AllocError> {
        let shape = self.shape.ok_or(AllocError)?;
        segment::map(self.os, shape, (self.mac_factory)())
    }

    /// Takes a slot from the pool and fills half of the empty magazine.
    fn refill(&self, pool: &mut Pool<T, M, O>, magazine: Option<&Magazine>) -> Option<NonNull<u8>> {
        let Some(magazine) = magazine else { return pool.take_one(&self.map, &self.shared.counters) };
        let newest = pool.take_bundle(&self.shared.counters).and_then(|bundle| magazine.fill(bundle));
        if newest.is_some() {
            return newest;
        }
        let mut slots = [None; BUNDLE];
        let wanted = self.magazine_limit.div_ceil(2);
        let mut places = slots.iter_mut().take(wanted);
        let mut place = places.next();
        pool.take_while(&self.map, &self.shared.counters, |slot| {
            if let Some(place) = place.take() {
                *place = Some(slot);
            }
            place = places.next();
            place.is_some()
        });
        let [first, others @ ..] = slots;
        // The pool's order is that in which the slots are to be used, and a magazine is used from its end.
        for slot in others.into_iter().rev().flatten() {
            magazine.push(slot);
        }
        first
    }

    /// Frees a slot past the fast path: into the magazine if there is one, else into the pool.
    #[inline(never)]
    pub(super) fn put_shared(&self, ptr: NonNull<u8>) {
        let Some(magazine) = self.acquired_magazine() else {
            // SAFETY: the caller of `deallocate` promises that a block is live and not used any more.
            return unsafe { self.put(ptr) };
        };
        let Some(slot) = self.slot_of(ptr) else { return self.refuse_foreign(ptr) };
        if magazine.len() >= self.magazine_limit {
            // The newer half stays: it is used first.
            let count = self.magazine_limit.div_ceil(2);
            let evicted = self.locked(|pool| pool.put_bundle(&self.shared.counters, magazine, count));
            if let Some(bundle) = evicted {
                self.flush(&bundle);
            }
        }
        debug_assert!(!magazine.contains(slot), "a slot is freed twice");
        magazine.push(slot);
    }

    /// Frees a slot into the pool.
    ///
    /// # Safety
    ///
    /// If `ptr` is a slot that was handed out, it is not used any more; and it is live, unless the policy tracks.
    unsafe fn put(&self, ptr: NonNull<u8>) {
        // SAFETY: the caller's promise; a live slot is in use as far as the pool can tell (I2).
        match self.locked(|pool| unsafe { pool.put(&self.map, &self.shared.counters, ptr) }) {
            Put::Done => {}
            Put::Retired(segments) => drop(segments),
            Put::Foreign => self.refuse_foreign(ptr),
        }
    }

    /// Puts the slots of a bundle into their segments.
    fn flush(&self, bundle: &Bundle) {
        let mut flushed = 0;
        while flushed < bundle.len() {
            let retired = self.locked(|pool| {
                let mut slots = bundle.slots().skip(flushed);
                while let Some(first) = slots.next() {
                    // SAFETY: slots in a bundle are distinct, were taken from the pool, and are not handed out (I2).
                    let (count, put) =
                        unsafe { pool.put_run(&self.map, &self.shared.counters, first, slots.clone()) };
                    flushed += count;
                    if let Put::Retired(segments) = put {
                        return Some(segments);
                    }
                    slots = bundle.slots().skip(flushed);
                }
                None
            });
            // The segments are unmapped outside of the lock.
            drop(retired);
        }
    }

    /// Puts the slots of all magazines and of the depot into their segments. No other thread has the slab.
    pub(super) fn flush_all(&mut self) {
        for magazine in &self.magazines {
            let mut bundle = Bundle::EMPTY;
            while magazine.len() > 0 {
                magazine.move_oldest(BUNDLE, &mut bundle);
                self.flush(&bundle);
            }
        }
        while let Some(bundle) = self.locked(|pool| pool.take_bundle(&self.shared.counters).copied()) {
            self.flush(&bundle);
        }
    }

    /// Counts and reports a free of what the slab did not issue.
    #[cold]
    #[inline(never)]
    fn refuse_foreign(&self, ptr: NonNull<u8>) {
        self.locked(|pool| pool.count_foreign(&self.shared.counters));
        if M::TRACKS || M::ENDS {
            report::fatal_foreign_free(ptr);
        }
        report::foreign_free();
    }
}
