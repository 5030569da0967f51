//! Benchmarks: the blocks of this workspace beside the best of their field, in the same interleaved run.
//!
//! ```text
//!   contestants/   one file per library: how it allocates, copies, scopes, resets    (adapters, nothing timed)
//!   rows/          one file per workload: the loop that is timed, its check, its contestants
//!   harness        rounds A B C A B C, repeats of interrupted samples, minimum, median, spread
//!   threads, ring  a second thread and the road to it, for rows about two
//!   ticks          a clock for single calls, for rows about latency
//!   render         the tables, for the terminal and for docs/PERFORMANCE.md
//!   probes         small loops whose instructions are counted under callgrind
//!   callgrind      runs a probe under valgrind and reads the total
//! ```
//!
//! # Commands
//!
//! - `cargo run --release -p forge-benches --bin report` measures every row and writes docs/PERFORMANCE.md; with
//!   `--features snmalloc` that allocator takes part;
//! - `cargo run --release -p forge-benches --bin instructions` is the gate, on instruction counts;
//! - `cargo bench -p forge-benches --features criterion` measures the same rows with criterion;
//! - `cargo bench -p forge-benches --features gungraun` counts the instructions of the same probes with gungraun.
//!
//! # Design
//!
//! A row is one generic loop over a capability trait of [`contestants`], so that every library runs the same code but
//! for its own adapter. The loop lets the arena's address escape before it starts and lets the address of every block
//! escape when it is made ([`sink`]): the compiler can then neither drop a store nor keep an arena's cursor in a
//! register across allocations, which a program that calls anything between two allocations could not do either.
//!
//! Allocators live across rounds: a sample measures allocation, not page faults, except where the row is about a fresh
//! arena. Contents are compared outside the timed part, once before the rounds.

pub mod callgrind;
pub mod contestants;
pub mod harness;
pub mod probes;
pub mod random;
pub mod render;
pub mod ring;
pub mod rows;
pub mod sink;
pub mod threads;
pub mod ticks;

/// The compiler that built this package.
pub const COMPILER: &str = env!("FORGE_BENCHES_RUSTC");
