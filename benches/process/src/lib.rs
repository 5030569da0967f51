//! Process allocators beside their peers: the same workloads, in one process for each.
//!
//! ```text
//!   processes                    the runner: builds contestants, starts them in turn, prints the tables
//!      |  with-forge ROW         a contestant: `#[global_allocator]` and this library, nothing else
//!      |  with-mimalloc3 ROW
//!      v  ..
//!   rows/      one file per kind of workload: the loop, whose operations are counted
//!   meter      the processor time of the process, and its peak of resident memory
//!   floor      the hand-written minimum
//!   samples    what a contestant says, and what is said about all of them
//!   comparison what both runners do
//!   roster     who takes part, and what it takes to build them
//!   objects    the other runner: the same workloads under the system's malloc, and programs of the machine, each with the shared object of an
//!              allocator preloaded; programs and preloads say which
//! ```
//!
//! # Commands
//!
//! - `cargo run --release -p forge-processes --bin processes` builds every contestant, measures every row and prints the tables;
//!   `--row ID` and `--with NAME` choose, `--rounds N` repeats, `--no-build` takes what was built before;
//! - `cargo run --release -p forge-processes --bin objects` does as much with shared objects: ours, and those of the machine;
//! - `cargo run --release -p forge-processes --features instructions --bin counts` counts the instructions of an operation of those
//!   that were built, under callgrind;
//! - `target/release/with-forge ROW` runs one row once, under whatever profiler is put in front of it.
//!
//! # Design
//!
//! An allocator of a process is global: two in one process disturb each other, and their order in a binary decides what is inlined.
//! So each contestant is a program that consists of a declaration and of a call into this library, and a sample is a process:
//! its address space is laid out anew each time, its peak of resident memory is that of one row, and the runner goes around all contestants before it
//! measures the first again.
//!
//! What is measured is processor time, of all threads together, because the machine may have fewer processors than a row has threads,
//! and may be busy. The minimum of all batches of all rounds counts.

pub mod comparison;
pub mod floor;
mod meter;
pub mod preloads;
#[cfg(unix)]
pub mod programs;
// Shared with the other benchmarks without their dependencies, which would be built again for every contestant.
#[path = "../../src/random.rs"]
pub mod random;
pub mod roster;
pub mod rows;
mod run;
pub mod samples;

pub use run::{COUNTED, run, run_apart};
