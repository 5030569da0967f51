//! The table of size classes: which class serves a layout, by arithmetic and one load.
//!
//! ```text
//!   lattice     4 | 8  12 | 16  20  24  28 | 32  40  48  56 | 64  80  96 112 | 128 ..     m * 2^k, 4 <= m < 8
//!   rank        0 | 4   6 |  8   9  10  11 | 12  13  14  15 | 16  17  18  19 |  20 ..     2^(k + 2), and two bits of m
//!
//!   size 70, align 32 --> 96 --> rank 18 --> by_rank[18], the first class of rank 18 or more
//!                            --> unit 23 --> by_unit[23], the same for sizes of up to 1024
//! ```
//!
//! # Invariants
//!
//! - (I1) Classes are members of the lattice and multiples of 4, strictly ascending, and fewer than 256.
//! - (I2) `by_rank[r]` is the first class whose rank is `r` or more, and `by_unit[u]` the first class larger than `4 * u`
//!   bytes; `NONE` if there is none.
//! - (I3) For alignments up to `direct_align`, the first class that is at least as large as the size, rounded up to the
//!   alignment, has slots of that alignment.
//!
//! # Operations
//!
//! [`class_of`](ClassTable::class_of): O(1), about ten instructions; for a layout that is known at compile time, only the
//! load. Making a table: O(classes).
//!
//! # Design
//!
//! *Rank.* The position of the highest bit and the two bits below it number the members of the lattice in ascending
//! order, as a floating-point number of two mantissa bits does. No class lies between the sizes of one rank, so a byte for
//! each rank says everything; a set of bits and a population count would be smaller, and slower where that is no
//! instruction. Finding the highest bit is several cycles of microcode on some processors, so small sizes have a byte for
//! each multiple of 4 instead, which takes a shift.
//!
//! *Alignment.* A slot is as aligned as the lowest bit of its stride. Rounding the size up to the alignment first
//! makes a lookup in the full lattice exact: either the step of the lattice there is a multiple of the alignment, or the
//! rounded size is itself a member. Where classes are missing, a later one may serve that is not aligned enough; the
//! table remembers up to which alignment this cannot happen. Beyond it, the lookup goes on to the next class that
//! is aligned: at most five steps, since from the next power of two but one on, every member is a multiple of the
//! alignment.
//!
//! *Limit.* Regions are as aligned as their slots, which costs padding, and which inline storage refuses above 16 bytes.
//! A table can promise less: see [`with_align_limit`](ClassTable::with_align_limit).
#![forbid(unsafe_code)]

use forge_alloc_core::{AllocError, NonZeroLayout};

use super::class::LINK;

/// The class sizes of [`with_default_classes`](crate::SizeClassed::with_default_classes), in bytes: the powers of two.
pub const DEFAULT_CLASS_SIZES_8: [usize; 8] = [8, 16, 32, 64, 128, 256, 512, 1024];

/// The class sizes of [`with_fine_classes`](crate::SizeClassed::with_fine_classes), in bytes: four to each doubling.
///
/// From 32 bytes on, less than a fifth of a slot is wasted, and less than a tenth if all sizes are equally common; powers of
/// two waste up to a half, and a quarter.
pub const FINE_CLASS_SIZES_24: [usize; 24] = [
    8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896,
    1024,
];

/// The number of no class.
const NONE: u8 = u8::MAX;

/// The number of entries by rank, a power of two above the rank of the largest size of a layout.
const RANKS: usize = (usize::BITS * 4) as usize;

/// The number of entries by size, one for each 4 bytes.
const UNITS: usize = 256;

/// The largest alignment of a layout.
const LARGEST_ALIGN: usize = 1 << (usize::BITS - 2);

/// Returns the rank of the smallest member of the lattice above `below`. O(1).
///
/// Members below 16 that are no multiples of 4 are left out, and so are their ranks.
#[inline(always)]
const fn rank(below: usize) -> usize {
    // The three highest bits are those of the member before. The low bits give all that is below 4 rank 0, and move no
    // other number beyond a multiple of 4.
    let scaled = (below << 1) | 7;
    let log = scaled.ilog2();
    (log as usize * 4 + (scaled >> (log - 2)) - 15) & (RANKS - 1)
}

/// The sizes of the classes of a [`SizeClassed`](crate::SizeClassed), and which of them serves a layout.
///
/// A class size is `m * 2^k` bytes with `4 <= m < 8`, and a multiple of 4: there are four to each doubling.
///
/// # Examples
///
/// A table that is a constant is checked when it is compiled:
///
/// ```
/// use forge_alloc::{ClassTable, InlineBacked, SizeClassed};
///
/// const CLASSES: ClassTable<4> = ClassTable::new([16, 24, 48, 80]);
///
/// let pool = SizeClassed::with_table(InlineBacked::<8192>::new(), CLASSES, 32)?;
/// assert_eq!(pool.class_sizes(), &[16, 24, 48, 80]);
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
///
/// ```compile_fail,E0080
/// const CLASSES: forge_alloc::ClassTable<2> = forge_alloc::ClassTable::new([16, 36]); // nine times 4
/// ```
#[derive(Clone, Debug)]
pub struct ClassTable<const CLASSES: usize> {
    sizes: [usize; CLASSES],
    /// The largest alignment that a slot promises.
    align_limit: usize,
    direct_align: usize,
    by_unit: [u8; UNITS],
    by_rank: [u8; RANKS],
}

impl<const CLASSES: usize> ClassTable<CLASSES> {
    /// Returns the table of classes of these sizes in bytes. O(classes).
    ///
    /// # Panics
    ///
    /// If [`try_new`](Self::try_new) would return an error, with a sentence that says why; in a constant, that is an error
    /// of the compiler.
    #[must_use]
    pub const fn new(sizes: [usize; CLASSES]) -> Self {
        let objection = objection(&sizes);
        assert!(objection.is_none(), "{}", if let Some(sentence) = objection { sentence } else { "" });
        Self::of_checked(sizes)
    }

    /// Returns the table of classes of these sizes in bytes. O(classes).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if there is no class or more than 255, if the sizes do not ascend strictly, or if one is not a
    /// multiple of 4 of the form `m * 2^k` with `4 <= m < 8`, or exceeds `isize::MAX`.
    pub const fn try_new(sizes: [usize; CLASSES]) -> Result<Self, AllocError> {
        if objection(&sizes).is_some() { Err(AllocError) } else { Ok(Self::of_checked(sizes)) }
    }

    /// Returns the table with slots that promise no more than `align` bytes of alignment. O(classes).
    ///
    /// `align` is rounded down to a power of two, and up to 4. Layouts with a larger alignment have no class then.
    ///
    /// # Examples
    ///
    /// Inline storage is aligned to 16 bytes, so it refuses slots that promise 64:
    ///
    /// ```
    /// use forge_alloc::{ClassTable, DEFAULT_CLASS_SIZES_8, InlineBacked, MAX_ALIGN, SizeClassed};
    ///
    /// let table = ClassTable::new(DEFAULT_CLASS_SIZES_8);
    /// let storage = InlineBacked::<16384>::new;
    /// assert!(SizeClassed::with_table(storage(), table.clone(), 8).is_err());
    /// assert!(SizeClassed::with_table(storage(), table.with_align_limit(MAX_ALIGN), 8).is_ok());
    /// ```
    #[must_use]
    pub const fn with_align_limit(mut self, align: usize) -> Self {
        self.align_limit = if align < LINK { LINK } else { 1 << align.ilog2() };
        self.direct_align = self.found_directly();
        self
    }

    /// Returns the class sizes in bytes, ascending. O(1).
    #[inline]
    #[must_use]
    pub const fn sizes(&self) -> &[usize; CLASSES] {
        &self.sizes
    }

    /// Returns the alignment of the slots of a class in bytes; 1 for a class that does not exist. O(1).
    #[inline]
    #[must_use]
    pub const fn align_of(&self, class: usize) -> usize {
        if class >= CLASSES {
            return 1;
        }
        let lowest_bit = 1 << self.sizes[class].trailing_zeros();
        if lowest_bit < self.align_limit { lowest_bit } else { self.align_limit }
    }

    /// Returns the smallest class whose slots are large enough and aligned enough for `layout`. O(1).
    ///
    /// # Examples
    ///
    /// ```
    /// use forge_alloc::{ClassTable, FINE_CLASS_SIZES_24, NonZeroLayout};
    ///
    /// const FINE: ClassTable<24> = ClassTable::new(FINE_CLASS_SIZES_24);
    /// let class_size = |size, align| {
    ///     let layout = NonZeroLayout::from_size_align(size, align).unwrap();
    ///     FINE.class_of(layout).map(|class| FINE.sizes()[class])
    /// };
    /// assert_eq!(class_size(70, 8), Some(80));
    /// assert_eq!(class_size(70, 32), Some(96));
    /// assert_eq!(class_size(1025, 1), None);
    /// ```
    #[inline]
    #[must_use]
    pub const fn class_of(&self, layout: NonZeroLayout) -> Option<usize> {
        let class = self.index_of(layout);
        if class < CLASSES { Some(class) } else { None }
    }

    /// Returns the number of the class for `layout`, or a number that no class has.
    #[inline]
    pub(super) const fn index_of(&self, layout: NonZeroLayout) -> usize {
        let class = self.index_by_size(layout);
        let align = layout.align().get();
        if align <= self.direct_align { class } else { self.aligned_from(class, align) }
    }

    /// Returns what [`index_of`](Self::index_of) does, if the alignment is at most [`direct_align`](Self::direct_align).
    #[inline(always)]
    pub(super) const fn index_by_size(&self, layout: NonZeroLayout) -> usize {
        // The number below the size, once that is rounded up to the alignment.
        let below = (layout.size().get() - 1) | (layout.align().get() - 1);
        if below / LINK < UNITS { self.by_unit[below / LINK] as usize } else { self.index_by_rank(below) }
    }

    /// Returns the number of the first class above `below`, or a number that no class has.
    #[cold]
    #[inline(never)]
    const fn index_by_rank(&self, below: usize) -> usize {
        self.by_rank[rank(below)] as usize
    }

    /// Returns the largest alignment that needs no look at the alignment of a class.
    #[inline]
    pub(super) const fn direct_align(&self) -> usize {
        self.direct_align
    }

    /// Returns the first class from `class` on whose slots are aligned to `align`, or a number that no class has.
    ///
    /// At most five steps if `class` is the first that is as large as some multiple of `align`.
    #[cold]
    const fn aligned_from(&self, mut class: usize, align: usize) -> usize {
        if align > self.align_limit {
            return NONE as usize;
        }
        while class < CLASSES && self.align_of(class) < align {
            class += 1;
        }
        class
    }

    /// Returns the table of sizes that [`objection`] lets pass.
    const fn of_checked(sizes: [usize; CLASSES]) -> Self {
        let mut by_rank = [NONE; RANKS];
        let (mut class, mut at) = (0, 0);
        while class < CLASSES {
            let last = rank(sizes[class] - 1);
            while at <= last {
                by_rank[at] = class as u8;
                at += 1;
            }
            class += 1;
        }
        let mut by_unit = [NONE; UNITS];
        let mut unit = 0;
        while unit < UNITS {
            by_unit[unit] = by_rank[rank(unit * LINK)];
            unit += 1;
        }
        let mut table = Self { sizes, align_limit: LARGEST_ALIGN, direct_align: 0, by_unit, by_rank };
        table.direct_align = table.found_directly();
        table
    }

    /// Returns the largest alignment for which (I3) holds, and holds for all smaller ones too.
    const fn found_directly(&self) -> usize {
        let mut align = 1;
        while align < LARGEST_ALIGN {
            let (mut class, mut below) = (0, 0);
            while class < CLASSES {
                let size = self.sizes[class];
                // A class that is not aligned enough must not be the first for a multiple of the alignment.
                if self.align_of(class) < 2 * align && size / (2 * align) * (2 * align) > below {
                    return align;
                }
                below = size;
                class += 1;
            }
            align *= 2;
        }
        align
    }
}

/// Returns what is wrong with `sizes`, in a sentence.
const fn objection(sizes: &[usize]) -> Option<&'static str> {
    if sizes.is_empty() {
        return Some("a table of size classes needs at least one class");
    }
    if sizes.len() > NONE as usize {
        return Some("a table has at most 255 size classes, since a class is a byte");
    }
    let (mut class, mut below) = (0, 0);
    while class < sizes.len() {
        let size = sizes[class];
        if size < LINK || size % LINK != 0 {
            return Some("a class size is a multiple of 4 bytes, since a free slot holds a link of 4 bytes");
        }
        if size > isize::MAX as usize {
            return Some("a class size is at most isize::MAX, since no layout is larger");
        }
        if size.trailing_zeros() + 2 < size.ilog2() {
            return Some("a class size is m * 2^k with 4 <= m < 8, so that its class is found by arithmetic");
        }
        if size <= below {
            return Some("class sizes ascend strictly");
        }
        below = size;
        class += 1;
    }
    None
}

#[cfg(test)]
mod tests;
