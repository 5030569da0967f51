//! The contract of exclusive heaps, for slab heaps.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use forge_alloc_core::{
    AllocResult, BaseAllocator, ByteAllocator, HeapBlock, HeapError, Region, RejectedRegion,
};

use super::class::Class;
use super::{SlabHeap, class_of, span_at};

impl<P: Default, const SPAN: usize> Default for SlabHeap<P, SPAN> {
    fn default() -> Self {
        Self::over(P::default())
    }
}

impl<P: ByteAllocator, const SPAN: usize> BaseAllocator for SlabHeap<P, SPAN> {
    unsafe fn init(&mut self, start: usize, size: usize) {
        let before = self.parent.total_bytes();
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.parent.init(start, size) };
        if self.parent.total_bytes() > before {
            self.cover(start, size);
        }
    }

    unsafe fn add_memory(&mut self, start: usize, size: usize) -> AllocResult {
        if self.map.overlaps(start..start.saturating_add(size)) {
            return Err(HeapError::MemoryOverlap);
        }
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.parent.add_memory(start, size) }?;
        self.cover(start, size);
        Ok(())
    }
}

// SAFETY: a slot is a part of a live block of the parent and not free, so it overlaps no other slot and no other block of the
// parent, which keeps the contract for those; slots are as long and as aligned as their class says. Nothing here unwinds.
unsafe impl<P: ByteAllocator, const SPAN: usize> ByteAllocator for SlabHeap<P, SPAN> {
    fn add_region(&mut self, region: Region) -> Result<(), RejectedRegion> {
        self.add(region)
    }

    #[inline]
    fn alloc(&mut self, layout: Layout) -> AllocResult<NonNull<u8>> {
        self.alloc_block(layout)
    }

    #[inline]
    unsafe fn dealloc(&mut self, pos: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.dealloc_block(pos, layout) };
    }

    unsafe fn dealloc_checked(&mut self, pos: NonNull<u8>, layout: Layout) -> AllocResult {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.dealloc_block_checked(pos, layout) }
    }

    #[inline]
    unsafe fn resize_in_place(&mut self, pos: NonNull<u8>, old: Layout, new: Layout) -> bool {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.resize_block(pos, old, new) }
    }

    /// Returns the size in bytes of the largest block that could be had now, or of a smaller one while empty spans lie next to
    /// free memory of the parent, which join when they go back to it.
    fn largest_free(&self) -> Option<usize> {
        let mut largest = self.parent.largest_free()?;
        for class in &self.classes {
            let empty = if class.live() == 0 { class.head.or(class.spare) } else { class.spare };
            // SAFETY: the spans of a class exist.
            let span = empty.map_or(0, |span| SPAN >> unsafe { span.note() }.level);
            let slot = if class.available() == 0 { 0 } else { class.stride.bytes() };
            largest = largest.max(span).max(slot);
        }
        Some(largest)
    }

    fn for_each_block(&self, visit: &mut dyn FnMut(HeapBlock)) {
        self.parent.for_each_block(&mut |block| match self.map.peek(Self::unit(block.address)) {
            Some(entry) if !block.free => self.visit_span(entry, block, visit),
            _ => visit(block),
        });
    }

    fn total_bytes(&self) -> usize {
        self.parent.total_bytes()
    }

    fn used_bytes(&self) -> usize {
        self.total_bytes() - self.available_bytes()
    }

    fn available_bytes(&self) -> usize {
        self.parent.available_bytes() + self.classes.iter().map(Class::available).sum::<usize>()
    }
}

impl<P: ByteAllocator, const SPAN: usize> SlabHeap<P, SPAN> {
    /// Passes what is in a span to `visit`, where the parent has `block` for it: its slots, free ones as runs, and what is in
    /// front of them and behind them; or, if it is empty, the whole as free.
    fn visit_span(&self, entry: NonNull<u8>, block: HeapBlock, visit: &mut dyn FnMut(HeapBlock)) {
        let Some(class) = self.classes.get(class_of(entry)) else { return };
        // SAFETY: the entry is one of the map.
        let (span, note, live) = unsafe { (span_at(entry), span_at(entry).note(), span_at(entry).live()) };
        if live == 0 || class.live() == 0 {
            return visit(HeapBlock::new(block.address, block.size, true));
        }
        let mut pass = |start: usize, end: usize, free: bool| {
            if start < end {
                visit(HeapBlock::new(start, end - start, free));
            }
        };
        let first = span.header().addr().get() + note.slots_at as usize;
        pass(block.address, first, false);
        let (mut at, mut free_from) = (first, first);
        for slot in 0..usize::from(note.capacity) {
            // SAFETY: the span has the slot.
            if !unsafe { span.is_free(slot) } && !class.holds(at) {
                pass(free_from, at, true);
                pass(at, at + class.stride.bytes(), false);
                free_from = at + class.stride.bytes();
            }
            at += class.stride.bytes();
        }
        pass(free_from, at, true);
        pass(at, block.address + block.size, false);
    }
}
