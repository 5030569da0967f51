//! A keyed hash of where a block is: what makes the words beside a block unforgeable.
//!
//! ```text
//!   hash(place, detail) = c + the upper 64 of the 128 bits of   a * place + b * detail   mod 2^128
//! ```
//!
//! # Invariants
//!
//! - (I1) For a uniformly random key, the hash of an input is uniform, and who knows it guesses the hash of another input with
//!   probability 2^-63 at most.
//!
//! # Operations
//!
//! O(1): two multiplications and two additions, twice that with a detail. Nothing is read but the key.
//!
//! # Design
//!
//! This is the multiply-shift of Dietzfelbinger ("Universal hashing and k-wise independence via integer arithmetic without
//! primes", 1996), for two inputs in its vector form (Thorup, "High speed hashing for integers and strings", 2015), with the
//! offset added to the upper half alone. (I1) follows as theirs does: `c` hides the rest of the key behind the known hash, so
//! `a` is uniform still. Where two places differ by `d`, the hashes differ by the upper half of `a * d mod 2^128` and a carry of
//! 0 or 1 from below; `a * d` is uniform on the multiples of the power of two in `d`, which is below 2^64, so its upper half
//! takes each value with probability 2^-64. A folded multiplication is three instructions shorter and proves nothing.
//!
//! - Who has read no hash, or one, guesses that of another block with probability 2^-63 a try.
//! - Who has read two or more has equations about the key in which only the cut-off lower halves are unknown, and lattice
//!   reduction solves such systems: then every hash is known. A hash that stands against that is a MAC (SipHash), at many
//!   times the cost.
//!
//! So a key is for one instance, and its hashes are for finding writes that were not meant and attackers that write without
//! reading. One that can read what it overwrites needs no key: it writes back what was there.
//!
//! A key from a seed has the 64 bits of the seed, whatever it is stretched to: it makes runs repeatable.

use super::wipe;

/// A secret for [`hash`](Self::hash); it is wiped when it is dropped.
pub(super) struct Key([u64; 5]);

impl Key {
    /// Returns the key of five words, which should be random. O(1).
    #[cfg(any(feature = "std", test))]
    pub(super) const fn from_words(words: [u64; 5]) -> Self {
        Self(words)
    }

    /// Returns the key that a seed stretches to, by SplitMix64. O(1).
    pub(super) const fn from_seed(seed: u64) -> Self {
        Self([mix(seed, 1), mix(seed, 2), mix(seed, 3), mix(seed, 4), mix(seed, 5)])
    }

    /// Returns the hash of a place and a detail about what is there. O(1).
    #[inline(always)]
    pub(super) const fn hash(&self, place: usize, detail: u64) -> u64 {
        let [a0, a1, b0, b1, c] = self.0;
        let sum = join(a0, a1).wrapping_mul(place as u128);
        let sum = sum.wrapping_add(join(b0, b1).wrapping_mul(detail as u128));
        c.wrapping_add((sum >> 64) as u64)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        wipe::forget(&mut self.0);
    }
}

const fn join(low: u64, high: u64) -> u128 {
    low as u128 | (high as u128) << 64
}

/// Returns number `index` of the sequence that SplitMix64 yields from `seed`.
pub(super) const fn mix(seed: u64, index: u64) -> u64 {
    let word = seed.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ word >> 31
}

#[cfg(test)]
mod tests;
