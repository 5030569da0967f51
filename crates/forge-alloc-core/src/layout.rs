//! A layout that cannot be empty: the size and alignment of every block inside the toolkit.
//!
//! # Invariants
//!
//! - (I1) `size > 0`.
//! - (I2) `align` is a power of two.
//! - (I3) `size <= isize::MAX - (align - 1)`: rounding the size up to the alignment stays within `isize::MAX`.
//!
//! (I3) is what lets a bump cursor skip its overflow checks: for any offset `o <= isize::MAX`,
//! `align_up(o) + size <= (isize::MAX + align - 1) + (isize::MAX - (align - 1)) = usize::MAX - 1`.
//!
//! # Design
//!
//! Zero sizes are absorbed once, at the std boundary ([`StdCompat`](crate::StdCompat)), and never reach an allocator.
//! The type wraps [`Layout`], so conversion costs nothing and the alignment keeps its niche.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::fmt;
use core::num::NonZeroUsize;

use crate::LayoutError;

/// A [`Layout`] whose size is not zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NonZeroLayout(Layout);

impl NonZeroLayout {
    /// Returns the layout of `size` bytes at `align` bytes. O(1).
    ///
    /// # Errors
    ///
    /// [`LayoutError`] if `align` is not a power of two or `size` exceeds `isize::MAX - (align - 1)`.
    pub const fn new(size: NonZeroUsize, align: NonZeroUsize) -> Result<Self, LayoutError> {
        Self::from_size_align(size.get(), align.get())
    }

    /// Returns the layout of `size` bytes at `align` bytes. O(1).
    ///
    /// # Errors
    ///
    /// [`LayoutError`] if `size` is zero, `align` is not a power of two, or `size` exceeds
    /// `isize::MAX - (align - 1)`.
    ///
    /// # Examples
    ///
    /// ```
    /// use forge_alloc_core::NonZeroLayout;
    ///
    /// let layout = NonZeroLayout::from_size_align(24, 8).unwrap();
    /// assert_eq!((layout.size().get(), layout.align().get()), (24, 8));
    /// assert!(NonZeroLayout::from_size_align(0, 8).is_err());
    /// assert!(NonZeroLayout::from_size_align(8, 3).is_err());
    /// ```
    #[inline]
    pub const fn from_size_align(size: usize, align: usize) -> Result<Self, LayoutError> {
        match Layout::from_size_align(size, align) {
            Ok(layout) if size != 0 => Ok(Self(layout)),
            _ => Err(LayoutError),
        }
    }

    /// Returns the layout of a `T`, or `None` if `T` is zero-sized. O(1), evaluated at compile time.
    #[inline]
    pub const fn for_type<T>() -> Option<Self> {
        if size_of::<T>() == 0 { None } else { Some(Self(Layout::new::<T>())) }
    }

    /// Returns the layout of `n` values of `T` in a row, or `None` if that is empty or too large. O(1).
    #[inline]
    pub const fn array<T>(n: usize) -> Option<Self> {
        match Layout::array::<T>(n) {
            Ok(layout) if layout.size() != 0 => Some(Self(layout)),
            _ => None,
        }
    }

    /// Returns the size in bytes. O(1).
    #[inline]
    pub const fn size(&self) -> NonZeroUsize {
        // SAFETY: the size is not zero (I1).
        unsafe { NonZeroUsize::new_unchecked(self.0.size()) }
    }

    /// Returns the alignment in bytes, a power of two. O(1).
    #[inline]
    pub const fn align(&self) -> NonZeroUsize {
        // SAFETY: a power of two (I2) is not zero.
        unsafe { NonZeroUsize::new_unchecked(self.0.align()) }
    }

    /// Returns the layout with its size rounded up to its alignment. O(1), idempotent, cannot overflow (I3).
    #[inline]
    #[must_use]
    pub const fn pad_to_align(&self) -> Self {
        Self(self.0.pad_to_align())
    }

    /// Returns the same layout as the standard library's type. O(1).
    #[inline]
    pub const fn to_layout(&self) -> Layout {
        self.0
    }
}

impl fmt::Debug for NonZeroLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NonZeroLayout").field("size", &self.0.size()).field("align", &self.0.align()).finish()
    }
}

impl TryFrom<Layout> for NonZeroLayout {
    type Error = LayoutError;

    #[inline]
    fn try_from(layout: Layout) -> Result<Self, LayoutError> {
        if layout.size() == 0 { Err(LayoutError) } else { Ok(Self(layout)) }
    }
}

impl From<NonZeroLayout> for Layout {
    #[inline]
    fn from(layout: NonZeroLayout) -> Self {
        layout.0
    }
}

#[cfg(test)]
mod tests;
