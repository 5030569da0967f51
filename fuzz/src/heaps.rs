//! Exclusive heaps against a model: any history, on any number of regions, with checked frees of what is no block.
//!
//! ```text
//!   memory    | gap | region 0 | region 1 | gap | region 2 | ..          some as values, some as addresses, which join
//!   model     blocks by address: layout, and the byte that fills them
//! ```
//!
//! A block that is handed out is aligned, where memory was handed over, and disjoint from the live ones; one that is resized or
//! freed holds what was written. Every few steps all blocks are read, the figures add up, and the walk has what they say. At the
//! end all is freed, and the heap must have what it began with.
#![allow(unsafe_code)]

use std::alloc::{self, Layout};
use std::collections::BTreeMap;
use std::ptr::NonNull;

use arbitrary::{Arbitrary, Result, Unstructured};
use forge_alloc::{
    BestFit, BuddyByteAllocator, ByteAllocator, FirstFit, FreeListHeap, HeapError, NonZeroLayout, Region,
    SlabByteAllocator, SlabHeap, Tlsf, TlsfByteAllocator,
};
use forge_trace::Op;

use crate::history;

/// The bytes of the memory that regions are cut from.
const MEMORY: usize = 48 << 10;

/// After how many steps everything is looked at: most of the time of an input would be that otherwise.
const LOOK: usize = 8;

/// The largest number of regions.
const REGIONS: usize = 4;

/// The name of a heap, and what runs a history on one.
pub type Subject = (&'static str, fn(&Plan));

/// The heaps with two levels of segregated lists.
pub const TLSF: [Subject; 2] = [("Tlsf", on::<TlsfByteAllocator>), ("TlsfTiny", on::<Tlsf<3, 4>>)];

/// The heaps with one list by address.
pub const FREE_LIST: [Subject; 2] =
    [("FirstFit", on::<FreeListHeap<FirstFit>>), ("BestFit", on::<FreeListHeap<BestFit>>)];

/// The slab heaps, by what they are over.
pub const SLAB_HEAP: [Subject; 3] = [
    ("Slab", on::<SlabByteAllocator>),
    ("SlabSmall", on::<SlabHeap<Tlsf, 2048>>),
    ("SlabOverFreeList", on::<SlabHeap<FreeListHeap<FirstFit>, 2048>>),
];

/// The buddy heaps, by their smallest block.
pub const BUDDY: [Subject; 2] = [
    ("Buddy", on::<BuddyByteAllocator<16, REGIONS>>),
    ("BuddyOfLines", on::<BuddyByteAllocator<64, REGIONS>>),
];

/// A region: a gap and then so many bytes, handed over as a value or as addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Arbitrary)]
pub struct Cut {
    gap: u8,
    sixteenths: u16,
    by_address: bool,
}

/// What one input says.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Chooses one of the heaps of a target.
    pub subject: u8,
    /// The regions that it is handed before the history, in the order of their addresses.
    pub cuts: [Cut; REGIONS],
    /// The history.
    pub ops: Vec<Op>,
}

impl<'a> Arbitrary<'a> for Plan {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self { subject: input.arbitrary()?, cuts: input.arbitrary()?, ops: history::decode(input)? })
    }
}

/// Runs one input on one of the `subjects`.
///
/// # Panics
///
/// If a promise is broken.
pub fn run(plan: &Plan, subjects: &[Subject]) {
    let (_, play) = subjects[usize::from(plan.subject) % subjects.len()];
    play(plan);
}

/// Runs one input on an `H`.
fn on<H: ByteAllocator + Default>(plan: &Plan) {
    plan.play(H::default());
}

impl Plan {
    fn play<H: ByteAllocator>(&self, heap: H) {
        let memory = Memory::new();
        let mut model = Model { heap, regions: Vec::new(), live: BTreeMap::new(), numbers: BTreeMap::new() };
        model.demand_empty();
        let mut at = 0;
        for cut in &self.cuts {
            let start = (at + usize::from(cut.gap)).min(MEMORY);
            let end = (start + usize::from(cut.sixteenths)).min(MEMORY);
            model.hand_over(&memory, start, end, cut.by_address);
            at = end;
        }
        let available = model.heap.available_bytes();
        for (number, op) in self.ops.iter().enumerate() {
            model.step(op);
            if number % LOOK == 0 {
                model.check();
            }
        }
        model.check();
        while let Some(id) = model.numbers.keys().next().copied() {
            model.free(id);
        }
        assert_eq!(model.heap.available_bytes(), available, "memory was lost");
        model.check();
    }
}

/// A live block: where it is, its layout, and what fills it.
type Block = (NonNull<u8>, Layout, u8);

/// A heap, and what it owes.
struct Model<H> {
    heap: H,
    /// The spans that were taken.
    regions: Vec<(usize, usize)>,
    live: BTreeMap<usize, Block>,
    numbers: BTreeMap<u32, usize>,
}

impl<H: ByteAllocator> Model<H> {
    /// Asks a heap without memory.
    fn demand_empty(&mut self) {
        let layout = Layout::new::<u64>();
        assert_eq!(self.heap.alloc(layout), Err(HeapError::NoMemory));
        assert_eq!((self.heap.total_bytes(), self.heap.used_bytes(), self.heap.available_bytes()), (0, 0, 0));
    }

    fn hand_over(&mut self, memory: &Memory, start: usize, end: usize, by_address: bool) {
        let before = (self.heap.total_bytes(), self.heap.used_bytes());
        let address = memory.0.addr().get() + start;
        let taken = if by_address {
            memory.0.as_ptr().expose_provenance();
            // SAFETY: the memory outlives the heap, and nothing else uses these bytes.
            #[allow(unsafe_code)]
            unsafe { self.heap.add_memory(address, end - start) }.is_ok()
        } else {
            self.heap.add_region(memory.region(start, end)).is_ok()
        };
        if !taken {
            assert_eq!((self.heap.total_bytes(), self.heap.used_bytes()), before, "an error changes nothing");
            return;
        }
        self.regions.push((address, address + (end - start)));
        if end - start > 64 {
            let again = memory.region(start + 8, end - 8);
            let rejected = self.heap.add_region(again).map_err(|rejected| rejected.error);
            assert_eq!(rejected, Err(HeapError::MemoryOverlap));
        }
    }

    fn step(&mut self, op: &Op) {
        match *op {
            Op::Allocate { id, size, align, .. } => {
                let Ok(layout) = Layout::from_size_align(size, align) else { return };
                if self.numbers.contains_key(&id) {
                    return;
                }
                match self.heap.alloc(layout) {
                    Ok(block) => self.accept(id, block, layout),
                    Err(error) if size == 0 => assert_eq!(error, HeapError::InvalidParam),
                    Err(error) => assert_eq!(error, HeapError::NoMemory),
                }
            }
            Op::Resize { id, size, thread } => self.resize(id, size, thread & 1 == 0),
            Op::Free { id, .. } => self.free(id),
        }
    }

    fn accept(&mut self, id: u32, block: NonNull<u8>, layout: Layout) {
        let (start, end) = (block.addr().get(), block.addr().get() + layout.size());
        assert_eq!(start % layout.align(), 0, "alignment");
        assert!(
            self.regions.iter().any(|(from, to)| (*from..*to).contains(&start)) && self.covered(start, end),
            "a block lies in what was handed over"
        );
        let below = self.live.range(..end).next_back();
        assert!(below.is_none_or(|(at, (_, other, _))| at + other.size() <= start), "blocks overlap");
        let fill = (id as u8).wrapping_mul(37).wrapping_add(layout.size() as u8);
        // SAFETY: the block is the model's, and as long as its layout.
        #[allow(unsafe_code)]
        unsafe {
            block.write_bytes(fill, layout.size());
        }
        self.live.insert(start, (block, layout, fill));
        self.numbers.insert(id, start);
    }

    /// Returns whether every byte of the span was handed over; spans that touch may have joined.
    fn covered(&self, start: usize, end: usize) -> bool {
        let mut at = start;
        for (from, to) in &self.regions {
            if (*from..*to).contains(&at) {
                at = *to;
            }
        }
        at >= end
    }

    fn forget(&mut self, id: u32) -> Option<Block> {
        self.live.remove(&self.numbers.remove(&id)?)
    }

    fn resize(&mut self, id: u32, size: usize, in_place: bool) {
        let Some((block, old, fill)) = self.forget(id) else { return self.refuse_foreign() };
        let Ok(new) = Layout::from_size_align(size, old.align()) else { return self.accept(id, block, old) };
        // SAFETY: the block is live, and what comes back takes its place.
        #[allow(unsafe_code)]
        let moved = unsafe {
            if in_place {
                self.heap.resize_in_place(block, old, new).then_some(block)
            } else {
                self.heap.realloc(block, old, new).ok()
            }
        };
        let (block, layout) = moved.map_or((block, old), |block| (block, new));
        assert_ne!(layout.size(), 0, "no block is empty");
        verify((block, layout, fill), old.size().min(layout.size()));
        self.accept(id, block, layout);
    }

    fn free(&mut self, id: u32) {
        let Some(block) = self.forget(id) else { return self.refuse_foreign() };
        let (pos, layout, _) = block;
        verify(block, layout.size());
        // SAFETY: the block is live, and forgotten by the model; no block begins inside of it.
        #[allow(unsafe_code)]
        unsafe {
            if id % 2 == 0 {
                return self.heap.dealloc(pos, layout);
            }
            if layout.size() > 1 {
                let inside = self.heap.dealloc_checked(pos.add(layout.size() / 2), Layout::new::<u8>());
                assert_eq!(inside, Err(HeapError::NotAllocated));
            }
            assert_eq!(self.heap.dealloc_checked(pos, layout), Ok(()));
            assert_eq!(self.heap.dealloc_checked(pos, layout), Err(HeapError::NotAllocated));
        }
    }

    /// Frees what the heap never had.
    fn refuse_foreign(&mut self) {
        let mut word = 0_u64;
        // SAFETY: the heap has no block there.
        #[allow(unsafe_code)]
        let freed =
            unsafe { self.heap.dealloc_checked(NonNull::from(&mut word).cast(), Layout::new::<u64>()) };
        assert_eq!(freed, Err(HeapError::NotAllocated));
    }

    fn check(&self) {
        let (used, total) = (self.heap.used_bytes(), self.heap.total_bytes());
        assert_eq!(used + self.heap.available_bytes(), total);
        assert!(self.live.values().map(|(_, layout, _)| layout.size()).sum::<usize>() <= used);
        for block in self.live.values() {
            verify(*block, block.1.size());
        }
        let (mut free, mut taken, mut starts) = (0, 0, Vec::new());
        self.heap.for_each_block(&mut |block| {
            if block.free {
                free += block.size;
            } else {
                taken += block.size;
                starts.push(block.address);
            }
        });
        assert_eq!(free, self.heap.available_bytes(), "the walk agrees with the figures");
        assert!(taken >= used);
        starts.sort_unstable();
        assert!(
            self.live.keys().all(|start| starts.binary_search(start).is_ok()),
            "the walk has every block"
        );
    }
}

/// Checks the first bytes of a block.
fn verify((pos, _, fill): Block, size: usize) {
    // SAFETY: the block is live, at least so long, and was filled.
    #[allow(unsafe_code)]
    let bytes = unsafe { std::slice::from_raw_parts(pos.as_ptr(), size) };
    // In pieces, which are compared by a call that is not instrumented byte by byte.
    let filled = [fill; 256];
    assert!(bytes.chunks(filled.len()).all(|piece| *piece == filled[..piece.len()]), "contents changed");
}

/// The memory that regions are cut from.
struct Memory(NonNull<u8>);

impl Memory {
    fn layout() -> Layout {
        NonZeroLayout::from_size_align(MEMORY, 4096).map_or(Layout::new::<u64>(), |layout| layout.to_layout())
    }

    fn new() -> Self {
        // SAFETY: the size is not zero.
        #[allow(unsafe_code)]
        let base = unsafe { alloc::alloc(Self::layout()) };
        Self(NonNull::new(base).unwrap_or_else(|| alloc::handle_alloc_error(Self::layout())))
    }

    /// Returns the bytes from `start` to `end`; the caller uses each only once.
    fn region(&self, start: usize, end: usize) -> Region {
        // SAFETY: the bytes are part of the memory, which outlives what is made of it.
        #[allow(unsafe_code)]
        unsafe {
            Region::from_raw(self.0.add(start), end - start)
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: this is the block of `new`.
        #[allow(unsafe_code)]
        unsafe {
            alloc::dealloc(self.0.as_ptr(), Self::layout());
        }
    }
}
