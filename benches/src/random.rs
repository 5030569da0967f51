//! Seeded pseudo-random numbers, the same in every run.

/// A xorshift generator: 64 bits of state, never zero.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Returns a generator whose sequence is determined by `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// Returns the next number of the sequence.
    pub fn next_number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Returns a number in `low..=high`.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        let width = (high - low + 1) as u64;
        low + ((self.next_number() >> 32) % width) as usize
    }
}
