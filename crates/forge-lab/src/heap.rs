//! The laboratory's own heap, apart from every allocator on trial.
//!
//! ```text
//!   small  | block | block | block |   free   |      one chunk after another, never given back
//!   large  [ a mapping of its own ]                  unmapped when freed
//! ```
//!
//! # Invariants
//!
//! - (I1) A request of at least [`LARGE`] bytes, or with an alignment above [`LARGEST_SMALL_ALIGN`], has a mapping of its
//!   own; every other block lies in a chunk. The layout alone decides, so freeing finds the same answer.
//! - (I2) Between `next` and `next + left` lies fresh memory of the current chunk that no block overlaps.
//!
//! # Design
//!
//! The laboratory reads traces, keeps tables and prints numbers, and all of that allocates. Were it to share a heap with
//! the system allocator on trial, that heap would start its trial warm, with free blocks and moved thresholds. So the
//! process's Rust heap is this one, and the contestant `system` calls the system directly. Memory is populated when it is
//! mapped, so that the tables of a run fault no pages while a contestant is timed; once a trial begins it is mapped
//! lazily, because from then on it is contestants that ask (an arena whose chunks come from the Rust heap).
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use forge_os::{MapOptions, Native, Os as _};

/// From this size in bytes on, a block is a mapping of its own.
const LARGE: usize = 128 << 10;
/// Up to this alignment in bytes, a small block lies in a chunk.
const LARGEST_SMALL_ALIGN: usize = 4096;
/// The size of a chunk in bytes.
const CHUNK: usize = 1 << 20;

/// The heap; its only value is the process's global allocator.
pub(crate) struct LaboratoryHeap {
    chunk: Mutex<Chunk>,
    lazy: AtomicBool,
}

/// What is left of the current chunk.
struct Chunk {
    next: *mut u8,
    left: usize,
}

// SAFETY: the pointer denotes memory that only the holder of the chunk uses (I2).
unsafe impl Send for Chunk {}

impl LaboratoryHeap {
    /// Returns an empty heap.
    pub(crate) const fn new() -> Self {
        Self { chunk: Mutex::new(Chunk { next: ptr::null_mut(), left: 0 }), lazy: AtomicBool::new(false) }
    }

    /// Maps lazily from now on.
    pub(crate) fn begin_trial(&self) {
        // Relaxed: the flag guards no other memory.
        self.lazy.store(true, Ordering::Relaxed);
    }

    fn map(&self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let length = whole_pages(size)?;
        let options = MapOptions::new().with_alignment(align);
        if !self.lazy.load(Ordering::Relaxed) {
            if let Ok(start) = Native.map(length, options.with_populate()) {
                return Some(start);
            }
        }
        Native.map(length, options).ok()
    }

    fn carve(&self, layout: Layout) -> Option<NonNull<u8>> {
        let mut chunk = self.chunk.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = chunk.carve(layout) {
            return Some(block);
        }
        *chunk = Chunk { next: self.map(CHUNK, 1)?.as_ptr(), left: CHUNK };
        chunk.carve(layout)
    }
}

impl Chunk {
    fn carve(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let start = self.next.addr().checked_next_multiple_of(layout.align())?;
        let padding = start - self.next.addr();
        let taken = padding.checked_add(layout.size())?;
        self.left = self.left.checked_sub(taken)?;
        // SAFETY: `padding` and `taken` bytes from `next` lie within what was left of the chunk (I2).
        let (block, next) = unsafe { (self.next.add(padding), self.next.add(taken)) };
        self.next = next;
        NonNull::new(block)
    }
}

// SAFETY: a block is carved or mapped for one request alone (I1, I2), aligned and long enough; nothing unwinds.
unsafe impl GlobalAlloc for LaboratoryHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block =
            if is_large(layout) { self.map(layout.size(), layout.align()) } else { self.carve(layout) };
        block.map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !is_large(layout) {
            return;
        }
        let (Some(block), Some(length)) = (NonNull::new(block), whole_pages(layout.size())) else { return };
        // SAFETY: a large block is a whole mapping of this length (I1), which its owner gives up. A mapping that the
        // system declines to take back stays mapped, which wastes it and harms nothing.
        let _unmapped = unsafe { Native.unmap(block, length) };
    }
}

fn is_large(layout: Layout) -> bool {
    layout.size() >= LARGE || layout.align() > LARGEST_SMALL_ALIGN
}

fn whole_pages(size: usize) -> Option<usize> {
    size.max(1).checked_next_multiple_of(Native.page_size())
}

#[cfg(test)]
mod tests;
