//! Size classes: which class serves a layout, and what each class looks like.
//!
//! ```text
//!   8 16 24 .. 64 | 80 96 112 128 | .. | 20480 24576 28672 32768 | 48 Ki 64 Ki .. 1 Mi |  above
//!   steps of 8    | four to each doubling                        | two to a doubling   |  a mapping of its own
//!   spans of several slots                                       | spans of one slot   |
//! ```
//!
//! # Invariants
//!
//! - (I1) A [`Class`] is below [`CLASSES`].
//! - (I2) The class is a function of the layout alone: whoever frees a block with its layout finds the class it came from.
//! - (I3) The slots of a class are aligned to the lowest bit of its size, up to [`UNIT`], because spans start at units.
//! - (I4) `offset * reciprocal >> 40` is `offset / size`, for every offset in a span: spans are at most a mebibyte.
//!
//! # Operations
//!
//! [`Class::of`]: O(1), a shift and a load up to 32 KiB, a few instructions more up to 1 MiB; folds to a constant for a constant layout.
//!
//! # Design
//!
//! A [`ClassTable`] says which class serves a layout. Asking it is arithmetic on what it says at compile time: a byte for every
//! 8 bytes up to 1 KiB, one for every 256 up to 32 KiB, and one for every quarter of a doubling above. All of it is inlined and calls nothing, so that an allocation
//! saves no registers; an empty layout wraps around and is larger than all others. The size is rounded up to the alignment before,
//! which finds aligned slots as long as every multiple of the alignment is a class or followed by one that is aligned as much. Four classes to a doubling keep internal waste below a fifth. Blocks above
//! 32 KiB end in pages that are never touched if they are not asked for, so larger steps cost addresses and no memory, and
//! fewer classes keep fewer free blocks.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::marker::PhantomData;

use forge_alloc::{ClassTable, NonZeroLayout};

use crate::fast::LARGEST_BATCH;
use crate::fast::back::segment::UNIT;
use crate::fast::profile::Profile;

/// The number of size classes. The threads of the model checker have stacks of a few pages, where a heap has to fit.
pub(crate) const CLASSES: usize = if cfg!(loom) { 8 } else { CLASS_SIZES.len() };

/// The largest class that shares a span with others of its kind.
const LARGEST_SHARED: usize = 32 << 10;

/// The largest class of which a thread keeps as many bytes as its profile says. Of larger ones it keeps twice as many, so that a
/// batch, which costs a lock, has more than a handful of blocks.
const LARGEST_ORDINARY: usize = 4 << 10;

/// The largest span that has 32 slots. There are 16 in longer ones.
const LARGEST_SPAN: usize = 256 << 10;

/// How many times the bytes of a smaller class a thread keeps of one with spans of one slot, at most; one block in any case.
const CACHED_SINGLES: usize = 4;

const CLASS_SIZES: [usize; 54] = [
    8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896,
    1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 7168, 8192, 10240, 12288, 14336, 16384,
    20480, 24576, 28672, 32768, 49152, 65536, 98304, 131_072, 196_608, 262_144, 393_216, 524_288, 786_432,
    1_048_576,
];

/// The sizes of the classes there are.
const SIZES: [usize; CLASSES] = {
    let mut sizes = [0; CLASSES];
    let mut class = 0;
    while class < CLASSES {
        sizes[class] = CLASS_SIZES[class];
        class += 1;
    }
    sizes
};

/// Slots promise the alignment of a unit at most (I3).
const TABLE: ClassTable<CLASSES> = ClassTable::new(SIZES).with_align_limit(UNIT);

/// The bytes up to which every [`STEP`] has an entry of its own.
const SMALL: usize = if LARGEST < 1 << 10 { LARGEST } else { 1 << 10 };
/// The bytes between two small classes, at least.
const STEP: usize = 8;
/// The bytes of the largest class.
const LARGEST: usize = SIZES[CLASSES - 1];

/// The classes of the sizes from `STEP * i + 1` to `STEP * (i + 1)`.
const BY_STEP: [u8; SMALL / STEP] = classes_by(STEP);

/// The bytes up to which every [`STRIDE`] has an entry of its own: the classes that share spans.
const MIDDLE: usize = if LARGEST < LARGEST_SHARED { LARGEST } else { LARGEST_SHARED };
/// The bytes between two middle classes, at least.
const STRIDE: usize = 256;

/// The classes of the sizes from `STRIDE * i + 1` to `STRIDE * (i + 1)`, of which those above [`SMALL`] are asked for.
const BY_STRIDE: [u8; MIDDLE / STRIDE] = classes_by(STRIDE);

/// The classes of the sizes in each quarter of a doubling, the largest doubling first.
const BY_QUARTER: [u8; QUARTERS] = {
    let mut classes = [0; QUARTERS];
    let mut at = 0;
    while at < QUARTERS {
        // Undoes `quarter`.
        let zeros = (at + LOWEST) / 4 - 1;
        classes[at] = class_above((4 + at % 4) << (usize::BITS as usize - 3 - zeros));
        at += 1;
    }
    classes
};

/// The number of quarters of a doubling from [`SMALL`] to [`LARGEST`].
const QUARTERS: usize = quarter(2 * SMALL - 1) + 1 - LOWEST;

/// The lowest quarter: the first of the largest doubling.
const LOWEST: usize = quarter(LARGEST / 2);

/// Returns which quarter of which doubling a number lies in: fewer leading zeros first, then the two bits below the highest. O(1).
#[inline(always)]
const fn quarter(number: usize) -> usize {
    let zeros = number.leading_zeros();
    4 * zeros as usize + ((number << zeros) >> (usize::BITS - 3))
}

/// Returns the class of the first size above each of the first multiples of `step`, from 0 on.
const fn classes_by<const N: usize>(step: usize) -> [u8; N] {
    let mut classes = [0; N];
    let mut at = 0;
    while at < N {
        classes[at] = class_above(step * at);
        at += 1;
    }
    classes
}

/// Returns the class of the first size above `below`.
const fn class_above(below: usize) -> u8 {
    match NonZeroLayout::from_size_align(below + 1, 1) {
        Ok(layout) => match TABLE.class_of(layout) {
            Some(class) => class as u8,
            None => NONE,
        },
        Err(_) => NONE,
    }
}

/// Tells the compiler that the branch it is called in is taken seldom, so that the other one runs straight on.
#[cold]
#[inline(always)]
fn seldom() {}

/// The number of no class.
const NONE: u8 = u8::MAX;

const _: () = {
    assert!(BY_STEP[0] == 0 && BY_STEP[SMALL / STEP - 1] != NONE, "every small size has a class");
    assert!(class_above(LARGEST - 1) as usize == CLASSES - 1, "every size up to the largest class has one");
};

/// The number of a size class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class(u8);

impl Class {
    /// Returns the class that serves `layout`; none for layouts that get a mapping of their own, and for empty ones. O(1).
    #[inline(always)]
    pub(crate) fn of(layout: Layout) -> Option<Self> {
        // The number below the size, once that is rounded up to the alignment; the largest number for an empty layout.
        Self::above(layout.size().wrapping_sub(1) | (layout.align() - 1), layout.align())
    }

    /// Returns the class that serves a size of more than `below` and an alignment; none if none does. O(1).
    #[inline(always)]
    pub(crate) fn above(below: usize, align: usize) -> Option<Self> {
        if below < SMALL {
            // SAFETY: there is an entry for every step below `SMALL`.
            return Some(Self(unsafe { *BY_STEP.get_unchecked(below / STEP) }));
        }
        seldom();
        if below < MIDDLE {
            // SAFETY: there is an entry for every stride below `MIDDLE`.
            return Some(Self(unsafe { *BY_STRIDE.get_unchecked(below / STRIDE) }));
        }
        if below < LARGEST && align <= UNIT {
            // SAFETY: there is an entry for every quarter below `LARGEST`.
            return Some(Self(unsafe { *BY_QUARTER.get_unchecked(quarter(below) - LOWEST) }));
        }
        None
    }

    /// Returns the class of a number. O(1).
    ///
    /// # Safety
    ///
    /// `number` is the [`index`](Self::index) of a class.
    #[inline(always)]
    pub(crate) const unsafe fn numbered(number: u8) -> Self {
        Self(number)
    }

    /// Returns every class.
    pub(crate) fn all() -> impl DoubleEndedIterator<Item = Self> {
        (0..CLASSES as u8).map(Self)
    }

    /// Returns the number, below [`CLASSES`]. O(1).
    #[inline(always)]
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    /// Returns the piece of `pieces` that belongs to this class. O(1).
    #[inline(always)]
    pub(crate) fn of_each<T>(self, pieces: &[T; CLASSES]) -> &T {
        // SAFETY: a class is below `CLASSES` (I1).
        unsafe { pieces.get_unchecked(self.index()) }
    }

    /// Returns the shape of the class under a profile. O(1).
    #[inline(always)]
    pub(crate) fn shape<P: Profile>(self) -> &'static Shape {
        self.of_each(Shapes::<P>::TABLE)
    }
}

/// What the slots of a class look like, and how many of them wait where.
#[derive(Debug)]
pub(crate) struct Shape {
    /// The bytes of a slot.
    pub(crate) size: usize,
    /// The units of a span.
    pub(crate) units: usize,
    /// The slots of a span.
    pub(crate) slots: usize,
    reciprocal: u64,
    /// How many blocks move between threads at a time.
    pub(crate) batch: usize,
    /// How many blocks a thread keeps at first.
    pub(crate) first: usize,
    /// How many blocks a thread keeps at most.
    pub(crate) capacity: usize,
    /// How many of those are held back, for the next block to be drawn from.
    pub(crate) reserve: usize,
    /// How many batches wait for any thread.
    pub(crate) depot: usize,
}

impl Shape {
    /// Returns the index of the slot that starts `offset` bytes into a span, or none if no slot starts there. O(1).
    #[inline(always)]
    pub(crate) fn index_of(&self, offset: usize) -> Option<usize> {
        // For an offset beyond every span the product may wrap; the comparison tells.
        let index = (offset as u64).wrapping_mul(self.reciprocal) >> RECIPROCAL_BITS;
        if index * self.size as u64 == offset as u64 { Some(index as usize) } else { None }
    }
}

const RECIPROCAL_BITS: u32 = 40;

/// The shapes of all classes under a profile.
struct Shapes<P>(PhantomData<P>);

impl<P: Profile> Shapes<P> {
    const TABLE: &'static [Shape; CLASSES] = &{
        assert!(P::BATCH >= 1 && P::BATCH <= LARGEST_BATCH, "a batch has to fit into what carries it");
        assert!(
            P::CACHE_BLOCKS >= 2 * P::BATCH,
            "a thread keeps two batches, or one would go back and forth"
        );
        let mut table = [const { Shape::EMPTY }; CLASSES];
        let mut class = 0;
        while class < CLASSES {
            table[class] = Shape::new::<P>(SIZES[class]);
            class += 1;
        }
        table
    };
}

impl Shape {
    const EMPTY: Self = Self {
        size: 0,
        units: 0,
        slots: 0,
        reciprocal: 0,
        batch: 0,
        first: 0,
        capacity: 0,
        reserve: 0,
        depot: 0,
    };

    const fn new<P: Profile>(size: usize) -> Self {
        let shared = size <= LARGEST_SHARED;
        let units = if !shared {
            size.div_ceil(UNIT)
        } else if 32 * size <= LARGEST_SPAN {
            (32 * size).div_ceil(UNIT)
        } else {
            (16 * size).div_ceil(UNIT)
        };
        let slots = if shared { units * UNIT / size } else { 1 };
        let bytes = if size > LARGEST_ORDINARY { 2 * P::CACHE_BYTES } else { P::CACHE_BYTES };
        let batch = clamp(bytes / size, 1, P::BATCH);
        let capacity = if shared {
            clamp(P::CACHE_BYTES / size, 2 * batch, P::CACHE_BLOCKS)
        } else {
            clamp(CACHED_SINGLES * P::CACHE_BYTES / size, 1, P::CACHE_BLOCKS)
        };
        let reserve = clamp(P::RESERVE, 0, capacity / 4);
        let depot = if shared { clamp(P::DEPOT_BYTES / (batch * size), 2, 64) } else { 0 };
        let reciprocal = (1_u64 << RECIPROCAL_BITS).div_ceil(size as u64);
        Self {
            size,
            units,
            slots,
            reciprocal,
            batch,
            first: clamp(reserve + 8, 0, capacity),
            capacity,
            reserve,
            depot,
        }
    }
}

const fn clamp(value: usize, least: usize, most: usize) -> usize {
    let value = if value < least { least } else { value };
    if value > most { most } else { value }
}

#[cfg(test)]
mod tests;
