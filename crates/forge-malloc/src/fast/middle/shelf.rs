//! The shelf of a class: its spans, under a lock, and its depot, without.
//!
//! ```text
//!   threads        spill, refill
//!                    |      ^
//!   depot          [ batch ] -> [ batch ]            lock-free
//!                    v      |
//!   lock --------------------------------------------------------------
//!   listed         span -> span -> span              those with slots to take; full ones are on no list
//!   spare          span or none                      an empty one, kept
//!   lock ------------- units ------------------------------------------
//! ```
//!
//! # Invariants
//!
//! - (I1) A span of the class is listed exactly if it has slots to take, unless it is the spare.
//! - (I2) At most one span of the class has no issued slot, and it is the spare; others went back to the units.
//! - (I3) The lock of a shelf is taken before that of the units, and no two shelves are locked together, except around a fork,
//!   in the order of the classes.
//!
//! # Operations
//!
//! `take` and `give`: O(blocks), and a run of units for a new or an empty span.
//!
//! # Design
//!
//! The list is a queue: the span that slots are taken from stays in front until it is full, and spans that got a slot back wait behind,
//! where they may become empty meanwhile. One lock a class and one acquisition for a batch keep waiting rare.
#![allow(unsafe_code)]

use core::{mem, ptr};

use forge_alloc_core::sync::RawLock;
use forge_alloc_core::sync::cell::UnsafeCell;
use forge_os::Os;

use super::depot::Depot;
use super::span::{Span, SpanList};
use crate::fast::back::segment::span_of;
use crate::fast::back::units::Units;
use crate::fast::front::sizes::{Class, Shape};
use crate::fast::glue::const_unless_loom;
use crate::fast::quiet::QuietLock;

/// How many times blocks come back between two looks at the clock.
const GIFTS: u32 = 64;

/// An address that is no issued slot of the class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Misfit;

/// What threads share of one class.
pub(crate) struct Shelf {
    pub(crate) depot: Depot,
    pub(crate) lock: QuietLock,
    state: UnsafeCell<State>,
}

/// What the lock guards.
struct State {
    listed: SpanList,
    spare: *mut Span,
    issued: usize,
    gifts: u32,
}

impl Shelf {
    const_unless_loom! {
        /// Returns an empty shelf, with a quiet lock or not.
        pub(crate) fn new(quiet: bool) -> Self {
            Self {
                depot: Depot::new(),
                lock: QuietLock::new(quiet),
                state: UnsafeCell::new(State { listed: SpanList::new(), spare: ptr::null_mut(), issued: 0, gifts: 0 }),
            }
        }
    }

    /// Calls `work` with what the lock guards.
    #[inline]
    fn locked<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let _guard = self.lock.guard();
        // SAFETY: the lock is held until the end of this function, and nothing else leads to the state.
        self.state.with_mut(|state| work(unsafe { &mut *state }))
    }

    /// Returns how many slots are issued. O(1), waits for the lock.
    pub(crate) fn issued(&self) -> usize {
        self.locked(|state| state.issued)
    }

    /// Takes up to `wanted` slots from spans and writes their addresses from `out` on, from at most one new span. Returns how many,
    /// and whether all of them are known to be zero; none only if there is no memory.
    ///
    /// # Safety
    ///
    /// `out` is valid for writing `wanted` words; `shape` is that of `class`, and the shelf that of `class`.
    pub(crate) unsafe fn take<O: Os>(
        &self,
        units: &Units<O>,
        class: Class,
        shape: &Shape,
        out: *mut usize,
        wanted: usize,
    ) -> (usize, bool) {
        self.locked(|state| {
            let (mut taken, mut zero) = (0, true);
            while taken < wanted {
                let mut span = state.listed.first();
                if span.is_null() {
                    span = mem::replace(&mut state.spare, ptr::null_mut());
                    if span.is_null() {
                        // One new span is enough for a batch; what is there already is better than more memory.
                        if taken > 0 {
                            break;
                        }
                        let Some(run) = units.take(shape.units) else { break };
                        units.directory.name(&run, class);
                        // SAFETY: the run was taken just now, with the length that the shape says.
                        span = unsafe { Span::make(run, class, shape) };
                    }
                    // SAFETY: the span is alive and on no list.
                    unsafe { state.listed.append(span) };
                }
                // SAFETY: a listed span is alive and reached under this lock only; the caller promises the room.
                unsafe {
                    zero &= (*span).is_zero();
                    taken += (*span).take(shape, out.add(taken), wanted - taken);
                    if (*span).is_full(shape) {
                        state.listed.remove(span);
                    }
                }
            }
            state.issued += taken;
            (taken, zero)
        })
    }

    /// Takes blocks back into their spans, and returns whether that was done so often that it is time to look at the clock.
    ///
    /// # Errors
    ///
    /// [`Misfit`] if one of them is none; the shelf is of no use then.
    ///
    /// # Safety
    ///
    /// `blocks` is valid for reading `count` words, each the address of an issued slot of this class that nobody uses any
    /// more; `shape` is that of `class`, and the shelf that of `class`.
    pub(crate) unsafe fn give<O: Os>(
        &self,
        units: &Units<O>,
        class: Class,
        shape: &Shape,
        blocks: *const usize,
        count: usize,
    ) -> Result<bool, Misfit> {
        self.locked(|state| {
            let mut given = 0;
            while given < count {
                // SAFETY: the caller's promise; a span of an issued slot is alive, and is reached under this lock only.
                unsafe {
                    let first = blocks.add(given);
                    let span = span_of(&units.directory, first.read());
                    if span.is_null() {
                        return Err(Misfit);
                    }
                    let taken = (*span).give(class, shape, first, count - given)?;
                    // A span without an issued slot takes none back, and what is none of the class is in no span of it.
                    if taken == 0 {
                        return Err(Misfit);
                    }
                    given += taken;
                    state.issued -= taken;
                    state.settle(units, span);
                }
            }
            state.gifts = state.gifts.wrapping_add(1);
            Ok(state.gifts % GIFTS == 0)
        })
    }

    /// Returns the spare to the units. O(units).
    pub(crate) fn give_spare<O: Os>(&self, units: &Units<O>) {
        self.locked(|state| {
            let spare = mem::replace(&mut state.spare, ptr::null_mut());
            if !spare.is_null() {
                // SAFETY: the spare is alive, without an issued slot (I2), and on no list.
                unsafe { units.give((*spare).run()) };
            }
        });
    }
}

impl State {
    /// Puts a span that got a slot back where it belongs.
    ///
    /// # Safety
    ///
    /// The span is alive, and one of this shelf.
    #[inline]
    unsafe fn settle<O: Os>(&mut self, units: &Units<O>, span: *mut Span) {
        // SAFETY: the caller's promise; the lists are of living spans.
        unsafe {
            if !(*span).is_empty() {
                self.listed.append(span);
                return;
            }
            self.listed.remove(span);
            match self.spare.is_null() {
                true => self.spare = span,
                false => units.give((*span).run()),
            }
        }
    }
}

// SAFETY: the state is reached under the lock, and the depot is lock-free.
unsafe impl Sync for Shelf {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Shelf {}
