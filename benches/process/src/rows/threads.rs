//! Several threads: blocks that are freed where they were not allocated, and the same work on ever more threads.
//!
//! ```text
//!   pipeline   producer --batches--> consumer          a queue for each pair of threads
//!   xmalloc    producers --batches--> consumers        one queue, blocks of many sizes
//!   larson     set -> thread -> thread -> ..           each thread replaces blocks that its predecessor allocated
//!   growth     a set for each thread
//! ```
//!
//! # Design
//!
//! Queues block, so that waiting costs no processor time, and carry blocks in batches, so that what is measured is not the
//! queue. A batch starts its threads and ends them, which is a small part of it, and part of what an allocator has to do.
#![allow(unsafe_code)]

use std::alloc::dealloc;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use super::pairs::{block_of, layout_of};
use super::sets::{Set, mixed};
use super::{Batch, Row};
use crate::random::Random;

/// Blocks that travel together.
const CARGO: usize = 250;
/// How many cargoes wait in a queue.
const ROOM: usize = 16;
/// Cargoes of each producer in a batch.
const CARGOES: usize = 400;
/// Blocks that a thread replaces in a batch.
const REPLACED: usize = 100_000;

/// Returns the rows of this file.
pub(super) fn rows() -> Vec<Row> {
    let pairs = |id, pairs, make| Row {
        id,
        unit: "block",
        operations: pairs * CARGO * CARGOES,
        threads: 2 * pairs,
        make,
    };
    let sets = |id, threads, make| Row { id, unit: "pair", operations: threads * REPLACED, threads, make };
    vec![
        pairs("pipeline-1", 1, || pipelines(1)),
        pairs("pipeline-2", 2, || pipelines(2)),
        pairs("pipeline-4", 4, || pipelines(4)),
        pairs("xmalloc-1", 1, || shared(1)),
        pairs("xmalloc-2", 2, || shared(2)),
        pairs("xmalloc-4", 4, || shared(4)),
        sets("larson-1", 1, || handed_on(1)),
        sets("larson-2", 2, || handed_on(2)),
        sets("larson-4", 4, || handed_on(4)),
        sets("growth-1", 1, || each_its_own(1)),
        sets("growth-2", 2, || each_its_own(2)),
        sets("growth-4", 4, || each_its_own(4)),
        sets("growth-8", 8, || each_its_own(8)),
        sets("growth-16", 16, || each_its_own(16)),
    ]
}

/// Blocks on their way: addresses with sizes.
type Cargo = [(usize, u32); CARGO];

/// A queue of cargoes, with room for a few.
struct Queue {
    waiting: Mutex<Vec<Cargo>>,
    changed: Condvar,
}

impl Queue {
    fn new() -> Self {
        Self { waiting: Mutex::new(Vec::with_capacity(ROOM)), changed: Condvar::new() }
    }

    /// Puts a cargo in, after a wait if there is no room.
    fn send(&self, cargo: &Cargo) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |waiting: &mut Vec<Cargo>| waiting.len() == ROOM;
        let mut waiting = self.changed.wait_while(waiting, full).unwrap_or_else(PoisonError::into_inner);
        waiting.push(*cargo);
        self.changed.notify_all();
    }

    /// Takes a cargo out, after a wait if there is none.
    fn receive(&self) -> Cargo {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = |waiting: &mut Vec<Cargo>| waiting.is_empty();
        let mut waiting = self.changed.wait_while(waiting, empty).unwrap_or_else(PoisonError::into_inner);
        let cargo = waiting.swap_remove(0);
        self.changed.notify_all();
        cargo
    }
}

/// Allocates blocks and sends them.
fn produce(queue: &Queue, seed: u64, size: fn(&mut Random) -> usize) {
    let mut random = Random::new(seed);
    let mut cargo = [(0, 0); CARGO];
    for _ in 0..CARGOES {
        for place in &mut cargo {
            let size = size(&mut random);
            *place = (block_of(layout_of(size)).expose_provenance().get(), size as u32);
        }
        queue.send(&cargo);
    }
}

/// Receives blocks, looks at them and frees them.
fn consume(queue: &Queue) {
    for _ in 0..CARGOES {
        for (address, size) in queue.receive() {
            let block = core::ptr::with_exposed_provenance_mut::<u8>(address);
            // SAFETY: the block is live with this layout, was sent by its only user, and is not used afterwards.
            unsafe {
                assert!(block.read() == 1, "a block changed on its way");
                dealloc(block, layout_of(size as usize));
            }
        }
    }
}

/// Pairs of a thread that allocates blocks of 64 bytes and one that frees them.
fn pipelines(pairs: usize) -> Batch {
    let queues: Vec<Queue> = (0..pairs).map(|_| Queue::new()).collect();
    Box::new(move || {
        thread::scope(|scope| {
            for queue in &queues {
                scope.spawn(|| produce(queue, 1, |_| 64));
                scope.spawn(|| consume(queue));
            }
        });
    })
}

/// Threads that allocate and threads that free, all through one queue.
fn shared(pairs: usize) -> Batch {
    let queue = Queue::new();
    Box::new(move || {
        thread::scope(|scope| {
            for pair in 0..pairs {
                let queue = &queue;
                scope.spawn(move || produce(queue, pair as u64, mixed));
                scope.spawn(move || consume(queue));
            }
        });
    })
}

/// Sets that a thread takes over from the one before.
fn handed_on(threads: u64) -> Batch {
    let mut sets: Vec<Set> = (0..threads).map(|seed| Set::new(seed, 1000, REPLACED, mixed)).collect();
    Box::new(move || {
        thread::scope(|scope| sets.iter_mut().for_each(|set| drop(scope.spawn(|| set.replace()))));
        sets.rotate_left(1);
    })
}

/// A set for each thread, made and dropped by it.
fn each_its_own(threads: u64) -> Batch {
    Box::new(move || {
        thread::scope(|scope| {
            for seed in 0..threads {
                scope.spawn(move || Set::new(seed, 1000, REPLACED, mixed).replace());
            }
        });
    })
}
