//! A slab that finds itself: a header, a stack of free slots, and the slots, in memory aligned to its own size.
//!
//! ```text
//!   a multiple of SLAB_SIZE                                                              + SLAB_SIZE
//!   | Slab: sentinel, count, root, links | offsets of free slots | colour | slot | slot | .. | (root) |
//!                                         <------ count ----->
//!                                               the slot freed last ^
//! ```
//!
//! # Invariants
//!
//! - (I1) A [`Home`] points to the header of a slab that exists, with provenance over the whole slab; so does the root's
//!   pointer over the slab of the root.
//! - (I2) `2 <= capacity`, `count <= capacity`. The first `count` entries of the stack are the offsets of the free slots from
//!   the start of the slab, each once. Slots start at `first` in steps of the stride and do not overlap anything.
//! - (I3) `count`, the stack and the links are read and written by the holder of the root's lock only, or by whoever has the
//!   slab for itself. The other fields are constant from before the first box to the end of the slab.
//!
//! # Operations
//!
//! Push, pop, and moving a slab between lists: O(1). Preparing a slab: O(slots).
//!
//! # Design
//!
//! Slots are found by masking as in the slab allocator of Bonwick ("The slab allocator: an object-caching kernel memory
//! allocator", 1994), whose slabs of small objects are pages with the bookkeeping inside; the names of what is free lie beside
//! the slots as in the `kmem_bufctl` of Linux's first slab allocator, and not in them. So a slot may be of any size and
//! alignment, a freed slot is not touched, a write to it corrupts nothing else, and an allocation does not wait for the memory
//! of the slot that it returns. An entry is the distance from the start of the slab, which the mask yields on a free and one
//! addition turns into the slot, so neither path multiplies or divides. It takes two bytes in slabs of up to 64 KiB.
//!
//! Slots start at a line of the processor's cache if their size is a multiple of one and that costs at most a sixteenth of the
//! slots. The bytes that are left over at the end shift the first slot from slab to slab by cache lines (colouring).
#![allow(unsafe_code)]

use core::cell::Cell;
use core::ptr::{self, NonNull};

use forge_alloc_core::{Region, align_up};

/// What marks a slab that exists.
const SENTINEL: u32 = 0x51ab_cace;

/// The distance of colours, and the largest alignment that slots get beyond their own, in bytes.
const LINE: usize = 64;

/// The header of a slab.
#[repr(C)]
pub(super) struct Slab {
    sentinel: Cell<u32>,
    /// How many slots there are.
    capacity: u32,
    /// Where the first slot starts.
    first: u32,
    /// How many slots are free.
    count: Cell<u32>,
    /// By how many bytes the provider's region is longer than a slab.
    extra: u32,
    root: NonNull<u8>,
    previous: Cell<*mut Slab>,
    next: Cell<*mut Slab>,
}

/// How slots lie in a slab.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// Where the first slot starts, without a colour.
    first: usize,
    /// How many slots there are.
    pub(super) capacity: usize,
    /// The distance of slots in bytes.
    stride: usize,
    /// How many bytes are left over.
    slack: usize,
    /// The distance of colours in bytes.
    step: usize,
}

impl Shape {
    /// Returns how slots of `size` bytes, or one if that is 0, at `align` lie in a slab of `slab` bytes, of which those from
    /// `end` on are taken.
    pub(super) const fn new(size: usize, align: usize, slab: usize, end: usize) -> Self {
        let stride = if size == 0 { 1 } else { size };
        let natural = 1 << stride.trailing_zeros();
        let natural = if natural > LINE { LINE } else { natural };
        let plain = Self::aligned(stride, align, slab, end);
        if natural <= align {
            return plain;
        }
        let lined = Self::aligned(stride, natural, slab, end);
        if plain.capacity - lined.capacity <= plain.capacity / 16 { lined } else { plain }
    }

    const fn aligned(stride: usize, align: usize, slab: usize, end: usize) -> Self {
        let entry = entry_size(slab);
        let step = if align > LINE { align } else { LINE };
        let mut capacity = end.saturating_sub(size_of::<Slab>()) / (stride + entry);
        while capacity > 0 {
            let first = align_up(size_of::<Slab>() + capacity * entry, align);
            let used = first + capacity * stride;
            if used <= end {
                return Self { first, capacity, stride, slack: end - used, step };
            }
            capacity -= 1;
        }
        Self { first: 0, capacity: 0, stride, slack: 0, step }
    }

    /// Returns the first slot of the slab with this number.
    const fn first_of(self, number: u32) -> usize {
        let colours = self.slack / self.step + 1;
        self.first + number as usize % colours * self.step
    }
}

/// Returns the bytes of an entry of the stack.
const fn entry_size(slab: usize) -> usize {
    if slab <= 1 << 16 { size_of::<u16>() } else { size_of::<u32>() }
}

/// A slab that exists, of `SLAB_SIZE` bytes.
pub(super) struct Home<const SLAB_SIZE: usize>(NonNull<Slab>);

impl<const SLAB_SIZE: usize> Clone for Home<SLAB_SIZE> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<const SLAB_SIZE: usize> Copy for Home<SLAB_SIZE> {}

impl<const SLAB_SIZE: usize> Home<SLAB_SIZE> {
    /// Makes a slab of a region, all of whose slots are free, and which is in no list. O(slots).
    ///
    /// # Safety
    ///
    /// The region is at least `SLAB_SIZE` bytes long and at a multiple of that; nobody uses it, nor, until the slab is
    /// dismantled, anything but slots that the slab has issued. `shape` is one for this size of slabs. `root` is where the
    /// root of the slab is, or will be before anything is asked for it.
    pub(super) unsafe fn prepare(region: Region, shape: Shape, number: u32, root: NonNull<u8>) -> Self {
        let (base, len) = region.into_raw();
        let (first, capacity) = (shape.first_of(number), shape.capacity);
        let header = Slab {
            sentinel: Cell::new(SENTINEL),
            capacity: capacity as u32,
            first: first as u32,
            count: Cell::new(capacity as u32),
            extra: (len - SLAB_SIZE) as u32,
            root,
            previous: Cell::new(ptr::null_mut()),
            next: Cell::new(ptr::null_mut()),
        };
        let slab = Self(base.cast());
        // SAFETY: the caller promises the room, and its alignment is a power of two above the size of the header.
        unsafe { slab.0.write(header) };
        for place in 0..capacity {
            let offset = first + (capacity - 1 - place) * shape.stride;
            // SAFETY: entries up to the capacity lie before the first slot (I2).
            unsafe { slab.write_entry(place as u32, offset as u32) };
        }
        slab
    }

    /// Ends the slab and returns its region. O(1).
    ///
    /// # Safety
    ///
    /// Nobody uses the slab or a slot of it any more.
    pub(super) unsafe fn dismantle(self) -> Region {
        let len = SLAB_SIZE + self.header().extra as usize;
        self.header().sentinel.set(0);
        // SAFETY: this is the region of which the slab was made, out of use by the caller's promise.
        unsafe { Region::from_raw(self.0.cast(), len) }
    }

    /// Returns the slab around `slot`. O(1).
    ///
    /// # Safety
    ///
    /// `slot` lies in a slab of this size that exists, and has provenance over all of it.
    #[inline(always)]
    pub(super) unsafe fn around(slot: NonNull<u8>) -> Self {
        let base = slot.as_ptr().map_addr(|address| address & !(SLAB_SIZE - 1));
        // SAFETY: the slab of the slot is not at null.
        Self(unsafe { NonNull::new_unchecked(base.cast()) })
    }

    /// Returns the slab whose header is at `slab`, if that is not null. O(1).
    ///
    /// # Safety
    ///
    /// The slab exists, and the pointer is that of a [`Home`].
    #[inline(always)]
    pub(super) unsafe fn at(slab: *mut Slab) -> Option<Self> {
        NonNull::new(slab).map(Self)
    }

    /// Returns the slab whose header is at `slab`. O(1).
    ///
    /// # Safety
    ///
    /// The slab exists, and the pointer is that of a [`Home`].
    #[inline(always)]
    pub(super) unsafe fn of(slab: *mut Slab) -> Self {
        // SAFETY: no slab is at null.
        Self(unsafe { NonNull::new_unchecked(slab) })
    }

    #[inline(always)]
    fn header(&self) -> &Slab {
        // SAFETY: the slab exists (I1).
        unsafe { self.0.as_ref() }
    }

    /// Returns the pointer to the header. O(1).
    #[inline(always)]
    pub(super) fn as_ptr(self) -> *mut Slab {
        self.0.as_ptr()
    }

    /// Returns where the root is. O(1).
    #[inline(always)]
    pub(super) fn root(self) -> NonNull<u8> {
        self.header().root
    }

    /// Returns how many slots are on the stack. O(1).
    #[inline(always)]
    pub(super) fn free(self) -> u32 {
        self.header().count.get()
    }

    /// Returns how many slots there are. O(1).
    #[inline(always)]
    pub(super) fn capacity(self) -> u32 {
        self.header().capacity
    }

    /// Returns whether `slot` is the start of a slot of this slab, as far as a slab is there. O(1).
    pub(super) fn has(self, slot: NonNull<u8>, stride: usize) -> bool {
        let header = self.header();
        let offset = slot.addr().get() & (SLAB_SIZE - 1);
        let Some(distance) = offset.checked_sub(header.first as usize) else { return false };
        let within = distance % stride == 0 && distance / stride < header.capacity as usize;
        header.sentinel.get() == SENTINEL && within
    }

    /// Takes the slot that was freed last. O(1). Under the lock.
    #[inline(always)]
    pub(super) fn pop(self) -> Option<NonNull<u8>> {
        let count = self.free().checked_sub(1)?;
        self.header().count.set(count);
        // SAFETY: the entry is one of a free slot (I2).
        Some(unsafe { self.slot(self.read_entry(count)) })
    }

    /// Puts the slot at `offset` back. O(1). Under the lock.
    ///
    /// # Safety
    ///
    /// It is a slot of this slab and not on the stack, or at least `free() < capacity()` and the caller of the slab's owner has
    /// broken its promise.
    #[inline(always)]
    pub(super) unsafe fn push(self, offset: u32) {
        let count = self.free();
        // SAFETY: not all slots are on the stack, so there is an entry (I2).
        unsafe { self.write_entry(count, offset) };
        self.header().count.set(count + 1);
    }

    /// Returns how far `slot` is from the start of its slab, which is not 0. O(1).
    #[inline(always)]
    pub(super) fn offset(slot: NonNull<u8>) -> u32 {
        (slot.addr().get() & (SLAB_SIZE - 1)) as u32
    }

    /// Returns the slot at `offset`. O(1).
    ///
    /// # Safety
    ///
    /// A slot of this slab starts that far from it.
    #[inline(always)]
    pub(super) unsafe fn slot(self, offset: u32) -> NonNull<u8> {
        // SAFETY: the slot lies in the slab.
        unsafe { self.0.cast::<u8>().add(offset as usize) }
    }

    /// # Safety
    ///
    /// `place` is below the capacity, and that entry was written.
    #[inline(always)]
    unsafe fn read_entry(self, place: u32) -> u32 {
        // SAFETY: the stack lies behind the header, aligned to four as the header's size is, with provenance (I1).
        unsafe {
            let stack = self.0.add(1);
            if SLAB_SIZE <= 1 << 16 {
                u32::from(stack.cast::<u16>().add(place as usize).read())
            } else {
                stack.cast::<u32>().add(place as usize).read()
            }
        }
    }

    /// # Safety
    ///
    /// `place` is below the capacity.
    #[inline(always)]
    unsafe fn write_entry(self, place: u32, offset: u32) {
        // SAFETY: as in `read_entry`.
        unsafe {
            let stack = self.0.add(1);
            if SLAB_SIZE <= 1 << 16 {
                stack.cast::<u16>().add(place as usize).write(offset as u16);
            } else {
                stack.cast::<u32>().add(place as usize).write(offset);
            }
        }
    }

    /// Returns the slab behind this one in its list. O(1). Under the lock.
    pub(super) fn next(self) -> Option<Self> {
        // SAFETY: lists hold slabs that exist.
        unsafe { Self::at(self.header().next.get()) }
    }

    /// Puts the slab, which is in no list, at the front of one. O(1). Under the lock.
    pub(super) fn link(self, list: &Cell<*mut Slab>) {
        let next = list.replace(self.as_ptr());
        self.header().previous.set(ptr::null_mut());
        self.header().next.set(next);
        // SAFETY: lists hold slabs that exist.
        if let Some(next) = unsafe { Self::at(next) } {
            next.header().previous.set(self.as_ptr());
        }
    }

    /// Takes the slab out of the list that it is in. O(1). Under the lock.
    pub(super) fn unlink(self, list: &Cell<*mut Slab>) {
        let (previous, next) = (self.header().previous.get(), self.header().next.get());
        // SAFETY: lists hold slabs that exist.
        let (before, behind) = unsafe { (Self::at(previous), Self::at(next)) };
        if let Some(behind) = behind {
            behind.header().previous.set(previous);
        }
        match before {
            Some(before) => before.header().next.set(next),
            None => list.set(next),
        }
    }
}

#[cfg(test)]
mod tests;
