//! Generations: how often a slot has been filled and emptied.
//!
//! ```text
//!   0 --insert--> 1 --remove--> 2 --insert--> 3 .. --insert--> MAX --remove--> 0 = retired
//!   free       occupied       free       occupied           occupied
//! ```
//!
//! # Invariants
//!
//! - (I1) A slot is occupied exactly if its generation is odd. Even generations are free, and the zero that a generation
//!   wraps to is free for ever.
//!
//! # Design
//!
//! Parity puts "occupied" into the generation itself, so one comparison with a handle's odd generation decides whether
//! the slot still holds that handle's value. It halves how often a slot is used: 128 times for `u8`, 2^31 for `u32`.

use core::fmt::Debug;
use core::hash::Hash;
use core::num::{NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64};

/// The number by which slots and handles tell one value from the next: `u8`, `u16`, `u32` or `u64`.
///
/// A slot serves 2^(bits - 1) values, one after another, and then retires; see
/// [`GenerationalSlab`](crate::GenerationalSlab). The trait is sealed.
pub trait GenerationInt: Generation {
    /// The generation of a slot that was never used, and of one that is used up.
    const ZERO: Self;

    /// Returns the next generation, which after the last one is [`ZERO`](Self::ZERO).
    #[must_use]
    fn wrapping_inc(self) -> Self;
}

/// What pools and handles need of a generation; nameable only inside the crate, which seals [`GenerationInt`].
pub trait Generation: Copy + Eq + Debug + Send + Sync + Unpin + 'static {
    /// An odd generation, the only kind that handles carry.
    type Occupied: Copy + Ord + Hash + Debug + Send + Sync + Unpin + 'static;
    /// The integer that names a slot across pools.
    type Key: Key;
    /// How far apart the numbers of neighbouring slots lie: a power of two, at most 4, which divides the size of a
    /// generation, so that a number counts the bytes of generations before it wherever a key has room for that.
    const STEP: u32;

    /// Returns whether the generation is that of an occupied slot.
    fn is_occupied(self) -> bool;

    /// Returns the generation itself if it is odd, and else the next one, which is odd.
    fn occupied(self) -> Self::Occupied;

    /// Returns the generation as a plain number.
    fn number(occupied: Self::Occupied) -> Self;
}

/// The integer of a handle that names a slot among the slots of all pools; its low 32 bits are the slot's number.
#[allow(unreachable_pub, reason = "reached only through a sealed trait, on which compilers differ")]
pub trait Key: Copy + Ord + Hash + Debug + Send + Sync + Unpin + 'static {
    /// Returns the key of the slot that was drawn with this number for a pool.
    fn drawn(number: u64) -> Self;

    /// Returns the key with the same high bits and these low ones.
    fn with_number(self, number: u32) -> Self;

    /// Returns the low bits.
    fn number(self) -> u32;

    /// Returns what, added to another key, gives how far that lies above this one.
    fn negated(self) -> Self;

    /// Returns how far this key lies above the one that was negated; for a key of another pool, too far.
    fn position(self, negated: Self) -> u64;
}

macro_rules! key {
    ($key:ty) => {
        #[allow(clippy::cast_lossless, trivial_numeric_casts)]
        impl Key for $key {
            #[inline(always)]
            fn drawn(number: u64) -> Self {
                number as $key
            }

            #[inline(always)]
            fn with_number(self, number: u32) -> Self {
                (self & !(u32::MAX as $key)) | number as $key
            }

            #[inline(always)]
            fn number(self) -> u32 {
                self as u32
            }

            #[inline(always)]
            fn negated(self) -> Self {
                self.wrapping_neg()
            }

            #[inline(always)]
            fn position(self, negated: Self) -> u64 {
                self.wrapping_add(negated) as u64
            }
        }
    };
}

macro_rules! generation {
    ($number:ty, $occupied:ty, $key:ty, $step:literal) => {
        impl GenerationInt for $number {
            const ZERO: Self = 0;

            #[inline(always)]
            fn wrapping_inc(self) -> Self {
                self.wrapping_add(1)
            }
        }

        impl Generation for $number {
            type Occupied = $occupied;
            type Key = $key;
            const STEP: u32 = $step;

            #[inline(always)]
            fn is_occupied(self) -> bool {
                self & 1 == 1
            }

            #[inline(always)]
            fn occupied(self) -> $occupied {
                <$occupied>::MIN | self
            }

            #[inline(always)]
            fn number(occupied: $occupied) -> Self {
                occupied.get()
            }
        }
    };
}

key!(u32);
key!(u64);
generation!(u8, NonZeroU8, u32, 1);
generation!(u16, NonZeroU16, u32, 2);
generation!(u32, NonZeroU32, u32, 4);
generation!(u64, NonZeroU64, u64, 1);
