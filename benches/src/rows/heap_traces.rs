//! Heaps over one region: histories of real programs.
//!
//! ```text
//!   trace-NAME          the recorded calls of a program, over 64 MiB, in time
//!   trace-NAME-region   the least region in which they run through, per byte that was live at most
//! ```
//!
//! # Design
//!
//! The traces are those that come with the laboratory; one more, of a Python program, is replayed if the directory that holds
//! all of them is named by the variable `FORGE_TRACES`. Threads of a trace follow one another, as it was recorded. Each block's
//! first byte is written. Blocks that are live at the end are given back outside of the time.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;
use std::path::{Path, PathBuf};

use forge_trace::{Op, Trace};

use crate::contestants::heaps::{
    Buddy, BuddySystem, Dlmalloc, GoodMemory, Heap, Region, Rlsf, SeedSlab, SlabHeap, Talc, Tlsf, layout_of,
};
use crate::harness::{Contestant, FIGURE_PARTS, Row, Statistic, figure, timed};
use crate::rows::heap_memory::least_region;
use crate::rows::heaps::{check, each_heap};
use crate::sink::{exhausted, touch};

/// The size of the region in bytes, which holds every trace.
const REGION: usize = 64 << 20;

/// Returns the rows of this file.
pub fn rows() -> Vec<Row> {
    let time = |id, title, operations, contestants| {
        let (unit, goal, statistic) = ("event", 0.90, Statistic::Minimum);
        Row { id, title, unit, operations, goal, statistic, contestants }
    };
    let memory = |id, title, contestants| Row {
        id,
        title,
        unit: "Bytes of the region per byte that was live at most",
        operations: FIGURE_PARTS,
        goal: 0.95,
        statistic: Statistic::Figure,
        contestants,
    };
    let mut rows = vec![
        time("trace-sqlite", "heap, trace of sqlite", 400_316, times::<SQLITE>),
        memory("trace-sqlite-region", "heap, least region of sqlite", regions::<SQLITE>),
        time("trace-jq", "heap, trace of jq", 241_490, times::<JQ>),
        memory("trace-jq-region", "heap, least region of jq", regions::<JQ>),
        time("trace-perl", "heap, trace of perl", 101_300, times::<PERL>),
        memory("trace-perl-region", "heap, least region of perl", regions::<PERL>),
    ];
    if path(PYTHON).exists() {
        rows.push(time("trace-python", "heap, trace of python", 848_155, times::<PYTHON>));
        rows.push(memory("trace-python-region", "heap, least region of python", regions::<PYTHON>));
    }
    rows
}

/// The files of the traces, by number: a parameter of the functions that make contestants.
const FILES: [&str; 4] = ["sqlite.trace.zst", "jq.trace.zst", "perl.trace.zst", "python.trace.zst"];
const SQLITE: usize = 0;
const JQ: usize = 1;
const PERL: usize = 2;
const PYTHON: usize = 3;

/// Returns where a trace is.
fn path(number: usize) -> PathBuf {
    let with_the_laboratory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/forge-lab/traces");
    let named = std::env::var_os("FORGE_TRACES").map(PathBuf::from);
    let found = named.map(|named| named.join(FILES[number])).filter(|path| path.exists());
    found.unwrap_or_else(|| with_the_laboratory.join(FILES[number]))
}

fn times<const NUMBER: usize>() -> Vec<Contestant> {
    each_heap!(
        replayed,
        (NUMBER),
        Tlsf,
        SlabHeap,
        Buddy,
        Rlsf,
        Talc,
        GoodMemory,
        Dlmalloc,
        BuddySystem,
        SeedSlab
    )
}

fn regions<const NUMBER: usize>() -> Vec<Contestant> {
    each_heap!(least, (NUMBER), Tlsf, SlabHeap, Buddy, Rlsf, Talc, GoodMemory, Dlmalloc, BuddySystem)
}

/// A call in the form in which it is replayed: the number of the block and its new layout, of size 0 for a free.
#[derive(Clone, Copy)]
struct Call {
    block: u32,
    size: u32,
    align: u32,
}

/// A trace that was read.
struct History {
    calls: Vec<Call>,
    blocks: Vec<Option<(NonNull<u8>, Layout)>>,
    peak: usize,
}

impl History {
    fn read(number: usize) -> Self {
        let trace = Trace::read(&path(number)).unwrap_or_else(|error| panic!("{error}"));
        let stats = trace.stats();
        let calls = trace.ops().iter().map(|op| match *op {
            Op::Allocate { id, size, align, .. } => {
                Call { block: id, size: size.max(1) as u32, align: align as u32 }
            }
            Op::Resize { id, size, .. } => Call { block: id, size: size.max(1) as u32, align: 0 },
            Op::Free { id, .. } => Call { block: id, size: 0, align: 0 },
        });
        Self {
            calls: calls.collect(),
            blocks: vec![None; trace.blocks()],
            peak: stats.peak_live_bytes as usize,
        }
    }

    /// Does all calls, and returns whether none was refused.
    #[inline(never)]
    fn replay<H: Heap>(&mut self, heap: &mut H) -> bool {
        for call in &self.calls {
            let place = &mut self.blocks[call.block as usize];
            // SAFETY: what the table has is live with its layout; a size is never zero, and a block has at least one byte.
            let served = unsafe {
                match *place {
                    None => {
                        let layout = layout_of(call.size as usize, call.align as usize);
                        *place = heap.alloc(layout).map(|block| (block, layout));
                        place.is_some()
                    }
                    Some((block, layout)) if call.size == 0 => {
                        heap.dealloc(block, layout);
                        *place = None;
                        continue;
                    }
                    Some((block, layout)) => match heap.realloc(block, layout, call.size as usize) {
                        Some(block) => {
                            *place = Some((block, layout_of(call.size as usize, layout.align())));
                            true
                        }
                        None => false,
                    },
                }
            };
            match *place {
                // SAFETY: the block is live.
                Some((block, _)) if served => unsafe { touch(block, 1) },
                _ => return false,
            }
        }
        true
    }

    /// Gives back what is live.
    fn end<H: Heap>(&mut self, heap: &mut H) {
        for (block, layout) in self.blocks.iter_mut().filter_map(Option::take) {
            // SAFETY: what the table has is live with its layout.
            unsafe { heap.dealloc(block, layout) };
        }
    }
}

fn replayed<H: Heap>(number: usize) -> Contestant {
    let mut state = None;
    Contestant::new(H::NAME, H::SIDE, check::<H>, move || {
        let (heap, history, _) = state.get_or_insert_with(|| {
            let region = Region::new(REGION);
            // SAFETY: the region is dropped after the heap, and serves no other.
            let heap = unsafe { region.heap::<H>(REGION) }.unwrap_or_else(|| exhausted());
            (Box::new(heap), History::read(number), region)
        });
        let mut whole = false;
        let time = timed(|| whole = history.replay(&mut **heap));
        assert!(whole, "{} does not hold the trace", H::NAME);
        history.end(&mut **heap);
        time
    })
}

fn least<H: Heap>(number: usize) -> Contestant {
    Contestant::new(H::NAME, H::SIDE, check::<H>, move || {
        let mut history = History::read(number);
        let peak = history.peak;
        let bytes = least_region(peak, |region, bytes| {
            history.blocks.fill(None);
            // SAFETY: the region outlives this call, and a heap over it serves no other.
            unsafe { region.heap::<H>(bytes) }.is_some_and(|mut heap| history.replay(&mut heap))
        });
        figure(bytes as f64 / peak as f64)
    })
}
