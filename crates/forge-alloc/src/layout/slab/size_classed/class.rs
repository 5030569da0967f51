//! One class: slots of one stride in one region of the backing, and the list of those that are free.
//!
//! ```text
//!   numbers      1       2       3       4       5     ..    capacity
//!            | live  | link:1 | live | link:2 |  never handed out  |
//!            ^ region                   ^ head                ^ fresh = 4
//! ```
//!
//! # Invariants
//!
//! - (I1) The region is a live block of the backing, as long as `capacity` strides, which only this class uses; its
//!   first byte is one stride after `origin`, an offset from the backing's base that may have wrapped below 0.
//! - (I2) Slots up to number `fresh` were handed out before, others never; `fresh <= capacity`.
//! - (I3) Unless a program wrote to a slot that it had freed: the list starts at `head`, holds each free slot of (I2) once,
//!   and ends with 0; a link is the number of the next slot.
//! - (I4) `ahead` is `head` times the stride.
//!
//! # Operations
//!
//! All O(1).
//!
//! # Design
//!
//! A link is a number and not an address or a distance: four bytes, right after a move, and any number above `fresh`
//! betrays that it was overwritten. The distance of the head stands beside its number, so that handing out the slot freed
//! last waits for no multiplication: the way from one free to the next allocation is a store, a load and two additions,
//! and what the division finds out goes only into a branch and a link.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::ptr::NonNull;

use forge_alloc_core::is_aligned;

use super::super::stride::Stride;
use crate::raw::slot_link::{read_link, write_link};

/// The size and alignment of a link in bytes, and so of the smallest slot.
pub(super) const LINK: usize = size_of::<u32>();

/// The slots of one size; all that an allocation or a free needs of it is one cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Class {
    origin: usize,
    ahead: Cell<usize>,
    stride: Stride,
    head: Cell<u32>,
    fresh: Cell<u32>,
    capacity: u32,
}

impl Class {
    /// Returns a class of no slots.
    pub(super) const fn empty() -> Self {
        Self::new(0, LINK, 0)
    }

    /// Returns the class of `capacity` slots of `bytes` in the region at offset `region`, none of which was handed out.
    pub(super) const fn new(region: usize, bytes: usize, capacity: u32) -> Self {
        Self {
            origin: region.wrapping_sub(bytes),
            ahead: Cell::new(0),
            stride: Stride::new(bytes),
            head: Cell::new(0),
            fresh: Cell::new(0),
            capacity,
        }
    }

    /// Returns the offset of the region from the backing's base.
    #[inline]
    pub(super) const fn region(&self) -> usize {
        self.origin.wrapping_add(self.stride.bytes())
    }

    /// Returns the length of the region in bytes.
    #[inline]
    pub(super) const fn region_bytes(&self) -> usize {
        self.stride.bytes() * self.capacity as usize
    }

    /// Returns the number of slots.
    #[inline]
    pub(super) const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Returns the size of a slot in bytes.
    #[inline(always)]
    pub(super) const fn slot_bytes(&self) -> usize {
        self.stride.bytes()
    }

    /// Returns whether the region of a backing at `base` starts at a multiple of `align`, which divides the stride.
    #[inline(always)]
    pub(super) fn stands_at(&self, base: NonNull<u8>, align: usize) -> bool {
        is_aligned(base.addr().get().wrapping_add(self.origin), align)
    }

    /// Returns the number of the slot that starts at `ptr` and was handed out before; `None` if there is none.
    #[inline(always)]
    pub(super) fn number_of(&self, base: NonNull<u8>, ptr: NonNull<u8>) -> Option<u32> {
        let number = self.stride.number(self.distance_of(base, ptr));
        // The wrapping turns number 0, one stride before the region, into the largest.
        if number.wrapping_sub(1) < self.fresh.get() as usize {
            Some(number as u32) // at most `fresh`, so nothing is cut off
        } else {
            None
        }
    }

    /// Returns the address of a slot.
    ///
    /// # Safety
    ///
    /// `base` is the base of the backing, and `1 <= number <= capacity`.
    #[inline(always)]
    pub(super) unsafe fn slot(&self, base: NonNull<u8>, number: u32) -> NonNull<u8> {
        // SAFETY: the slot lies in the region (I1); the caller promises the rest.
        unsafe { self.at(base, number as usize * self.stride.bytes()) }
    }

    /// Hands out the slot freed last; `None` if the list is empty, or if its first link was overwritten.
    ///
    /// # Safety
    ///
    /// `base` is the base of the backing, and a multiple of [`LINK`] plus this class's offset.
    #[inline(always)]
    pub(super) unsafe fn take_freed(&self, base: NonNull<u8>) -> Option<NonNull<u8>> {
        let ahead = self.ahead.get();
        if ahead == 0 {
            return None;
        }
        // SAFETY: a slot on the list lies in the region (I1, I3), and `put` left a link there.
        let (slot, next) = unsafe {
            let slot = self.at(base, ahead);
            (slot, read_link(slot))
        };
        if next > self.fresh.get() {
            return None;
        }
        self.head.set(next);
        self.ahead.set(next as usize * self.stride.bytes());
        Some(slot)
    }

    /// Hands out the first slot that was never handed out; `None` if there is none.
    ///
    /// # Safety
    ///
    /// `base` is the base of the backing.
    pub(super) unsafe fn take_fresh(&self, base: NonNull<u8>) -> Option<NonNull<u8>> {
        let fresh = self.fresh.get();
        if fresh == self.capacity {
            return None;
        }
        self.fresh.set(fresh + 1);
        // SAFETY: `fresh < capacity`, so the number is one of a slot.
        Some(unsafe { self.slot(base, fresh + 1) })
    }

    /// Returns whether no slot is free that was handed out before.
    pub(super) fn list_is_empty(&self) -> bool {
        self.head.get() == 0
    }

    /// Forgets the list: its slots are lost.
    pub(super) fn forget_list(&self) {
        self.head.set(0);
        self.ahead.set(0);
    }

    /// Puts a slot on the list.
    ///
    /// # Safety
    ///
    /// - `base` is the base of the backing, and a multiple of [`LINK`] plus this class's offset.
    /// - `number` is what [`number_of`](Self::number_of) found at `ptr`; the slot is live, and nobody uses it afterwards.
    #[inline(always)]
    pub(super) unsafe fn put(&self, base: NonNull<u8>, ptr: NonNull<u8>, number: u32) {
        let distance = self.distance_of(base, ptr);
        // SAFETY: the slot lies in the region (I1) and holds no value any more. The pointer comes from the base, since the
        // caller's may have been narrowed to the value that was there.
        unsafe { write_link(self.at(base, distance), self.head.get()) };
        self.head.set(number);
        self.ahead.set(distance);
    }

    /// Returns how far `ptr` is behind `origin`, modulo the number of values of a word.
    #[inline(always)]
    fn distance_of(&self, base: NonNull<u8>, ptr: NonNull<u8>) -> usize {
        ptr.addr().get().wrapping_sub(base.addr().get().wrapping_add(self.origin))
    }

    /// Returns the address that is `distance` behind `origin`.
    ///
    /// # Safety
    ///
    /// `base` is the base of the backing, and the address lies in the region.
    #[inline(always)]
    unsafe fn at(&self, base: NonNull<u8>, distance: usize) -> NonNull<u8> {
        // SAFETY: the sum is an offset inside the backing's range (I1), which `base` leads to.
        unsafe { base.add(self.origin.wrapping_add(distance)) }
    }
}
