//! All ranges of a heap: their numbers, their mappings, and the directory that leads to them.
//!
//! # Invariants
//!
//! - (I1) A number that was handed out is one extent's until the extent is given back; its record is the shard's that has it.
//! - (I2) `made` and `unused` are reached under the lock.
//! - (I3) Lock order: that of a shard, then that of the grounds.
//!
//! # Operations
//!
//! [`take`](Grounds::take): O(pages), a dozen system calls at most. [`give_back`](Grounds::give_back): O(pages).
//!
//! # Design
//!
//! A range is one mapping, shut as a whole when it is made, so that its pages are guards until a block opens some. Ranges for large slots
//! are shut by rights: marks for them would cost page tables, and there are few of them.
#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use core::ptr::NonNull;

use forge_alloc_core::sync::atomic::{AtomicUsize, Ordering};
use forge_alloc_core::sync::cell::UnsafeCell;
use forge_alloc_core::sync::{RawLock, SpinLock};
use forge_os::{MapOptions, Os};

use super::dice::Dice;
use super::directory::{Directory, GRANULE};
use super::extent::{Extent, MOST_SLOTS};
use super::guards::{self, Method};
use super::vault::Vault;

/// The most extents of a heap.
const EXTENTS: usize = if cfg!(miri) { 64 } else { 4096 };

/// The bytes of a slot from which on its guards are by rights.
const VAST: usize = 64 << 20;

/// The bits of an entry of the directory that have the number of the shard.
const SHARD_BITS: u32 = 8;

/// All ranges. All zero is none.
pub(super) struct Grounds {
    pub(super) directory: Directory,
    pub(super) lock: SpinLock,
    numbers: UnsafeCell<Numbers>,
    /// Bytes of ranges, of those whose guards are rights, and of vaults of extents.
    pub(super) mapped: AtomicUsize,
    pub(super) by_rights: AtomicUsize,
    pub(super) vaults: AtomicUsize,
    extents: [UnsafeCell<MaybeUninit<Extent>>; EXTENTS],
}

struct Numbers {
    made: u32,
    /// The first unused number, plus one.
    unused: u32,
}

/// The range that a shard wants.
pub(super) struct Want {
    pub(super) shard: usize,
    pub(super) class: usize,
    pub(super) slot_bytes: usize,
    /// The bytes of the range, a multiple of a granule; 0 for as few as possible.
    pub(super) bytes: usize,
}

/// Returns the number of the shard in an entry of the directory.
pub(super) fn shard_in(entry: u32) -> usize {
    (entry & ((1 << SHARD_BITS) - 1)) as usize
}

/// Returns the number of the extent in an entry of the directory, plus one.
pub(super) fn number_in(entry: u32) -> u32 {
    entry >> SHARD_BITS
}

impl Grounds {
    /// Returns the record of a number, plus one; none for 0. It was written if the number was handed out.
    pub(super) fn extent(&self, number: u32) -> Option<NonNull<Extent>> {
        let record = self.extents.get((number as usize).checked_sub(1)?)?;
        record.with_mut(|record| NonNull::new(record.cast()))
    }

    /// Maps a range for a shard, of the bytes that it wants or else of one slot; returns its number, plus one.
    pub(super) fn take(&self, os: &impl Os, want: &Want, dice: &mut Dice) -> Option<u32> {
        let page = os.page_size();
        let least = want.slot_bytes.checked_add(page)?.checked_next_multiple_of(GRANULE)?;
        let number = self.take_number()?;
        let made = self.map(os, want, want.bytes.max(least), number, dice).or_else(|| {
            // What is wanted may be more than there is.
            (want.bytes > least).then(|| self.map(os, want, least, number, dice))?
        });
        if made.is_none() {
            self.put_number(number);
        }
        made.map(|()| number)
    }

    fn map(&self, os: &impl Os, want: &Want, len: usize, number: u32, dice: &mut Dice) -> Option<()> {
        let &Want { class, slot_bytes, shard, .. } = want;
        let slots = ((len - os.page_size()) / slot_bytes).min(MOST_SLOTS);
        let options = MapOptions::new().with_reserve().with_alignment(GRANULE);
        let base = os.map(len, options).ok()?;
        // SAFETY: the range is fresh, and nobody knows it.
        let method = unsafe {
            os.commit(base, len).and_then(|()| guards::shut_fresh(os, base, len, slot_bytes < VAST)).ok()
        };
        let vault = method.and_then(|_| Vault::new(os, Extent::table_bytes(slots), dice));
        let (Some(method), Some(vault)) = (method, vault) else {
            // SAFETY: as above. If the system refuses, the range stays mapped and shut.
            let _ = unsafe { os.unmap(base, len) };
            return None;
        };
        let extent = Extent {
            base,
            len,
            slot_bytes,
            class,
            slots: slots as u32,
            vacant: slots as u32,
            retired: 0,
            next: 0,
            method,
            vault,
        };
        // SAFETY: the number is the caller's (I1).
        unsafe { self.extent(number)?.write(extent) };
        let entry = number << SHARD_BITS | shard as u32;
        let entered = {
            let _guard = self.lock.guard();
            self.directory.set(base.addr().get(), len, entry, os, dice)
        };
        if entered.is_none() {
            // SAFETY: as above; nobody reaches the vault.
            unsafe {
                let _ = os.unmap(base, len);
                vault.give_back(os);
            }
            return None;
        }
        // Relaxed: these count, and publish nothing.
        self.mapped.fetch_add(len, Ordering::Relaxed);
        self.vaults.fetch_add(vault.len(), Ordering::Relaxed);
        if method == Method::Rights {
            self.by_rights.fetch_add(len, Ordering::Relaxed);
        }
        Some(())
    }

    /// Unmaps the range of a number, which has no block; returns whether the system took it. If not, everything is as it was.
    ///
    /// # Safety
    ///
    /// The number was handed out, the caller holds the lock of the extent's shard, and no list has it.
    pub(super) unsafe fn give_back(&self, os: &impl Os, number: u32) -> bool {
        let Some(record) = self.extent(number) else { return false };
        // SAFETY: the record is the caller's (I1).
        let (base, len, method, vault) = unsafe {
            let extent = record.as_ref();
            (extent.base, extent.len, extent.method, extent.vault)
        };
        let entry = self.directory.get(base.addr().get());
        // First of all: as soon as the range is unmapped, its addresses may be another range's.
        self.directory.change(base.addr().get(), len, 0);
        // SAFETY: no block is in the range.
        if unsafe { os.unmap(base, len) }.is_err() {
            self.directory.change(base.addr().get(), len, entry);
            return false;
        }
        // SAFETY: the table was about the slots of the range.
        unsafe { vault.give_back(os) };
        // Relaxed: as above.
        self.mapped.fetch_sub(len, Ordering::Relaxed);
        self.vaults.fetch_sub(vault.len(), Ordering::Relaxed);
        if method == Method::Rights {
            self.by_rights.fetch_sub(len, Ordering::Relaxed);
        }
        self.put_number(number);
        true
    }

    fn take_number(&self) -> Option<u32> {
        let _guard = self.lock.guard();
        self.numbers.with_mut(|numbers| {
            // SAFETY: the lock is held (I2).
            let numbers = unsafe { &mut *numbers };
            if let Some(record) = self.extent(numbers.unused) {
                let number = numbers.unused;
                // SAFETY: the number was put back with its `next`, whether the rest was written or not.
                numbers.unused = unsafe { (&raw const (*record.as_ptr()).next).read() };
                return Some(number);
            }
            let number = numbers.made + 1;
            self.extent(number)?;
            numbers.made = number;
            Some(number)
        })
    }

    fn put_number(&self, number: u32) {
        let _guard = self.lock.guard();
        let Some(record) = self.extent(number) else { return };
        self.numbers.with_mut(|numbers| {
            // SAFETY: the lock is held (I2), and the record is the caller's; the rest of it may be unwritten.
            unsafe {
                (&raw mut (*record.as_ptr()).next).write((*numbers).unused);
                (*numbers).unused = number;
            }
        });
    }
}
