//! [`Protection`]: the access rights of pages, as a set.

use core::ops::BitOr;

/// The access rights of pages: any combination of read, write and execute.
///
/// Windows has no write-only pages: there, write implies read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Protection(u8);

impl Protection {
    /// No access: every touch faults.
    pub const NONE: Self = Self(0);
    /// Read only.
    pub const READ: Self = Self(1);
    /// Write only (see the note on Windows).
    pub const WRITE: Self = Self(2);
    /// Execute only.
    pub const EXECUTE: Self = Self(4);
    /// Read and write.
    pub const READ_WRITE: Self = Self(3);
    /// Read and execute.
    pub const READ_EXECUTE: Self = Self(5);

    /// Returns the rights of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns true if every right of `other` is included.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns true if both have a right in common.
    pub(super) const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Returns true if the rights are the same: `==` for constant functions.
    pub(super) const fn is(self, other: Self) -> bool {
        self.0 == other.0
    }
}

impl BitOr for Protection {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}
