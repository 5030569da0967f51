//! A small random generator whose sequence is the same on every platform and in every release.
//!
//! # Design
//!
//! SplitMix64 (Steele, Lea and Flood, 2014): one addition and a finaliser per number, full period, and any seed is a
//! good seed. Histories are identified by their seed in test names and reports, so the sequence is part of the
//! interface; numbers in a range use the high half of a product (Lemire) and integers only.

/// A generator of random numbers, deterministic from its seed.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Returns the generator that starts at `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Returns the next 64 random bits. O(1).
    #[inline]
    pub const fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.state)
    }

    /// Returns a number below `bound`, or 0 for a bound of 0. O(1).
    #[inline]
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.bits() as u128 * bound as u128) >> 64) as u64
    }

    /// Returns an index below `length`, or 0 for a length of 0. O(1).
    #[inline]
    pub const fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// Returns a number from `low` to `high`, both included; `low` where `high` is smaller. O(1).
    #[inline]
    pub const fn between(&mut self, low: usize, high: usize) -> usize {
        low.saturating_add(self.index(high.saturating_sub(low).saturating_add(1)))
    }

    /// Returns `true` in `percent` of 100 cases. O(1).
    #[inline]
    pub const fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Returns a size from `low` to `high` bytes by a power law: half of all sizes fall in the lowest octave above
    /// `low`, half of the rest in the next, and so on. O(1).
    #[inline]
    pub const fn power_law(&mut self, low: usize, high: usize) -> usize {
        let low = if low == 0 { 1 } else { low };
        let octaves = if high > low { (high / low).ilog2() } else { 0 };
        let deepest = self.bits().trailing_zeros();
        let octave = if deepest > octaves { self.index(octaves as usize + 1) as u32 } else { deepest };
        let from = low << octave;
        let to = if octave < octaves { (low << (octave + 1)) - 1 } else { high };
        self.between(from, to)
    }
}

/// Returns `value` with every bit depending on every bit. O(1), a bijection.
#[inline]
#[must_use]
pub const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests;
