//! Which slot starts at a distance: exact division by the distance of slots, as one multiplication.
//!
//! # Design
//!
//! A stride is `odd << shift`. Modulo the number `M` of values that a word holds, `odd` has an inverse, so
//!
//! ```text
//!   number(distance) = rotate_right(distance * inverse, shift)
//! ```
//!
//! is a composition of two bijections of the words: a multiplication by an odd number, and a rotation. For the distance
//! `n * stride` with `n * stride < M`, the product is `n << shift` modulo `M`, no bit of which is lost since
//! `n << shift <= n * stride < M`, and the rotation yields `n`. A bijection takes each value once: any distance that is
//! not a multiple of the stride, or one that leaves the span before or behind, goes to a number that belongs to no slot.
//! So a comparison of the result with the number of slots answers "is it inside", "is it a start" and "which one" at
//! once, where a division costs 10 to 40 cycles and answers the last two (Granlund and Montgomery, "Division by invariant
//! integers using multiplication", 1994, section 9). Where the stride is a constant, so are the inverse and the shift.
#![forbid(unsafe_code)]

/// A distance between the starts of neighbouring slots, in bytes, ready to divide by.
#[derive(Clone, Copy, Debug)]
pub(in crate::layout) struct Stride {
    bytes: usize,
    inverse: usize,
    shift: u32,
}

impl Stride {
    /// Returns the stride of `bytes`, which is not 0. O(1).
    pub(in crate::layout) const fn new(bytes: usize) -> Self {
        debug_assert!(bytes != 0);
        let shift = bytes.trailing_zeros();
        let odd = bytes >> shift;
        // An odd number is its own inverse modulo 8; each step of Newton's iteration doubles the number of right bits.
        let mut inverse = odd;
        let mut bits = 3;
        while bits < usize::BITS {
            inverse = inverse.wrapping_mul(2_usize.wrapping_sub(odd.wrapping_mul(inverse)));
            bits *= 2;
        }
        Self { bytes, inverse, shift }
    }

    /// Returns the stride in bytes.
    #[inline(always)]
    pub(in crate::layout) const fn bytes(self) -> usize {
        self.bytes
    }

    /// Returns `distance / bytes` if that is exact, and otherwise a number larger than that of any distance below the
    /// number of values of a word. O(1).
    #[inline(always)]
    pub(in crate::layout) const fn number(self, distance: usize) -> usize {
        distance.wrapping_mul(self.inverse).rotate_right(self.shift)
    }
}

#[cfg(test)]
mod tests;
