//! Where searches start: for every power of two, a word below which no run is that long.
//!
//! # Invariants
//!
//! - (I1) No word below `runs[k]` has a bit from which `2^k` bits in a row are set, and no word below `natural[k]` has one
//!   whose number is a multiple of `2^k`; but for `k > 0`, the word `spot` may.
//! - (I2) Both rise with k.
//!
//! # Operations
//!
//! O(1) for each power of two whose bound changes.
//!
//! # Design
//!
//! What was freed last is mostly what is taken next: below the frontier it is the lowest. The spot is that word. It is looked at
//! first, and when it has been taken whole before the next free, the bounds have stayed at the frontier.

use super::search::Wanted;

/// The powers of two up to a word.
const CLASSES: usize = 7;

/// The bounds of one level.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    runs: [u32; CLASSES],
    natural: [u32; CLASSES],
    /// The word that the bounds leave out.
    pub(super) spot: u32,
}

impl Bounds {
    /// The bounds that always hold.
    pub(super) const LOWEST: Self = Self { runs: [0; CLASSES], natural: [0; CLASSES], spot: 0 };

    /// Returns the word below which there is nothing.
    #[inline(always)]
    pub(super) fn any(&self) -> u32 {
        let [any, ..] = self.runs;
        any
    }

    /// Returns the word below which there is no run that is wanted.
    #[inline(always)]
    pub(super) fn of(&self, wanted: Wanted) -> u32 {
        let bounds = if wanted.is_natural() { &self.natural } else { &self.runs };
        bounds.get(wanted.class()).copied().unwrap_or(0)
    }

    /// Notes that no wanted run starts below `word`.
    #[inline(always)]
    pub(super) fn raise(&mut self, wanted: Wanted, word: usize) {
        let whole = usize::from(!wanted.count.is_power_of_two());
        if wanted.align == 1 {
            raise(&mut self.runs, wanted.class() + whole, word as u32);
        }
        if wanted.align == 1 || wanted.is_natural() {
            raise(&mut self.natural, wanted.class() + whole, word as u32);
        }
    }

    /// Notes that some bit of `word` is set.
    #[inline(always)]
    pub(super) fn lower_any(&mut self, word: usize) {
        let ([runs, ..], [natural, ..]) = (&mut self.runs, &mut self.natural);
        *runs = (*runs).min(word as u32);
        *natural = (*natural).min(word as u32);
    }

    /// Notes that `length` bits in a row are set from `word` on.
    #[inline(always)]
    pub(super) fn lower(&mut self, word: usize, length: usize) {
        let class = (usize::BITS - 1 - length.leading_zeros()) as usize;
        lower(&mut self.runs, class, word as u32);
        lower(&mut self.natural, class, word as u32);
    }
}

/// Raises the bounds from a class on.
#[inline(always)]
fn raise(bounds: &mut [u32; CLASSES], class: usize, word: u32) {
    for bound in bounds.iter_mut().skip(class) {
        if *bound >= word {
            break;
        }
        *bound = word;
    }
}

/// Lowers the bounds up to a class.
#[inline(always)]
fn lower(bounds: &mut [u32; CLASSES], class: usize, word: u32) {
    for bound in bounds.iter_mut().take(class + 1).rev() {
        if *bound <= word {
            break;
        }
        *bound = word;
    }
}
