//! The heaps of this workspace.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use forge_alloc::{
    BestFit, BuddyByteAllocator, ByteAllocator, FirstFit, FreeListHeap, SlabByteAllocator, TlsfByteAllocator,
};

use super::Heap;
use crate::harness::Side;

macro_rules! ours {
    ($($(#[$doc:meta])* $contestant:ident($heap:ty), $name:literal;)+) => {$(
        $(#[$doc])*
        pub struct $contestant($heap);

        impl Heap for $contestant {
            const NAME: &'static str = $name;
            const SIDE: Side = Side::Ours;

            unsafe fn over(start: NonNull<u8>, bytes: usize) -> Option<Self> {
                let mut heap = <$heap>::new();
                // SAFETY: the caller gives the region away.
                let region = unsafe { forge_alloc::Region::from_raw(start, bytes) };
                heap.add_region(region).is_ok().then_some(Self(heap))
            }

            #[inline(always)]
            fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
                self.0.alloc(layout).ok()
            }

            #[inline(always)]
            unsafe fn dealloc(&mut self, block: NonNull<u8>, layout: Layout) {
                // SAFETY: the caller's contract.
                unsafe { self.0.dealloc(block, layout) };
            }

            #[inline(always)]
            unsafe fn realloc(&mut self, block: NonNull<u8>, old: Layout, size: usize) -> Option<NonNull<u8>> {
                let new = super::layout_of(size, old.align());
                // SAFETY: the caller's contract.
                unsafe {
                    if self.0.resize_in_place(block, old, new) {
                        return Some(block);
                    }
                    self.realloc_by_copy(block, old, size)
                }
            }
        }
    )+};
}

ours! {
    /// Two-level segregated fit.
    Tlsf(TlsfByteAllocator), "ours: Tlsf";
    /// Size classes over two-level segregated fit.
    SlabHeap(SlabByteAllocator), "ours: SlabHeap";
    /// The buddy system.
    Buddy(BuddyByteAllocator), "ours: Buddy";
    /// A list by address, first fit.
    FirstFitList(FreeListHeap<FirstFit>), "ours: FreeListHeap, first fit";
    /// A list by address, best fit.
    BestFitList(FreeListHeap<BestFit>), "ours: FreeListHeap, best fit";
}
