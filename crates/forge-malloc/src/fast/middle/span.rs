//! A span: a run of units cut into slots of one class, and the map of those that are free.
//!
//! ```text
//!   slots   | issued | free | issued | free | fresh  | fresh  | .. |
//!   map     |   0    |  1   |   0    |  1   |   0 ..                     a bit per slot, beside the slots
//!                                           ^ fresh: never issued, never touched
//! ```
//!
//! # Invariants
//!
//! - (I1) A slot is issued, free, or fresh: issued ones are below `fresh` with a bit of 0, free ones have a bit of 1 and
//!   are below `fresh`, fresh ones have a bit of 0 and are not below.
//! - (I2) `free` is the number of bits that are set, and no bit is set below word `hint`.
//! - (I3) A span is reached by who holds the lock of its class, and only there.
//!
//! # Operations
//!
//! `take`: O(1) for each slot, and the words of the map once. `give`: O(1).
//!
//! # Design
//!
//! A map beside the slots instead of a list through them: giving a block back does not touch its memory, slots are handed out in the
//! order of addresses again however they came back, and a second free of the same slot meets its bit. Slots are
//! taken from the map before fresh ones, so that memory that was never touched stays so.
#![allow(unsafe_code)]

use core::ptr;

use super::shelf::Misfit;
use crate::fast::back::segment::{MAP_WORDS, Run};
use crate::fast::front::sizes::{Class, Shape};

/// A run of units that is cut into slots.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Span {
    next: *mut Span,
    prev: *mut Span,
    run: Run,
    map: *mut u64,
    class: Class,
    listed: bool,
    fresh: u32,
    free: u32,
    hint: u32,
}

impl Span {
    /// Makes the span of a run in which every slot is fresh. O(units).
    ///
    /// # Safety
    ///
    /// The run is taken and the caller's alone; it is as long as the spans of `class`, whose shape is `shape`.
    pub(super) unsafe fn make(run: Run, class: Class, shape: &Shape) -> *mut Self {
        // SAFETY: the caller's promise; map and span are that of the run, and the words of the slots are in the map.
        unsafe {
            let (span, map) = run.claim();
            map.write_bytes(0, shape.slots.div_ceil(64).min(MAP_WORDS));
            span.write(Self {
                next: ptr::null_mut(),
                prev: ptr::null_mut(),
                run,
                map,
                class,
                listed: false,
                fresh: 0,
                free: 0,
                hint: 0,
            });
            span
        }
    }

    /// Returns the units of the span. O(1).
    pub(super) fn run(&self) -> Run {
        self.run
    }

    /// Returns whether no slot is issued. O(1).
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.free == self.fresh
    }

    /// Returns whether every slot is issued. O(1).
    #[inline]
    pub(super) fn is_full(&self, shape: &Shape) -> bool {
        self.free == 0 && self.fresh as usize == shape.slots
    }

    /// Returns whether the next slot that is taken has never been touched since its memory was zero. O(1).
    #[inline]
    pub(super) fn is_zero(&self) -> bool {
        self.free == 0 && self.run.zero
    }

    /// Takes up to `wanted` slots, writes their addresses from `out` on, the lowest last, and returns how many. O(`wanted`).
    ///
    /// # Safety
    ///
    /// `out` is valid for writing `wanted` words, and `shape` is that of the span's class.
    pub(super) unsafe fn take(&mut self, shape: &Shape, out: *mut usize, wanted: usize) -> usize {
        let start = self.run.start();
        let available = self.free as usize + shape.slots - self.fresh as usize;
        let count = wanted.min(available);
        let from_map = count.min(self.free as usize);
        let mut at = count;
        self.free -= from_map as u32;
        let end = count - from_map;
        while at > end {
            // SAFETY: bits are set at or above `hint` while any slot is free (I2), so the word lies in the map.
            let word = unsafe { &mut *self.map.add(self.hint as usize) };
            let base = self.hint as usize * 64;
            while *word != 0 && at > end {
                let index = base + word.trailing_zeros() as usize;
                *word &= *word - 1;
                at -= 1;
                // SAFETY: `at` is below `count`, which is at most `wanted`.
                unsafe { out.add(at).write(start + index * shape.size) };
            }
            self.hint += u32::from(*word == 0);
        }
        let mut address = start + self.fresh as usize * shape.size;
        self.fresh += at as u32;
        while at > 0 {
            at -= 1;
            // SAFETY: as above.
            unsafe { out.add(at).write(address) };
            address += shape.size;
        }
        count
    }

    /// Returns the class of the slots. O(1).
    pub(crate) fn class(&self) -> Class {
        self.class
    }

    /// Returns the address of each issued slot. O(slots).
    pub(crate) fn issued(&self, size: usize) -> impl Iterator<Item = usize> {
        (0..self.fresh as usize).filter_map(move |index| {
            // SAFETY: the index is below `fresh`, so its word lies in the map.
            let word = unsafe { self.map.add(index / 64).read() };
            (word >> (index % 64) & 1 == 0).then(|| self.run.start() + index * size)
        })
    }

    /// Takes the slots at addresses back, up to the first address that lies in another span, and returns how many: at least one. O(1) for each.
    ///
    /// # Errors
    ///
    /// [`Misfit`] if one of them is no issued slot of a span of this class; the span is of no use then.
    ///
    /// # Safety
    ///
    /// `blocks` is valid for reading `count` words, at least one, and the first is an address in the span; `shape` is that of `class`.
    #[inline]
    pub(super) unsafe fn give(
        &mut self,
        class: Class,
        shape: &Shape,
        blocks: *const usize,
        count: usize,
    ) -> Result<usize, Misfit> {
        if self.class != class {
            return Err(Misfit);
        }
        let (start, len) = (self.run.start(), self.run.len());
        // In registers, since a write into the map may be one to them, as far as the compiler knows.
        let (map, fresh) = (self.map, self.fresh as usize);
        let (mut given, mut lowest) = (0, usize::MAX);
        while given < count {
            // SAFETY: `given` is below `count`.
            let offset = unsafe { blocks.add(given).read() }.wrapping_sub(start);
            if offset >= len {
                break;
            }
            let index = shape.index_of(offset).filter(|&index| index < fresh).ok_or(Misfit)?;
            // SAFETY: the index is below `fresh`, so its word lies in the map.
            let word = unsafe { &mut *map.add(index / 64) };
            let bit = 1_u64 << (index % 64);
            if *word & bit != 0 {
                return Err(Misfit);
            }
            *word |= bit;
            lowest = lowest.min(index);
            given += 1;
        }
        self.free += given as u32;
        self.hint = self.hint.min((lowest / 64) as u32);
        Ok(given)
    }
}

/// Spans of one class with slots to take: first in, first out.
#[derive(Debug)]
pub(super) struct SpanList {
    first: *mut Span,
    last: *mut Span,
}

impl SpanList {
    /// Returns the empty list.
    pub(super) const fn new() -> Self {
        Self { first: ptr::null_mut(), last: ptr::null_mut() }
    }

    /// Returns the first span, or null. O(1).
    #[inline]
    pub(super) fn first(&self) -> *mut Span {
        self.first
    }

    /// Appends a span unless it is on the list. O(1).
    ///
    /// # Safety
    ///
    /// The span is alive, and on no other list.
    #[inline]
    pub(super) unsafe fn append(&mut self, span: *mut Span) {
        // SAFETY: the spans of the list are alive and reached by the holder of the lock alone.
        unsafe {
            if (*span).listed {
                return;
            }
            (*span).listed = true;
            (*span).next = ptr::null_mut();
            (*span).prev = self.last;
            match self.last.is_null() {
                true => self.first = span,
                false => (*self.last).next = span,
            }
            self.last = span;
        }
    }

    /// Removes a span if it is on the list. O(1).
    ///
    /// # Safety
    ///
    /// The span is alive, and on no other list.
    pub(super) unsafe fn remove(&mut self, span: *mut Span) {
        // SAFETY: as for `append`.
        unsafe {
            if !(*span).listed {
                return;
            }
            (*span).listed = false;
            let (next, prev) = ((*span).next, (*span).prev);
            match prev.is_null() {
                true => self.first = next,
                false => (*prev).next = next,
            }
            match next.is_null() {
                true => self.last = prev,
                false => (*next).prev = prev,
            }
        }
    }
}

#[cfg(test)]
mod tests;
