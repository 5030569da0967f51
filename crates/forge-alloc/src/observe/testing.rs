//! An allocator that tells which of its methods were called, for the tests of what forwards to it.
#![allow(unsafe_code)]

use core::cell::RefCell;
use core::ptr::NonNull;

use forge_alloc_core::{AllocError, Allocator, Deallocator, NonZeroLayout};

use crate::{BumpArena, InlineBacked};

/// A bump arena of 1024 bytes that notes the calls.
pub(super) struct Noting {
    arena: BumpArena<InlineBacked<1024>>,
    calls: RefCell<Vec<&'static str>>,
}

impl Noting {
    pub(super) fn new() -> Self {
        Self { arena: BumpArena::new(InlineBacked::new()).unwrap(), calls: RefCell::default() }
    }

    /// Returns the calls since the last time.
    pub(super) fn calls(&self) -> Vec<&'static str> {
        self.calls.take()
    }

    fn note(&self, call: &'static str) -> &BumpArena<InlineBacked<1024>> {
        self.calls.borrow_mut().push(call);
        &self.arena
    }
}

// SAFETY: every block is the arena's.
unsafe impl Deallocator for Noting {
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.note("deallocate").deallocate(ptr, layout) }
    }
}

// SAFETY: every call reaches the arena.
unsafe impl Allocator for Noting {
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.note("allocate").allocate(layout)
    }

    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.note("allocate_zeroed").allocate_zeroed(layout)
    }

    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.note("grow").grow(ptr, old, new) }
    }

    unsafe fn grow_zeroed(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.note("grow_zeroed").grow_zeroed(ptr, old, new) }
    }

    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.note("shrink").shrink(ptr, old, new) }
    }

    unsafe fn stays_in_place(&self, ptr: NonNull<u8>, old: NonZeroLayout, new: NonZeroLayout) -> bool {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.arena.stays_in_place(ptr, old, new) }
    }

    fn reset(&mut self) -> Result<(), AllocError> {
        self.calls.get_mut().push("reset");
        Allocator::reset(&mut self.arena)
    }

    fn can_reset(&self) -> bool {
        true
    }

    unsafe fn visit_spans(&mut self, visit: &mut dyn FnMut(NonNull<[u8]>)) -> Result<(), AllocError> {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.arena.visit_spans(visit) }
    }

    unsafe fn usable_size(&self, _: NonNull<u8>, layout: NonZeroLayout) -> Option<usize> {
        Some(layout.size().get())
    }

    fn capacity_bytes(&self) -> Option<usize> {
        self.arena.capacity_bytes()
    }

    fn corruption_events(&self) -> u64 {
        3
    }

    fn is_single_threaded(&self) -> bool {
        true
    }
}

/// Makes each request once through `wrapper`, whose inner allocator `noting` finds, and asserts that it is that request there
/// too, that blocks which can stay do, and that what the inner allocator says about itself is passed on.
pub(super) fn assert_passes_everything<A: Allocator>(mut wrapper: A, noting: impl Fn(&A) -> &Noting) {
    let layout = |size| NonZeroLayout::from_size_align(size, 8).unwrap();
    let [small, middle, large] = [8, 16, 32].map(layout);
    // SAFETY: the block is live with the layout of the latest call, and ends with its free.
    unsafe {
        let block = wrapper.allocate(small).unwrap().cast();
        assert_eq!(noting(&wrapper).calls(), ["allocate"]);
        assert_eq!(wrapper.usable_size(block, small), Some(8));
        assert_eq!(wrapper.grow(block, small, middle).unwrap().cast(), block);
        assert_eq!(wrapper.grow_zeroed(block, middle, large).unwrap().cast(), block);
        assert_eq!(wrapper.shrink(block, large, small).unwrap().cast(), block);
        wrapper.deallocate(block, small);
        assert_eq!(noting(&wrapper).calls(), ["grow", "grow_zeroed", "shrink", "deallocate"]);
        wrapper.allocate_zeroed(small).unwrap();
        assert_eq!(noting(&wrapper).calls(), ["allocate_zeroed"]);
        let mut spans = 0;
        wrapper.visit_spans(&mut |_| spans += 1).unwrap();
        assert_eq!(spans, 1);
    }
    assert!(wrapper.can_reset() && wrapper.is_single_threaded());
    wrapper.reset().unwrap();
    assert_eq!(noting(&wrapper).calls(), ["reset"]);
    assert_eq!((wrapper.capacity_bytes(), wrapper.corruption_events()), (Some(1024), 3));
}
