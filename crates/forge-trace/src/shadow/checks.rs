//! [`Checks`]: what is checked beyond the contract, and how often.

use core::ops::Range;

use forge_alloc_core::FixedRange;

/// What is checked beyond the contract, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checks {
    /// The addresses that every block must lie in, where that is known.
    pub range: Option<Range<usize>>,
    /// After how many operations the contents of all live blocks are compared; 0 for at the end only.
    pub sweep_every: usize,
    /// Whether resizes also change the alignment, as the contract allows. Allocators may refuse that.
    pub vary_alignment: bool,
}

impl Default for Checks {
    fn default() -> Self {
        Self { range: None, sweep_every: 64, vary_alignment: false }
    }
}

impl Checks {
    /// Returns the default checks, with every block inside `range`. O(1).
    ///
    /// The addresses are taken now: they hold until the owner of the range is moved.
    #[must_use]
    pub fn within<R: FixedRange + ?Sized>(range: &R) -> Self {
        let base = range.base().addr().get();
        Self { range: Some(base..base.saturating_add(range.size())), ..Self::default() }
    }
}
