//! `SlabHeap`: size classes over another heap, the parent, which has the memory and serves the large requests.
//!
//! ```text
//!   class 0   magazine of slots, list of spans with free slots, a spare span
//!   class 1   ..
//!
//!   parent    | block | span of class 7 | map | block | span of class 0 | free   |
//!                      `- header, slots            `- a link for each unit of memory that is part of a span
//! ```
//!
//! # Invariants
//!
//! - (I1) A span is a live block of the parent, of one of the lengths of [`Shape`], at a multiple of a unit; the map has its
//!   header and its class for all its units, and nothing for others.
//! - (I2) A live block that starts in a span is a slot of it that is not free, nor in the magazine of its class; every other
//!   one is a block of the parent.
//! - (I3) Every span is one of its class: in the list there, the spare, or without free slots.
//! - (I4) A class has as many slots that are neither free nor in the magazine as blocks are live in its spans.
//! - (I5) The tables of the map are live blocks of the parent, or lie in front of their regions, outside of its memory.
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | allocate, free, resize in place | O(1): the class of the layout or of the address, and the magazine of the class |
//! | one allocation or free in half a magazine | O(magazine), and at most a few requests to the parent |
//! | free, checked | O(1): also the bit of the slot, and the slots of the magazine |
//! | a large request | one comparison, and what the parent takes |
//! | a request that the parent refuses | O(classes): what is empty goes back to it, and it is asked again |
//! | figures | O(classes) |
//! | walk over every block | O(blocks), and what the parent takes |
//!
//! With several regions, a look at the map is O(regions) unless it is in the region used last.
//!
//! # Design
//!
//! *Which* heap a block belongs to is a question of its address and not of its layout: a span is a few units of memory, and the
//! map says for each unit whether it is part of one. So a small request that finds no room for a span is served by the parent
//! as a single block, or by a slot of a larger class, and a heap of a few KiB or one that is almost full works like its
//! parent. A slot keeps its place when its layout shrinks or grows within it.
//!
//! *Spans* are at most a sixteenth of what is available, or a quarter if they are of the shortest length. They lose more than
//! the parent does, to rounding and to slots that nobody asks for; so when half of all memory is taken, blocks beyond 1 KiB
//! that find no free slot are the parent's, and when seven eighths are taken, all are.
//!
//! A span goes back to the parent when all its slots are back. Each class keeps one that is empty, so that a program at the
//! boundary of a span does not carve and release one over and over, until the parent refuses a request: then all that are
//! empty go back first.
//!
//! *Figures.* What is total is the parent's. A free slot is available, because requests of its class and of smaller ones get it;
//! the spare, and all spans of a class without live slots, are available as a whole, because every request can get their memory.
//! So the figures return to where they started when everything was freed. Headers and what is left over in other spans are
//! used, and so are the tables of the map that are blocks of the parent.
//!
//! Slabs after Bonwick, "The Slab Allocator: An Object-Caching Kernel Memory Allocator", 1994. Free slots are bits, as in
//! FreeBSD's zone allocator and in Go's spans, and not links through the slots. The span that was full last is used first,
//! being the fullest, so that the others drain.
#![allow(unsafe_code)]

mod class;
mod contract;
mod leaving;
mod shape;

use core::alloc::Layout;
use core::fmt;
use core::num::NonZeroUsize;
use core::ops::Range;
use core::ptr::NonNull;

use forge_alloc_core::{AllocResult, ByteAllocator, HeapError, NonZeroLayout, align_down, is_aligned};

use super::tlsf::Tlsf;
use crate::layout::slab::stride::Stride;
use crate::raw::span::MOST_SLOTS;
use crate::raw::span_map::{Entry, SpanMap};
use class::{Class, Span};
use shape::{CLASSES, LARGEST, LEVELS, LINE, Note, Shape};

/// The slab heap of the kernel family: size classes over a heap with constant time.
pub type SlabByteAllocator = SlabHeap<Tlsf>;

/// The part of what the parent has available that a new span may be.
const SHARE: usize = 16;

/// The part of it that a span of the shortest length may be.
const SHARE_OF_SHORTEST: usize = 4;

/// Returns the usual length of a span in bytes: 32 KiB, or as much as bits of a word can say.
const fn default_span() -> usize {
    let most = MOST_SLOTS * 8;
    if most < 32 << 10 { most } else { 32 << 10 }
}

/// A heap of size classes over a parent heap: small blocks are slots of spans, and all others the parent's.
///
/// Classes are four to each doubling up to 4 KiB, or up to an eighth of a span. The longest spans have `SPAN` bytes, a power of
/// two; the shortest an eighth of that. A heap of less than one span has none, and works like its parent.
///
/// # Examples
///
/// ```
/// use core::alloc::Layout;
/// use core::mem::MaybeUninit;
/// use forge_alloc::{ByteAllocator, Region, SlabByteAllocator};
///
/// let memory: &'static mut [MaybeUninit<u8>] = vec![MaybeUninit::uninit(); 1 << 16].leak();
/// let mut heap = SlabByteAllocator::new();
/// heap.add_region(Region::from(memory)).map_err(|rejected| rejected.error)?;
/// let before = heap.used_bytes();
///
/// let layout = Layout::new::<[u64; 5]>();
/// let block = heap.alloc(layout)?;
/// assert!(heap.used_bytes() >= before + 40);
/// // SAFETY: the block is live and not used afterwards.
/// unsafe { heap.dealloc(block, layout) };
/// assert_eq!(heap.used_bytes(), before, "an empty span is available as a whole");
/// # Ok::<(), forge_alloc::HeapError>(())
/// ```
pub struct SlabHeap<P, const SPAN: usize = { default_span() }> {
    map: SpanMap,
    classes: [Class; CLASSES],
    parent: P,
}

// SAFETY: the spans and the map are memory that the heap owns alone.
unsafe impl<P: Send, const SPAN: usize> Send for SlabHeap<P, SPAN> {}
// SAFETY: through a shared reference they are only read.
unsafe impl<P: Sync, const SPAN: usize> Sync for SlabHeap<P, SPAN> {}

impl<const SPAN: usize> SlabHeap<Tlsf, SPAN> {
    /// Returns a heap without memory: every request is `NoMemory` until a region is handed over. O(1).
    #[must_use]
    pub const fn new() -> Self {
        Self::over(Tlsf::new())
    }
}

impl<P, const SPAN: usize> SlabHeap<P, SPAN> {
    /// Returns a heap over `parent`, which has no memory: all memory is handed over to this heap. O(1).
    ///
    /// Memory that the parent has nevertheless serves the requests that the parent serves.
    #[must_use]
    pub const fn over(parent: P) -> Self {
        let mut classes = [const { Class::new(Stride::new(1)) }; CLASSES];
        let mut class = 0;
        while class < CLASSES {
            classes[class] = Class::new(Shape::<SPAN>::STRIDES[class]);
            class += 1;
        }
        Self { map: SpanMap::new(), classes, parent }
    }

    /// Returns the parent, which counts the spans among its live blocks.
    #[must_use]
    pub const fn parent(&self) -> &P {
        &self.parent
    }

    /// Returns the number of the unit of memory that an address lies in.
    #[inline(always)]
    const fn unit(address: usize) -> usize {
        address / Shape::<SPAN>::UNIT
    }

    /// Returns the units of `bytes` bytes, whole units, at `base`.
    fn units(base: NonNull<u8>, bytes: usize) -> Range<usize> {
        let first = Self::unit(base.addr().get());
        first..first + bytes / Shape::<SPAN>::UNIT
    }

    /// Returns what the map has for the place, if it lies in a span.
    #[inline(always)]
    fn entry_of(&mut self, pos: NonNull<u8>) -> Entry {
        self.map.get(Self::unit(pos.addr().get()))
    }

    /// Returns what the map has for a live block of this layout, if it lies in a span.
    #[inline(always)]
    fn small_entry(&mut self, pos: NonNull<u8>, layout: Layout) -> Entry {
        if layout.size() <= LARGEST { self.entry_of(pos) } else { None }
    }

    /// Returns whether a live slot starts at `pos`, of at least `size` bytes.
    ///
    /// `entry` is what the map has for the unit of `pos`.
    fn is_live(&self, entry: NonNull<u8>, pos: NonNull<u8>, size: usize) -> bool {
        let Some(class) = self.classes.get(class_of(entry)) else { return false };
        // SAFETY: what the map has is the header of a span (I1); a slot below the capacity exists.
        unsafe {
            let span = span_at(entry);
            let first = span.header().addr().get() + span.note().slots_at as usize;
            let slot = class.stride.number(pos.addr().get().wrapping_sub(first));
            slot < usize::from(span.note().capacity)
                && (1..=class.stride.bytes()).contains(&size)
                && !span.is_free(slot)
                && !class.holds(pos.addr().get())
        }
    }
}

impl<P: ByteAllocator, const SPAN: usize> SlabHeap<P, SPAN> {
    /// Returns a slot for a small layout, or else a block.
    #[inline]
    fn alloc_block(&mut self, layout: Layout) -> AllocResult<NonNull<u8>> {
        let Ok(request) = NonZeroLayout::try_from(layout) else { return Err(HeapError::InvalidParam) };
        let Some(number) = Shape::<SPAN>::TABLE.class_of(request) else { return self.alloc_large(layout) };
        match self.classes.get_mut(number).and_then(Class::take) {
            Some(slot) => Ok(slot),
            None => self.alloc_slowly(number, layout),
        }
    }

    /// Returns a block of the parent, after what is empty went back to it if need be.
    #[inline]
    fn alloc_large(&mut self, layout: Layout) -> AllocResult<NonNull<u8>> {
        match self.parent.alloc(layout) {
            Err(HeapError::NoMemory) if self.release_empty() => self.parent.alloc(layout),
            result => result,
        }
    }

    /// Returns a slot of a span of the class, of a new one if need be, or else what there is.
    #[cold]
    #[inline(never)]
    fn alloc_slowly(&mut self, number: usize, layout: Layout) -> AllocResult<NonNull<u8>> {
        if Shape::<SPAN>::levels(number).is_empty() {
            return self.alloc_large(layout);
        }
        if let Some(slot) = self.refill(number) {
            return Ok(slot);
        }
        if self.carve(number) || self.release_spares() && self.carve(number) {
            return self.refill(number).ok_or(HeapError::NoMemory);
        }
        self.alloc_large(layout).or_else(|error| self.take_larger(number + 1, layout).ok_or(error))
    }

    /// Returns a slot of the spans of a class.
    fn refill(&mut self, number: usize) -> Option<NonNull<u8>> {
        self.classes.get_mut(number)?.refill()
    }

    /// Returns a slot of a class from `number` on that is aligned enough. O(classes).
    fn take_larger(&mut self, number: usize, layout: Layout) -> Option<NonNull<u8>> {
        let fits = |at: &usize| Shape::<SPAN>::TABLE.align_of(*at) >= layout.align();
        (number..CLASSES)
            .filter(fits)
            .find_map(|at| self.classes.get_mut(at)?.take().or_else(|| self.refill(at)))
    }

    /// Makes a span for a class that has no free slot, and returns whether there is room.
    fn carve(&mut self, number: usize) -> bool {
        let available = self.parent.available_bytes();
        if available < self.parent.total_bytes() / Shape::<SPAN>::scarcity(number) {
            return false;
        }
        let share = |level| if level + 1 == LEVELS { SHARE_OF_SHORTEST } else { SHARE };
        Shape::<SPAN>::levels(number)
            .filter(|level| SPAN >> level <= available / share(*level))
            .any(|level| self.carve_at(number, level).is_some())
    }

    /// Makes a span of one of the lengths.
    fn carve_at(&mut self, number: usize, level: usize) -> Option<()> {
        let (capacity, layout) = (Shape::<SPAN>::slots(level, number)?, Shape::<SPAN>::layout(level)?);
        let class = self.classes.get_mut(number)?;
        let before = self.parent.available_bytes();
        let base = self.parent.alloc(layout).ok()?;
        if !Self::units(base, layout.size()).all(|unit| self.map.covers(unit)) {
            // SAFETY: the block was handed out just now.
            unsafe { self.parent.dealloc(base, layout) };
            return None;
        }
        let cost = before.saturating_sub(self.parent.available_bytes());
        let gap = layout.size() - capacity * class.stride.bytes();
        let header_at = Shape::<SPAN>::header_at(base.addr().get(), gap, capacity);
        let note = Note {
            slots_at: (gap - header_at) as u32, // less than a span, which is at most 2^18 bytes
            cost: u32::try_from(cost).unwrap_or(u32::MAX),
            capacity: capacity as u16, // at most a span in units of eight bytes, 2^15
            class: number as u8,       // below `CLASSES`
            level: level as u8,        // below `LEVELS`
        };
        // SAFETY: the block is the heap's, is as aligned as a unit, and has room for the header in front of the slots.
        let span = unsafe { Span::new(base.add(header_at), capacity, note) };
        // SAFETY: the span was made just now.
        unsafe { class.enter(span) };
        let entry = entry(span, number);
        Self::units(base, layout.size()).for_each(|unit| self.map.set(unit, Some(entry)));
        Some(())
    }

    /// Gives the spans of a list back to the parent.
    ///
    /// # Safety
    ///
    /// The spans exist, have no live slots, and are in no other list.
    unsafe fn release(&mut self, mut list: Option<Span>) {
        while let Some(span) = list {
            // SAFETY: the caller's promise.
            let note = unsafe {
                span.unlink(&mut list);
                span.note()
            };
            let Some(layout) = Shape::<SPAN>::layout(usize::from(note.level)) else { return };
            if let Some(class) = self.classes.get_mut(usize::from(note.class)) {
                class.leave(note);
            }
            // The header lies in the first unit.
            let down = |address: NonZeroUsize| align_down(address.get(), Shape::<SPAN>::UNIT);
            let base = span.header().map_addr(|address| NonZeroUsize::new(down(address)).unwrap_or(address));
            Self::units(base, layout.size()).for_each(|unit| self.map.set(unit, None));
            // SAFETY: the span is a live block of the parent (I1), which nothing names any more.
            unsafe { self.parent.dealloc(base, layout) };
        }
    }

    /// Gives the spares back to the parent, and returns whether there was one. O(classes).
    fn release_spares(&mut self) -> bool {
        let mut list = None;
        for class in &mut self.classes {
            if let Some(spare) = class.spare.take() {
                // SAFETY: a spare exists and is in no list.
                unsafe { spare.link(&mut list) };
            }
        }
        // SAFETY: the spares have no live slots and are in this list alone.
        unsafe { self.release(list) };
        list.is_some()
    }

    /// Gives every span without live slots back to the parent, and returns whether there was one. O(classes).
    ///
    /// A request that the parent refuses does so by itself. The figures of what is available do not fall.
    #[cold]
    #[inline(never)]
    pub fn release_empty(&mut self) -> bool {
        let mut any = self.release_spares();
        for number in 0..CLASSES {
            let Some(class) = self.classes.get_mut(number) else { continue };
            // SAFETY: the map has the spans of all slots.
            let surplus = unsafe {
                class.empty(|slot| self.map.get(Self::unit(slot.addr().get())).map(|at| span_at(at)))
            };
            any |= surplus.is_some();
            // SAFETY: what the class returns has no live slots and is in this list alone.
            unsafe { self.release(surplus) };
        }
        any | self.release_spares()
    }

    /// Takes a live block back.
    ///
    /// # Safety
    ///
    /// As [`ByteAllocator::dealloc`].
    #[inline]
    unsafe fn dealloc_block(&mut self, pos: NonNull<u8>, layout: Layout) {
        if let Some(entry) = self.small_entry(pos, layout) {
            debug_assert!(self.is_live(entry, pos, layout.size()), "free of what is no live slot");
            return self.give(entry, pos);
        }
        // SAFETY: the caller's promises; a live block that is no slot is the parent's (I2).
        unsafe { self.parent.dealloc(pos, layout) };
    }

    /// Puts a slot into the magazine of its class.
    #[inline(always)]
    fn give(&mut self, entry: NonNull<u8>, pos: NonNull<u8>) {
        let number = class_of(entry);
        // The pointer comes from the map, since the caller's may have been narrowed to the value that was there.
        if self.classes.get_mut(number).is_some_and(|class| class.give(entry.with_addr(pos.addr()))) {
            self.settle(number);
        }
    }

    /// Returns slots of a magazine to their spans, and spans to the parent.
    #[cold]
    #[inline(never)]
    fn settle(&mut self, number: usize) {
        let Some(class) = self.classes.get_mut(number) else { return };
        // SAFETY: the map has the spans of all slots; what the class returns has no live slots and is in this list alone.
        unsafe {
            let surplus =
                class.settle(|slot| self.map.get(Self::unit(slot.addr().get())).map(|at| span_at(at)));
            self.release(surplus);
        }
    }

    /// Takes a block back, if there is one.
    ///
    /// # Safety
    ///
    /// As [`ByteAllocator::dealloc_checked`].
    unsafe fn dealloc_block_checked(&mut self, pos: NonNull<u8>, layout: Layout) -> AllocResult {
        match self.entry_of(pos) {
            Some(entry) if self.is_live(entry, pos, layout.size()) => {
                self.give(entry, pos);
                Ok(())
            }
            // SAFETY: the place is in no span and no table, so what is live there is a caller's block (I2, I5).
            None if !self.map.is_table(pos.addr().get()) => unsafe {
                self.parent.dealloc_checked(pos, layout)
            },
            _ => Err(HeapError::NotAllocated),
        }
    }

    /// Gives a block another layout in place.
    ///
    /// # Safety
    ///
    /// As [`ByteAllocator::resize_in_place`].
    #[inline]
    unsafe fn resize_block(&mut self, pos: NonNull<u8>, old: Layout, new: Layout) -> bool {
        if let Some(entry) = self.small_entry(pos, old) {
            let bytes = self.classes.get(class_of(entry)).map_or(0, |class| class.stride.bytes());
            return new.size() != 0 && new.size() <= bytes && is_aligned(pos.addr().get(), new.align());
        }
        // SAFETY: the caller's promises; a live block that is no slot is the parent's (I2).
        unsafe { self.parent.resize_in_place(pos, old, new) }
    }

    /// Notes that there may be spans in `size` bytes at `start`, which the parent took. O(size / unit).
    ///
    /// Where there is no room for a table, there will be no spans.
    fn cover(&mut self, start: usize, size: usize) {
        if size < Shape::<SPAN>::UNIT {
            return;
        }
        let (mut first, mut end) = (Self::unit(start), Self::unit(start + size - 1) + 1);
        // A unit at an end may be in the table of a neighbouring region.
        first += usize::from(self.map.covers(first));
        end -= usize::from(end > first && self.map.covers(end - 1));
        let Some(units) = end.checked_sub(first).filter(|units| *units != 0) else { return };
        let Some(layout) = SpanMap::layout(units) else { return };
        if let Ok(place) = self.alloc_large(layout) {
            // SAFETY: the block is the heap's until it is dropped, and the units are in no other table.
            unsafe { self.map.add(place, first, units) };
        }
    }
}

/// Returns what the map has for a span: its header, with the number of its class in the low bits.
fn entry(span: Span, number: usize) -> NonNull<u8> {
    span.header().map_addr(|address| address | number)
}

/// Returns the class of the span that the map has for a unit.
#[inline(always)]
fn class_of(entry: NonNull<u8>) -> usize {
    entry.addr().get() % LINE
}

/// Returns the span that the map has for a unit.
///
/// # Safety
///
/// The entry is of a map.
#[inline(always)]
unsafe fn span_at(entry: NonNull<u8>) -> Span {
    // SAFETY: an entry is the header of a span, with a number below a line in its low bits, which are zero in the header. No
    // header is at the address zero.
    unsafe {
        Span::at(entry.map_addr(|address| NonZeroUsize::new_unchecked(align_down(address.get(), LINE))))
    }
}

impl<P: fmt::Debug, const SPAN: usize> fmt::Debug for SlabHeap<P, SPAN> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SlabHeap").field("parent", &self.parent).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
