//! A heap with a model of what lives in it, and random steps of both.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;
use std::collections::BTreeMap;

use forge_alloc_core::HeapError;

use super::{Checked, Random, layout};

/// A heap, and what is live in it: by address, with the byte that fills it.
pub(crate) struct Model<H> {
    pub(crate) heap: H,
    pub(crate) live: BTreeMap<usize, (NonNull<u8>, Layout, u8)>,
    bytes: usize,
    random: Random,
}

impl<H: Checked> Model<H> {
    pub(crate) fn new(heap: H, seed: u64) -> Self {
        Self { heap, live: BTreeMap::new(), bytes: 0, random: Random::new(seed) }
    }

    /// Returns a layout of at most `longest` bytes, all magnitudes alike.
    fn layout(&mut self, longest: usize) -> Layout {
        let bits = self.random.below(longest.ilog2() as usize) + 1;
        let size = 1 + self.random.below(1 << bits);
        let align = match self.random.below(8) {
            0 => 16,
            1 => 1 << self.random.below(11),
            _ => 8,
        };
        layout(size, align)
    }

    fn accept(&mut self, block: NonNull<u8>, layout: Layout) {
        let address = block.addr().get();
        assert_eq!(address % layout.align(), 0);
        let below = self.live.range(..address + layout.size()).next_back();
        assert!(below.is_none_or(|(at, (_, other, _))| at + other.size() <= address), "blocks overlap");
        let fill = self.random.below(256) as u8;
        // SAFETY: the block is the model's.
        unsafe { block.write_bytes(fill, layout.size()) };
        self.live.insert(address, (block, layout, fill));
        self.bytes += layout.size();
    }

    fn verify(block: NonNull<u8>, size: usize, fill: u8) {
        // SAFETY: the block is live and was filled.
        let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), size) };
        assert!(bytes.iter().all(|byte| *byte == fill), "contents changed");
    }

    /// Allocates, and tells whether there was room.
    pub(crate) fn alloc(&mut self, layout: Layout) -> bool {
        let (used, total) = (self.heap.used_bytes(), self.heap.total_bytes());
        match self.heap.alloc(layout) {
            Ok(block) => {
                self.accept(block, layout);
                true
            }
            Err(error) => {
                assert_eq!(error, HeapError::NoMemory);
                assert!(self.heap.used_bytes() <= used && self.heap.total_bytes() == total);
                false
            }
        }
    }

    /// Takes the block at `address` out of the model, with its contents verified.
    fn forget(&mut self, address: usize) -> (NonNull<u8>, Layout, u8) {
        let (block, layout, fill) = self.live.remove(&address).unwrap();
        self.bytes -= layout.size();
        Self::verify(block, layout.size(), fill);
        (block, layout, fill)
    }

    fn pick(&mut self) -> Option<(NonNull<u8>, Layout, u8)> {
        let index = self.random.below(self.live.len().max(1));
        let address = *self.live.keys().nth(index)?;
        Some(self.forget(address))
    }

    /// Frees the block at `address`, and is told so once.
    pub(crate) fn free_checked(&mut self, address: usize) {
        let (block, layout, _) = self.forget(address);
        // SAFETY: the block is live, and forgotten here.
        unsafe {
            assert_eq!(self.heap.dealloc_checked(block, layout), Ok(()));
            assert_eq!(self.heap.dealloc_checked(block, layout), Err(HeapError::NotAllocated));
        }
    }

    /// Frees a block, in one way or the other.
    fn free(&mut self) {
        let index = self.random.below(self.live.len().max(1));
        let Some(address) = self.live.keys().nth(index).copied() else { return };
        if self.random.below(2) == 0 {
            self.free_checked(address);
        } else {
            let (block, layout, _) = self.forget(address);
            // SAFETY: the block is live, and forgotten here.
            unsafe { self.heap.dealloc(block, layout) };
        }
    }

    /// Frees all that is live.
    pub(crate) fn drain(&mut self) {
        while !self.live.is_empty() {
            self.free();
            self.heap.check();
        }
    }

    fn resize(&mut self, longest: usize) {
        let new = self.layout(longest);
        let Some((block, old, fill)) = self.pick() else { return };
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

    /// Frees what is inside of a live block, which is refused, as is a wrong size where the heap knows the right one.
    fn misuse(&mut self) {
        let Some((block, size, fill)) = self.pick() else { return };
        let mut probe = |pos: NonNull<u8>, layout: Layout| {
            // SAFETY: no block of this layout begins there, so nothing is freed.
            assert_eq!(unsafe { self.heap.dealloc_checked(pos, layout) }, Err(HeapError::NotAllocated));
        };
        for offset in (1..size.size()).step_by(if cfg!(miri) { 29 } else { 1 }).take(200) {
            // SAFETY: the place is inside of the block.
            probe(unsafe { block.add(offset) }, layout(16, 1));
        }
        if H::KNOWS_SIZES {
            probe(block, layout(size.size() + 64, 8));
        }
        Self::verify(block, size.size(), fill);
        self.accept(block, size);
    }

    /// Frees and allocates around a goal of live bytes.
    pub(crate) fn play(&mut self, goal: usize, steps: usize, longest: usize) {
        for _ in 0..steps {
            match self.random.below(20) {
                0..3 => self.resize(longest),
                3 => self.misuse(),
                4 if self.random.below(8) == 0 => {
                    let before = self.heap.used_bytes();
                    self.heap.settle();
                    assert!(self.heap.used_bytes() <= before);
                }
                _ if self.bytes > goal || self.random.below(16) == 0 => self.free(),
                _ => {
                    let layout = self.layout(longest);
                    if !self.alloc(layout) {
                        self.free();
                    }
                }
            }
            self.heap.check();
        }
    }
}
