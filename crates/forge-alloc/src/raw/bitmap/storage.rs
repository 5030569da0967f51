//! The array of words that a bitmap lives in: inline, or lent.

/// The words of a bitmap: `[u64; N]` inside the value, or `&mut [u64]` anywhere else.
///
/// A bitmap builds on getting the same words each time, so nothing else implements this.
pub trait BitStorage: sealed::Sealed {
    /// Returns the words.
    #[doc(hidden)]
    fn words(&self) -> &[u64];

    /// Returns the words.
    #[doc(hidden)]
    fn words_mut(&mut self) -> &mut [u64];
}

impl<const N: usize> BitStorage for [u64; N] {
    #[inline(always)]
    fn words(&self) -> &[u64] {
        self
    }

    #[inline(always)]
    fn words_mut(&mut self) -> &mut [u64] {
        self
    }
}

impl BitStorage for &mut [u64] {
    #[inline(always)]
    fn words(&self) -> &[u64] {
        self
    }

    #[inline(always)]
    fn words_mut(&mut self) -> &mut [u64] {
        self
    }
}

mod sealed {
    /// What only the two kinds of words are.
    pub trait Sealed {}

    impl<const N: usize> Sealed for [u64; N] {}
    impl Sealed for &mut [u64] {}
}
