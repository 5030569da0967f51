//! Random words, from the system.
//!
//! # Invariants
//!
//! - (I1) A word is handed out once, and forgotten where it was kept.
//!
//! # Operations
//!
//! O(1); a system call for every [`KEPT`] words.
//!
//! # Design
//!
//! The system's generator is the one that cannot be computed from what it gave before, and at a call for a few dozen words it
//! costs less than a page fault. Words that wait lie in a vault. A child of a fork forgets those that it inherits, or it
//! would draw what its parent draws. Where the system refuses, words are made of a count and of addresses, which can be guessed; the
//! statistics say so.

/// How many words are drawn at a time: as many as one system call gives without being interrupted.
const KEPT: usize = 32;

/// A source of random words. All zero is one that has none.
pub(super) struct Dice {
    words: [u64; KEPT],
    left: usize,
    count: u64,
    /// Whether the system refused once.
    pub(super) guessable: bool,
}

impl Dice {
    /// Returns a source that has no words yet. O(1).
    pub(super) const fn new() -> Self {
        Self { words: [0; KEPT], left: 0, count: 0, guessable: false }
    }

    /// Returns a random word.
    pub(super) fn word(&mut self) -> u64 {
        if self.left == 0 {
            self.refill();
        }
        self.left = self.left.saturating_sub(1);
        self.words.get_mut(self.left).map_or(0, core::mem::take)
    }

    /// Returns a random number below `bound`; 0 for the bound 0. Numbers are equally likely up to one part in 2^32 / `bound`.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        (((self.word() >> 32) * u64::from(bound)) >> 32) as u32
    }

    /// Forgets the words that wait.
    pub(super) fn forget(&mut self) {
        self.words = [0; KEPT];
        self.left = 0;
    }

    #[cold]
    fn refill(&mut self) {
        self.left = KEPT;
        let mut bytes = [[0; 8]; KEPT];
        if forge_os::fill_random(bytes.as_flattened_mut()).is_ok() {
            self.words = bytes.map(u64::from_ne_bytes);
            return;
        }
        self.guessable = true;
        let place = (&raw const bytes).addr() as u64;
        for word in &mut self.words {
            self.count = self.count.wrapping_add(1);
            *word = mix(place.wrapping_add(self.count.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        }
    }
}

/// Returns a number from which the argument cannot be seen at a glance: the last steps of `SplitMix64` (Steele et al. 2014).
fn mix(word: u64) -> u64 {
    let word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ word >> 31
}

#[cfg(test)]
mod tests;
