//! Random histories of heaps, against a model of their own and against the shadow model of `forge_trace`.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::cell::RefCell;
use core::ptr::NonNull;
use std::collections::BTreeMap;
use std::vec::Vec;

use forge_alloc_core::{AllocError, Allocator, ByteAllocator, Deallocator, HeapError, NonZeroLayout};
use forge_trace::shadow::{Checks, Limits, drive, random_ops};

use super::{Checked, Memory, Random};

/// The model: what is live, by address, with a byte that fills it.
struct Model<H> {
    heap: H,
    live: BTreeMap<usize, (NonNull<u8>, Layout, u8)>,
    random: Random,
    bytes: usize,
}

impl<H: Checked> Model<H> {
    fn layout(&mut self, longest: usize) -> Layout {
        let bits = self.random.below(longest.ilog2() as usize) + 1;
        let size = 1 + self.random.below(1 << bits);
        let align = match self.random.below(8) {
            0 => 16,
            1 => 1 << self.random.below(9),
            _ => 8,
        };
        Layout::from_size_align(size, align).unwrap()
    }

    fn accept(&mut self, block: NonNull<u8>, layout: Layout) {
        let address = block.addr().get();
        assert_eq!(address % layout.align(), 0);
        let below = self.live.range(..address + layout.size()).next_back();
        assert!(below.is_none_or(|(at, (_, other, _))| at + other.size() <= address), "blocks overlap");
        let fill = self.random.below(256) as u8;
        // SAFETY: the block is ours.
        unsafe { block.write_bytes(fill, layout.size()) };
        self.live.insert(address, (block, layout, fill));
        self.bytes += layout.size();
    }

    fn verify(block: NonNull<u8>, size: usize, fill: u8) {
        // SAFETY: the block is live and initialised.
        let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), size) };
        assert!(bytes.iter().all(|byte| *byte == fill), "contents changed");
    }

    fn any(&mut self) -> Option<(NonNull<u8>, Layout, u8)> {
        let index = self.random.below(self.live.len().max(1));
        let address = *self.live.keys().nth(index)?;
        self.live.remove(&address).inspect(|(_, layout, _)| self.bytes -= layout.size())
    }

    fn free(&mut self) {
        let Some((block, layout, fill)) = self.any() else { return };
        Self::verify(block, layout.size(), fill);
        // SAFETY: the block is live, and forgotten here.
        unsafe {
            if self.random.below(2) == 0 {
                assert_eq!(self.heap.dealloc_checked(block, layout), Ok(()));
                assert_eq!(self.heap.dealloc_checked(block, layout), Err(HeapError::NotAllocated));
            } else {
                self.heap.dealloc(block, layout);
            }
        }
    }

    fn resize(&mut self, longest: usize) {
        let new = self.layout(longest);
        let Some((block, old, fill)) = self.any() else { return };
        let in_place = self.random.below(2) == 0;
        // SAFETY: the block is live, and replaced by what comes back.
        let moved = unsafe {
            if in_place {
                self.heap.resize_in_place(block, old, new).then_some(block)
            } else {
                self.heap.realloc(block, old, new).ok()
            }
        };
        let kept = old.size().min(moved.map_or(old.size(), |_| new.size()));
        Self::verify(moved.unwrap_or(block), kept, fill);
        match moved {
            Some(block) => self.accept(block, new),
            None => self.accept(block, old),
        }
    }

    fn misuse(&mut self) {
        let Some((block, layout, fill)) = self.any() else { return };
        let mut probe = |pos: NonNull<u8>, layout: Layout| {
            // SAFETY: no block of this layout begins there, so nothing is freed.
            assert_eq!(unsafe { self.heap.dealloc_checked(pos, layout) }, Err(HeapError::NotAllocated));
        };
        for offset in (1..layout.size()).step_by(if cfg!(miri) { 29 } else { 1 }).take(200) {
            // SAFETY: the place is inside of the block.
            probe(unsafe { block.add(offset) }, Layout::from_size_align(16, 1).unwrap());
        }
        probe(block, Layout::from_size_align(layout.size() + 64, 8).unwrap());
        self.bytes += layout.size();
        self.live.insert(block.addr().get(), (block, layout, fill));
    }

    /// Frees and allocates around a goal of live bytes.
    fn play(&mut self, goal: usize, steps: usize, longest: usize) {
        for step in 0..steps {
            match self.random.below(16) {
                0 | 1 => self.resize(longest),
                2 => self.misuse(),
                _ if self.bytes > goal || self.random.below(16) == 0 => self.free(),
                _ => {
                    let layout = self.layout(longest);
                    match self.heap.alloc(layout) {
                        Ok(block) => self.accept(block, layout),
                        Err(error) => {
                            assert_eq!(error, HeapError::NoMemory);
                            self.free();
                        }
                    }
                }
            }
            if step % 8 == 0 || cfg!(not(miri)) {
                self.heap.check();
            }
            assert_eq!(self.heap.used_bytes() + self.heap.available_bytes(), self.heap.total_bytes());
        }
    }
}

/// Plays random histories at several occupancies over several regions of both kinds, and empties the heap.
pub(crate) fn histories<H: Checked>(make: impl Fn() -> H) {
    let (size, steps, longest) = if cfg!(miri) { (6000, 24, 128) } else { (24_000, 1500, 1024) };
    for (seed, percent) in [10, 50, 90, 99].into_iter().enumerate().skip(if cfg!(miri) { 2 } else { 0 }) {
        let memory = Memory::new(size, 4096);
        let mut model =
            Model { heap: make(), live: BTreeMap::new(), random: Random::new(seed as u64 + 7), bytes: 0 };
        // Two regions as values, which stay apart although they touch, and three as addresses, of which two join.
        let third = size / 3;
        let cuts = [3, third, third + 700, size / 2 + 5, size / 2 + 2001, size - 2];
        model.heap.add_region(memory.region(cuts[0], cuts[1])).unwrap();
        model.heap.add_region(memory.region(cuts[1], cuts[2])).unwrap();
        for index in [2, 4, 3] {
            let (start, end) = (cuts[index], cuts[index + 1]);
            // SAFETY: the memory outlives the heap, and nothing else uses the span.
            unsafe { model.heap.add_memory(memory.address(start), end - start) }.unwrap();
            model.heap.check();
        }
        let usable: usize = model.heap.available_bytes();
        model.play(usable * percent / 100, steps, longest);
        while !model.live.is_empty() {
            model.free();
        }
        model.heap.check();
        assert_eq!(model.heap.available_bytes(), usable, "memory was lost");
        let mut runs: Vec<usize> = Vec::new();
        model.heap.for_each_block(&mut |block| runs.extend(block.free.then_some(block.size)));
        // Two segments of one run each, and a joined one with its map in the middle.
        assert!(runs.len() <= 5, "runs did not join: {runs:?}");
        assert_eq!(model.heap.largest_free(), runs.iter().copied().max());
    }
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
