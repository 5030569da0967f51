//! The shape of spans: which sizes of slots there are, and how many slots a span of a length has.
//!
//! ```text
//!   span     | gap        | header | words | gap | slot 0 | slot 1 | ..       | slot n - 1 |
//!            ^ multiple of a unit                                                          ^ multiple of a unit
//! ```
//!
//! # Design
//!
//! Slots lie at the end of the span, so a slot is as aligned as the lowest bit of its size, and the header stands in what is
//! left in front of them. Its place there depends on the address of the span: headers at equal distances from multiples of a
//! power of two would compete for a few sets of each cache (Bonwick, "The Slab Allocator", 1994, section 4.1, colors the slots
//! for the same reason).
//!
//! Spans have a length, or a half, a quarter or an eighth of it: as short as still has many slots, or shorter where memory is. A class has no spans of a length in which more than an eighth would be
//! lost: the parent holds such blocks in less room.
#![forbid(unsafe_code)]

use core::alloc::Layout;
use core::ops::Range;

use crate::layout::slab::size_classed::ClassTable;
use crate::layout::slab::stride::Stride;
use crate::raw::span::{MOST_SLOTS, Span};

/// The sizes of the slots in bytes: four to each doubling.
pub(super) const SIZES: [usize; CLASSES] = [
    8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896,
    1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096,
];

/// The number of classes.
pub(super) const CLASSES: usize = 32;

/// The size of the largest slots in bytes.
pub(super) const LARGEST: usize = SIZES[CLASSES - 1];

/// The number of lengths that a span can have.
pub(super) const LEVELS: usize = 4;

/// The number of classes whose spans lose little.
const SMALL: usize = 24;

/// The number of slots from which on a longer span would make no difference to a program.
const ENOUGH: u16 = 48;

/// A cache line in bytes, as far as the place of a header is concerned.
pub(super) const LINE: usize = 64;

/// What the heap notes in the header of a span.
#[derive(Clone, Copy, Debug)]
pub(super) struct Note {
    /// The distance from the header to the first slot in bytes.
    pub(super) slots_at: u32,
    /// The bytes that the parent has less because of the span.
    pub(super) cost: u32,
    /// The number of slots.
    pub(super) capacity: u16,
    /// The class of the slots.
    pub(super) class: u8,
    /// The length, as the number of times that the longest one was halved.
    pub(super) level: u8,
}

impl Note {
    /// Returns the bytes of an empty span that are available beyond its slots of `bytes` bytes. O(1).
    pub(super) const fn overhead(self, bytes: usize) -> usize {
        self.cost as usize - self.capacity as usize * bytes
    }
}

/// The shapes where the longest span has `SPAN` bytes.
pub(super) struct Shape<const SPAN: usize>;

impl<const SPAN: usize> Shape<SPAN> {
    /// The size and alignment of the shortest spans in bytes.
    pub(super) const UNIT: usize = {
        assert!(
            SPAN.is_power_of_two() && SPAN >= 2048,
            "a span is a power of two of bytes, of which an eighth holds several slots"
        );
        assert!(
            SPAN <= MOST_SLOTS * SIZES[0] && SPAN <= 1 << 18,
            "a span has at most as many slots as the square of the bits of a word"
        );
        assert!(Span::<Note>::ALIGN <= LINE, "the place of a header is a multiple of a line");
        SPAN >> (LEVELS - 1)
    };

    /// Which class serves a layout.
    pub(super) const TABLE: &'static ClassTable<CLASSES> =
        &ClassTable::new(SIZES).with_align_limit(Self::UNIT);

    /// The distances between the slots of the classes.
    pub(super) const STRIDES: [Stride; CLASSES] = {
        let mut strides = [Stride::new(1); CLASSES];
        let mut class = 0;
        while class < CLASSES {
            strides[class] = Stride::new(SIZES[class]);
            class += 1;
        }
        strides
    };

    /// The number of slots of a span, by level and class; 0 where there are no such spans.
    const SLOTS: [[u16; CLASSES]; LEVELS] = {
        let mut slots = [[0; CLASSES]; LEVELS];
        let mut level = 0;
        while level < LEVELS {
            let mut class = 0;
            while class < CLASSES {
                slots[level][class] = slots_in(SPAN >> level, SIZES[class]);
                class += 1;
            }
            level += 1;
        }
        slots
    };

    /// The level of the spans of a class where memory is not short: the shortest that have [`ENOUGH`] slots, or else the longest.
    const FIRST_LEVEL: [u8; CLASSES] = {
        let mut levels = [0; CLASSES];
        let mut class = 0;
        while class < CLASSES {
            while (levels[class] as usize) + 1 < LEVELS
                && Self::SLOTS[levels[class] as usize + 1][class] >= ENOUGH
            {
                levels[class] += 1;
            }
            class += 1;
        }
        levels
    };

    /// Returns the levels that the spans of a class may have, the best one first; none if the class has no spans. O(1).
    pub(super) fn levels(class: usize) -> Range<usize> {
        match Self::FIRST_LEVEL.get(class) {
            Some(first) if Self::slots(0, class).is_some() => usize::from(*first)..LEVELS,
            _ => 0..0,
        }
    }

    /// Returns the part of all memory that is available at least where a class gets spans. O(1).
    pub(super) fn scarcity(class: usize) -> usize {
        if class < SMALL { 8 } else { 2 }
    }

    /// Returns the number of slots of a span, or `None` if there is no such span. O(1).
    pub(super) fn slots(level: usize, class: usize) -> Option<usize> {
        let slots = *Self::SLOTS.get(level)?.get(class)?;
        (slots != 0).then_some(usize::from(slots))
    }

    /// Returns the layout of a span, or `None` if there is no such span. O(1).
    pub(super) fn layout(level: usize) -> Option<Layout> {
        Layout::from_size_align(SPAN.checked_shr(level as u32)?, Self::UNIT).ok()
    }

    /// Returns how far from the start of a span at `address` its header stands, where the slots begin after `gap` bytes. O(1).
    pub(super) fn header_at(address: usize, gap: usize, slots: usize) -> usize {
        let places = gap.saturating_sub(Span::<Note>::header_bytes(slots)) / LINE + 1;
        address / Self::UNIT % places * LINE
    }
}

/// Returns the number of slots of `size` bytes in a span of `bytes` bytes, or 0 if too much would be lost.
const fn slots_in(bytes: usize, size: usize) -> u16 {
    let mut slots = bytes / size;
    while slots * size + Span::<Note>::header_bytes(slots) > bytes {
        slots -= 1;
    }
    if slots < 2 || slots * size < bytes / 8 * 7 { 0 } else { slots as u16 }
}

#[cfg(test)]
mod tests;
