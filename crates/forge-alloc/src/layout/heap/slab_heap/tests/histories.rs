//! Random and exhaustive histories against a model.

use std::collections::BTreeMap;

use super::*;
use crate::layout::heap::testing::Random;
use crate::{FirstFit, FreeListHeap};

/// What is live, by address, with the byte that fills it.
struct Model<P, const SPAN: usize> {
    heap: SlabHeap<P, SPAN>,
    live: BTreeMap<usize, (NonNull<u8>, Layout, u8)>,
    bytes: usize,
    random: Random,
}

impl<P: ByteAllocator, const SPAN: usize> Model<P, SPAN> {
    fn new(heap: SlabHeap<P, SPAN>, seed: u64) -> Self {
        Self { heap, live: BTreeMap::new(), bytes: 0, random: Random::new(seed) }
    }

    fn layout(&mut self, longest: usize) -> Layout {
        let bits = self.random.below(longest.ilog2() as usize) + 1;
        let align = if self.random.below(6) == 0 { 1 << self.random.below(11) } else { 8 };
        layout(1 + self.random.below(1 << bits), align)
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

    fn alloc(&mut self, layout: Layout) -> bool {
        let before = (self.heap.used_bytes(), self.heap.total_bytes());
        match self.heap.alloc(layout) {
            Ok(block) => self.accept(block, layout),
            Err(error) => {
                assert_eq!(error, HeapError::NoMemory);
                assert!(self.heap.used_bytes() <= before.0 && self.heap.total_bytes() == before.1);
                return false;
            }
        }
        true
    }

    fn pick(&mut self) -> Option<(NonNull<u8>, Layout, u8)> {
        let index = self.random.below(self.live.len().max(1));
        let address = *self.live.keys().nth(index)?;
        self.live.remove(&address).inspect(|(_, layout, _)| self.bytes -= layout.size())
    }

    fn free(&mut self) {
        let Some((block, layout, fill)) = self.pick() else { return };
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

    /// Frees what is inside of a live block, which is refused.
    fn misuse(&mut self) {
        let Some((block, layout, fill)) = self.pick() else { return };
        for offset in 1..layout.size().min(if cfg!(miri) { 8 } else { 100 }) {
            // SAFETY: no block begins inside of another one, so nothing is freed.
            let freed = unsafe { self.heap.dealloc_checked(block.add(offset), super::layout(1, 1)) };
            assert_eq!(freed, Err(HeapError::NotAllocated));
        }
        Self::verify(block, layout.size(), fill);
        self.accept(block, layout);
    }

    /// Frees and allocates around a goal of live bytes.
    fn play(&mut self, goal: usize, steps: usize, longest: usize) {
        for _ in 0..steps {
            match self.random.below(20) {
                0..3 => self.resize(longest),
                3 => self.misuse(),
                4 if self.random.below(8) == 0 => {
                    let before = self.heap.used_bytes();
                    self.heap.release_empty();
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

/// Plays histories at several occupancies over several regions, and empties the heap.
fn histories<P: ByteAllocator, const SPAN: usize>(make: impl Fn() -> SlabHeap<P, SPAN>) {
    let (size, steps) = if cfg!(miri) { (12_000, 24) } else { (100_000, 1200) };
    let occupancies: &[usize] = if cfg!(miri) { &[90] } else { &[10, 50, 90, 99] };
    for (seed, percent) in occupancies.iter().enumerate() {
        let memory = Memory::new(size, 4096);
        let mut model = Model::new(make(), seed as u64 + 3);
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
        let usable = model.heap.available_bytes();
        model.play(usable * percent / 100, steps, 2048);
        model.play(usable * percent / 100, steps / 2, 64);
        while !model.live.is_empty() {
            model.free();
            model.heap.check();
        }
        assert_eq!(model.heap.available_bytes(), usable, "memory was lost");
        model.heap.release_empty();
        model.heap.check();
        assert_eq!((model.heap.available_bytes(), model.heap.parent().available_bytes()), (usable, usable));
    }
}

#[test]
fn random_histories_at_every_occupancy_keep_the_contract() {
    histories(SlabHeap::<Tlsf, 2048>::new);
    #[cfg(not(miri))]
    histories(SlabHeap::<Tlsf, 4096>::new);
    histories(|| SlabHeap::<_, 2048>::over(FreeListHeap::<FirstFit>::new()));
    #[cfg(target_pointer_width = "64")]
    histories(SlabByteAllocator::new);
}

/// Plays every history of `depth` steps of four kinds: a small block, one of another class, a large one, and a free of the
/// oldest or the youngest.
#[test]
fn every_short_history_keeps_the_contract() {
    let depth: u32 = if cfg!(miri) { 3 } else { 6 };
    let memory = Memory::new(6 << 10, 512);
    for history in 0..5_usize.pow(depth) {
        let mut model = Model::new(SlabHeap::<Tlsf, 2048>::new(), 1);
        model.heap.add_region(memory.region(0, 6 << 10)).unwrap();
        let start = model.heap.used_bytes();
        let mut order: Vec<usize> = Vec::new();
        for step in 0..depth {
            let known: BTreeSet<usize> = model.live.keys().copied().collect();
            let kind = history / 5_usize.pow(step) % 5;
            if let Some(layout) = [layout(200, 8), layout(480, 8), layout(1900, 512)].get(kind) {
                model.alloc(*layout);
                order.extend(model.live.keys().find(|at| !known.contains(at)));
            } else if !order.is_empty() {
                let address = if kind == 3 { order.remove(0) } else { order.pop().unwrap() };
                let (block, layout, fill) = model.live.remove(&address).unwrap();
                Model::<Tlsf, 2048>::verify(block, layout.size(), fill);
                // SAFETY: the block is live, and forgotten here.
                assert_eq!(unsafe { model.heap.dealloc_checked(block, layout) }, Ok(()));
            }
            model.heap.check();
        }
        while let Some((block, layout, _)) = model.live.pop_first().map(|(_, block)| block) {
            // SAFETY: the block is live.
            unsafe { model.heap.dealloc(block, layout) };
        }
        model.heap.check();
        assert_eq!(model.heap.used_bytes(), start);
    }
}
