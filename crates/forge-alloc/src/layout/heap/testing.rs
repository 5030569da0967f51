//! Tests that every heap passes: histories against a model, and the contract of the kernel family.
#![allow(unsafe_code, clippy::unwrap_used)]

use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use std::collections::BTreeMap;
use std::vec::Vec;

use forge_alloc_core::{ByteAllocator, HeapError, Region};

/// A heap that can be looked into.
pub(crate) trait Checked: ByteAllocator {
    fn check(&self);
}

impl<const FIRST: usize, const SECOND: usize> Checked for crate::Tlsf<FIRST, SECOND> {
    fn check(&self) {
        self.check_all();
    }
}

impl<F: crate::Fit> Checked for crate::FreeListHeap<F> {
    fn check(&self) {
        self.check_all();
    }
}

/// Memory that heaps of a test are fed with, given back when it goes out of scope.
pub(crate) struct Memory {
    base: NonNull<u8>,
    layout: Layout,
}

impl Memory {
    /// Returns `size` bytes at `align`.
    pub(crate) fn new(size: usize, align: usize) -> Self {
        let layout = Layout::from_size_align(size, align).unwrap();
        // SAFETY: the size is not zero.
        let base = NonNull::new(unsafe { std::alloc::alloc(layout) }).unwrap();
        Self { base, layout }
    }

    /// Returns the bytes from `start` to `end` as a region.
    pub(crate) fn region(&self, start: usize, end: usize) -> Region {
        assert!(start <= end && end <= self.layout.size());
        // SAFETY: the tests use what they make of it only as long as the memory lives, and pass disjoint ranges.
        unsafe { Region::from_raw(self.base.add(start), end - start) }
    }

    /// Returns the address of byte `offset`, under exposed provenance.
    pub(crate) fn address(&self, offset: usize) -> usize {
        self.base.as_ptr().expose_provenance() + offset
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: this is the block of `new`.
        unsafe { std::alloc::dealloc(self.base.as_ptr(), self.layout) };
    }
}

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) as usize) % bound
    }
}

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
        for offset in (1..layout.size()).take(200) {
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
            if step % 4 == 0 || cfg!(not(miri)) {
                self.heap.check();
            }
            assert_eq!(self.heap.used_bytes() + self.heap.available_bytes(), self.heap.total_bytes());
        }
    }
}

/// Plays random histories at several occupancies over several regions of both kinds, and empties the heap.
pub(crate) fn histories<H: Checked>(make: impl Fn() -> H) {
    let (size, steps, longest) = if cfg!(miri) { (6000, 60, 256) } else { (60_000, 4000, 2048) };
    for (seed, percent) in [10, 50, 90, 99].into_iter().enumerate() {
        let memory = Memory::new(size, 4096);
        let mut model =
            Model { heap: make(), live: BTreeMap::new(), random: Random::new(seed as u64 + 7), bytes: 0 };
        // Two regions as values, which stay apart although they touch, and three as addresses, of which two join.
        let third = size / 3;
        let cuts = [3, third, third + 1200, size / 2 + 5, size / 2 + 2001, size - 2];
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
        assert!(runs.len() <= 8, "runs did not join: {runs:?}");
        assert_eq!(model.heap.largest_free(), runs.iter().copied().max());
    }
}

/// Bytes that live as long as the program.
pub(crate) fn leaked(size: usize) -> &'static mut [MaybeUninit<u8>] {
    std::vec![MaybeUninit::uninit(); size].leak()
}
