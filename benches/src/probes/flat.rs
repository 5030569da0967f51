//! What the worst call of `Tlsf` costs, in small heaps and large ones, among few blocks and many.
//!
//! ```text
//!   memory   | live | hole | live | hole | ..    | run | e | a | b | c | d |        the rest is the wilderness
//!                                                  free b where a and c are free: two runs leave the index, one enters
//!              64 B   64 B                         take a block at an alignment of 4 KiB from a run in front of e: it leaves, two enter
//!                                                  grow a to half of b where that is free: a run leaves, one enters
//! ```
//!
//! # Design
//!
//! Constant time is a statement about the worst call, so it is the worst calls that are counted, one at a time between calls
//! that are not: a free between two free runs, in classes of several lengths each, a block cut out of the middle of a run,
//! which no first look finds, and a block that grows into the run behind it and leaves the rest of it in another class. The counts of all heaps are the same number, which the gate compares: of 1 MiB and 16 GiB, and
//! with 10 and 1,000,000 live blocks, each beside a hole.
//!
//! Memory that is mapped and not touched costs nothing, so the heap of 16 GiB needs the pages of its map of marks only.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::hint::black_box;
use core::ptr::NonNull;

use forge_alloc::{Allocator, ByteAllocator, MmapBacked, NonZeroLayout, Region, TlsfByteAllocator};

use super::{OPERATIONS, Probe, counted, probe};
use crate::contestants::heaps::layout_of;
use crate::harness::Side;
use crate::sink::exhausted;

/// What is done by the probes of a free.
const FREE: &str = "worst free";
/// What is done by the probes of a request.
const ALLOC: &str = "worst request";
/// What is done by the probes of a resize.
const RESIZE: &str = "worst resize";

/// Returns the probes of this file.
pub(super) fn probes() -> Vec<Probe> {
    let all = |who, free, alloc, resize| {
        [(FREE, free), (ALLOC, alloc), (RESIZE, resize)].map(|(what, run)| probe(what, who, Side::Ours, run))
    };
    [
        all("ours: Tlsf, 1 MiB, 10 live", frees::<20, 10> as fn(), requests::<20, 10>, resizes::<20, 10>),
        all("ours: Tlsf, 16 GiB, 10 live", frees::<34, 10> as fn(), requests::<34, 10>, resizes::<34, 10>),
        all(
            "ours: Tlsf, 16 GiB, 1,000,000 live",
            frees::<34, 1_000_000> as fn(),
            requests::<34, 1_000_000>,
            resizes::<34, 1_000_000>,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A heap of `1 << LOG` bytes with `LIVE` live blocks, each beside a hole.
struct Filled {
    heap: TlsfByteAllocator,
    // Unmapped after the heap is gone.
    _memory: MmapBacked,
}

impl Filled {
    fn new(bytes: usize, live: usize) -> Self {
        let memory = MmapBacked::new_lazy(bytes).unwrap_or_else(|_| exhausted());
        let whole = NonZeroLayout::from_size_align(bytes, 4096).unwrap_or_else(|_| exhausted());
        let block: NonNull<u8> = memory.allocate(whole).unwrap_or_else(|_| exhausted()).cast();
        let mut heap = TlsfByteAllocator::new();
        // SAFETY: the block is the heap's alone, and lives as long as it.
        let region = unsafe { Region::from_raw(block, bytes) };
        if heap.add_region(region).is_err() {
            exhausted();
        }
        let blocks: Vec<_> = (0..2 * live).map(|_| take(&mut heap, SMALL)).collect();
        for block in blocks.into_iter().skip(1).step_by(2) {
            // SAFETY: the block is live with this layout, and not used afterwards.
            unsafe { heap.dealloc(block, SMALL) };
        }
        Self { heap, _memory: memory }
    }
}

/// The layout of the blocks that are live all the time.
const SMALL: Layout = layout_of(64, 8);
/// The layout of the blocks beside one another.
const LARGE: Layout = layout_of(2000, 8);
/// The layout of a block that took half of the one behind it.
const GROWN: Layout = layout_of(3000, 8);
/// The layout of the run that an aligned block is cut out of.
const ROOM: Layout = layout_of(12_000, 8);
/// The layout that no first look finds room for.
const ALIGNED: Layout = layout_of(2000, 4096);

/// Takes a block, or ends the process.
fn take(heap: &mut TlsfByteAllocator, layout: Layout) -> NonNull<u8> {
    heap.alloc(layout).unwrap_or_else(|_| exhausted())
}

/// Frees a block between two free runs.
fn frees<const LOG: u32, const LIVE: usize>() {
    let mut filled = Filled::new(1 << LOG, LIVE);
    let heap = &mut filled.heap;
    for _ in 0..OPERATIONS {
        let [a, b, c, d] = [(); 4].map(|()| take(heap, LARGE));
        let [before, middle, behind] = sorted([a, b, c]);
        // SAFETY: the blocks are live with this layout, and not used afterwards.
        unsafe {
            heap.dealloc(before, LARGE);
            heap.dealloc(behind, LARGE);
            counted(|| heap.dealloc(black_box(middle), LARGE));
            heap.dealloc(d, LARGE);
        }
    }
}

/// Returns the blocks by address.
fn sorted(mut blocks: [NonNull<u8>; 3]) -> [NonNull<u8>; 3] {
    blocks.sort_unstable();
    blocks
}

/// Takes a block from the middle of a run.
fn requests<const LOG: u32, const LIVE: usize>() {
    let mut filled = Filled::new(1 << LOG, LIVE);
    let heap = &mut filled.heap;
    let (room, behind) = (take(heap, ROOM), take(heap, LARGE));
    // SAFETY: the block is live with this layout, and not used afterwards.
    unsafe { heap.dealloc(room, ROOM) };
    for _ in 0..OPERATIONS {
        let mut block = None;
        counted(|| block = heap.alloc(black_box(ALIGNED)).ok());
        let block = block.filter(|block| *block < behind).unwrap_or_else(|| exhausted());
        // SAFETY: the block is live with this layout, and not used afterwards.
        unsafe { heap.dealloc(block, ALIGNED) };
    }
}

/// Grows a block into the middle of the run behind it.
fn resizes<const LOG: u32, const LIVE: usize>() {
    let mut filled = Filled::new(1 << LOG, LIVE);
    let heap = &mut filled.heap;
    for _ in 0..OPERATIONS {
        let [a, b, c] = [(); 3].map(|()| take(heap, LARGE));
        let [first, middle, last] = sorted([a, b, c]);
        let mut grown = false;
        // SAFETY: the blocks are live with these layouts, and not used after they are freed.
        unsafe {
            heap.dealloc(middle, LARGE);
            counted(|| grown = heap.resize_in_place(black_box(first), LARGE, GROWN));
            heap.dealloc(first, if grown { GROWN } else { exhausted() });
            heap.dealloc(last, LARGE);
        }
    }
}
