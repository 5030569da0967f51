//! Runs of units: which segment they come from, what stays resident when they come back, and what goes to the system.
//!
//! ```text
//!   by reach   7: segment -> segment     longest free run of 64 units or more
//!              6: segment                32 to 63
//!              ..
//!              1: segment -> ..          1
//!              0: segment -> ..          none
//! ```
//!
//! # Invariants
//!
//! - (I1) Every segment is on the list of its reach, reached by who holds the lock.
//! - (I2) `used` is the number of units in runs that are taken, `retained` that of free units that may be resident.
//!
//! # Operations
//!
//! `take`: O(1) tries, and a mapping if no segment has room. `give`: O(1); every so many, one pass over the segments to
//! give pages back. `age`: O(1), or such a pass. `purge`: O(segments), and a call to the system for each run.
//!
//! # Design
//!
//! Segments with short runs are tried first, so that long runs stay whole and segments become empty. What is freed stays
//! resident, because a page that is given back and touched again costs more than a microsecond; when more stays than the profile says
//! plus a quarter of what is in use, pages go back until half of that is left. So a page is given back once
//! for at least as many bytes freed as that half, whatever the pattern. What is not [needed](super::decay) for a while goes back, too.
#![allow(unsafe_code)]

use core::ptr::{self, NonNull};

use forge_alloc_core::sync::RawLock;
use forge_alloc_core::sync::cell::UnsafeCell;
use forge_os::{Advice, MapOptions, Os, Released};

use super::aside;
use super::decay::Decay;
use super::directory::Directory;
use super::segment::{ALL, Run, SEGMENT, Segment, UNIT, find_run, header_len, reach, run, spans_of};
use crate::fast::glue::const_unless_loom;
use crate::fast::middle::span::Span;
use crate::fast::quiet::QuietLock;

/// The number of lists.
const REACHES: usize = 8;

/// How many segments are tried whose reach may just not suffice.
const TRIES: usize = 16;

/// The runs of units of a heap.
pub(crate) struct Units<O> {
    pub(crate) lock: QuietLock,
    pub(crate) directory: Directory,
    os: O,
    state: UnsafeCell<State>,
}

/// How much memory the units hold, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extent {
    pub(crate) mapped: usize,
    pub(crate) used: usize,
    pub(crate) retained: usize,
    pub(crate) peak: usize,
}

struct State {
    by_reach: [*mut Segment; REACHES],
    header_len: usize,
    /// Headers without a segment.
    spare: *mut Segment,
    /// How many headers are mapped.
    headers: usize,
    segments: usize,
    used: usize,
    peak: usize,
    retained: usize,
    retainable: usize,
    decay: Decay,
    advice: Option<Advice>,
}

impl<O: Os> Units<O> {
    const_unless_loom! {
        /// Returns no units, which will keep up to `retainable` bytes resident and a quarter of what is in use. Their segments have states or
        /// not.
        pub(crate) fn new(os: O, retainable: usize, states: bool, quiet: bool) -> Self {
            Self {
                lock: QuietLock::new(quiet),
                directory: Directory::new(),
                os,
                state: UnsafeCell::new(State {
                    by_reach: [ptr::null_mut(); REACHES],
                    header_len: header_len(states),
                    spare: ptr::null_mut(),
                    headers: 0,
                    segments: 0,
                    used: 0,
                    peak: 0,
                    retained: 0,
                    retainable: retainable / UNIT,
                    decay: Decay::new(),
                    advice: None,
                }),
            }
        }
    }

    fn locked<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let _guard = self.lock.guard();
        // SAFETY: the lock is held until the end of this function, and nothing else leads to the state.
        self.state.with_mut(|state| work(unsafe { &mut *state }))
    }

    /// Takes a run of `count` units, at most a quarter of a segment; none if there is no memory.
    pub(crate) fn take(&self, count: usize) -> Option<Run> {
        self.locked(|state| {
            // SAFETY: the lock is held.
            let (segment, first) = unsafe {
                state.find(count).or_else(|| {
                    let segment = state.map(&self.os, &self.directory)?;
                    Some((segment, find_run((*segment.as_ptr()).free, count)?))
                })?
            };
            // SAFETY: the segment is one of the state's, under the lock, and the run is free.
            Some(unsafe { state.cut(segment, first, count) })
        })
    }

    /// Takes a run back.
    ///
    /// # Safety
    ///
    /// The run was taken here, and nothing uses it any more.
    pub(crate) unsafe fn give(&self, taken: Run) {
        self.directory.forget(&taken);
        self.locked(|state| {
            // SAFETY: the lock is held, and the run's units are the caller's to give.
            unsafe { state.join(taken) };
            let unneeded = state.decay.note(&self.os, state.retained);
            let limit = state.retainable + state.used / 4;
            if state.retained > limit {
                // SAFETY: the lock is held.
                unsafe { state.purge(&self.os, &self.directory, limit / 2) };
            } else if unneeded > 0 {
                // SAFETY: as above.
                unsafe { state.purge(&self.os, &self.directory, state.retained - unneeded) };
            }
        });
    }

    /// Gives back what was not needed for a while, if the delay is over.
    pub(crate) fn age(&self) {
        self.locked(|state| {
            let unneeded = state.decay.tick(&self.os, state.retained);
            if unneeded > 0 {
                // SAFETY: the lock is held.
                unsafe { state.purge(&self.os, &self.directory, state.retained - unneeded) };
            }
        });
    }

    /// Sets how many milliseconds memory stays that nobody needs.
    pub(crate) fn set_delay(&self, milliseconds: u64) {
        self.locked(|state| state.decay.set_delay(milliseconds));
    }

    /// Gives every free page back to the system, and every empty segment.
    pub(crate) fn purge(&self) {
        // SAFETY: the lock is held.
        self.locked(|state| unsafe { state.purge(&self.os, &self.directory, 0) });
    }

    /// Calls `work` with each span. O(units).
    ///
    /// # Safety
    ///
    /// This thread has the lock of the units and that of every shelf.
    pub(crate) unsafe fn each_span(&self, mut work: impl FnMut(*mut Span)) {
        // SAFETY: the lock is held; listed segments are mapped (I1), and what is taken belongs to spans, since no shelf is in
        // the middle of making one.
        self.state.with_mut(|state| unsafe {
            for &first in &(*state).by_reach {
                let mut segment = first;
                while !segment.is_null() {
                    spans_of(segment, ALL & !(*segment).free, &mut work);
                    segment = (*segment).next;
                }
            }
        });
    }

    /// Sets how many bytes stay resident besides a quarter of what is in use.
    pub(crate) fn set_retainable(&self, bytes: usize) {
        self.locked(|state| state.retainable = bytes / UNIT);
    }

    /// Sets what the system is told about each segment that is mapped from now on.
    pub(crate) fn set_advice(&self, advice: Option<Advice>) {
        self.locked(|state| state.advice = advice);
    }

    /// Returns how much memory there is. Waits for the lock.
    pub(crate) fn extent(&self) -> Extent {
        self.locked(|state| Extent {
            mapped: state.segments * SEGMENT + state.headers * state.mapped_header_len(&self.os),
            used: state.used * UNIT,
            retained: state.retained * UNIT,
            peak: state.peak * UNIT,
        })
    }
}

/// The methods are called with the lock held.
impl State {
    /// Returns the list of a reach.
    fn list(&mut self, reach: usize) -> &mut *mut Segment {
        // SAFETY: the index is below the number of lists.
        unsafe { self.by_reach.get_unchecked_mut(reach % REACHES) }
    }

    /// Returns a segment with a run of `count` units, and where that starts.
    unsafe fn find(&mut self, count: usize) -> Option<(NonNull<Segment>, usize)> {
        let least = 1 + count.ilog2() as usize;
        for rank in least..REACHES {
            let mut segment = *self.list(rank);
            for _ in 0..TRIES {
                let Some(found) = NonNull::new(segment) else { break };
                // SAFETY: listed segments are mapped, and reached under the lock (I1).
                unsafe {
                    if let Some(first) = find_run((*segment).free, count) {
                        return Some((found, first));
                    }
                    segment = (*segment).next;
                }
            }
        }
        None
    }

    /// Maps a segment in which everything is free.
    #[cold]
    unsafe fn map(&mut self, os: &impl Os, directory: &Directory) -> Option<NonNull<Segment>> {
        // SAFETY: the lock is held.
        let segment = unsafe { self.header(os)? };
        let Ok(memory) = os.map(SEGMENT, MapOptions::new().with_alignment(SEGMENT)) else {
            // SAFETY: as above; nothing uses the header.
            unsafe { self.give_header(segment) };
            return None;
        };
        let base = memory.addr().get();
        if directory.cover(base, os).is_none() {
            // SAFETY: as above; the mapping is whole and nobody has seen it. If the system refuses, it stays unused.
            unsafe {
                self.give_header(segment);
                let _ = os.unmap(memory, SEGMENT);
            }
            return None;
        }
        if let Some(advice) = self.advice {
            // SAFETY: the mapping is new. Advice that is refused changes nothing.
            let _ = unsafe { os.advise(memory, SEGMENT, advice) };
        }
        // Blocks lead here by their addresses alone.
        memory.as_ptr().expose_provenance();
        // SAFETY: the segment is new and zero, and the header zero. Zero is a value of every field but the spans, and those are written
        // before they are read.
        unsafe {
            (&raw mut (*segment.as_ptr()).base).write(base);
            (&raw mut (*segment.as_ptr()).free).write(ALL);
            directory.set_header(base, segment.as_ptr());
            self.link(segment.as_ptr());
        }
        self.segments += 1;
        Some(segment)
    }

    /// Returns the bytes of the mapping of a header.
    fn mapped_header_len(&self, os: &impl Os) -> usize {
        self.header_len.next_multiple_of(os.page_size())
    }

    /// Returns a header that is zero; none if there is no memory.
    unsafe fn header(&mut self, os: &impl Os) -> Option<NonNull<Segment>> {
        if let Some(spare) = NonNull::new(self.spare) {
            // SAFETY: a spare header is mapped, and reached under the lock.
            unsafe {
                self.spare = (*spare.as_ptr()).next;
                spare.cast::<u8>().write_bytes(0, self.header_len);
            }
            return Some(spare);
        }
        let header = aside::map(os, self.header_len)?;
        self.headers += 1;
        // Aligned, since a page is.
        Some(header.cast())
    }

    /// Keeps a header that nothing uses.
    unsafe fn give_header(&mut self, header: NonNull<Segment>) {
        // SAFETY: the caller's header.
        unsafe { (*header.as_ptr()).next = self.spare };
        self.spare = header.as_ptr();
    }

    /// Unmaps the headers that nothing uses.
    unsafe fn unmap_headers(&mut self, os: &impl Os) {
        while let Some(spare) = NonNull::new(self.spare) {
            // SAFETY: a spare header is mapped, and reached under the lock.
            unsafe {
                let next = (*spare.as_ptr()).next;
                if os.unmap(spare.cast(), self.mapped_header_len(os)).is_err() {
                    return;
                }
                self.spare = next;
            }
            self.headers -= 1;
        }
    }

    /// Takes a run of units that are free.
    unsafe fn cut(&mut self, segment: NonNull<Segment>, first: usize, count: usize) -> Run {
        let header = segment.as_ptr();
        // SAFETY: a listed segment under the lock (I1). No reference to it lives while another is made.
        unsafe {
            let taken = run(first, count);
            let zero = (*header).touched & taken == 0;
            self.retained -= ((*header).resident & taken).count_ones() as usize;
            self.decay.lower(self.retained);
            self.used += count;
            self.peak = self.peak.max(self.used);
            (*header).free &= !taken;
            (*header).touched |= taken;
            (*header).resident &= !taken;
            self.settle(header);
            Run { segment, base: (*header).base, first, count, zero }
        }
    }

    /// Makes the units of a run free.
    unsafe fn join(&mut self, taken: Run) {
        let header = taken.segment.as_ptr();
        let units = run(taken.first, taken.count);
        // SAFETY: as in `cut`.
        unsafe {
            (*header).free |= units;
            (*header).resident |= units;
            self.settle(header);
        }
        self.used -= taken.count;
        self.retained += taken.count;
    }

    /// Moves a segment to the list of its reach, after units of it were taken or given back.
    unsafe fn settle(&mut self, segment: *mut Segment) {
        // SAFETY: a listed segment under the lock (I1).
        unsafe {
            if reach((*segment).free) != (*segment).reach {
                self.unlink(segment);
                self.link(segment);
            }
        }
    }

    /// Puts a segment on the list of its reach.
    unsafe fn link(&mut self, segment: *mut Segment) {
        // SAFETY: the caller's segment is alive, and so are those of the lists (I1).
        unsafe {
            (*segment).reach = reach((*segment).free);
            let list = self.list((*segment).reach);
            (*segment).prev = ptr::null_mut();
            (*segment).next = *list;
            if !(*list).is_null() {
                (**list).prev = segment;
            }
            *list = segment;
        }
    }

    /// Takes a segment off the list that it was put on.
    unsafe fn unlink(&mut self, segment: *mut Segment) {
        // SAFETY: as in `link`.
        unsafe {
            let (next, prev) = ((*segment).next, (*segment).prev);
            match prev.is_null() {
                true => *self.list((*segment).reach) = next,
                false => (*prev).next = next,
            }
            if !next.is_null() {
                (*next).prev = prev;
            }
        }
    }

    /// Gives free pages back, the emptiest segments first, until at most `target` units are retained.
    #[cold]
    unsafe fn purge(&mut self, os: &impl Os, directory: &Directory, target: usize) {
        for rank in (1..REACHES).rev() {
            let mut segment = *self.list(rank);
            while !segment.is_null() && (self.retained > target || target == 0) {
                // SAFETY: a listed segment under the lock (I1); `next` is read before it may go.
                unsafe {
                    let next = (*segment).next;
                    let all = self.retained - (*segment).resident.count_ones() as usize >= target;
                    if (*segment).free != ALL || !all || self.unmap(os, directory, segment).is_none() {
                        self.release(os, segment, target);
                    }
                    segment = next;
                }
            }
        }
        // SAFETY: the lock is held.
        unsafe { self.unmap_headers(os) };
    }

    /// Unmaps an empty segment, whose header is left over; none if the system refuses.
    unsafe fn unmap(&mut self, os: &impl Os, directory: &Directory, segment: *mut Segment) -> Option<()> {
        // SAFETY: a listed segment, whose base was exposed; after the call nothing leads to it, nor to its header.
        unsafe {
            let (base, resident) = ((*segment).base, (*segment).resident.count_ones() as usize);
            let memory = NonNull::new(ptr::with_exposed_provenance_mut::<u8>(base))?;
            self.unlink(segment);
            directory.set_header(base, ptr::null_mut());
            if os.unmap(memory, SEGMENT).is_err() {
                directory.set_header(base, segment);
                self.link(segment);
                return None;
            }
            self.give_header(NonNull::new(segment)?);
            self.retained -= resident;
            self.segments -= 1;
        }
        Some(())
    }

    /// Gives the free resident pages of a segment back, a run at a time until at most `target` units are retained.
    unsafe fn release(&mut self, os: &impl Os, segment: *mut Segment, target: usize) {
        // SAFETY: a listed segment under the lock; its free units are nobody's.
        unsafe {
            while (*segment).resident != 0 && self.retained > target {
                let first = (*segment).resident.trailing_zeros() as usize;
                let count = ((*segment).resident >> first).trailing_ones() as usize;
                let units = run(first, count);
                if self.release_run(os, segment, first, count) {
                    (*segment).touched &= !units;
                }
                // Whatever the system did, it is not asked again before these units were used.
                (*segment).resident &= !units;
                self.retained -= count;
            }
        }
    }

    /// Gives the whole pages of a free run back, and returns whether every byte of the run is zero then.
    unsafe fn release_run(&self, os: &impl Os, segment: *mut Segment, first: usize, count: usize) -> bool {
        let page = os.page_size();
        let (start, end) = ((first * UNIT).next_multiple_of(page), (first + count) * UNIT / page * page);
        if start >= end {
            return false;
        }
        // SAFETY: the range lies in the segment, whose pages start at multiples of the page size, and holds free units only.
        let released = unsafe {
            NonNull::new(ptr::with_exposed_provenance_mut::<u8>((*segment).base + start))
                .map(|memory| os.release_pages(memory, end - start))
        };
        let whole = end - start == count * UNIT;
        whole && matches!(released, Some(Ok(Released::Zeroed)))
    }
}

// SAFETY: the state is reached under the lock.
unsafe impl<O: Os> Sync for Units<O> {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl<O: Os> Send for Units<O> {}

#[cfg(test)]
mod tests;
