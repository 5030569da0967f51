//! Random histories of heaps, against a model of their own and against the shadow model of `forge_trace`.
#![allow(unsafe_code)]

use core::cell::RefCell;
use core::ptr::NonNull;
use std::vec::Vec;

use forge_alloc_core::{AllocError, Allocator, ByteAllocator, Deallocator, NonZeroLayout};
use forge_trace::shadow::{Checks, Limits, drive, random_ops};

use super::{Checked, Memory, Model};

/// How long histories are.
#[derive(Clone, Copy)]
pub(crate) struct Length {
    /// All regions together, in bytes.
    pub(crate) size: usize,
    pub(crate) steps: usize,
    /// The longest block, in bytes.
    pub(crate) longest: usize,
}

/// Plays random histories at several occupancies over several regions of both kinds, empties the heap, and calls `emptied`
/// with it and with the bytes that it had available at first.
pub(crate) fn histories<H: Checked>(make: impl Fn() -> H, length: Length, emptied: impl Fn(&mut H, usize)) {
    let Length { size, steps, longest } = length;
    for (seed, percent) in [10, 50, 90, 99].into_iter().enumerate().skip(if cfg!(miri) { 2 } else { 0 }) {
        let memory = Memory::new(size, 4096);
        let mut model = Model::new(make(), seed as u64 + 7);
        // Two regions as values, which stay apart although they touch, and three as addresses, of which two join.
        let third = size / 3;
        let cuts = [3, third, third + size / 10, size / 2 + 5, size / 2 + 2001, size - 2];
        model.heap.add_region(memory.region(cuts[0], cuts[1])).unwrap();
        model.heap.add_region(memory.region(cuts[1], cuts[2])).unwrap();
        for index in [2, 4, 3] {
            let (start, end) = (cuts[index], cuts[index + 1]);
            // SAFETY: the memory outlives the heap, and nothing else uses the span.
            unsafe { model.heap.add_memory(memory.address(start), end - start) }.unwrap();
            model.heap.check();
        }
        let usable = model.heap.available_bytes();
        model.play(usable * percent / 100, steps, longest);
        model.play(usable * percent / 100, steps / 2, 64);
        model.drain();
        assert_eq!(model.heap.available_bytes(), usable, "memory was lost");
        emptied(&mut model.heap, usable);
    }
}

/// Plays random histories of a heap that is made of runs: once empty, it is whole again.
pub(crate) fn run_histories<H: Checked>(make: impl Fn() -> H) {
    let (size, steps, longest) = if cfg!(miri) { (6000, 24, 128) } else { (24_000, 1500, 1024) };
    histories(make, Length { size, steps, longest }, |heap, _| {
        let mut runs: Vec<usize> = Vec::new();
        heap.for_each_block(&mut |block| runs.extend(block.free.then_some(block.size)));
        // Two segments of one run each, and a joined one with its map in the middle.
        assert!(runs.len() <= 5, "runs did not join: {runs:?}");
        assert_eq!(heap.largest_free(), runs.iter().copied().max());
    });
}

/// A heap that is used through a shared reference, as far as the shadow model of `forge_trace` needs one.
struct Shared<H>(RefCell<H>);

// SAFETY: the heap is the allocator; it is borrowed for the length of one call.
unsafe impl<H: ByteAllocator> Deallocator for Shared<H> {
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.0.borrow_mut().dealloc(ptr, layout.into()) };
    }
}

// SAFETY: as above; blocks stay in place until they are freed.
unsafe impl<H: ByteAllocator> Allocator for Shared<H> {
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.0.borrow_mut().alloc(layout.into())?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size().get()))
    }

    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's.
        let block = unsafe { self.0.borrow_mut().realloc(ptr, old.into(), new.into()) }?;
        Ok(NonNull::slice_from_raw_parts(block, new.size().get()))
    }

    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.grow(ptr, old, new) }
    }
}

/// Plays usual and hostile histories of `forge_trace` over two regions.
pub(crate) fn shadow_histories<H: Checked>(make: impl Fn() -> H) {
    let (count, seeds) = if cfg!(miri) { (24, 1) } else { (2000, 6) };
    for seed in 0..seeds {
        for limits in [Limits::small().hostile(true), Limits::default(), Limits::default().hostile(true)] {
            if cfg!(miri) && limits.size > 128 {
                continue;
            }
            let memory = Memory::new(40_000, 8);
            let mut heap = make();
            heap.add_region(memory.region(0, 30_000)).unwrap();
            heap.add_region(memory.region(30_000, 40_000)).unwrap();
            let shared = Shared(RefCell::new(heap));
            let checks = Checks { vary_alignment: true, ..Checks::default() };
            let summary = drive(&shared, &random_ops(seed, count, &limits), checks)
                .unwrap_or_else(|violation| panic!("{violation}"));
            assert!(summary.done > 0);
            shared.0.borrow().check();
        }
    }
}
