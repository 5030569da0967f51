//! One mapping of the operating system per block: what an allocator is there to avoid.
//!
//! Every allocation is a system call and a page fault, every free another call, and the smallest block takes a page.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use forge_alloc::{AllocError, Allocator, Deallocator, NonZeroLayout};
use forge_os::{MapOptions, Native, Os as _};

/// The allocator without a layout of its own.
#[derive(Debug)]
pub(crate) struct MappingPerBlock;

// SAFETY: a block is a mapping of the length that its layout determines, which is unmapped whole.
unsafe impl Deallocator for MappingPerBlock {
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        let Ok(length) = mapping_length(layout) else { return };
        // SAFETY: the block is live, so it is a whole mapping of this length. One that the system does not take back
        // stays mapped, which shows in the memory figure and harms nothing.
        let _unmapped = unsafe { Native.unmap(ptr, length) };
    }
}

// SAFETY: the system's mappings are exclusive, aligned as asked, and stay where they are.
unsafe impl Allocator for MappingPerBlock {
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let length = mapping_length(layout)?;
        let options = MapOptions::new().with_alignment(layout.align().get());
        let start = Native.map(length, options).map_err(|_| AllocError)?;
        Ok(NonNull::slice_from_raw_parts(start, layout.size().get()))
    }

    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.allocate(layout)
    }
}

fn mapping_length(layout: NonZeroLayout) -> Result<usize, AllocError> {
    layout.size().get().checked_next_multiple_of(Native.page_size()).ok_or(AllocError)
}
