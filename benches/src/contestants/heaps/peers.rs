//! The heaps of other libraries.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;

use ax_allocator::{BaseAllocator, ByteAllocator};
use talc::base::Talc as TalcHeap;
use talc::{DefaultBinning, source::Manual};

use super::Heap;
use crate::harness::Side;

/// `rlsf`, with the parameters that the crate of the seed uses.
pub struct Rlsf(rlsf::Tlsf<'static, u32, u32, 28, 32>);

impl Heap for Rlsf {
    const NAME: &'static str = "rlsf";
    const SIDE: Side = Side::Peer;

    unsafe fn over(start: NonNull<u8>, bytes: usize) -> Option<Self> {
        let mut heap = rlsf::Tlsf::new();
        // SAFETY: the caller gives the region away.
        unsafe { heap.insert_free_block_ptr(NonNull::slice_from_raw_parts(start, bytes)) }?;
        Some(Self(heap))
    }

    #[inline(always)]
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.0.allocate(layout)
    }

    #[inline(always)]
    unsafe fn dealloc(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's contract.
        unsafe { self.0.deallocate(block, layout.align()) };
    }

    #[inline(always)]
    unsafe fn realloc(&mut self, block: NonNull<u8>, old: Layout, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: the caller's contract.
        unsafe { self.0.reallocate(block, super::layout_of(size, old.align())) }
    }
}

/// `talc` without a lock.
pub struct Talc(TalcHeap<Manual, DefaultBinning>);

impl Heap for Talc {
    const NAME: &'static str = "talc";
    const SIDE: Side = Side::Peer;

    unsafe fn over(start: NonNull<u8>, bytes: usize) -> Option<Self> {
        let mut heap = TalcHeap::new(Manual);
        // SAFETY: the caller gives the region away.
        unsafe { heap.claim(start.as_ptr(), bytes) }?;
        Some(Self(heap))
    }

    #[inline(always)]
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: no row asks for nothing.
        unsafe { self.0.allocate(layout) }
    }

    #[inline(always)]
    unsafe fn dealloc(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's contract.
        unsafe { self.0.deallocate(block.as_ptr(), layout) };
    }

    #[inline(always)]
    unsafe fn realloc(&mut self, block: NonNull<u8>, old: Layout, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: the caller's contract.
        unsafe {
            if self.0.try_realloc_in_place(block.as_ptr(), old, size) {
                return Some(block);
            }
            self.realloc_by_copy(block, old, size)
        }
    }
}

/// `linked_list_allocator`: one list by address, first fit.
pub struct LinkedList(linked_list_allocator::Heap);

impl Heap for LinkedList {
    const NAME: &'static str = "linked_list_allocator";
    const SIDE: Side = Side::Peer;

    unsafe fn over(start: NonNull<u8>, bytes: usize) -> Option<Self> {
        // SAFETY: the caller gives the region away.
        Some(Self(unsafe { linked_list_allocator::Heap::new(start.as_ptr(), bytes) }))
    }

    #[inline(always)]
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.0.allocate_first_fit(layout).ok()
    }

    #[inline(always)]
    unsafe fn dealloc(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's contract.
        unsafe { self.0.deallocate(block, layout) };
    }
}

/// `buddy_system_allocator`.
pub struct BuddySystem(buddy_system_allocator::Heap<32>);

impl Heap for BuddySystem {
    const NAME: &'static str = "buddy_system_allocator";
    const SIDE: Side = Side::Peer;

    unsafe fn over(start: NonNull<u8>, bytes: usize) -> Option<Self> {
        let mut heap = buddy_system_allocator::Heap::new();
        // SAFETY: the caller gives the region away.
        unsafe { heap.init(start.expose_provenance().get(), bytes) };
        Some(Self(heap))
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
}

/// `good_memory_allocator` without a lock.
pub struct GoodMemory(Box<good_memory_allocator::Allocator>);

impl Heap for GoodMemory {
    const NAME: &'static str = "good_memory_allocator";
    const SIDE: Side = Side::Peer;

    unsafe fn over(start: NonNull<u8>, bytes: usize) -> Option<Self> {
        // The value has links to itself, so it must not move.
        let mut heap = Box::new(good_memory_allocator::Allocator::empty());
        // SAFETY: the caller gives the region away.
        unsafe { heap.init(start.expose_provenance().get(), bytes) };
        Some(Self(heap))
    }

    #[inline(always)]
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: no row asks for nothing.
        NonNull::new(unsafe { self.0.alloc(layout) })
    }

    #[inline(always)]
    unsafe fn dealloc(&mut self, block: NonNull<u8>, _: Layout) {
        // SAFETY: the caller's contract.
        unsafe { self.0.dealloc(block.as_ptr()) };
    }

    #[inline(always)]
    unsafe fn realloc(&mut self, block: NonNull<u8>, old: Layout, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: the caller's contract.
        NonNull::new(unsafe { self.0.realloc(block.as_ptr(), old, size) })
    }
}

/// The slab heap of the seed's crate.
pub struct SeedSlab(ax_allocator::SlabByteAllocator);

impl Heap for SeedSlab {
    const NAME: &'static str = "ax-allocator: slab";
    const SIDE: Side = Side::Peer;

    unsafe fn over(start: NonNull<u8>, bytes: usize) -> Option<Self> {
        // It takes whole multiples of a page for each of its eight slabs, and panics below that.
        let bytes = bytes & !(8 * 4096 - 1);
        if bytes == 0 {
            return None;
        }
        let mut heap = ax_allocator::SlabByteAllocator::new();
        heap.init(start.expose_provenance().get(), bytes);
        Some(Self(heap))
    }

    #[inline(always)]
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.0.alloc(layout).ok()
    }

    #[inline(always)]
    unsafe fn dealloc(&mut self, block: NonNull<u8>, layout: Layout) {
        self.0.dealloc(block, layout);
    }
}

/// `dlmalloc` over the region as its system's only grant.
pub struct Dlmalloc(dlmalloc::Dlmalloc<Grant>);

/// A system that gives one piece of memory away, once.
struct Grant(Cell<(*mut u8, usize)>);

// SAFETY: the memory belongs to nobody else.
unsafe impl Send for Grant {}

// SAFETY: the piece is given away once, and is valid; nothing is ever taken back.
unsafe impl dlmalloc::Allocator for Grant {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        if size > self.0.get().1 {
            return (core::ptr::null_mut(), 0, 0);
        }
        let (start, bytes) = self.0.replace((core::ptr::null_mut(), 0));
        (start, bytes, 0)
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        core::ptr::null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        false
    }

    fn page_size(&self) -> usize {
        4096
    }
}

impl Heap for Dlmalloc {
    const NAME: &'static str = "dlmalloc";
    const SIDE: Side = Side::Peer;

    unsafe fn over(start: NonNull<u8>, bytes: usize) -> Option<Self> {
        Some(Self(dlmalloc::Dlmalloc::new_with_allocator(Grant(Cell::new((start.as_ptr(), bytes))))))
    }

    #[inline(always)]
    fn alloc(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the layout is valid.
        NonNull::new(unsafe { self.0.malloc(layout.size(), layout.align()) })
    }

    #[inline(always)]
    unsafe fn dealloc(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's contract.
        unsafe { self.0.free(block.as_ptr(), layout.size(), layout.align()) };
    }

    #[inline(always)]
    unsafe fn realloc(&mut self, block: NonNull<u8>, old: Layout, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: the caller's contract.
        NonNull::new(unsafe { self.0.realloc(block.as_ptr(), old.size(), old.align(), size) })
    }
}
