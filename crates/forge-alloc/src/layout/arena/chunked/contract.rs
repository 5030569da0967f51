//! The growing arena as an allocator: the invariants cited are those of the parent module.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{
    AllocError, Allocator, Deallocator, NonZeroLayout, RegionSource, StableAddress, align_up, relocate,
};

use super::Arena;
use crate::raw::cursor::stays_aligned;

// SAFETY: blocks lie below the cursor or in earlier chunks and are disjoint (I3); the last one may be taken back.
unsafe impl<S: RegionSource, const MIN_ALIGN: usize> Deallocator for Arena<S, MIN_ALIGN> {
    #[inline(always)]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        if self.is_last(ptr, layout) {
            self.next.set(self.in_current(ptr));
        }
    }
}

// SAFETY: as above; a resize in place touches the last block and the free bytes after it (I3), and keeps the address.
unsafe impl<S: RegionSource, const MIN_ALIGN: usize> Allocator for Arena<S, MIN_ALIGN> {
    #[inline(always)]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let block = match self.bump(layout) {
            Some(block) => block,
            None => self.allocate_slowly(layout)?,
        };
        Ok(NonNull::slice_from_raw_parts(block, layout.size().get()))
    }

    // Not inlined: a vector calls this once per doubling, and inlined it takes the registers of the loop that pushes.
    #[inline(never)]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let room = self.limit.get().wrapping_sub(ptr.addr().get());
        let (old_size, new_size) = (old.size().get(), new.size().get());
        if self.is_last(ptr, old) && new_size <= room && stays_aligned(ptr, old, new) {
            let block = self.in_current(ptr);
            // SAFETY: the block lies in the current chunk, whose end is `room` bytes past its start, and both are
            // multiples of `MIN_ALIGN` (I2), so the rounded size fits too.
            self.next.set(unsafe { block.add(align_up(new_size, MIN_ALIGN)) });
            return Ok(NonNull::slice_from_raw_parts(block, new_size));
        }
        let block = self.allocate(new)?;
        // SAFETY: both blocks are live, disjoint and at least `old_size` bytes long. The old one needs no freeing: it is
        // not the last one any more.
        unsafe { block.cast::<u8>().copy_from_nonoverlapping(ptr, old_size) };
        Ok(block)
    }

    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let new_size = new.size().get();
        if !stays_aligned(ptr, old, new) {
            // SAFETY: the caller's promises are the callee's.
            return unsafe { relocate(self, ptr, old, new) };
        }
        if self.is_last(ptr, old) {
            // SAFETY: the shorter block ends inside the longer one, in the current chunk.
            self.next.set(unsafe { self.in_current(ptr).add(align_up(new_size, MIN_ALIGN)) });
        }
        Ok(NonNull::slice_from_raw_parts(ptr, new_size))
    }

    #[inline]
    unsafe fn stays_in_place(&self, ptr: NonNull<u8>, old: NonZeroLayout, new: NonZeroLayout) -> bool {
        let room = self.limit.get().wrapping_sub(ptr.addr().get());
        let grows = new.size() >= old.size();
        stays_aligned(ptr, old, new) && (!grows || self.is_last(ptr, old) && new.size().get() <= room)
    }

    fn reset(&mut self) -> Result<(), AllocError> {
        Self::reset(self);
        Ok(())
    }

    fn can_reset(&self) -> bool {
        true
    }

    unsafe fn visit_spans(&mut self, visit: &mut dyn FnMut(NonNull<[u8]>)) -> Result<(), AllocError> {
        let current = self.current.get();
        for chunk in self.chunks() {
            // SAFETY: the chunks of the arena are live (I1).
            let (start, end) = unsafe { (chunk.start(), chunk.end()) };
            let is_current = current.is_some_and(|current| current == chunk);
            let end = if is_current { self.next.get().addr().get() } else { end };
            if end > start.addr().get() {
                visit(NonNull::slice_from_raw_parts(start, end - start.addr().get()));
            }
            if is_current {
                break;
            }
        }
        Ok(())
    }

    fn capacity_bytes(&self) -> Option<usize> {
        (self.max_held != usize::MAX).then(|| self.max_held.max(self.held.get()))
    }

    #[inline]
    fn is_single_threaded(&self) -> bool {
        true
    }

    #[inline]
    fn blocks_stay(&self) -> bool {
        true
    }
}

// SAFETY: blocks live in chunks, which a move of the arena leaves in place.
unsafe impl<S: RegionSource, const MIN_ALIGN: usize> StableAddress for Arena<S, MIN_ALIGN> {}
