//! Spans of slots: a header in front of the slots that says which are free, and the list that the span is in.
//!
//! ```text
//!            | next | prev | nonempty | live |  note  | word 0 | word 1 | .. |  slot 0  |  slot 1  | ..
//!   header --^                   |                        ^        ^
//!                                +-- a bit for each word -+--------+    with a bit for each slot: set if it is free
//! ```
//!
//! # Invariants
//!
//! - (I1) A header is followed by `slots.div_ceil(WORD)` words, and `slots` is at most [`MOST_SLOTS`].
//! - (I2) A bit of a word is set exactly if its slot exists and is free; a bit of `nonempty` exactly if its word is not 0.
//! - (I3) `live` is the number of slots that exist and are not free.
//! - (I4) The spans of a list are linked both ways; the first has no previous one, the last no next one.
//!
//! # Operations
//!
//! All O(1), but for making a span: O(slots / word).
//!
//! # Design
//!
//! Bits and not links through the slots: an allocation touches no memory that its caller does not touch anyway, a free
//! writes nothing where a stale pointer could read or overwrite it, and a second free shows. The lowest free slot goes first,
//! so live slots gather at the front, and the word of a slot freed last is in the cache. What else the owner of the slots
//! needs beside the bits is a note of its own type, in the same cache line.
#![allow(unsafe_code)]

use core::ptr::NonNull;

/// The bits of a word.
const WORD: usize = usize::BITS as usize;

/// The greatest number of slots of a span.
pub(crate) const MOST_SLOTS: usize = WORD * WORD;

/// What stands in front of the words of bits.
#[repr(C)]
struct Header<T> {
    next: Option<Span<T>>,
    prev: Option<Span<T>>,
    nonempty: usize,
    live: usize,
    note: T,
}

/// A span, by the address of its header.
#[derive(Debug)]
pub(crate) struct Span<T>(NonNull<Header<T>>);

impl<T> Clone for Span<T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Span<T> {}

impl<T> PartialEq for Span<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Span<T> {}

impl<T: Copy> Span<T> {
    /// The alignment of a header in bytes.
    pub(crate) const ALIGN: usize = align_of::<Header<T>>();

    /// Returns the bytes of the header of a span of `slots` slots, its words included. O(1).
    pub(crate) const fn header_bytes(slots: usize) -> usize {
        size_of::<Header<T>>() + slots.div_ceil(WORD) * size_of::<usize>()
    }

    /// Makes a span of `slots` free slots, in no list. O(slots / word).
    ///
    /// # Safety
    ///
    /// `place` is aligned to [`ALIGN`](Self::ALIGN) and valid for [`header_bytes`](Self::header_bytes), which are the span's
    /// until it is forgotten; `slots` is at most [`MOST_SLOTS`].
    pub(crate) unsafe fn new(place: NonNull<u8>, slots: usize, note: T) -> Self {
        debug_assert!(slots <= MOST_SLOTS);
        let span = Self(place.cast());
        let words = slots.div_ceil(WORD);
        // SAFETY: the caller promises room for the header and its words.
        unsafe {
            span.0.write(Header { next: None, prev: None, nonempty: ones(words), live: 0, note });
            for word in 0..words {
                span.word(word).write(ones(slots - word * WORD));
            }
        }
        span
    }

    /// Returns the span whose header is at `header`.
    ///
    /// # Safety
    ///
    /// A span was made there, from the same type of note, and `header` came from [`header`](Self::header).
    #[inline(always)]
    pub(crate) const unsafe fn at(header: NonNull<u8>) -> Self {
        Self(header.cast())
    }

    /// Returns the address of the header. O(1).
    #[inline(always)]
    pub(crate) const fn header(self) -> NonNull<u8> {
        self.0.cast()
    }

    /// Returns the note. O(1).
    ///
    /// # Safety
    ///
    /// The span exists.
    #[inline(always)]
    pub(crate) unsafe fn note(self) -> T {
        // SAFETY: the caller promises that the header is there.
        unsafe { (*self.0.as_ptr()).note }
    }

    /// Returns how many slots are not free. O(1).
    ///
    /// # Safety
    ///
    /// The span exists.
    #[inline(always)]
    pub(crate) unsafe fn live(self) -> usize {
        // SAFETY: the caller promises that the header is there.
        unsafe { (*self.0.as_ptr()).live }
    }

    /// Returns whether a slot is free. O(1).
    ///
    /// # Safety
    ///
    /// The span exists and has the slot.
    #[inline(always)]
    pub(crate) unsafe fn is_free(self, slot: usize) -> bool {
        // SAFETY: the caller promises that the slot, and so its word, exists.
        unsafe { *self.word(slot / WORD).as_ptr() >> (slot % WORD) & 1 != 0 }
    }

    /// Takes the lowest free slot and returns it, with whether it was the last free one. O(1).
    ///
    /// # Safety
    ///
    /// The span exists and has a free slot.
    #[inline(always)]
    pub(crate) unsafe fn take(self) -> (usize, bool) {
        // SAFETY: the caller promises that the header is there and names a word (I2) that names a slot.
        unsafe {
            let header = self.0.as_ptr();
            let word = (*header).nonempty.trailing_zeros() as usize;
            let bits = self.word(word).as_ptr();
            let slot = word * WORD + (*bits).trailing_zeros() as usize;
            (*header).live += 1;
            *bits &= (*bits).wrapping_sub(1);
            if *bits != 0 {
                return (slot, false);
            }
            (*header).nonempty &= (*header).nonempty.wrapping_sub(1);
            (slot, (*header).nonempty == 0)
        }
    }

    /// Puts a slot back, and returns how many are live then, with whether it is the only free one. O(1).
    ///
    /// # Safety
    ///
    /// The span exists and has the slot, which is not free.
    #[inline(always)]
    pub(crate) unsafe fn put(self, slot: usize) -> (usize, bool) {
        // SAFETY: the caller promises that the header and the word of the slot are there.
        unsafe {
            let header = self.0.as_ptr();
            let full = (*header).nonempty == 0;
            (*header).nonempty |= 1 << (slot / WORD);
            (*header).live -= 1;
            *self.word(slot / WORD).as_ptr() |= 1 << (slot % WORD);
            ((*header).live, full)
        }
    }

    /// Returns the next span of its list. O(1).
    ///
    /// # Safety
    ///
    /// The span exists.
    #[cfg(test)]
    pub(crate) unsafe fn next(self) -> Option<Self> {
        // SAFETY: the caller promises that the header is there.
        unsafe { (*self.0.as_ptr()).next }
    }

    /// Puts the span in front of the list that `head` begins. O(1).
    ///
    /// # Safety
    ///
    /// The spans exist, and this one is in no list.
    #[inline]
    pub(crate) unsafe fn link(self, head: &mut Option<Self>) {
        // SAFETY: the caller promises that the headers are there.
        unsafe {
            (*self.0.as_ptr()).prev = None;
            (*self.0.as_ptr()).next = *head;
            if let Some(head) = *head {
                (*head.0.as_ptr()).prev = Some(self);
            }
        }
        *head = Some(self);
    }

    /// Takes the span out of the list that `head` begins. O(1).
    ///
    /// # Safety
    ///
    /// The spans exist, and this one is in that list.
    #[inline]
    pub(crate) unsafe fn unlink(self, head: &mut Option<Self>) {
        // SAFETY: the caller promises that the headers are there, and the links are those of the list (I4).
        unsafe {
            let Header { next, prev, .. } = *self.0.as_ptr();
            if let Some(next) = next {
                (*next.0.as_ptr()).prev = prev;
            }
            match prev {
                Some(prev) => (*prev.0.as_ptr()).next = next,
                None => *head = next,
            }
        }
    }

    /// Returns a word of bits.
    ///
    /// # Safety
    ///
    /// The header is there, and has the word.
    #[inline(always)]
    unsafe fn word(self, index: usize) -> NonNull<usize> {
        // SAFETY: the words follow the header (I1).
        unsafe { self.0.add(1).cast::<usize>().add(index) }
    }

    /// Checks the bits of a span of `slots` slots against each other.
    ///
    /// # Safety
    ///
    /// The span exists and has as many slots.
    #[cfg(test)]
    pub(crate) unsafe fn check(self, slots: usize) {
        let mut free = 0;
        for index in 0..slots.div_ceil(WORD) {
            // SAFETY: the caller promises that the header and its words are there.
            let (word, nonempty) = unsafe { (self.word(index).read(), (*self.0.as_ptr()).nonempty) };
            assert_eq!(nonempty >> index & 1 != 0, word != 0, "(I2) for a word");
            assert_eq!(word & !ones(slots - index * WORD), 0, "(I2) for slots that do not exist");
            free += word.count_ones() as usize;
        }
        // SAFETY: as above.
        assert_eq!(unsafe { self.live() } + free, slots, "(I3)");
    }
}

/// Returns a word with the `count` lowest bits set, or all.
const fn ones(count: usize) -> usize {
    if count >= WORD { usize::MAX } else { (1 << count) - 1 }
}

#[cfg(test)]
mod tests;
