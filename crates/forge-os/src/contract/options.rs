//! [`MapOptions`]: how memory is mapped, and which wishes contradict each other.

use super::Protection;
#[cfg(doc)]
use crate::Os;
use crate::OsError;

/// How [`Os::map`] maps: starts as plain readable and writable memory, each `with_` method adds one wish.
///
/// # Examples
///
/// ```
/// use forge_os::{MapOptions, Protection};
///
/// let guarded = MapOptions::new().with_protection(Protection::NONE).with_no_reserve();
/// let segment = MapOptions::new().with_alignment(4 << 20);
/// assert_eq!(segment.alignment, 4 << 20);
/// assert_eq!(guarded.protection, Protection::NONE);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct MapOptions {
    /// The access rights; [`Protection::READ_WRITE`] unless told.
    pub protection: Protection,
    /// Back every page now instead of at the first touch. Needs read or write rights; excludes `reserve`.
    pub populate: bool,
    /// Reserve addresses only: a range must be [committed](Os::commit) before its first touch. Needs the
    /// protection [`Protection::READ_WRITE`]; excludes `populate` and `huge_page_size`. Memory is promised
    /// only at `commit` on Windows; on Unix it implies `no_reserve`.
    pub reserve: bool,
    /// Do not count the mapping against the overcommit limit; a touch may then be killed for lack of memory.
    /// Windows has no such mapping and reports it as unsupported (use `reserve`).
    pub no_reserve: bool,
    /// Take pages of exactly this size in bytes from the reserved huge pages.
    pub huge_page_size: Option<usize>,
    /// The smallest alignment in bytes: a power of two; anything up to the page size is met in any case.
    pub alignment: usize,
    /// An address near which the mapping is wanted, or 0. Systems put it elsewhere if they like, and some always do.
    pub near: usize,
}

impl MapOptions {
    /// Returns the options of plain readable and writable memory.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            protection: Protection::READ_WRITE,
            populate: false,
            reserve: false,
            no_reserve: false,
            huge_page_size: None,
            alignment: 1,
            near: 0,
        }
    }

    /// Sets [`protection`](Self::protection).
    #[must_use]
    pub const fn with_protection(mut self, protection: Protection) -> Self {
        self.protection = protection;
        self
    }

    /// Sets [`populate`](Self::populate).
    #[must_use]
    pub const fn with_populate(mut self) -> Self {
        self.populate = true;
        self
    }

    /// Sets [`reserve`](Self::reserve).
    #[must_use]
    pub const fn with_reserve(mut self) -> Self {
        self.reserve = true;
        self
    }

    /// Sets [`no_reserve`](Self::no_reserve).
    #[must_use]
    pub const fn with_no_reserve(mut self) -> Self {
        self.no_reserve = true;
        self
    }

    /// Sets [`huge_page_size`](Self::huge_page_size).
    #[must_use]
    pub const fn with_huge_pages(mut self, size: usize) -> Self {
        self.huge_page_size = Some(size);
        self
    }

    /// Sets [`alignment`](Self::alignment).
    #[must_use]
    pub const fn with_alignment(mut self, alignment: usize) -> Self {
        self.alignment = alignment;
        self
    }

    /// Sets [`near`](Self::near).
    #[must_use]
    pub const fn with_near(mut self, address: usize) -> Self {
        self.near = address;
        self
    }

    /// Checks `len` and the options against each other and returns the granule: the size of the pages that
    /// will be used.
    ///
    /// A port calls it first in `map`, so that every system rejects the same requests.
    ///
    /// # Errors
    ///
    /// Those of [`Os::map`] that need no system call, as the failure of `call`.
    pub const fn check(&self, call: &'static str, len: usize, page_size: usize) -> Result<usize, OsError> {
        let granule = match self.huge_page_size {
            Some(size) => size,
            None => page_size,
        };
        let consistent = granule.is_power_of_two()
            && granule >= page_size
            && self.alignment.is_power_of_two()
            && len != 0
            && len & (granule - 1) == 0
            && (!self.populate || self.protection.intersects(Protection::READ_WRITE))
            && !(self.reserve
                && (self.populate
                    || self.huge_page_size.is_some()
                    || !self.protection.is(Protection::READ_WRITE)));
        if !consistent {
            return Err(OsError::invalid_argument(call));
        }
        match len.checked_add(self.alignment) {
            Some(padded) if padded <= isize::MAX as usize => Ok(granule),
            _ => Err(OsError::out_of_memory(call)),
        }
    }
}

impl Default for MapOptions {
    fn default() -> Self {
        Self::new()
    }
}
