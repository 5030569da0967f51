//! A slab in which every block ends at a guard: the first byte that an overflow touches faults, whichever slot it leaves.
//!
//! ```text
//!            slot 0                            slot 1
//!   | guard |  unused  | block | guard: faults |  unused  | block | guard: faults | ..
//!            \__ data pages __/\_ guard pages _/
//!            \________ slot_size, 2^k ________/
//!
//!   meta, in a mapping of its own, between two guards:   | entry 0 | entry 1 | ..
//!      entry of a live slot:   LIVE | how far its block starts before the guard
//!      entry of a free slot:   the number of the next free slot, or NO_SLOT
//! ```
//!
//! # Invariants
//!
//! - (I1) `region` is `capacity` slots of `slot_size` bytes; the first `data` bytes of each are whole pages, and hold its block.
//! - (I2) The rest of every slot with a number below `fresh`, at least a page, faults on every touch. Those slots were issued at
//!   least once, the others never. `fresh <= capacity`.
//! - (I3) `meta` holds an entry for each slot; those of the slots below `fresh` are initialised, and nobody else has them.
//!   A slot below `fresh` is live or on the free list that starts at `head`, and its entry says which.
//! - (I4) The block of a live slot starts as far before the end of the data pages as its entry says, which is the size of
//!   its layout rounded up to the alignment of it.
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | allocate, free | O(1): an entry read and written; the first issue of a slot adds one system call for its guard |
//! | resize within the data pages | O(size): the block moves, because it ends where the slot does |
//! | resize beyond them | an error, as every slot is of one size |
//! | making and dropping a slab | O(1): two mappings; no slot is touched |
//!
//! # Design
//!
//! *Right-aligned blocks.* Only whole pages can fault, so the block is put against the guard and not at the start of a page.
//! A value of `T` ends exactly there, because its size is a multiple of its alignment; a block of another layout may be followed by
//! padding of less than its alignment. The price is the other side: an underflow runs through the unused part of the data
//! pages before it meets the guard of the slot in front, or the one in front of the region.
//!
//! *A page or more for a value* is what this costs. It is for values whose overflow would be worst (keys, parsers of foreign
//! data, the suspect of a bug hunt), not for all. Slots are a power of two of pages long, so that a shift finds a slot's number;
//! what the rounding adds is guards, which take no memory.
//!
//! *Guards without mappings.* With markers in the page table a million guarded slots are one mapping. Where the kernel has none,
//! every slot takes two mappings, of which a process has some 65,000: allocation then fails with a reason that names the limit. Guards are
//! installed at the first issue of a slot, so making a slab of a million slots touches nothing.
//!
//! *One word per slot* is the free list and the map of live slots in one, out of reach of an overflow. A free checks all
//! of what it is told: that the slot is live, that the pointer is its block, and that the layout is that of the block. Following
//! hardened_malloc (`GrapheneOS`), which guards slabs the same way, but between size classes and not behind each slot.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use forge_alloc_core::align::checked_align_up;
use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, OsBacked, StableAddress,
};

use crate::backing::{MmapBacked, MmapFlags, Native, Os, OsError, record};
use crate::layout::quarantinable::Quarantinable;
use crate::layout::slab::slot_box::SlotBox;
use crate::report;

/// Marks the entry of a live slot.
const LIVE: u32 = 1 << 31;
/// The number of no slot: the end of the free list.
const NO_SLOT: u32 = LIVE - 1;

/// A pool of `capacity` slots for values of `T`, each of which ends at a page that faults on every touch.
///
/// As an [`Allocator`] it serves every layout that fits the data pages of a slot. A double free, a free of a pointer that is not
/// the start of a block, and a free with another layout than that of the block end the process.
///
/// An underflow is not noticed until it leaves the data pages of the slot: see the picture at the top of the module.
///
/// # Examples
///
/// ```
/// use forge_alloc::GuardedSlab;
///
/// let slab = GuardedSlab::<[u8; 100]>::new(1000)?;
/// let mut key = slab.insert([7; 100])?;
/// key[99] = 8; // one byte further, and the process ends here
/// assert_eq!(slab.len(), 1);
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
///
/// A slab belongs to one thread at a time:
///
/// ```compile_fail,E0277
/// fn sync<T: Sync>() {}
/// sync::<forge_alloc::GuardedSlab<u64>>();
/// ```
#[must_use]
pub struct GuardedSlab<T, O: Os = Native> {
    head: Cell<u32>,
    fresh: Cell<u32>,
    len: Cell<u32>,
    capacity: u32,
    /// The binary logarithm of the size of a slot.
    shift: u32,
    /// How many bytes of a slot are data pages.
    data: usize,
    page: usize,
    region: MmapBacked<O>,
    meta: MmapBacked<O>,
    owns: PhantomData<T>,
}

impl<T> GuardedSlab<T> {
    /// Returns an empty slab of `capacity` slots. No slot is touched.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if `capacity` is 0 or larger than 2^31 - 2, if the size of the slots overflows, if a `T` is larger than
    /// 2 GiB or aligned to more than a page, and where the system refuses; the reason is in the thread's
    /// [last-error slot](crate::last_os_failure).
    pub fn new(capacity: usize) -> Result<Self, AllocError> {
        Self::map(capacity).map_err(record)
    }

    /// Returns an empty slab of `capacity` slots; the error carries the reason.
    ///
    /// # Errors
    ///
    /// As [`GuardedSlab::new`]: the call that failed and its number.
    pub fn map(capacity: usize) -> Result<Self, OsError> {
        Self::map_on(Native, capacity)
    }
}

impl<T, O: Os> GuardedSlab<T, O> {
    /// Returns an empty slab of `capacity` slots in mappings of the system `os`.
    ///
    /// # Errors
    ///
    /// As [`GuardedSlab::map`]; nothing stays mapped.
    pub fn map_on(os: O, capacity: usize) -> Result<Self, OsError> {
        const { assert!(size_of::<T>() != 0, "a slab of a zero-sized type has no slots: use a counter") };
        let page = os.page_size();
        let plan = || {
            let data = checked_align_up(size_of::<T>(), page).filter(|&data| data < LIVE as usize)?;
            let slot = data.checked_add(page)?.checked_next_power_of_two()?;
            let count =
                u32::try_from(capacity).ok().filter(|&count| count < NO_SLOT && align_of::<T>() <= page)?;
            let entries = capacity.checked_mul(size_of::<u32>())?;
            Some((data, slot, count, capacity.checked_mul(slot)?, entries))
        };
        let (data, slot, capacity, bytes, entries) = plan().ok_or(OsError::invalid_argument("mmap"))?;
        // The guard in front stops an underflow of the first slot, the other one a foreign overflow into the entries.
        let mut flags = MmapFlags { guard_in_front: true, lazy_commit: true, ..MmapFlags::NONE };
        let region = MmapBacked::map_on(os, bytes, flags)?;
        flags.guard_at_end = true;
        let meta = MmapBacked::map_on(os, entries, flags)?;
        Ok(Self {
            head: Cell::new(NO_SLOT),
            fresh: Cell::new(0),
            len: Cell::new(0),
            capacity,
            shift: slot.trailing_zeros(),
            data,
            page,
            region,
            meta,
            owns: PhantomData,
        })
    }

    /// Puts `value` into a slot, where it ends at the guard, and returns the box that owns it. O(1).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if no slot is free or the guard of a slot cannot be installed; `value` is dropped and nothing else
    /// changes.
    #[inline]
    pub fn insert(&self, value: T) -> Result<SlotBox<'_, T, Self>, AllocError> {
        let slot = self.take(size_of::<T>()).ok_or(AllocError)?.cast::<T>();
        // SAFETY: the slot has room for a value and is aligned for it, because it ends at a page and the size is a multiple of
        // the alignment; it is ours alone and stays so until the box frees it as a block with the layout of a value. The
        // borrow keeps the slab from being dropped.
        unsafe {
            slot.write(value);
            Ok(SlotBox::from_raw(slot, self))
        }
    }

    /// Returns how many slots there are, live and free. O(1).
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// Returns how many slots are live. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        self.len.get() as usize
    }

    /// Returns whether no slot is live. O(1).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the distance between two slots in bytes, guards included. O(1).
    #[must_use]
    pub const fn slot_size(&self) -> usize {
        1 << self.shift
    }

    /// Returns how far before the guard a block of `layout` starts, or `None` if it does not fit a slot. O(1).
    #[inline(always)]
    fn distance(&self, layout: NonZeroLayout) -> Option<usize> {
        // A layout's size rounded up to its alignment does not overflow.
        let distance = layout.pad_to_align().size().get();
        if distance <= self.data && layout.align().get() <= self.page { Some(distance) } else { None }
    }

    /// Returns the entry of a slot. O(1).
    ///
    /// # Safety
    ///
    /// `number` is below `fresh`.
    #[inline(always)]
    unsafe fn entry(&self, number: u32) -> &Cell<u32> {
        debug_assert!(number < self.fresh.get());
        // SAFETY: there is an initialised entry for the slot, which nobody else has (I3); the mapping is aligned to a page.
        unsafe { self.meta.base().cast::<Cell<u32>>().add(number as usize).as_ref() }
    }

    /// Returns where a block starts that begins so far before the guard of a slot. O(1).
    ///
    /// # Safety
    ///
    /// `number` is below the capacity, and `distance` at most `data`.
    #[inline(always)]
    unsafe fn block(&self, number: u32, distance: usize) -> NonNull<u8> {
        // SAFETY: the slot lies in the region, and its data pages at its start (I1).
        unsafe { self.region.base().add(((number as usize) << self.shift) + self.data - distance) }
    }

    /// Takes the slot freed last, or else the first that was never issued, for a block that starts so far, at most `data` bytes,
    /// before the guard. O(1).
    #[inline(always)]
    fn take(&self, distance: usize) -> Option<NonNull<u8>> {
        let number = self.head.get();
        if number == NO_SLOT {
            return self.carve(distance);
        }
        // SAFETY: the slots on the list are below `fresh` (I3), and the caller keeps the bound of the distance.
        unsafe {
            let entry = self.entry(number);
            self.head.set(entry.get());
            entry.set(LIVE | distance as u32);
            self.len.set(self.len.get() + 1);
            Some(self.block(number, distance))
        }
    }

    /// Takes the first slot that was never issued, and installs its guard. One system call.
    #[cold]
    #[inline(never)]
    fn carve(&self, distance: usize) -> Option<NonNull<u8>> {
        let number = self.fresh.get();
        if number == self.capacity {
            return None;
        }
        let offset = (number as usize) << self.shift;
        self.region.commit(offset, self.data).ok()?;
        self.meta.commit(0, (number as usize + 1) * size_of::<u32>()).ok()?;
        // SAFETY: the rest of the slot is whole pages of the region, which no block covers (I1). The entry is that of the
        // slot, and is written before `fresh` says that it is there.
        unsafe {
            let guard = self.block(number, 0);
            self.region.try_guard(guard, self.slot_size() - self.data).ok()?;
            self.meta.base().cast::<u32>().add(number as usize).write(LIVE | distance as u32);
            self.fresh.set(number + 1);
            self.len.set(self.len.get() + 1);
            Some(self.block(number, distance))
        }
    }

    /// Returns the number of the live slot with the block at `ptr`, of layout `layout`; ends the process if there is none.
    /// O(1).
    #[inline(always)]
    fn live(&self, ptr: NonNull<u8>, layout: NonZeroLayout) -> u32 {
        let offset = ptr.addr().get().wrapping_sub(self.region.base().addr().get());
        let number = offset >> self.shift;
        if number >= self.fresh.get() as usize {
            report::fatal_foreign_free(ptr);
        }
        let number = number as u32;
        // SAFETY: the number is below `fresh`.
        let entry = unsafe { self.entry(number) }.get();
        if entry & LIVE == 0 {
            report::fatal_double_free(ptr);
        }
        let distance = (entry & !LIVE) as usize;
        if (offset & (self.slot_size() - 1)) + distance != self.data {
            report::fatal_foreign_free(ptr);
        }
        if self.distance(layout) != Some(distance) {
            report::fatal_wrong_layout(ptr);
        }
        number
    }

    /// Moves a live block to where one of the new layout starts in its slot. O(size).
    ///
    /// # Safety
    ///
    /// `ptr` is a live block of this slab, and `old` its layout.
    unsafe fn resize(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let distance = self.distance(new).ok_or(AllocError)?;
        let number = self.live(ptr, old);
        // SAFETY: the slot is live, and the new block fits its data pages, as the old one does; so both are valid for as
        // many bytes as they share.
        unsafe {
            let block = self.block(number, distance);
            let from = block.with_addr(ptr.addr());
            from.copy_to(block, old.size().min(new.size()).get());
            self.entry(number).set(LIVE | distance as u32);
            Ok(NonNull::slice_from_raw_parts(block, new.size().get()))
        }
    }
}

// SAFETY: a slot is issued to one owner at a time (I3) and comes back by the address of its block.
unsafe impl<T, O: Os> Deallocator for GuardedSlab<T, O> {
    /// Frees a block. O(1). Never runs the destructor of a `T`.
    ///
    /// The process ends if there is no live block at `ptr`, or if `layout` is not its layout.
    #[inline(always)]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        let number = self.live(ptr, layout);
        // SAFETY: a live slot is below `fresh`.
        unsafe { self.entry(number) }.set(self.head.get());
        self.head.set(number);
        self.len.set(self.len.get() - 1);
    }
}

// SAFETY: blocks are as long as asked, aligned because they end at a page and start a multiple of their alignment before it,
// disjoint because their slots are, and stay issued until they are freed (I3).
unsafe impl<T, O: Os> Allocator for GuardedSlab<T, O> {
    /// Returns a block of exactly `layout.size()` bytes that ends at a guard, but for padding of less than its alignment. O(1).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if `layout` does not fit the data pages of a slot, if no slot is free, or if the guard of a slot cannot be
    /// installed; the reason of the latter is in the thread's [last-error slot](crate::last_os_failure).
    #[inline(always)]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.distance(layout).and_then(|distance| self.take(distance)).ok_or(AllocError)?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size().get()))
    }

    /// Lengthens a block within its slot. O(size): its start moves, since its end is the end of the slot.
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        debug_assert!(new.size() >= old.size());
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.resize(ptr, old, new) }
    }

    /// Shortens a block within its slot. O(size): its start moves, since its end is the end of the slot. The bytes in front stay
    /// in the slot as they are.
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        debug_assert!(new.size() <= old.size());
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.resize(ptr, old, new) }
    }

    #[inline]
    unsafe fn stays_in_place(&self, _: NonNull<u8>, old: NonZeroLayout, new: NonZeroLayout) -> bool {
        self.distance(new).is_some() && self.distance(old) == self.distance(new)
    }

    unsafe fn visit_spans(&mut self, visit: &mut dyn FnMut(NonNull<[u8]>)) -> Result<(), AllocError> {
        for number in 0..self.fresh.get() {
            // SAFETY: the slot is below `fresh`.
            let data = unsafe { self.block(number, self.data) };
            visit(NonNull::slice_from_raw_parts(data, self.data));
        }
        Ok(())
    }

    #[inline]
    unsafe fn usable_size(&self, _: NonNull<u8>, layout: NonZeroLayout) -> Option<usize> {
        Some(layout.size().get())
    }

    #[inline]
    fn capacity_bytes(&self) -> Option<usize> {
        Some(self.capacity() * self.data)
    }
}

// SAFETY: slots and entries lie in mappings, which stay where they are.
unsafe impl<T, O: Os> StableAddress for GuardedSlab<T, O> {}

impl<T, O: Os> fmt::Debug for GuardedSlab<T, O> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("GuardedSlab")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("slot_size", &self.slot_size())
            .finish_non_exhaustive()
    }
}

impl<T, O: Os> Quarantinable for GuardedSlab<T, O> {}

#[cfg(test)]
mod tests;
