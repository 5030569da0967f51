//! Frees from two to eight threads at once, with every block stamped, for as long as the caller has time.
//!
//! Runs for about a second; `FORGE_STRESS_SECONDS` sets another length. Under ThreadSanitizer it also looks for data races.
//!
//! Each block carries the stamp of the hand-over that it is in: the round, and which thread it is for. The owner writes the
//! stamp, the freeing thread checks it, so a slot that is issued twice is seen by whoever has it second. At the end every
//! slot can be taken exactly once.
#![cfg(all(feature = "std", target_has_atomic = "64", not(loom), not(miri)))]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::env;
use std::ptr::NonNull;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use forge_alloc::{
    Allocator, BatchPolicy, BumpArena, Deallocator, HeapBytes, NonZeroLayout, SlabOwner, SlabRemote,
};
use forge_trace::random::Random;

type Value = [u64; 6];
type Heap = BumpArena<HeapBytes>;

/// The policies of the rounds: batches of one, small ones, the default, one that never is due, and the changing one.
const POLICIES: [BatchPolicy; 5] = [
    BatchPolicy::Fixed(1),
    BatchPolicy::Fixed(7),
    BatchPolicy::Fixed(64),
    BatchPolicy::Fixed(usize::MAX),
    BatchPolicy::Adaptive,
];

/// A block on its way to the thread that frees it, with the stamp that it must bear.
struct Message {
    block: NonNull<u8>,
    stamp: u64,
}

// SAFETY: whoever has the message has the block.
unsafe impl Send for Message {}

fn layout() -> NonZeroLayout {
    NonZeroLayout::for_type::<Value>().unwrap()
}

fn stamp(block: NonNull<u8>, stamp: u64) {
    // SAFETY: the callers own the block, which has room for a value.
    unsafe { block.cast::<Value>().write([stamp, !stamp, stamp, !stamp, stamp, !stamp]) };
}

fn assert_stamp(block: NonNull<u8>, stamp: u64) {
    // SAFETY: the callers own the block, which holds a value.
    let value = unsafe { block.cast::<Value>().read() };
    assert_eq!(value, [stamp, !stamp, stamp, !stamp, stamp, !stamp], "a live block was overwritten");
}

/// Checks and frees what it receives, in bursts; some through `try_deallocate`.
fn free_all(receiver: &Receiver<Message>, remote: &SlabRemote<Value, Heap>, seed: u64) {
    let (mut random, mut kept) = (Random::new(seed), Vec::new());
    let mut burst = 1;
    for message in receiver {
        kept.push(message);
        if kept.len() < burst {
            continue;
        }
        burst = 1 + random.index(48);
        for Message { block, stamp: expected } in kept.drain(..) {
            assert_stamp(block, expected);
            stamp(block, u64::MAX);
            // SAFETY: the block is ours and live; what is handed back still is.
            unsafe {
                if random.percent(90) || remote.try_deallocate(block, layout()).is_err() {
                    remote.deallocate(block, layout());
                }
            }
        }
    }
    // SAFETY: as above.
    kept.iter().for_each(|message| unsafe { remote.deallocate(message.block, layout()) });
}

/// One slab, `threads` freeing threads, until `end`.
fn run(threads: usize, policy: BatchPolicy, seed: u64, end: Instant) {
    let capacity = 64 + threads * 128;
    let backing = BumpArena::new(HeapBytes::with_align(capacity * size_of::<Value>(), 16).unwrap()).unwrap();
    let owner = SlabOwner::<Value, _>::with_batch_policy(capacity, backing, policy, 256).unwrap();
    thread::scope(|scope| {
        let start = |number: usize| -> SyncSender<Message> {
            let (sender, receiver) = sync_channel(64);
            let remote = owner.remote();
            scope.spawn(move || free_all(&receiver, &remote, seed + number as u64));
            sender
        };
        let mut senders: Vec<_> = (0..threads).map(start).collect();
        let (mut random, mut round) = (Random::new(seed), 0_u64);
        while round % 256 != 0 || Instant::now() < end {
            round += 1;
            if round % 8192 == 0 {
                // A thread ends with frees in flight, and another takes its place and perhaps its lane.
                let place = random.index(threads);
                senders[place] = start(threads + round as usize);
            }
            let Ok(block) = owner.allocate(layout()) else {
                thread::yield_now();
                continue;
            };
            let block = block.cast::<u8>();
            stamp(block, round);
            let message = Message { block, stamp: round };
            match senders[random.index(threads)].try_send(message) {
                Ok(()) => {}
                Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) => {
                    assert_stamp(message.block, round);
                    // SAFETY: the block came back, and is the owner's to free.
                    unsafe { owner.deallocate(message.block, layout()) };
                }
            }
        }
    });
    assert_eq!(owner.corruption_events(), 0);
    assert!(owner.is_empty(), "a free is lost");
    let blocks: BTreeSet<_> =
        std::iter::from_fn(|| owner.allocate(layout()).ok()).map(NonNull::cast::<u8>).collect();
    assert_eq!(blocks.len(), capacity, "a slot is lost, or issued twice");
}

#[test]
fn nothing_is_lost_and_nothing_is_issued_twice() {
    let seconds = env::var("FORGE_STRESS_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1.0);
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let part = Duration::from_secs_f64(seconds / (7 * POLICIES.len()) as f64);
    for threads in 2..=8 {
        for (seed, policy) in POLICIES.into_iter().enumerate() {
            run(threads, policy, seed as u64, (Instant::now() + part).min(end));
        }
    }
}
