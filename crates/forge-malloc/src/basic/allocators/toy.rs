//! `ToyHeap`: a grower over 256 KiB, for tests and experiments.
//!
//! ```text
//!   | handed out, in units of 64 bytes |                 not yet               |
//!   0                                 size                                 262,144
//! ```
//!
//! # Design
//!
//! The memory is a block of the global allocator and not an array in the value: a value may be moved, and what was handed
//! out must not. So it cannot stand under the global allocator itself.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::fmt;
use core::ptr::{self, NonNull};

use super::grower::HeapGrower;

/// The bytes of a toy heap.
const BYTES: usize = 256 << 10;
/// Its memory, aligned as a page usually is.
const MEMORY: Layout = match Layout::from_size_align(BYTES, 4096) {
    Ok(layout) => layout,
    Err(_) => Layout::new::<()>(),
};

/// A grower that hands out 256 KiB from the front to the back, without gaps.
///
/// # Examples
///
/// ```
/// use forge_malloc::basic::allocators::{HeapGrower, ToyHeap};
///
/// let mut heap = ToyHeap::default();
/// // Sound: the memory is not used.
/// let (memory, size) = unsafe { heap.grow_heap(100) }.unwrap();
/// assert!(!memory.is_null());
/// assert_eq!((size, heap.size()), (128, 128));
/// ```
#[derive(Debug)]
pub struct ToyHeap {
    page_size: usize,
    size: usize,
    memory: Option<NonNull<u8>>,
}

// SAFETY: the memory is owned.
unsafe impl Send for ToyHeap {}

impl ToyHeap {
    /// Returns the unit of what is handed out, 64 bytes.
    #[must_use]
    pub const fn page_size(&self) -> usize {
        self.page_size
    }

    /// Returns how many bytes were handed out.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }
}

impl Default for ToyHeap {
    fn default() -> Self {
        Self { page_size: 64, size: 0, memory: None }
    }
}

impl Drop for ToyHeap {
    fn drop(&mut self) {
        if let Some(memory) = self.memory {
            // SAFETY: it came from the global allocator with this layout, and its users have promised to be gone.
            unsafe { std::alloc::dealloc(memory.as_ptr(), MEMORY) };
        }
    }
}

// SAFETY: every byte is handed out once, from one allocation that lives as long as the value and does not move with it.
unsafe impl HeapGrower for ToyHeap {
    type Err = ToyHeapOverflowError;

    unsafe fn grow_heap(&mut self, size: usize) -> Result<(*mut u8, usize), ToyHeapOverflowError> {
        let size = size.checked_next_multiple_of(self.page_size).ok_or(ToyHeapOverflowError())?;
        if size == 0 {
            return Ok((ptr::null_mut(), 0));
        }
        if size > BYTES - self.size {
            return Err(ToyHeapOverflowError());
        }
        let memory = match self.memory {
            Some(memory) => memory,
            // SAFETY: the layout is not empty.
            None => NonNull::new(unsafe { std::alloc::alloc(MEMORY) }).ok_or(ToyHeapOverflowError())?,
        };
        self.memory = Some(memory);
        // SAFETY: `self.size + size <= BYTES`, the length of the memory.
        let start = unsafe { memory.add(self.size) };
        self.size += size;
        Ok((start.as_ptr(), size))
    }
}

/// The error of a toy heap that has no more memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToyHeapOverflowError();

impl fmt::Display for ToyHeapOverflowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the toy heap has no more memory")
    }
}

impl core::error::Error for ToyHeapOverflowError {}
