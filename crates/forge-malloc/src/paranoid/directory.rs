//! From any address to the range that it lies in: two loads from tables, none through the address.
//!
//! ```text
//!   address   | root index | leaf index | offset in the granule |
//!                  |             |
//!   root      | leaf | 0 | 0 | ..|
//!                |               v
//!              | 0 | entry | entry | 0 | ..           an entry for each granule of 2 MiB: 0 is none of ours
//! ```
//!
//! # Invariants
//!
//! - (I1) A leaf that was made stays for ever.
//! - (I2) The entry of a granule is not zero exactly while a range of the heap covers it, and is changed only under the lock
//!   of the shard that the entry names before or after the change.
//!
//! # Operations
//!
//! [`get`](Directory::get): O(1), wait-free. [`set`](Directory::set): O(granules).
//!
//! # Design
//!
//! Ranges are whole granules at multiples of a granule, so no granule belongs to two. Most address spaces have 47 or 48 bits
//! for programs unless one asks for more; a mapping beyond would be refused.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use forge_os::Os;

use super::dice::Dice;
use super::vault::Vault;

/// The base-2 logarithm of [`GRANULE`].
const GRANULE_BITS: u32 = if cfg!(miri) { 18 } else { 21 };

/// The bytes of a granule, and the alignment of every range.
pub(super) const GRANULE: usize = 1 << GRANULE_BITS;

/// The bits of an address. The interpreter's are small, and it looks at all of the root again and again.
const ADDRESS_BITS: u32 = match (cfg!(miri), usize::BITS) {
    (true, 41..) => 40,
    (_, 49..) => 48,
    (_, bits) => bits,
};
const MOST_LEAF_BITS: u32 = if cfg!(miri) { 14 } else { 13 };
const LEAF_BITS: u32 =
    if ADDRESS_BITS - GRANULE_BITS < MOST_LEAF_BITS { ADDRESS_BITS - GRANULE_BITS } else { MOST_LEAF_BITS };
const ROOT_BITS: u32 = ADDRESS_BITS - GRANULE_BITS - LEAF_BITS;

type Leaf = [AtomicU32; 1 << LEAF_BITS];

/// A table of all addresses. All zero is one without a range.
pub(super) struct Directory {
    root: [AtomicPtr<Leaf>; 1 << ROOT_BITS],
}

impl Directory {
    /// Returns the entry of an address, 0 if there is none. What it names may change unless the lock of its shard is held.
    pub(super) fn get(&self, address: usize) -> u32 {
        // Acquire: pairs with the Release in `set`.
        self.entry(address >> GRANULE_BITS).map_or(0, |entry| entry.load(Ordering::Acquire))
    }

    /// Sets the entry of every granule of a range, after the leaves for it are there; changes nothing if there is no memory.
    ///
    /// Calls for ranges that need leaves are made under one lock.
    pub(super) fn set(
        &self,
        start: usize,
        len: usize,
        entry: u32,
        os: &impl Os,
        dice: &mut Dice,
    ) -> Option<()> {
        let last = start.checked_add(len)?.checked_sub(1)?;
        let leaves = start >> GRANULE_BITS >> LEAF_BITS..=last >> GRANULE_BITS >> LEAF_BITS;
        for leaf in leaves {
            let place = self.root.get(leaf)?;
            // Relaxed: leaves are made under one lock.
            if place.load(Ordering::Relaxed).is_null() {
                let vault = Vault::new(os, size_of::<Leaf>(), dice)?;
                // Release: pairs with the Acquire in `entry`. Zero is a leaf without entries.
                place.store(vault.data().as_ptr().cast(), Ordering::Release);
            }
        }
        self.change(start, len, entry);
        Some(())
    }

    /// Changes the entry of every granule of a range that has one, to 0 for none.
    pub(super) fn change(&self, start: usize, len: usize, entry: u32) {
        for granule in start >> GRANULE_BITS..(start >> GRANULE_BITS) + len / GRANULE {
            if let Some(place) = self.entry(granule) {
                // Release: pairs with the Acquire in `get`.
                place.store(entry, Ordering::Release);
            }
        }
    }

    fn entry(&self, granule: usize) -> Option<&AtomicU32> {
        // Acquire: pairs with the Release in `set`.
        let leaf = NonNull::new(self.root.get(granule >> LEAF_BITS)?.load(Ordering::Acquire))?;
        let place = granule & ((1 << LEAF_BITS) - 1);
        // SAFETY: a leaf stays for ever (I1), has so many entries, and is reached through atomics only.
        Some(unsafe { leaf.cast::<AtomicU32>().add(place).as_ref() })
    }

    /// Returns the directory without a range, for tests.
    #[cfg(test)]
    pub(super) fn new() -> Self {
        Self { root: [const { AtomicPtr::new(core::ptr::null_mut()) }; 1 << ROOT_BITS] }
    }
}

#[cfg(test)]
mod tests;
