//! Spans of numbers, of pages or ids, that share one bitmap in the order of the numbers.
//!
//! ```text
//!   numbers       |  span A  |       hole          |    span B   |
//!                 /          \                     |             |
//!   bitmap   | ..AAAAAA|AAAAA... | 00000000 | BBBBBBBB|BBBBBBB.. | 00000000 | unused ..
//!              words of A           guard       words of B          guard
//! ```
//!
//! # Invariants
//!
//! - (I1) The spans are sorted, disjoint, and none touches the next: spans that touch are one.
//! - (I2) The number `n` of a span is the unit `n - shift` of the bitmap, without overflow; `shift` is a multiple of 64.
//! - (I3) A word without a free unit lies behind the words of each span, and units of no span are never free. So a run of free
//!   units is one of numbers of one span.
//! - (I4) All units of spans are below the capacity.
//!
//! # Operations
//!
//! Those of the bitmap, with O(spans) for the span of a number. Adding a span is O(1) behind the others, and O(capacity)
//! where it moves spans that are there.
//!
//! # Design
//!
//! A hole costs one word however long it is, so the capacity counts numbers and never distances. The order of the spans in
//! the bitmap is that of the numbers, whichever is added first, so that the lowest unit is the lowest number.

use forge_alloc_core::{AllocResult, HeapError};

use crate::raw::bitmap::{BitStorage, RunMap, words_for};

/// The regions that an allocator of pages or ids notes unless told otherwise.
pub(super) const DEFAULT_SPANS: usize = 16;

/// The words of the bitmap of `pages` pages in up to 16 regions.
///
/// # Examples
///
/// ```
/// use forge_alloc::{BitmapPageAllocator, page_words};
///
/// static PAGES: BitmapPageAllocator<4096, [u64; page_words(1 << 20)]> = BitmapPageAllocator::new();
/// ```
#[must_use]
pub const fn page_words(pages: usize) -> usize {
    // The first and the last word of a region may be incomplete, and the last one of all needs no guard.
    words_for(pages.saturating_add(64 * (3 * DEFAULT_SPANS - 1)))
}

/// The units of a word of the bitmap.
const WORD: usize = u64::BITS as usize;

/// One span of numbers.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
    /// What is added to a unit, wrapping, to make it a number.
    shift: usize,
}

impl Span {
    const NONE: Self = Self { start: 0, end: 0, shift: 0 };

    /// Returns the word of its first number.
    fn low(self) -> usize {
        self.start.wrapping_sub(self.shift) / WORD
    }

    /// Returns the word behind its guard.
    fn high(self) -> usize {
        (self.end.wrapping_sub(self.shift)).div_ceil(WORD) + 1
    }

    /// Returns whether `count` numbers from `start` on are in the span.
    #[inline(always)]
    fn holds(&self, start: usize, count: usize) -> bool {
        let (before, length) = (start.wrapping_sub(self.start), self.end - self.start);
        before < length && count <= length - before
    }

    /// Returns this span with its first word at `low`.
    fn at(self, low: usize) -> Self {
        Self { shift: (self.start & !(WORD - 1)).wrapping_sub(low * WORD), ..self }
    }
}

/// Up to `SPANS` spans of numbers, each number free or taken.
pub(super) struct SpanMap<S, const SPANS: usize> {
    map: RunMap<S>,
    count: usize,
    spans: [Span; SPANS],
    /// The numbers of the first span, and the unit behind it.
    first_length: usize,
    first_end: usize,
    total: usize,
}

impl<S: BitStorage, const SPANS: usize> SpanMap<S, SPANS> {
    /// Returns the map without a span.
    pub(super) const fn new(storage: S) -> Self {
        const { assert!(SPANS > 0, "a map that can hold no span is of no use") };
        Self {
            map: RunMap::new(storage),
            count: 0,
            spans: [Span::NONE; SPANS],
            first_length: 0,
            first_end: 0,
            total: 0,
        }
    }

    /// Returns how many numbers there are. O(1).
    pub(super) fn total(&self) -> usize {
        self.total
    }

    /// Returns how many numbers are free. O(1).
    #[inline(always)]
    pub(super) fn available(&self) -> usize {
        self.map.free()
    }

    fn spans(&self) -> &[Span] {
        self.spans.get(..self.count).unwrap_or(&[])
    }

    /// Adds the numbers from `start` up to `end`, all of them free. Everything else stays as it is.
    ///
    /// # Errors
    ///
    /// [`HeapError::InvalidParam`] if there are none, [`HeapError::MemoryOverlap`] if there are some already, and
    /// [`HeapError::NoMemory`] if there is no room for them.
    pub(super) fn add(&mut self, start: usize, end: usize) -> AllocResult {
        if start >= end {
            return Err(HeapError::InvalidParam);
        }
        if self.spans().iter().any(|span| span.start < end && start < span.end) {
            return Err(HeapError::MemoryOverlap);
        }
        let below = self.spans().iter().take_while(|span| span.end < start).count();
        let touching = self.spans().iter().skip(below).take_while(|span| span.start <= end).count();
        let merged = self.spans().iter().skip(below).take(touching).fold(
            Span { start, end, shift: 0 },
            |merged, span| Span {
                start: merged.start.min(span.start),
                end: merged.end.max(span.end),
                shift: 0,
            },
        );
        let low = self.spans().get(below.wrapping_sub(1)).map_or(0, |span| span.high());
        let room = self.map.capacity() / WORD;
        if (merged.end - merged.start) / WORD > room {
            return Err(HeapError::NoMemory);
        }
        // Near the storage in size, so no sum overflows.
        let merged = merged.at(low);
        let used = self.spans().last().map_or(0, |span| span.high());
        let behind = self.spans().get(below + touching).copied();
        let moved = behind.map_or(0, |span| used - span.low());
        if merged.high() + moved > room + 1 || self.count - touching >= SPANS {
            return Err(HeapError::NoMemory);
        }
        self.lay_out(below, touching, merged);
        self.total += end - start;
        let freed = self.map.give(start.wrapping_sub(merged.shift), end - start);
        debug_assert!(freed, "numbers that were in no span were taken");
        Ok(())
    }

    /// Replaces `touching` spans by the one that holds them, and moves all spans behind to where there is room.
    fn lay_out(&mut self, below: usize, touching: usize, merged: Span) {
        let used = self.spans().last().map_or(0, |span| span.high());
        // From behind: the spans that are not touched move as one.
        let behind = self.spans().get(below + touching).map_or(used, |span| span.low());
        let mut tail = (behind, used);
        if merged.high() > behind {
            self.map.move_words(behind, used, merged.high());
            tail = (merged.high(), merged.high() + (used - behind));
        }
        for index in (below..below + touching).rev() {
            let Some(&span) = self.spans().get(index) else { break };
            let place = span.start.wrapping_sub(merged.shift) / WORD;
            let end = span.end.wrapping_sub(span.shift).div_ceil(WORD);
            self.map.move_words(span.low(), end, place);
        }
        if merged.high() < tail.0 {
            self.map.move_words(tail.0, tail.1, merged.high());
        }
        let mut rest = [Span::NONE; SPANS];
        let mut next = merged.high();
        let moved = self.spans().iter().skip(below + touching);
        let moved = moved.map(|span| {
            let low = next;
            next += span.high() - span.low();
            span.at(low)
        });
        let kept = self.spans().iter().take(below).copied();
        let count =
            rest.iter_mut().zip(kept.chain([merged]).chain(moved)).map(|(slot, span)| *slot = span).count();
        (self.spans, self.count) = (rest, count);
        self.first_length = self.spans.first().map_or(0, |span| span.end - span.start);
        self.first_end = self.spans.first().map_or(0, |span| span.end.wrapping_sub(span.shift));
    }

    /// Returns the unit of `count` numbers from `start` on, if all of them are in one span.
    #[inline(always)]
    fn unit(&self, start: usize, count: usize) -> Option<usize> {
        let first = self.spans.first()?;
        if first.holds(start, count) {
            return Some(start.wrapping_sub(first.shift));
        }
        self.unit_behind(start, count)
    }

    #[inline(never)]
    fn unit_behind(&self, start: usize, count: usize) -> Option<usize> {
        let span = self.spans().iter().skip(1).find(|span| span.holds(start, count))?;
        Some(start.wrapping_sub(span.shift))
    }

    /// Returns the number of a unit of a span.
    #[inline(always)]
    fn number(&self, unit: usize) -> usize {
        let Some(first) = self.spans.first() else { return unit };
        if unit < self.first_end { unit.wrapping_add(first.shift) } else { self.number_behind(unit) }
    }

    #[inline(never)]
    fn number_behind(&self, unit: usize) -> usize {
        let span = self.spans().iter().rfind(|span| unit >= span.start.wrapping_sub(span.shift));
        unit.wrapping_add(span.map_or(0, |span| span.shift))
    }

    /// Takes the lowest free number. O(log n).
    #[inline(always)]
    pub(super) fn take_lowest(&mut self) -> Option<usize> {
        self.map.take_lowest().map(|unit| self.number(unit))
    }

    /// Takes the lowest `count` free numbers in a row whose first is at least `from` and a multiple of `align`, a power of two.
    #[inline]
    pub(super) fn take_run(&mut self, from: usize, count: usize, align: usize) -> Option<usize> {
        if from == 0 && align <= WORD {
            let unit = self.map.take_run(0, usize::MAX, count, align, 0)?;
            return Some(self.number(unit));
        }
        self.take_in_spans(from, count, align)
    }

    /// Takes a run span by span: alignments above a word differ from those of units.
    fn take_in_spans(&mut self, from: usize, count: usize, align: usize) -> Option<usize> {
        for span in self.spans.iter().take(self.count).filter(|span| span.end > from) {
            let unit = from.max(span.start).wrapping_sub(span.shift);
            let end = span.end.wrapping_sub(span.shift);
            if let Some(unit) = self.map.take_run(unit, end, count, align, span.shift) {
                return Some(unit.wrapping_add(span.shift));
            }
        }
        None
    }

    /// Takes `count` numbers from `start` on if all of them are free, and returns whether they were.
    pub(super) fn take(&mut self, start: usize, count: usize) -> bool {
        self.unit(start, count).is_some_and(|unit| self.map.take(unit, count))
    }

    /// Frees `count` numbers from `start` on if all of them are taken, and returns whether they were.
    #[inline(always)]
    pub(super) fn give(&mut self, start: usize, count: usize) -> bool {
        if count == 1 {
            let first =
                self.spans.first().filter(|first| start.wrapping_sub(first.start) < self.first_length);
            if let Some(first) = first {
                if let Some(given) = self.map.give_here(start.wrapping_sub(first.shift)) {
                    return given;
                }
            }
        }
        self.give_run(start, count)
    }

    #[inline(never)]
    fn give_run(&mut self, start: usize, count: usize) -> bool {
        self.unit(start, count).is_some_and(|unit| self.map.give(unit, count))
    }

    /// Frees one number as [`give`](Self::give) does, where searches from a number on are the rule.
    #[inline(always)]
    pub(super) fn give_in_tree(&mut self, number: usize) -> bool {
        self.unit(number, 1).is_some_and(|unit| self.map.give_in_tree(unit))
    }

    /// Returns whether a number is in a span, and free.
    pub(super) fn is_free(&self, number: usize) -> Option<bool> {
        self.unit(number, 1).map(|unit| self.map.is_free(unit))
    }
}

#[cfg(test)]
mod tests;
