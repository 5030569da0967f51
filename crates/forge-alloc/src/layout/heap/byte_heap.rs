//! The macro that gives a heap over a `RunHeap` its public face.
//!
//! # Design
//!
//! The heaps differ in their index only, so what they promise is said and forwarded once. They are types of their own and not
//! aliases, so that the index stays private.
#![allow(unsafe_code)]

/// Implements the exclusive contract for `$name`, whose field `heap` is a `RunHeap`, and what comes with it.
macro_rules! byte_heap {
    ([$($parameters:tt)*] $name:ty) => {
        impl<$($parameters)*> $name {
            /// Returns a walk over every block and every free run, bookkeeping included, by address. O(1).
            #[must_use]
            pub fn iter_blocks(&self) -> $crate::layout::heap::blocks::HeapBlocks<'_> {
                $crate::layout::heap::blocks::HeapBlocks::new(&self.heap.segments)
            }

            /// Checks every invariant.
            #[cfg(test)]
            pub(crate) fn check_all(&self) {
                self.heap.check();
            }
        }

        impl<$($parameters)*> Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl<$($parameters)*> forge_alloc_core::BaseAllocator for $name {
            unsafe fn init(&mut self, start: usize, size: usize) {
                // A span that cannot be used leaves the heap as it was.
                // SAFETY: the caller's promises are the callee's.
                let _ = unsafe { self.add_memory(start, size) };
            }

            unsafe fn add_memory(&mut self, start: usize, size: usize) -> forge_alloc_core::AllocResult {
                // SAFETY: the caller promises memory under exposed provenance that is the heap's from now on.
                let region = unsafe { forge_alloc_core::Region::from_addresses(start, size) };
                let region = region.ok_or(forge_alloc_core::HeapError::InvalidParam)?;
                self.heap.add(region, true).map_err(|rejected| rejected.error)
            }
        }

        // SAFETY: blocks are disjoint parts of runs of regions, aligned and long enough, and stay marked until they are freed;
        // their pointers carry the provenance of the region. The state has no panicking path.
        unsafe impl<$($parameters)*> forge_alloc_core::ByteAllocator for $name {
            fn add_region(
                &mut self,
                region: forge_alloc_core::Region,
            ) -> Result<(), forge_alloc_core::RejectedRegion> {
                self.heap.add(region, false)
            }

            #[inline]
            fn alloc(
                &mut self,
                layout: core::alloc::Layout,
            ) -> forge_alloc_core::AllocResult<core::ptr::NonNull<u8>> {
                self.heap.alloc(layout)
            }

            #[inline]
            unsafe fn dealloc(&mut self, pos: core::ptr::NonNull<u8>, layout: core::alloc::Layout) {
                // SAFETY: the caller's promises are the callee's.
                unsafe { self.heap.dealloc(pos, layout) };
            }

            unsafe fn dealloc_checked(
                &mut self,
                pos: core::ptr::NonNull<u8>,
                layout: core::alloc::Layout,
            ) -> forge_alloc_core::AllocResult {
                // SAFETY: the caller's promises are the callee's.
                unsafe { self.heap.dealloc_checked(pos, layout) }
            }

            #[inline]
            unsafe fn resize_in_place(
                &mut self,
                pos: core::ptr::NonNull<u8>,
                old: core::alloc::Layout,
                new: core::alloc::Layout,
            ) -> bool {
                // SAFETY: the caller's promises are the callee's.
                unsafe { self.heap.resize_in_place(pos, old, new) }
            }

            fn largest_free(&self) -> Option<usize> {
                Some(self.heap.largest())
            }

            fn for_each_block(&self, visit: &mut dyn FnMut(forge_alloc_core::HeapBlock)) {
                self.iter_blocks().for_each(visit);
            }

            fn total_bytes(&self) -> usize {
                self.heap.total * $crate::raw::boundary::GRANULE
            }

            fn used_bytes(&self) -> usize {
                (self.heap.total - self.heap.available()) * $crate::raw::boundary::GRANULE
            }

            fn available_bytes(&self) -> usize {
                self.heap.available() * $crate::raw::boundary::GRANULE
            }
        }

        // SAFETY: a region leaves with its segment, its marks and its only run, so nothing of it is known any more.
        unsafe impl<$($parameters)*> forge_alloc_core::GrowableHeap for $name {
            fn region_for(&self, layout: core::alloc::Layout) -> Option<forge_alloc_core::NonZeroLayout> {
                self.heap.region_for(layout)
            }

            unsafe fn take_region(&mut self, region: core::ptr::NonNull<[u8]>) -> bool {
                let start = region.addr().get();
                self.heap.take_region((start, start + region.len()))
            }
        }
    };
}

pub(crate) use byte_heap;
