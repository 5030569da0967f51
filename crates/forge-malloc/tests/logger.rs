//! A program with the teaching allocator and a logger that allocates, also while it holds a lock of its own.
#![cfg(feature = "log")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use forge_malloc::basic::UnixAllocator;
use forge_malloc::basic::trace::Unlogged;
use log::{LevelFilter, Log, Metadata, Record};

#[global_allocator]
static ALLOCATOR: UnixAllocator = UnixAllocator::new();

/// Keeps what it is told.
struct Notebook(Mutex<Vec<String>>);

static NOTEBOOK: Unlogged<Notebook> = Unlogged(Notebook(Mutex::new(Vec::new())));

impl Log for Notebook {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let mut lines = self.0.lock().unwrap();
        lines.push(record.args().to_string());
    }

    fn flush(&self) {}
}

#[test]
fn a_logger_that_allocates_hears_of_splits_merges_and_growth_and_waits_for_nobody() {
    static DONE: AtomicBool = AtomicBool::new(false);

    std::thread::spawn(|| {
        std::thread::sleep(Duration::from_secs(60));
        if !DONE.load(Relaxed) {
            // A message would need the allocator.
            std::process::abort();
        }
    });
    log::set_logger(&NOTEBOOK).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let sums: Vec<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|thread| scope.spawn(move || (0..50).map(|size| vec![1_u8; 40 * size + thread].len()).sum()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    drop(vec![1_u8; 4 << 20]);
    log::set_max_level(LevelFilter::Off);
    DONE.store(true, Relaxed);
    assert_eq!(sums, [49_000, 49_050, 49_100]);
    let lines = NOTEBOOK.0.0.lock().unwrap();
    for word in ["splitting", "merged", "grew"] {
        assert!(lines.iter().any(|line| line.contains(word)), "no message says {word}");
    }
    assert!(ALLOCATOR.validate());
}
