//! Models of the shipped locks: every interleaving of a few threads, with the orderings of the memory model.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p forge-alloc-core --test loom`.
#![cfg(loom)]
#![allow(unsafe_code)]

use forge_alloc_core::sync::cell::UnsafeCell;
use forge_alloc_core::sync::{RawLock, SpinLock};
use loom::sync::Arc;
use loom::thread;

struct Guarded {
    lock: SpinLock,
    value: UnsafeCell<[usize; 2]>,
}

// SAFETY: every access to the value holds the lock.
unsafe impl Sync for Guarded {}
// SAFETY: the value is plain data.
unsafe impl Send for Guarded {}

impl Guarded {
    fn new() -> Arc<Self> {
        Arc::new(Self { lock: SpinLock::new(), value: UnsafeCell::new([0; 2]) })
    }

    /// Adds one to both halves; the caller holds the lock. The cell reports any access that is not ordered.
    fn add(&self) {
        self.value.with_mut(|value| {
            // SAFETY: the lock is held.
            let value = unsafe { &mut *value };
            assert_eq!(value[0], value[1], "two threads were inside at once");
            value[0] += 1;
            value[1] += 1;
        });
    }

    fn sum(&self) -> usize {
        // SAFETY: the callers hold the lock.
        self.value.with(|value| unsafe { (*value)[0] })
    }
}

#[test]
fn spin_lock_excludes_two_threads_and_hands_the_data_over() {
    loom::model(|| {
        let shared = Guarded::new();
        let other = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let _held = shared.lock.guard();
                shared.add();
            }
        });
        {
            let _held = shared.lock.guard();
            shared.add();
        }
        other.join().unwrap();
        let _held = shared.lock.guard();
        assert_eq!(shared.sum(), 2);
    });
}

#[test]
fn try_lock_never_lets_a_second_thread_in() {
    loom::model(|| {
        let shared = Guarded::new();
        let others: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    let held = shared.lock.try_guard();
                    if held.is_some() {
                        shared.add();
                    }
                    usize::from(held.is_some())
                })
            })
            .collect();
        let entered: usize = others.into_iter().map(|other| other.join().unwrap()).sum();
        assert!((1..=2).contains(&entered));
        let _held = shared.lock.guard();
        assert_eq!(shared.sum(), entered);
    });
}

#[test]
fn what_is_written_before_unlock_is_seen_after_lock() {
    loom::model(|| {
        let shared = Guarded::new();
        let writer = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let _held = shared.lock.guard();
                shared.add();
            }
        });
        let seen = {
            let _held = shared.lock.guard();
            shared.sum()
        };
        assert!(seen <= 1);
        writer.join().unwrap();
    });
}
