//! `SlabHeap`: size classes over another heap, the parent, which has the memory and serves the large requests.
//!
//! ```text
//!   class 0   head --> span <--> span            with free slots, the one that was full last in front
//!             spare -> span                      without live slots
//!   class 1   ..
//!
//!   parent    | block | span of class 7 | map | block | span of class 0 | free   |
//!                      `- header, slots            `- a link for each unit of memory that is part of a span
//! ```
//!
//! # Invariants
//!
//! - (I1) A span is a live block of the parent, of one of the lengths of [`Shape`], at a multiple of a unit; the map has its
//!   header for all its units and for no others.
//! - (I2) A live block that starts in a span is a slot that is not free; every other one is a block of the parent.
//! - (I3) The list of a class holds its spans that have live slots and free ones; its spare has no live slots and is in no list.
//! - (I4) `slack` is the sum of the free slots of the spans with live slots, and of what the spares cost.
//! - (I5) The tables of the map are live blocks of the parent.
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | allocate | O(1): the class of the layout, and the lowest free slot of the first span |
//! | allocate when the class has no free slot | O(1), and at most a few requests to the parent |
//! | free, free checked, resize in place | O(1): one look at the map, and the bit of the slot |
//! | free of the last live slot of a span | O(1), and at most one free of the parent |
//! | a large request | one comparison, and what the parent takes |
//! | a request that the parent refuses | O(classes): the spares go back to it, and it is asked again |
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
//! *Spans* are at most a sixteenth of what is available, or a quarter if they are of the shortest length, and go back to the parent when their last slot is freed. Each class
//! keeps one that is empty, so that a program at the boundary of a span does not carve and release one over and over, until
//! the parent refuses a request: then all that are empty go back first.
//!
//! *Figures.* What is total is the parent's. A free slot is available, because requests of its class and of smaller ones get it;
//! an empty span is available as a whole, because every request can get its memory. So the figures return to where they
//! started when everything was freed. Headers and what is left over in spans with live slots are used.
//!
//! Slabs after Bonwick, "The Slab Allocator: An Object-Caching Kernel Memory Allocator", 1994. Free slots are bits, as in
//! FreeBSD's zone allocator and in Go's spans, and not links through the slots. The span that was full last is used first,
//! being the fullest, so that the others drain.
#![allow(unsafe_code)]

mod contract;
mod shape;

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use forge_alloc_core::{AllocResult, ByteAllocator, HeapError, NonZeroLayout, align_down, is_aligned};

use super::tlsf::Tlsf;
use crate::layout::slab::stride::Stride;
use crate::raw::span;
use crate::raw::span_map::SpanMap;
use shape::{CLASSES, LARGEST, LEVELS, Note, Shape};

/// The slab heap of the kernel family: size classes over a heap with constant time.
pub type SlabByteAllocator = SlabHeap<Tlsf>;

/// A span with the note of this heap.
type Span = span::Span<Note>;

/// The part of what the parent has available that a new span may be.
const SHARE: usize = 16;

/// The part of it that a span of the shortest length may be.
const SHARE_OF_SHORTEST: usize = 4;

/// Returns the usual length of a span in bytes: 16 KiB, or as much as bits of a word can say.
const fn default_span() -> usize {
    let most = span::MOST_SLOTS * 8;
    if most < 16 << 10 { most } else { 16 << 10 }
}

/// A heap of size classes over a parent heap: small blocks are slots of spans, and all others the parent's.
///
/// Classes are four to each doubling up to 1 KiB. The longest spans have `SPAN` bytes, a power of two; where memory is short
/// they have a half or a quarter of that. A heap of less than one span has none, and works like its parent.
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
    slack: usize,
    map: SpanMap,
    classes: [Class; CLASSES],
    parent: P,
}

/// The spans of one class with free slots.
#[derive(Debug)]
struct Class {
    head: Option<Span>,
    spare: Option<Span>,
    stride: Stride,
}

/// A slot that an address is the start of.
struct Slot {
    span: Span,
    note: Note,
    number: usize,
    bytes: usize,
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
        let mut classes = [const { Class { head: None, spare: None, stride: Stride::new(1) } }; CLASSES];
        let mut class = 0;
        while class < CLASSES {
            classes[class].stride = Shape::<SPAN>::STRIDES[class];
            class += 1;
        }
        Self { slack: 0, map: SpanMap::new(), classes, parent }
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

    /// Returns the span that an address lies in, if it lies in one.
    #[inline(always)]
    fn span_of(&mut self, address: usize) -> Option<Span> {
        let header = self.map.get(Self::unit(address))?;
        // SAFETY: what the map has is the header of a span (I1).
        Some(unsafe { Span::at(header) })
    }

    /// Returns a slot of the first span of a class, if there is one.
    #[inline(always)]
    fn take(&mut self, class: usize) -> Option<NonNull<u8>> {
        let entry = self.classes.get_mut(class)?;
        let span = entry.head?;
        let bytes = entry.stride.bytes();
        self.slack -= bytes;
        // SAFETY: the spans of a list exist and have a free slot (I3), which lies where the note says.
        unsafe {
            let (slot, last) = span.take();
            let place = span.header().add(span.note().slots_at as usize + slot * bytes);
            if last {
                span.unlink(&mut entry.head);
            }
            Some(place)
        }
    }

    /// Returns the span of this class with no live slots to its list.
    fn activate(&mut self, class: usize) -> bool {
        let Some(entry) = self.classes.get_mut(class) else { return false };
        let Some(spare) = entry.spare.take() else { return false };
        // SAFETY: a spare exists and is in no list (I3).
        unsafe {
            spare.link(&mut entry.head);
            self.slack -= overhead(spare.note(), entry.stride.bytes());
        }
        true
    }

    /// Frees a slot that is not free.
    ///
    /// # Safety
    ///
    /// The span exists, the note and the number of bytes are its own, and the slot is live.
    #[inline(always)]
    unsafe fn put(&mut self, slot: &Slot) -> Option<Span> {
        self.slack += slot.bytes;
        // SAFETY: the caller's promise.
        let (live, first) = unsafe { slot.span.put(slot.number) };
        if first {
            let entry = self.classes.get_mut(usize::from(slot.note.class))?;
            // SAFETY: a span without free slots is in no list (I3).
            unsafe { slot.span.link(&mut entry.head) };
        }
        if live == 0 { self.retire(slot) } else { None }
    }

    /// Makes a span whose last slot was freed the spare of its class, or returns it if there is one.
    #[cold]
    #[inline(never)]
    fn retire(&mut self, slot: &Slot) -> Option<Span> {
        let entry = self.classes.get_mut(usize::from(slot.note.class))?;
        // SAFETY: a span with free slots is in the list of its class (I3).
        unsafe { slot.span.unlink(&mut entry.head) };
        self.slack += overhead(slot.note, slot.bytes);
        if entry.spare.is_some() {
            return Some(slot.span);
        }
        entry.spare = Some(slot.span);
        None
    }

    /// Returns the slot that starts at `pos`, free or not, if one does.
    ///
    /// # Safety
    ///
    /// `span` is what the map has for the unit of `pos`.
    #[inline(always)]
    unsafe fn slot_at(&self, span: Span, pos: NonNull<u8>) -> Option<Slot> {
        // SAFETY: the map has spans that exist (I1).
        let note = unsafe { span.note() };
        let stride = self.classes.get(usize::from(note.class))?.stride;
        let first = span.header().addr().get() + note.slots_at as usize;
        let number = stride.number(pos.addr().get().wrapping_sub(first));
        (number < usize::from(note.capacity)).then_some(Slot { span, note, number, bytes: stride.bytes() })
    }

    /// Returns the slot at `pos` if it is live.
    ///
    /// # Safety
    ///
    /// As [`slot_at`](Self::slot_at).
    unsafe fn live_slot_at(&self, span: Span, pos: NonNull<u8>) -> Option<Slot> {
        // SAFETY: the caller's promise; a slot that was found exists.
        unsafe { self.slot_at(span, pos).filter(|slot| !slot.span.is_free(slot.number)) }
    }
}

impl<P: ByteAllocator, const SPAN: usize> SlabHeap<P, SPAN> {
    /// Returns a slot for a small layout, or else a block.
    #[inline]
    fn alloc_block(&mut self, layout: Layout) -> AllocResult<NonNull<u8>> {
        let Ok(request) = NonZeroLayout::try_from(layout) else { return Err(HeapError::InvalidParam) };
        let Some(class) = Shape::<SPAN>::TABLE.class_of(request) else { return self.alloc_large(layout) };
        match self.take(class) {
            Some(slot) => Ok(slot),
            None => self.alloc_slowly(class, layout),
        }
    }

    /// Returns a block of the parent, after the spares went back to it if need be.
    #[inline]
    fn alloc_large(&mut self, layout: Layout) -> AllocResult<NonNull<u8>> {
        match self.parent.alloc(layout) {
            Err(HeapError::NoMemory) if self.release_spares() => self.parent.alloc(layout),
            result => result,
        }
    }

    /// Returns a slot of the spare or of a new span of a class, or else what there is.
    #[cold]
    #[inline(never)]
    fn alloc_slowly(&mut self, class: usize, layout: Layout) -> AllocResult<NonNull<u8>> {
        if self.activate(class) || self.carve(class) || self.release_spares() && self.carve(class) {
            return self.take(class).ok_or(HeapError::NoMemory);
        }
        self.parent.alloc(layout).or_else(|error| self.take_larger(class + 1, layout).ok_or(error))
    }

    /// Returns a slot of a class from `class` on that is aligned enough. O(classes).
    fn take_larger(&mut self, class: usize, layout: Layout) -> Option<NonNull<u8>> {
        let fits = |at: &usize| Shape::<SPAN>::TABLE.align_of(*at) >= layout.align();
        (class..CLASSES).filter(fits).find_map(|class| self.take(class))
    }

    /// Makes a span of this class in the list of its class, which is empty, and returns whether there is room.
    fn carve(&mut self, class: usize) -> bool {
        let available = self.parent.available_bytes();
        let share = |level| if level + 1 == LEVELS { SHARE_OF_SHORTEST } else { SHARE };
        (0..LEVELS)
            .filter(|level| SPAN >> level <= available / share(*level))
            .any(|level| self.carve_at(class, level).is_some())
    }

    /// Makes a span of this class and length in the list of its class.
    fn carve_at(&mut self, class: usize, level: usize) -> Option<()> {
        let (capacity, layout) = (Shape::<SPAN>::slots(level, class)?, Shape::<SPAN>::layout(level)?);
        let entry = self.classes.get_mut(class)?;
        let before = self.parent.available_bytes();
        let base = self.parent.alloc(layout).ok()?;
        let units = Self::units_of(base, layout.size());
        if !units.clone().all(|unit| self.map.covers(unit)) {
            // SAFETY: the block was handed out just now.
            unsafe { self.parent.dealloc(base, layout) };
            return None;
        }
        let cost = before.saturating_sub(self.parent.available_bytes());
        let gap = layout.size() - capacity * entry.stride.bytes();
        let header_at = Shape::<SPAN>::header_at(base.addr().get(), gap, capacity);
        let note = Note {
            slots_at: (gap - header_at) as u32, // less than a span, which is at most 2^18 bytes
            cost: u32::try_from(cost).unwrap_or(u32::MAX),
            capacity: capacity as u16, // at most a span in units of eight bytes, 2^15
            class: class as u8,        // below `CLASSES`
            level: level as u8,        // below `LEVELS`
        };
        // SAFETY: the block is the heap's, is as aligned as a unit, and has room for the header in front of the slots.
        let span = unsafe { Span::new(base.add(header_at), capacity, note) };
        // SAFETY: the span was made just now.
        unsafe { span.link(&mut entry.head) };
        self.slack += capacity * entry.stride.bytes();
        units.for_each(|unit| self.map.set(unit, Some(span.header())));
        Some(())
    }

    /// Returns the units of `bytes` bytes, whole units, at `base`.
    fn units_of(base: NonNull<u8>, bytes: usize) -> core::ops::Range<usize> {
        let first = Self::unit(base.addr().get());
        first..first + bytes / Shape::<SPAN>::UNIT
    }

    /// Gives a span that was a spare, or would have been one, back to the parent.
    ///
    /// # Safety
    ///
    /// The span exists, has no live slots, and is in no list.
    #[cold]
    unsafe fn release(&mut self, span: Span) {
        // SAFETY: the caller's promise.
        let note = unsafe { span.note() };
        let Some(layout) = Shape::<SPAN>::layout(usize::from(note.level)) else { return };
        // The header lies in the first unit.
        let base = span.header().map_addr(|address| {
            let base = align_down(address.get(), Shape::<SPAN>::UNIT);
            core::num::NonZeroUsize::new(base).unwrap_or(address)
        });
        Self::units_of(base, layout.size()).for_each(|unit| self.map.set(unit, None));
        self.slack -= note.cost as usize;
        // SAFETY: the span is a live block of the parent (I1), which nothing names any more.
        unsafe { self.parent.dealloc(base, layout) };
    }

    /// Gives every span without live slots back to the parent, and returns whether there was one. O(classes).
    ///
    /// A request that the parent refuses does so by itself. The figures do not change.
    #[cold]
    #[inline(never)]
    pub fn release_spares(&mut self) -> bool {
        let mut any = false;
        for class in 0..CLASSES {
            if let Some(spare) = self.classes.get_mut(class).and_then(|entry| entry.spare.take()) {
                // SAFETY: a spare has no live slots and is in no list (I3).
                unsafe { self.release(spare) };
                any = true;
            }
        }
        any
    }

    /// Takes a live block back.
    ///
    /// # Safety
    ///
    /// As [`ByteAllocator::dealloc`].
    #[inline]
    unsafe fn dealloc_block(&mut self, pos: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promises; a block in a span is a live slot, and every other one the parent's (I2).
        unsafe {
            match self.small_span(pos, layout) {
                Some(span) => {
                    debug_assert!(self.live_slot_at(span, pos).is_some(), "free of what is no live slot");
                    let Some(slot) = self.slot_at(span, pos) else { return };
                    if let Some(span) = self.put(&slot) {
                        self.release(span);
                    }
                }
                None => self.parent.dealloc(pos, layout),
            }
        }
    }

    /// Returns the span that a live block of this layout lies in, if it lies in one.
    #[inline(always)]
    fn small_span(&mut self, pos: NonNull<u8>, layout: Layout) -> Option<Span> {
        if layout.size() <= LARGEST { self.span_of(pos.addr().get()) } else { None }
    }

    /// Takes a block back, if there is one.
    ///
    /// # Safety
    ///
    /// As [`ByteAllocator::dealloc_checked`].
    unsafe fn dealloc_block_checked(&mut self, pos: NonNull<u8>, layout: Layout) -> AllocResult {
        let Some(span) = self.span_of(pos.addr().get()) else {
            if self.map.is_table(pos.addr().get()) {
                return Err(HeapError::NotAllocated);
            }
            // SAFETY: the place is in no span and no table, so what is live there is a caller's block (I2, I5).
            return unsafe { self.parent.dealloc_checked(pos, layout) };
        };
        // SAFETY: the span is what the map has; a slot that is live may be freed.
        unsafe {
            let slot = self.live_slot_at(span, pos).ok_or(HeapError::NotAllocated)?;
            if layout.size() == 0 || layout.size() > slot.bytes {
                return Err(HeapError::NotAllocated);
            }
            if let Some(span) = self.put(&slot) {
                self.release(span);
            }
        }
        Ok(())
    }

    /// Gives a block another layout in place.
    ///
    /// # Safety
    ///
    /// As [`ByteAllocator::resize_in_place`].
    #[inline]
    unsafe fn resize_block(&mut self, pos: NonNull<u8>, old: Layout, new: Layout) -> bool {
        let Some(span) = self.small_span(pos, old) else {
            // SAFETY: a live block that is in no span is the parent's (I2).
            return unsafe { self.parent.resize_in_place(pos, old, new) };
        };
        // SAFETY: the map has spans that exist (I1).
        let class = usize::from(unsafe { span.note() }.class);
        let bytes = self.classes.get(class).map_or(0, |entry| entry.stride.bytes());
        new.size() != 0 && new.size() <= bytes && is_aligned(pos.addr().get(), new.align())
    }

    /// Notes that there may be spans in `size` bytes at `start`, which the parent took. O(size / unit).
    ///
    /// Where there is no room for a table, there will be no spans.
    fn cover(&mut self, start: usize, size: usize) {
        let (mut first, mut end) = (Self::unit(start), Self::unit(start + size - 1) + 1);
        // A unit at an end may be in the table of a neighbouring region.
        first += usize::from(self.map.covers(first));
        end -= usize::from(end > first && self.map.covers(end - 1));
        if size < Shape::<SPAN>::UNIT || first >= end {
            return;
        }
        let Some(layout) = SpanMap::layout(end - first) else { return };
        if let Ok(place) = self.alloc_large(layout) {
            // SAFETY: the block is the heap's until it is dropped, and the units are in no other table.
            unsafe { self.map.add(place, first, end - first) };
        }
    }
}

/// Returns the bytes of an empty span that are available beyond its slots.
const fn overhead(note: Note, bytes: usize) -> usize {
    note.cost as usize - note.capacity as usize * bytes
}

impl<P: fmt::Debug, const SPAN: usize> fmt::Debug for SlabHeap<P, SPAN> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SlabHeap")
            .field("slack", &self.slack)
            .field("parent", &self.parent)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
