//! Assemblies that are used often, as type aliases, and constructors that add up their pages.
//!
//! ```text
//!   HardenedSlab   | guard |  unused  | slot 1 | slot 2 | .. | slot n | guard |
//!   CryptoSlab     | edge  |<------------ locked ------------------->| edge  |
//!
//!   both           | guard | free list | map of live slots | guard |           in a mapping of its own
//! ```
//!
//! # Operations
//!
//! | recipe | allocate, free | making |
//! |---|---|---|
//! | `HardenedSlab` | those of a slab that tracks, O(1) | some ten system calls; no slot is touched |
//! | `CryptoSlab` | those, and wiping the slot | the same, and locking the slots, which backs them with memory |
//!
//! # Design
//!
//! An alias says all that a recipe does: its parts are documented where they are, and a program that needs another part
//! writes another alias. The constructors beside them know the sizes that the parts need from each other.
//!
//! *Only slots are locked.* The limit on locked memory is often 64 KiB. Guards lie in edges that are never locked, and the
//! list and the map, which hold no secret, in a mapping that is not. A lock that is refused makes the constructor fail.
use forge_alloc_core::{AllocError, FixedRange, FreelistProtection, NoProtection, OsBacked};

use crate::backing::{LockedMmapBacked, MmapBacked, MmapFlags, OsError, last_os_failure, page_size};
use crate::hardening::guard_page::GuardPage;
use crate::hardening::split_metadata::SplitMetadata;
use crate::hardening::zeroize::ZeroizeOnFree;
use crate::layout::slab::typed::Slab;

/// A slab between guard pages, with all that it knows about its slots in a mapping of its own.
///
/// - A run of accesses past the last slot faults at the first byte behind its stride (a type that is aligned to more than a
///   page may leave padding of less than its alignment there), and one below the region faults too.
/// - Nothing that is written through a slot, live or free, reaches the free list, whatever the policy is.
/// - A double free and a free of a pointer that is no issued slot end the process.
///
/// An overflow from one slot into the next is not noticed; for that, see [`GuardedSlab`](crate::GuardedSlab).
///
/// # Examples
///
/// ```
/// use forge_alloc::HardenedSlab;
///
/// let slab = HardenedSlab::<[u8; 48]>::with_slots(1000)?;
/// let session = slab.insert([1; 48])?;
/// assert_eq!((session[0], slab.len()), (1, 1));
/// # drop(session);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type HardenedSlab<T, M = NoProtection> = Slab<T, GuardPage<SplitMetadata<MmapBacked>>, M>;

/// A slab for secrets: a [`HardenedSlab`] whose slots are locked, and wiped when their blocks end.
///
/// - Slots are never swapped out. Where the system allows, core dumps leave them out and a child of `fork` finds zeroes.
/// - A slot is wiped when its block is freed, moved or shortened, and all slots when the slab is dropped.
/// - What is locked is the slots, and nothing else. If the system refuses, there is no slab.
///
/// A child of `fork` must neither use nor drop the slab: see [`LockedMmapBacked`].
///
/// # Examples
///
/// ```
/// use forge_alloc::CryptoSlab;
///
/// match CryptoSlab::<[u8; 32]>::with_slots(64) {
///     Ok(slab) => {
///         let mut key = slab.insert([0_u8; 32])?;
///         key.fill(0x42); // filled in place, so that no copy stays behind
///     } // wiped here
///     Err(error) => println!("{error}"), // names the limit to raise
/// }
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
pub type CryptoSlab<T, M = NoProtection> =
    ZeroizeOnFree<Slab<T, GuardPage<SplitMetadata<LockedMmapBacked>>, M>>;

impl<T> HardenedSlab<T> {
    /// Returns an empty slab of `count` slots. Some ten system calls; no slot is touched.
    ///
    /// # Errors
    ///
    /// The call that the system refused and why. A count of 0, or one whose bytes overflow, is an invalid argument of `mmap`.
    pub fn with_slots(count: usize) -> Result<Self, OsError> {
        Self::with_slots_under(count, NoProtection)
    }
}

impl<T, M: FreelistProtection> HardenedSlab<T, M> {
    /// Returns an empty slab of `count` slots under the policy `policy`. Some ten system calls; no slot is touched.
    ///
    /// # Errors
    ///
    /// As [`HardenedSlab::with_slots`].
    pub fn with_slots_under(count: usize, policy: M) -> Result<Self, OsError> {
        let (page, bytes) = (page_size(), slot_bytes::<T>(count, Self::STRIDE));
        let data = MmapBacked::map(bytes.checked_add(2 * page).unwrap_or(0), MmapFlags::NONE)?;
        guarded(data, count, policy)
    }
}

impl<T> CryptoSlab<T> {
    /// Returns an empty slab of `count` slots. Some fifteen system calls, and the memory of the slots.
    ///
    /// # Errors
    ///
    /// The call that the system refused and why. One of `mlock` says which limit to raise: the slots take `count` times the
    /// stride, in whole pages, of it. A count of 0, or one whose bytes overflow, is an invalid argument of `mmap`.
    pub fn with_slots(count: usize) -> Result<Self, OsError> {
        Self::with_slots_under(count, NoProtection)
    }
}

impl<T, M: FreelistProtection> CryptoSlab<T, M> {
    /// Returns an empty slab of `count` slots under the policy `policy`. Some fifteen system calls, and the memory of the slots.
    ///
    /// # Errors
    ///
    /// As [`CryptoSlab::with_slots`].
    pub fn with_slots_under(count: usize, policy: M) -> Result<Self, OsError> {
        let bytes = slot_bytes::<T>(count, HardenedSlab::<T, M>::STRIDE);
        let data = LockedMmapBacked::map_with_edges(bytes, page_size())?;
        Ok(ZeroizeOnFree::new(guarded(data, count, policy)?))
    }
}

/// Returns how many bytes `count` slots take, or 0, a length that every system refuses, if there are none or too many.
fn slot_bytes<T>(count: usize, stride: usize) -> usize {
    // A slot that is aligned to more than a page may start as much behind the guard.
    let padding = if align_of::<T>() > page_size() { align_of::<T>() } else { 0 };
    let bytes = u32::try_from(count).ok().and_then(|_| count.checked_mul(stride)).filter(|&bytes| bytes != 0);
    bytes.and_then(|bytes| bytes.checked_add(padding)).unwrap_or(0)
}

/// Puts guards to both ends of `data` and a slab of `count` slots between them.
fn guarded<T, I: OsBacked + FixedRange, M: FreelistProtection>(
    data: I,
    count: usize,
    policy: M,
) -> Result<Slab<T, GuardPage<SplitMetadata<I>>, M>, OsError> {
    let bytes = Slab::<T, GuardPage<SplitMetadata<I>>, M>::split_bytes(count);
    let split = SplitMetadata::map(data, bytes)?;
    let region = GuardPage::new(split, page_size()).map_err(reason)?;
    Slab::with_protection(count, region, policy).map_err(reason)
}

/// Returns why the system refused a guard or more metadata, which is all that can fail where this is called.
fn reason(_: AllocError) -> OsError {
    last_os_failure().unwrap_or(OsError::out_of_memory("guard"))
}

#[cfg(test)]
mod tests;
