//! Boundary marks: where the blocks of a heap begin and end, one bit for each 8 bytes, apart from the blocks.
//!
//! ```text
//!   granules   | a a a a | . . . . . . | b b | c c c |      a, b, c: blocks; . : a free run
//!   marks        1 0 0 1   0 0 0 0 0 0   1 1   1 0 1
//!
//!   memory of the map, in words:
//!   | .. straddles of groups 1, 0 | all ones | marks of granules 0, 1, .. | 1: end | one more |
//!                                           ^ marks
//! ```
//!
//! # Invariants
//!
//! - (I1) A position is a granule of the span, counted from its start; positions are below `granules`, which is at most
//!   `capacity`.
//! - (I2) The first and the last granule of every block are marked, and no other granule of the span is. A block is at
//!   least two granules long.
//! - (I3) The word before the marks is all ones, and the position behind the last granule is marked: looking for a mark
//!   from inside the span ends at its edges.
//! - (I4) A group is as many words of marks as a word has bits. The straddle of a group is set exactly if the first mark in it
//!   is the end of a block that began in an earlier group.
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | mark or unmark a block, move its end | O(1): two bits, and the straddle of a block that leaves its group |
//! | measure a gap next to a boundary, as far as a word of bits | O(1): two words |
//! | whether a granule is the first of a block | O(1): the words of one group, and its straddle |
//! | the next mark | O(distance / word) |
//!
//! # Design
//!
//! Knuth's boundary tags put the size of a block in a word in front of it and behind it. Whoever frees a block of Rust says
//! how long it is, so what remains to know is whether the neighbours are free: that takes a bit at each end of a block. Apart
//! from the blocks it costs 1/64 of the memory whatever their sizes, where a word for each block costs more for every
//! mean size below half a KiB; blocks of a power of two stay whole; a free reads no line of a neighbour that is in use; and a
//! write past the end of a block destroys no header. Free runs shorter than a word of bits need no length in memory either,
//! because the gap between two marks is the length.
//!
//! Marking the blocks and not the runs makes the bits say where the blocks are, which a walk over the heap needs. Two
//! bits for each granule would tell beginnings from ends at twice the price; counting marks tells them apart as well,
//! because they alternate, and the straddles make the count start at the group instead of the span. A group covers 32 KiB, so that few
//! blocks leave theirs, and only whoever doubts a pointer counts.
#![allow(unsafe_code)]

use core::ptr::NonNull;

/// The unit of blocks and runs in bytes.
pub(crate) const GRANULE: usize = 8;

/// The bits of a word.
const WORD: usize = usize::BITS as usize;

/// The granules of a group.
const GROUP: usize = WORD * WORD;

/// Among how many granules the end of a block is looked for at most, together with the gap behind it.
pub(crate) const WINDOW: usize = 4;

/// How many granules a gap is measured far, by every way to measure it.
pub(crate) const REACH: usize = WORD - WINDOW;

/// The marks of one span.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BoundaryMap {
    marks: NonNull<usize>,
}

impl BoundaryMap {
    /// The map of no span.
    pub(crate) const NONE: Self = Self { marks: NonNull::dangling() };

    /// Returns the words of straddles, of which there is one for each group, and the word of ones.
    const fn words_before(capacity: usize) -> usize {
        capacity / GROUP / WORD + 2
    }

    /// Returns the words of marks: the last granule may be asked for what is up to a word behind it.
    const fn mark_words(capacity: usize) -> usize {
        capacity / WORD + 2
    }

    /// Returns how many granules a map for `capacity` granules takes. O(1).
    pub(crate) const fn granules_for(capacity: usize) -> usize {
        let words = Self::words_before(capacity) + Self::mark_words(capacity);
        (words * size_of::<usize>()).div_ceil(GRANULE)
    }

    /// Makes the map of a span of `granules` granules without blocks, at `place`. O(capacity / word).
    ///
    /// # Safety
    ///
    /// `place` is valid for writing [`granules_for(capacity)`](Self::granules_for) granules and aligned to a granule, those
    /// bytes are the map's as long as it is used, and `granules <= capacity`.
    pub(crate) unsafe fn create(place: NonNull<u8>, capacity: usize, granules: usize) -> Self {
        debug_assert!(granules <= capacity);
        let (words, before) = (place.cast::<usize>(), Self::words_before(capacity));
        // SAFETY: the room that the caller promises holds all these words.
        unsafe {
            words.write_bytes(0, before + Self::mark_words(capacity));
            let map = Self { marks: words.add(before) };
            map.marks.sub(1).write(usize::MAX);
            map.flip(granules);
            map
        }
    }

    /// Lengthens the span from `from` to `to` granules. O(1).
    ///
    /// # Safety
    ///
    /// The span has `from` granules, and `from <= to <= capacity`.
    pub(crate) unsafe fn lengthen(&self, from: usize, to: usize) {
        debug_assert!(from <= to);
        // SAFETY: there are words for the marks up to and with position `capacity`.
        unsafe {
            self.flip(from);
            self.flip(to);
        }
    }

    /// Returns the word of marks that holds `position`. O(1).
    ///
    /// # Safety
    ///
    /// `position <= capacity + WORD`.
    #[inline(always)]
    unsafe fn word(&self, position: usize) -> NonNull<usize> {
        // SAFETY: the word of `capacity + WORD` is the last of the `mark_words`.
        unsafe { self.marks.add(position / WORD) }
    }

    /// Returns the straddles that hold that of the group of `position`. O(1).
    ///
    /// # Safety
    ///
    /// `position <= capacity`.
    #[inline(always)]
    unsafe fn straddles(&self, position: usize) -> NonNull<usize> {
        // SAFETY: the straddles lie below the word of ones, in descending order.
        unsafe { self.marks.sub(2 + position / GROUP / WORD) }
    }

    /// Inverts one mark. O(1).
    ///
    /// # Safety
    ///
    /// `position <= capacity`.
    #[inline(always)]
    unsafe fn flip(&self, position: usize) {
        // SAFETY: the word is one of the map's, which are initialised.
        unsafe {
            let word = self.word(position);
            word.write(word.read() ^ (1 << (position % WORD)));
        }
    }

    /// Marks the block from `first` to `last`, or takes its marks away. O(1).
    ///
    /// # Safety
    ///
    /// Both are positions (I1), `first < last`, and the granules are a free run, or exactly one block.
    #[inline(always)]
    pub(crate) unsafe fn flip_block(&self, first: usize, last: usize) {
        debug_assert!(first < last);
        // SAFETY: the caller promises positions; both marks and the straddle change together (I2, I4).
        unsafe {
            self.flip(first);
            self.flip_last(first, last);
        }
    }

    /// Inverts the mark of the last granule of the block that begins at `first`, and the straddle. O(1).
    #[inline(always)]
    unsafe fn flip_last(&self, first: usize, last: usize) {
        // SAFETY: as for `flip_block`; there is a straddle for each group.
        unsafe {
            self.flip(last);
            self.flip_straddle(first, last);
        }
    }

    /// Makes the block that begins at `first` end at `to` and not at `from`. O(1).
    ///
    /// # Safety
    ///
    /// There is such a block, `to` is a position above `first`, and what the block gains was a free run.
    #[inline(always)]
    pub(crate) unsafe fn move_last(&self, first: usize, from: usize, to: usize) {
        debug_assert!(first < from && first < to);
        // SAFETY: the caller promises positions. In one group the straddle stays what it is.
        unsafe {
            self.flip(from);
            self.flip(to);
            if from / GROUP != to / GROUP {
                self.move_straddle(first, from, to);
            }
        }
    }

    /// Inverts the straddle of each of two groups that is not that of `first`. O(1).
    ///
    /// # Safety
    ///
    /// As [`move_last`](Self::move_last), which inverts the marks.
    #[inline(never)]
    unsafe fn move_straddle(self, first: usize, from: usize, to: usize) {
        // SAFETY: the caller promises positions; each straddle changes with the mark that it is about.
        unsafe {
            self.flip_straddle(first, from);
            self.flip_straddle(first, to);
        }
    }

    /// Inverts the straddle of the group of `last` if the block that ends there begins in another, at `first`. O(1).
    ///
    /// # Safety
    ///
    /// Both are positions (I1).
    #[inline(always)]
    unsafe fn flip_straddle(&self, first: usize, last: usize) {
        if first / GROUP != last / GROUP {
            // SAFETY: there is a straddle for each group.
            unsafe {
                let straddles = self.straddles(last);
                straddles.write(straddles.read() ^ (1 << (last / GROUP % WORD)));
            }
        }
    }

    /// Returns whether a granule is marked, or is the end of the span. O(1).
    ///
    /// # Safety
    ///
    /// `position <= granules`.
    #[inline(always)]
    pub(crate) unsafe fn is_marked(&self, position: usize) -> bool {
        // SAFETY: the caller promises a position, or the end.
        unsafe { self.word(position).read() >> (position % WORD) & 1 != 0 }
    }

    /// Returns whether a block begins at `position`. O(1).
    ///
    /// # Safety
    ///
    /// `position < granules`.
    #[inline]
    pub(crate) unsafe fn is_first(&self, position: usize) -> bool {
        let bit = 1_usize << (position % WORD);
        // SAFETY: the caller promises a position; the words of its group up to its own are words of marks.
        unsafe {
            let (marks, mut before) = (self.word(position).read(), 0);
            let mut start = position - position % GROUP;
            while start < position - position % WORD {
                before ^= self.word(start).read();
                start += WORD;
            }
            let straddle = self.straddles(position).read() >> (position / GROUP % WORD) & 1;
            // Beginnings and ends alternate, and the straddle says with which of them the group begins (I4). Whether the
            // number of bits is odd does not change when words are combined by exclusive or.
            let ends = (before ^ (marks & (bit - 1))).count_ones() as usize + straddle;
            marks & bit != 0 && ends % 2 == 0
        }
    }

    /// Returns how many granules right before `position` are not marked, or some number from [`REACH`] on if they are that many or
    /// more. O(1).
    ///
    /// # Safety
    ///
    /// `position <= granules`.
    #[inline(always)]
    pub(crate) unsafe fn gap_before(&self, position: usize) -> usize {
        let shift = position % WORD;
        // SAFETY: the caller promises a position, and in front of the word of the first one is another (I3).
        let (below, word) = unsafe { (self.word(position).sub(1).read(), self.word(position).read()) };
        // Shifted twice, since a shift by a whole word is none.
        ((word << (WORD - 1 - shift) << 1) | (below >> shift)).leading_zeros() as usize
    }

    /// Returns how many granules from `position` on are not marked, or some number from [`REACH`] on if they are that many or
    /// more. O(1).
    ///
    /// # Safety
    ///
    /// `position <= granules`.
    #[inline(always)]
    pub(crate) unsafe fn gap_after(&self, position: usize) -> usize {
        // SAFETY: the caller promises a position.
        unsafe { self.marks_from(position) }.trailing_zeros() as usize
    }

    /// Returns how many granules from `position` on are in front of the next mark, less than `most`, and how many from the one
    /// behind that mark on are not marked, as [`gap_after`](Self::gap_after). O(1): the same two words for both.
    ///
    /// # Safety
    ///
    /// `position < granules`, and one of the `most` granules from there on is marked, at most [`WINDOW`].
    #[inline(always)]
    pub(crate) unsafe fn end_and_gap(&self, position: usize, most: usize) -> (usize, usize) {
        debug_assert!(most <= WINDOW);
        // SAFETY: the caller promises a position.
        let marks = unsafe { self.marks_from(position) };
        let end = if most == 2 { !marks & 1 } else { marks.trailing_zeros() as usize % most };
        (end, (marks >> end >> 1).trailing_zeros() as usize)
    }

    /// Returns the marks from `position` on, as many as a word has bits. O(1).
    ///
    /// # Safety
    ///
    /// `position <= granules`.
    #[inline(always)]
    unsafe fn marks_from(&self, position: usize) -> usize {
        let shift = position % WORD;
        // SAFETY: the caller promises a position, and behind the word of the last one is another.
        let (word, above) = unsafe { (self.word(position).read(), self.word(position + WORD).read()) };
        (word >> shift) | (above << (WORD - 1 - shift) << 1)
    }

    /// Returns the first mark at or above `position`: the end of the span is marked. O(distance / word).
    ///
    /// # Safety
    ///
    /// `position <= granules`.
    pub(crate) unsafe fn next_mark(&self, position: usize) -> usize {
        let mut start = position - position % WORD;
        // SAFETY: the caller promises a position; the walk ends at the end of the span at the latest (I3).
        let mut word = unsafe { self.word(position).read() } & (usize::MAX << (position % WORD));
        while word == 0 {
            start += WORD;
            // SAFETY: as above.
            word = unsafe { self.word(start).read() };
        }
        start + word.trailing_zeros() as usize
    }

    /// Marks every block of `from`, a map of a span of `granules`, `offset` positions higher. O(granules / word + blocks).
    ///
    /// # Safety
    ///
    /// The positions are positions of this map, in free runs.
    pub(crate) unsafe fn copy_blocks(&self, from: &Self, granules: usize, offset: usize) {
        let mut position = 0;
        loop {
            // SAFETY: the position is at most the end of the other span; a mark outside of a block begins one (I2), whose
            // end is the next mark; the caller promises the positions here.
            unsafe {
                let first = from.next_mark(position);
                if first >= granules {
                    return;
                }
                let last = from.next_mark(first + 1);
                self.flip_block(first + offset, last + offset);
                position = last + 1;
            }
        }
    }
}

#[cfg(test)]
mod tests;
