#![allow(unsafe_code)]

use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::BTreeSet;
use std::thread;
use std::vec::Vec;

use forge_os::SimOs;

use super::*;

/// Puts addresses that are none: a depot never looks at the blocks.
fn put(depot: &Depot, batches: &Batches, os: SimOs, limit: usize, blocks: &[usize]) -> bool {
    // SAFETY: as many words as there are.
    unsafe { depot.put(batches, &os, limit, blocks.as_ptr(), blocks.len()) }
}

fn take(depot: &Depot, batches: &Batches) -> Vec<usize> {
    let mut out = [0; LARGEST_BATCH];
    // SAFETY: there is room for the largest batch.
    let count = unsafe { depot.take(batches, out.as_mut_ptr()) };
    out[..count].to_vec()
}

#[test]
fn the_batch_that_was_put_last_is_taken_first_and_whole() {
    let (os, batches, depot) = (SimOs::new(4 << 10), Batches::new(), Depot::new());
    let all: Vec<usize> = (1..=LARGEST_BATCH).collect();
    for count in 1..=LARGEST_BATCH {
        assert!(put(&depot, &batches, os, LARGEST_BATCH, &all[..count]));
        assert_eq!(depot.len(), count);
    }
    assert!(!put(&depot, &batches, os, LARGEST_BATCH, &all), "a full depot takes no more");
    for count in (1..=LARGEST_BATCH).rev() {
        assert_eq!(take(&depot, &batches), all[..count]);
    }
    assert!(take(&depot, &batches).is_empty());
    // A batch that was emptied carries the next blocks.
    let mapped = os.mapped_bytes();
    for round in 0..300 {
        assert!(put(&depot, &batches, os, 1, &[round + 1]));
        assert_eq!(take(&depot, &batches), [round + 1]);
    }
    assert_eq!(os.mapped_bytes(), mapped);
}

#[test]
fn without_memory_for_a_batch_nothing_is_taken_over() {
    let (os, batches, depot) = (SimOs::new(4 << 10), Batches::new(), Depot::new());
    os.limit_mapped_bytes(0);
    assert!(!put(&depot, &batches, os, 1, &[1, 2]));
    assert!(take(&depot, &batches).is_empty());
    os.limit_mapped_bytes(usize::MAX);
    assert!(put(&depot, &batches, os, 1, &[1, 2]));
    assert_eq!(take(&depot, &batches), [1, 2]);
}

#[test]
fn threads_lose_no_block_and_take_none_twice() {
    let (threads, rounds) = if cfg!(miri) { (2, 12) } else { (4, 20_000) };
    let (os, batches) = (SimOs::new(4 << 10), Batches::new());
    let depots = [Depot::new(), Depot::new()];
    let next = AtomicUsize::new(1);
    let taken: Vec<Vec<usize>> = thread::scope(|scope| {
        let (depots, batches, next) = (&depots, &batches, &next);
        let work = move |thread: usize| {
            let mut taken = Vec::new();
            for round in 0..rounds {
                let depot = &depots[(thread + round) % 2];
                let count = 1 + round % 5;
                // Relaxed: numbers only.
                let first = next.fetch_add(count, Ordering::Relaxed);
                let blocks: Vec<usize> = (first..first + count).collect();
                if !put(depot, batches, os, 8, &blocks) {
                    taken.extend(blocks);
                }
                taken.extend(take(&depots[round / 2 % 2], batches));
            }
            taken
        };
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut all: Vec<usize> = taken.concat();
    for depot in &depots {
        while depot.len() > 0 {
            all.extend(take(depot, &batches));
        }
    }
    let made = next.into_inner() - 1;
    assert_eq!(all.len(), made);
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), (1..=made).collect());
}
