//! What the paranoid allocator costs on this machine: time of a pair, mappings and memory of many live blocks.
//!
//! ```text
//! cargo run --release -p forge-malloc --example paranoid_cost
//! ```
//!
//! Times are the shortest of several runs, beside the allocator of the standard library in the same turns.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::time::Instant;

use forge_malloc::paranoid::ParanoidMalloc;

const HEAP: ParanoidMalloc = ParanoidMalloc::new();
/// Few, so that some turn is not interrupted.
const PAIRS: u32 = 200;
const TURNS: usize = 500;

/// Returns the nanoseconds of an allocation, a write to its first byte, and its free.
fn pair(of: &dyn GlobalAlloc, layout: Layout) -> u128 {
    let start = Instant::now();
    for _ in 0..PAIRS {
        // SAFETY: the size is not zero; a live block, freed once.
        unsafe {
            let block = black_box(of.alloc(layout));
            block.write_volatile(1);
            of.dealloc(block, layout);
        }
    }
    start.elapsed().as_nanos() / u128::from(PAIRS)
}

/// Returns the lines of a file of this process, and none where there is no such file.
fn lines(name: &str) -> Vec<String> {
    std::fs::read_to_string(format!("/proc/self/{name}"))
        .unwrap_or_default()
        .lines()
        .map(String::from)
        .collect()
}

/// Returns the kibibytes that the status of this process has under a name.
fn kibibytes(name: &str) -> u64 {
    let line = lines("status").into_iter().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

fn live(count: usize, size: usize) {
    let layout = Layout::from_size_align(size, 8).unwrap_or(Layout::new::<u64>());
    let measure = || (lines("maps").len(), kibibytes("VmRSS"), kibibytes("VmPTE"), kibibytes("VmSize"));
    let before = measure();
    let mut blocks = Vec::with_capacity(count);
    for _ in 0..count {
        // SAFETY: the size is not zero; the block is written within its size.
        unsafe {
            let block = HEAP.alloc(layout);
            if block.is_null() {
                break;
            }
            block.write_bytes(1, size);
            blocks.push(block);
        }
    }
    let with = measure();
    println!(
        "{} live blocks of {size} bytes: {} more mappings, {} KiB resident, {} KiB of page tables, {} MiB of addresses",
        blocks.len(),
        with.0 as isize - before.0 as isize,
        with.1 - before.1,
        with.2 - before.2,
        (with.3 - before.3) >> 10,
    );
    // SAFETY: live blocks, freed once.
    blocks.into_iter().for_each(|block| unsafe { HEAP.dealloc(block, layout) });
    let after = measure();
    println!(
        "  and freed: {} KiB resident, {} KiB of page tables more than before",
        after.1 as i64 - before.1 as i64,
        after.2 as i64 - before.2 as i64
    );
}

fn main() {
    live(100_000, 64);
    live(100_000, 4096);
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok());
    if let Some(count) = count {
        live(count, 64);
    }
    for (size, align) in [(64, 8), (4096, 8), (64 << 10, 8), (1 << 20, 8)] {
        let layout = Layout::from_size_align(size, align).unwrap_or(Layout::new::<u64>());
        let (mut paranoid, mut system) = (u128::MAX, u128::MAX);
        for _ in 0..TURNS {
            paranoid = paranoid.min(pair(&HEAP, layout));
            system = system.min(pair(&System, layout));
        }
        println!("a pair of {size} bytes: {paranoid} ns; system {system} ns");
    }
    println!("{:?}", ParanoidMalloc::stats());
}
