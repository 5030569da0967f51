//! Synthetic workloads: the patterns that allocators are known to be good or bad at, deterministic from a seed.
//!
//! | workload | what it does | whom it tries |
//! |---|---|---|
//! | [`churn`] | a full set of small blocks by a power law, one freed and one allocated in turn | size classes, free lists |
//! | [`lifo`] | a stack that rises and falls at random | bump and stack allocators, the best case |
//! | [`fifo`] | a queue of constant length | reuse order, coalescing |
//! | [`ramp`] | allocate everything, free everything, again | returning memory, first touch |
//! | [`mixed`] | allocate, zeroed, resize and free at random on several threads | everything a program does |
//! | [`aligned`] | alignments up to a page, and now and then a huge block | alignment padding, the large path |
//! | [`checkerboard`] | free every other block, then ask for a little more than the holes hold | fragmentation |
//! | [`vectors`] | many vectors that double until they are dropped | resizing in place |
//! | [`handoff`] | one thread allocates, another frees | remote frees |
//!
//! # Design
//!
//! Sizes follow a power law in whole octaves, because real traces do and because it needs no floating-point numbers,
//! whose rounding would make histories differ between platforms. The same parameters give the same trace for ever.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;

use crate::random::Random;
use crate::{Op, Trace};

/// What a workload looks like. Values that a workload cannot use are brought into its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Where the random numbers start.
    pub seed: u64,
    /// The number of operations, met exactly.
    pub operations: usize,
    /// About how many blocks are live at a time; at least 1.
    pub live_blocks: usize,
    /// The smallest size in bytes; at least 1.
    pub smallest: usize,
    /// The largest size in bytes, except where a workload says otherwise; at most 1 GiB.
    pub largest: usize,
    /// How many threads take part, where a workload has several; at least 1.
    pub threads: u16,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { seed: 1, operations: 100_000, live_blocks: 1000, smallest: 16, largest: 4096, threads: 4 }
    }
}

impl Parameters {
    /// Returns the default parameters with this seed and number of operations.
    #[must_use]
    pub fn new(seed: u64, operations: usize) -> Self {
        Self { seed, operations, ..Self::default() }
    }
}

/// A workload under its name, for tables and command lines.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// The name, one word in lower case.
    pub name: &'static str,
    /// What it does, in half a sentence.
    pub about: &'static str,
    /// Returns the trace.
    pub generate: fn(&Parameters) -> Trace,
}

/// Every workload.
pub const WORKLOADS: [Workload; 9] = [
    Workload { name: "churn", about: "a full set of small blocks, one replaced at a time", generate: churn },
    Workload { name: "lifo", about: "a stack that rises and falls", generate: lifo },
    Workload { name: "fifo", about: "a queue of constant length", generate: fifo },
    Workload { name: "ramp", about: "allocate everything, free everything, again", generate: ramp },
    Workload {
        name: "mixed",
        about: "allocate, zeroed, resize and free on several threads",
        generate: mixed,
    },
    Workload { name: "aligned", about: "alignments up to a page and rare huge blocks", generate: aligned },
    Workload { name: "checkerboard", about: "holes that are a little too small", generate: checkerboard },
    Workload { name: "vectors", about: "vectors that double until they are dropped", generate: vectors },
    Workload { name: "handoff", about: "one thread allocates, another frees", generate: handoff },
];

/// Returns the workload of that name. O(1).
#[must_use]
pub fn workload(name: &str) -> Option<&'static Workload> {
    WORKLOADS.iter().find(|workload| workload.name == name)
}

/// Returns a set of blocks that is kept full while random ones are replaced. O(operations).
#[must_use]
pub fn churn(parameters: &Parameters) -> Trace {
    let mut history = History::new(parameters);
    while history.unfinished() {
        if history.is_full() {
            let victim = history.any();
            history.free_unordered(victim, 0);
        } else {
            let size = history.size();
            history.allocate(size, 16, false, 0);
        }
    }
    history.named("churn")
}

/// Returns a stack of blocks that rises and falls at random. O(operations).
#[must_use]
pub fn lifo(parameters: &Parameters) -> Trace {
    let mut history = History::new(parameters);
    while history.unfinished() {
        let falls = history.random.percent(50);
        if history.live.is_empty() || !(falls || history.is_full()) {
            let size = history.size();
            history.allocate(size, 16, false, 0);
        } else {
            history.free_youngest(0);
        }
    }
    history.named("lifo")
}

/// Returns a queue of blocks, the oldest freed as soon as it is full. O(operations).
#[must_use]
pub fn fifo(parameters: &Parameters) -> Trace {
    let mut history = History::new(parameters);
    while history.unfinished() {
        if history.is_full() {
            history.free_oldest(0);
        } else {
            let size = history.size();
            history.allocate(size, 16, false, 0);
        }
    }
    history.named("fifo")
}

/// Returns rounds in which every block is allocated and then every block is freed, oldest first. O(operations).
#[must_use]
pub fn ramp(parameters: &Parameters) -> Trace {
    let mut history = History::new(parameters);
    while history.unfinished() {
        while history.unfinished() && !history.is_full() {
            let size = history.size();
            history.allocate(size, 16, false, 0);
        }
        while history.unfinished() && !history.live.is_empty() {
            history.free_oldest(0);
        }
    }
    history.named("ramp")
}

/// Returns a random mixture of everything, on several threads: 45 % allocations, a fifth of them zeroed, 15 % resizes,
/// and frees. O(operations).
#[must_use]
pub fn mixed(parameters: &Parameters) -> Trace {
    let mut history = History::new(parameters);
    while history.unfinished() {
        let thread = history.thread();
        let kind = history.random.below(100);
        let full = history.is_full();
        if history.live.is_empty() || (kind < 45 && !full) {
            let size = history.size();
            let zeroed = history.random.percent(20);
            history.allocate(size, 16, zeroed, thread);
        } else if kind < 60 {
            let size = history.size();
            let victim = history.any();
            history.resize(victim, size, thread);
        } else {
            let victim = history.any();
            history.free_unordered(victim, thread);
        }
    }
    history.named("mixed")
}

/// Returns churn over alignments from 8 bytes to a page; one allocation in 500 has up to 4 MiB. O(operations).
#[must_use]
pub fn aligned(parameters: &Parameters) -> Trace {
    const LARGEST_ALIGN_LOG2: u64 = 12;
    const HUGE: usize = 4 << 20;
    let mut history = History::new(parameters);
    while history.unfinished() {
        if history.is_full() {
            let victim = history.any();
            history.free_unordered(victim, 0);
        } else {
            let align = 1 << (3 + history.random.below(LARGEST_ALIGN_LOG2 - 2));
            let size = if history.random.below(500) == 0 {
                history.random.between(HUGE / 8, HUGE)
            } else {
                history.size()
            };
            history.allocate(size, align, false, 0);
        }
    }
    history.named("aligned")
}

/// Returns rounds that fill the heap with blocks of one size, free every other one, and then ask for blocks a little
/// larger than the holes; each round's size is an eighth above the one before. O(operations).
#[must_use]
pub fn checkerboard(parameters: &Parameters) -> Trace {
    let mut history = History::new(parameters);
    let mut size = history.smallest;
    while history.unfinished() {
        while history.unfinished() && !history.is_full() {
            history.allocate(size, 16, false, 0);
        }
        history.free_every_other(0);
        size = size + size / 8 + 1;
        if size > history.largest {
            size = history.smallest;
            while history.unfinished() && !history.live.is_empty() {
                history.free_oldest(0);
            }
        }
    }
    history.named("checkerboard")
}

/// Returns vectors that start small, double at random moments, and are dropped once they pass 64 times the largest
/// size. O(operations).
#[must_use]
pub fn vectors(parameters: &Parameters) -> Trace {
    let mut history = History::new(parameters);
    let limit = history.largest.saturating_mul(64).min(LARGEST);
    // The sizes of the live blocks, at the same places.
    let mut sizes: VecDeque<usize> = VecDeque::new();
    while history.unfinished() {
        if !history.is_full() {
            let size = history.size();
            history.allocate(size, 16, false, 0);
            sizes.push_back(size);
            continue;
        }
        let at = history.any();
        let doubled = sizes.get(at).map_or(limit, |size| size * 2);
        if doubled >= limit || history.random.percent(5) {
            history.free_unordered(at, 0);
            sizes.swap_remove_back(at);
        } else {
            history.resize(at, doubled, 0);
            if let Some(size) = sizes.get_mut(at) {
                *size = doubled;
            }
        }
    }
    history.named("vectors")
}

/// Returns a queue that is filled by thread 0 and emptied by the other threads. O(operations).
#[must_use]
pub fn handoff(parameters: &Parameters) -> Trace {
    let mut history = History::new(parameters);
    while history.unfinished() {
        if history.is_full() {
            let others = u64::from(history.threads.max(2) - 1);
            let thread = 1 + history.random.below(others) as u16;
            history.free_oldest(thread);
        } else {
            let size = history.size();
            history.allocate(size, 16, false, 0);
        }
    }
    history.named("handoff")
}

/// The largest size in bytes that a workload asks for.
const LARGEST: usize = 1 << 30;

/// A history under construction: always valid, because blocks are reached through the list of the live ones.
struct History {
    random: Random,
    seed: u64,
    operations: usize,
    live_blocks: usize,
    smallest: usize,
    largest: usize,
    threads: u16,
    ops: Vec<Op>,
    /// The live blocks, oldest first unless blocks are freed out of order.
    live: VecDeque<u32>,
    next: u32,
}

impl History {
    fn new(parameters: &Parameters) -> Self {
        let smallest = parameters.smallest.clamp(1, LARGEST);
        // A block number has 32 bits.
        let operations = parameters.operations.min(u32::MAX as usize);
        Self {
            random: Random::new(parameters.seed),
            seed: parameters.seed,
            operations,
            live_blocks: parameters.live_blocks.max(1),
            smallest,
            largest: parameters.largest.clamp(smallest, LARGEST),
            threads: parameters.threads.max(1),
            ops: Vec::with_capacity(operations),
            live: VecDeque::new(),
            next: 0,
        }
    }

    fn named(self, name: &str) -> Trace {
        Trace::from_valid(format!("{name} (seed {})", self.seed), self.ops, self.next as usize)
    }

    fn unfinished(&self) -> bool {
        self.ops.len() < self.operations
    }

    fn is_full(&self) -> bool {
        self.live.len() >= self.live_blocks
    }

    fn size(&mut self) -> usize {
        self.random.power_law(self.smallest, self.largest)
    }

    fn thread(&mut self) -> u16 {
        self.random.below(u64::from(self.threads)) as u16
    }

    /// Returns the place of a random live block.
    fn any(&mut self) -> usize {
        self.random.index(self.live.len())
    }

    fn allocate(&mut self, size: usize, align: usize, zeroed: bool, thread: u16) {
        let id = self.next;
        self.next += 1;
        self.live.push_back(id);
        self.ops.push(Op::Allocate { id, size, align, zeroed, thread });
    }

    fn resize(&mut self, at: usize, size: usize, thread: u16) {
        if let Some(&id) = self.live.get(at) {
            self.ops.push(Op::Resize { id, size, thread });
        }
    }

    /// Frees the live block at place `at`, which the youngest one takes. O(1).
    fn free_unordered(&mut self, at: usize, thread: u16) {
        let freed = self.live.swap_remove_back(at);
        self.record_free(freed, thread);
    }

    /// Frees the oldest live block. O(1).
    fn free_oldest(&mut self, thread: u16) {
        let freed = self.live.pop_front();
        self.record_free(freed, thread);
    }

    /// Frees the youngest live block. O(1).
    fn free_youngest(&mut self, thread: u16) {
        let freed = self.live.pop_back();
        self.record_free(freed, thread);
    }

    /// Frees every other live block, from the first or the second on. O(live blocks).
    fn free_every_other(&mut self, thread: u16) {
        let blocks = core::mem::take(&mut self.live);
        let freed = self.random.index(2);
        for (place, id) in blocks.into_iter().enumerate() {
            if place % 2 == freed && self.unfinished() {
                self.record_free(Some(id), thread);
            } else {
                self.live.push_back(id);
            }
        }
    }

    fn record_free(&mut self, id: Option<u32>, thread: u16) {
        self.ops.extend(id.map(|id| Op::Free { id, thread }));
    }
}

// Safe code that makes many small steps: the interpreter would find nothing and take minutes.
#[cfg(all(test, not(miri)))]
mod tests;
