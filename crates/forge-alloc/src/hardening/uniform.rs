//! Small random numbers without a division.
//!
//! # Invariants
//!
//! - (I1) The state is not zero.
//!
//! # Design
//!
//! The state is Marsaglia's xorshift of 64 bits, and the output its product with a constant (xorshift64*, Vigna 2016): three
//! shifts and a multiplication. A number below `bound` is the upper half of the product of `bound` with the upper 32 bits of
//! the output (Lemire, "Fast random integer generation in an interval", 2019), without his rejection: for a bound of up to 16
//! bits, the likelihoods of two numbers differ by at most one part in 2^16. That is for spreading blocks over cache sets;
//! it is no secret, because the state can be computed from a few outputs.

use core::cell::Cell;

use super::wipe;

/// A sequence of random numbers that its seed determines; the state is wiped when it is dropped.
pub(super) struct Uniform {
    state: Cell<u64>,
}

impl Uniform {
    /// Returns the sequence of a seed; 0 stands for another one (I1). O(1).
    pub(super) const fn new(seed: u64) -> Self {
        Self { state: Cell::new(if seed == 0 { 0x9E37_79B9_7F4A_7C15 } else { seed }) }
    }

    /// Returns the next number below `bound`; 0 for the bound 0. O(1).
    #[inline(always)]
    pub(super) fn below(&self, bound: u32) -> u32 {
        let mut state = self.state.get();
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.state.set(state);
        let upper = state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        ((upper * u64::from(bound)) >> 32) as u32
    }
}

impl Drop for Uniform {
    fn drop(&mut self) {
        wipe::forget(core::array::from_mut(self.state.get_mut()));
    }
}

#[cfg(test)]
mod tests;
