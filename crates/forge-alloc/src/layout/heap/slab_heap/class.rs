//! One class of a slab heap: its spans, and a magazine of slots in front of them.
//!
//! ```text
//!   magazine   | slot | slot | slot |      |      |        last in, first out
//!                 ^ the oldest half goes to its spans when the magazine is full, and a batch comes back when it is empty
//!   head  --> span <--> span <--> ..                       spans with free slots and others
//!   spare --> span                                         all slots are free
//! ```
//!
//! # Invariants
//!
//! - (I1) The magazine holds `len` slots, each once, which are not free in their spans and not live.
//! - (I2) `taken` is the number of slots that are not free in the spans of this class, `slots` that of all slots; `spans` is the
//!   number of the spans and `cost` the bytes that the parent has less because of them.
//! - (I3) The list holds the spans that have free slots and others; the spare has only free slots and is in no list.
//! - (I4) If there are several spans and `len` is `limit`, then the magazine is full or no slot is live.
//!
//! # Operations
//!
//! Take and give: O(1). Refill and return: O([`MAGAZINE`]).
//!
//! # Design
//!
//! In a program that allocates and frees at random, a span that was full has a free slot for the time until the next
//! allocation, so each free would enter the span into its list and each allocation remove it. The magazine (Bonwick and Adams,
//! "Magazines and Vmem", 2001) takes such pairs, without a look at a header. The number of live slots is not counted but
//! follows from numbers that change with the spans only.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use super::shape::Note;
use crate::layout::slab::stride::Stride;
use crate::raw::span;

/// A span with the note of this heap.
pub(super) type Span = span::Span<Note>;

/// The most slots of a magazine.
pub(super) const MAGAZINE: usize = 16;

/// The slots that move between a magazine and the spans at a time.
const BATCH: usize = MAGAZINE / 2;

/// The spans and the magazine of a class.
#[derive(Debug)]
pub(super) struct Class {
    len: usize,
    limit: usize,
    magazine: [Option<NonNull<u8>>; MAGAZINE],
    pub(super) head: Option<Span>,
    pub(super) spare: Option<Span>,
    pub(super) stride: Stride,
    taken: usize,
    slots: usize,
    spans: usize,
    cost: usize,
}

impl Class {
    /// Returns the class of slots at this distance, without spans. O(1).
    pub(super) const fn new(stride: Stride) -> Self {
        Self {
            len: 0,
            limit: MAGAZINE,
            magazine: [None; MAGAZINE],
            head: None,
            spare: None,
            stride,
            taken: 0,
            slots: 0,
            spans: 0,
            cost: 0,
        }
    }

    /// Returns the slot that was given last, if the magazine is not empty. O(1).
    #[inline(always)]
    pub(super) fn take(&mut self) -> Option<NonNull<u8>> {
        let at = self.len.wrapping_sub(1);
        let slot = *self.magazine.get(at)?;
        self.len = at;
        slot
    }

    /// Puts a slot that was live into the magazine, and returns whether [`settle`](Self::settle) must follow. O(1).
    #[inline(always)]
    pub(super) fn give(&mut self, slot: NonNull<u8>) -> bool {
        if let Some(place) = self.magazine.get_mut(self.len) {
            *place = Some(slot);
            self.len += 1;
        }
        self.len == self.limit
    }

    /// Returns whether a slot that is not free in its span is in the magazine. O([`MAGAZINE`]).
    pub(super) fn holds(&self, slot: usize) -> bool {
        let held = self.magazine.get(..self.len).unwrap_or_default();
        held.iter().flatten().any(|place| place.addr().get() == slot)
    }

    /// Returns how many slots are live. O(1).
    #[inline]
    pub(super) const fn live(&self) -> usize {
        self.taken - self.len
    }

    /// Returns the bytes that are available. O(1).
    ///
    /// Without live slots it is all memory of the class, which could go back to the parent.
    pub(super) fn available(&self) -> usize {
        if self.live() == 0 {
            return self.cost;
        }
        // SAFETY: the spare exists.
        let spare = self.spare.map_or(0, |spare| unsafe { spare.note() }.overhead(self.stride.bytes()));
        (self.slots - self.live()) * self.stride.bytes() + spare
    }

    /// Enters a span without live slots, for which the class has nothing to give. O(1).
    ///
    /// # Safety
    ///
    /// The span exists, has this class and no live slots, and is in no list.
    pub(super) unsafe fn enter(&mut self, span: Span) {
        // SAFETY: the caller's promise.
        unsafe {
            let note = span.note();
            self.slots += usize::from(note.capacity);
            self.cost += note.cost as usize;
            span.link(&mut self.head);
        }
        self.spans += 1;
        self.set_limit();
    }

    /// Forgets a span without live slots, which is in no list. O(1).
    pub(super) fn leave(&mut self, note: Note) {
        self.slots -= usize::from(note.capacity);
        self.cost -= note.cost as usize;
        self.spans -= 1;
        self.set_limit();
    }

    /// Fills the empty magazine with slots of the first span, or else of the spare, and returns a slot. O([`MAGAZINE`]).
    #[inline]
    pub(super) fn refill(&mut self) -> Option<NonNull<u8>> {
        let span = match (self.head, self.spare) {
            (Some(head), _) => head,
            (None, spare) => {
                self.spare = None;
                // SAFETY: the spare exists and is in no list (I3).
                unsafe { spare?.link(&mut self.head) };
                spare?
            }
        };
        let mut count = 0;
        // SAFETY: a span of the list exists and has a free slot (I3), which lies where the note says; so it goes on while the
        // slot taken was not the last one.
        unsafe {
            let first = span.header().add(span.note().slots_at as usize);
            for place in self.magazine.iter_mut().take(BATCH) {
                let (slot, last) = span.take();
                *place = Some(first.add(slot * self.stride.bytes()));
                count += 1;
                if last {
                    span.unlink(&mut self.head);
                    break;
                }
            }
        }
        // The slots at low addresses go first.
        self.magazine.get_mut(..count)?.reverse();
        self.len = count;
        self.taken += count;
        self.set_limit();
        self.take()
    }

    /// Returns the oldest half of a magazine to the spans, or all of it if no slot is live; as [`empty`](Self::empty). O([`MAGAZINE`]).
    ///
    /// # Safety
    ///
    /// As [`empty`](Self::empty).
    pub(super) unsafe fn settle(&mut self, span_of: impl FnMut(NonNull<u8>) -> Option<Span>) -> Option<Span> {
        let count = if self.live() == 0 { self.len } else { BATCH };
        // SAFETY: the caller's promise.
        unsafe { self.put_back(count, span_of) }
    }

    /// Returns all slots of the magazine to their spans. The result begins a list of spans that have no live slots, and which
    /// the class is to [`leave`](Self::leave); one such span stays, as the spare. O([`MAGAZINE`]).
    ///
    /// # Safety
    ///
    /// `span_of` returns the span of a slot of this class.
    pub(super) unsafe fn empty(&mut self, span_of: impl FnMut(NonNull<u8>) -> Option<Span>) -> Option<Span> {
        // SAFETY: the caller's promise.
        unsafe { self.put_back(self.len, span_of) }
    }

    /// Returns the `count` oldest slots of the magazine to their spans; as [`empty`](Self::empty).
    ///
    /// # Safety
    ///
    /// As [`empty`](Self::empty).
    unsafe fn put_back(
        &mut self,
        count: usize,
        mut span_of: impl FnMut(NonNull<u8>) -> Option<Span>,
    ) -> Option<Span> {
        let mut surplus = None;
        let count = count.min(self.len);
        for at in 0..count {
            let Some(slot) = self.magazine.get(at).copied().flatten() else { continue };
            let Some(span) = span_of(slot) else { continue };
            // SAFETY: the caller promises the span of the slot, which is not free there (I1).
            unsafe { self.put(span, slot, &mut surplus) };
        }
        self.magazine.copy_within(count.., 0);
        self.len -= count;
        self.taken -= count;
        self.set_limit();
        surplus
    }

    /// Returns a slot to its span, and puts the span where it belongs then.
    ///
    /// # Safety
    ///
    /// The span exists and has the slot, which is not free.
    unsafe fn put(&mut self, span: Span, slot: NonNull<u8>, surplus: &mut Option<Span>) {
        // SAFETY: the caller's promise. A span without free slots is in no list, one with free ones and others is (I3).
        unsafe {
            let first = span.header().addr().get() + span.note().slots_at as usize;
            let (live, alone) = span.put(self.stride.number(slot.addr().get() - first));
            if alone {
                span.link(&mut self.head);
            }
            if live != 0 {
                return;
            }
            span.unlink(&mut self.head);
            if self.spare.is_some() {
                span.link(surplus);
            } else {
                self.spare = Some(span);
            }
        }
    }

    /// Sets the number of slots in the magazine that calls for a look (I4).
    fn set_limit(&mut self) {
        self.limit = if self.spans > 1 && self.taken < MAGAZINE { self.taken } else { MAGAZINE };
    }

    /// Returns the number of slots, of those not free in their spans, of spans, and what they cost.
    #[cfg(test)]
    pub(super) const fn counts(&self) -> [usize; 4] {
        [self.slots, self.taken, self.spans, self.cost]
    }

    /// Returns what is in the magazine, and at how many it calls for a look.
    #[cfg(test)]
    pub(super) fn held(&self) -> (&[Option<NonNull<u8>>], usize) {
        (&self.magazine[..self.len], self.limit)
    }
}
