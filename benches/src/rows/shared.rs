//! One arena for several threads: 32-byte values from one thread, and from two at once.
//!
//! In the row of two threads, one operation is one allocation of each: the time is from the moment both start to the
//! moment the later one is done. Contestants that give each thread memory of its own do another thing than one that
//! hands out the same memory to all; peers of that kind are shown and not compared.
//!
//! Both threads write their values, so false sharing between neighbours counts. The memory was written by either of them
//! in the batch before, so about half of its lines come from the other core's cache: several nanoseconds per value that
//! no arena avoids. Medians are compared, since the shortest sample is one in which the threads hardly overlapped.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::contestants::blink::{ProxyBlink, SyncBlink};
use crate::contestants::bumpalo::LockedBumpalo;
use crate::contestants::limit::LimitShared;
use crate::contestants::reference::ReferenceShared;
use crate::contestants::{PutWide, Shared, SharedBatch, Wide, ours};
use crate::harness::{Contestant, Row, Statistic, timed};
use crate::sink::keep;

/// Values per thread and batch: half of a second-level cache.
const COUNT: u64 = 8 * 1024;

/// Returns the rows of this file.
pub fn rows() -> Vec<Row> {
    let (one, two) = ("shared arena, 32 B, 1 thread", "shared arena, 32 B, 2 threads");
    let unit = "allocation";
    vec![
        Row {
            id: "shared-1",
            title: one,
            unit,
            operations: COUNT,
            goal: 0.40,
            statistic: Statistic::Minimum,
            contestants: one_thread,
        },
        Row {
            id: "shared-2",
            title: two,
            unit,
            operations: COUNT,
            goal: 0.10,
            statistic: Statistic::Median,
            contestants: two_threads,
        },
    ]
}

macro_rules! everyone {
    ($contestant:ident) => {
        vec![
            $contestant::<ours::SharedFixed>(),
            $contestant::<ReferenceShared>(),
            $contestant::<SyncBlink>(),
            $contestant::<ProxyBlink>(),
            $contestant::<LockedBumpalo>(),
            $contestant::<LimitShared>(),
        ]
    };
}

fn one_thread() -> Vec<Contestant> {
    everyone!(one)
}

fn two_threads() -> Vec<Contestant> {
    everyone!(two)
}

/// Returns the bytes that `threads` threads need.
fn room(threads: usize) -> usize {
    threads * COUNT as usize * size_of::<Wide>() + threads * 64 * 1024
}

fn one<S: Shared>() -> Contestant {
    let mut memory = S::with_capacity(room(1));
    let check = || check(&mut S::with_capacity(room(2)));
    Contestant::new(S::NAME, S::SIDE, check, move || {
        fill(&memory.open().handle());
        let arena = memory.open();
        let handle = arena.handle();
        timed(|| fill(&handle))
    })
}

fn two<S: Shared>() -> Contestant {
    let mut memory = S::with_capacity(room(2));
    let check = || check(&mut S::with_capacity(room(2)));
    Contestant::new(S::NAME, S::SIDE, check, move || {
        at_once(&memory.open());
        at_once(&memory.open())
    })
}

/// Fills the arena from two threads.
fn at_once(arena: &impl SharedBatch) -> Duration {
    together(|| {
        let handle = arena.handle();
        move || fill(&handle)
    })
}

/// Moves [`COUNT`] values in.
#[inline(never)]
fn fill(handle: &impl PutWide) {
    keep(handle);
    for value in 0..COUNT {
        keep(handle.put_wide([value; 4]));
    }
}

/// Calls `prepare` on two threads, then what it returned on both at once; returns the time until both are done.
fn together<W: FnOnce()>(prepare: impl Fn() -> W + Sync) -> Duration {
    let waiting = AtomicUsize::new(2);
    let run = || {
        let work = prepare();
        // AcqRel: pairs with the Acquire loads below, so that neither starts before both are ready.
        waiting.fetch_sub(1, Ordering::AcqRel);
        while waiting.load(Ordering::Acquire) > 0 {
            core::hint::spin_loop();
        }
        let start = Instant::now();
        work();
        (start, Instant::now())
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(run);
        let (start, end) = run();
        match other.join() {
            Ok((other_start, other_end)) => end.max(other_end) - start.min(other_start),
            Err(_) => Duration::MAX,
        }
    })
}

/// Returns an error unless the values of two threads keep their contents.
fn check<S: Shared>(memory: &mut S) -> Result<(), String> {
    let arena = memory.open();
    let values = |first: u64| {
        let handle = arena.handle();
        let blocks: Vec<_> = (first..first + 1000).map(|value| handle.put_wide([value; 4])).collect();
        blocks.iter().zip(first..).all(|(block, value)| **block == [value; 4])
    };
    let equal = std::thread::scope(|scope| {
        let other = scope.spawn(|| values(5_000));
        values(0) && other.join().unwrap_or(false)
    });
    if equal { Ok(()) } else { Err("a value was overwritten".to_string()) }
}
