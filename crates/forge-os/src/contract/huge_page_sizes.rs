//! [`HugePageSizes`]: a short list without an allocation.

#[cfg(doc)]
use crate::Os;

/// A short list of huge page sizes in bytes, in increasing order, without an allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HugePageSizes {
    sizes: [usize; Self::CAPACITY],
    count: usize,
}

impl HugePageSizes {
    /// The most sizes that a list can hold; no known processor has more than seven.
    pub const CAPACITY: usize = 8;

    /// Returns the empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { sizes: [0; Self::CAPACITY], count: 0 }
    }

    /// Returns the sizes, smallest first.
    #[must_use]
    pub fn as_slice(&self) -> &[usize] {
        self.sizes.get(..self.count).unwrap_or(&[])
    }

    /// Appends `size`, which must exceed the sizes already there. A full list stays as it is and returns
    /// false.
    pub fn push(&mut self, size: usize) -> bool {
        debug_assert!(self.as_slice().last().is_none_or(|&last| last < size));
        match self.sizes.get_mut(self.count) {
            Some(free) => {
                *free = size;
                self.count += 1;
                true
            }
            None => false,
        }
    }
}

impl core::ops::Deref for HugePageSizes {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        self.as_slice()
    }
}
