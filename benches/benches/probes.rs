//! The probes under gungraun: `cargo bench -p forge-benches --features gungraun --bench probes`.
//!
//! It needs valgrind and a `gungraun-runner` of the same version as the library. Where they are missing, the binary
//! `instructions` counts the same probes with valgrind alone.
#![allow(missing_docs, reason = "the macros of gungraun make public modules without documentation")]
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    reason = "the macros of gungraun export their entry points"
)]

use forge_benches::probes;
use gungraun::{
    Callgrind, EntryPoint, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};

/// Returns the numbers of all probes.
fn every_probe() -> std::ops::Range<usize> {
    0..probes::all().len()
}

#[library_benchmark]
#[benches::probe(iter = every_probe())]
fn probe(number: usize) {
    if let Some(probe) = probes::all().get(number) {
        probe.run();
    }
}

library_benchmark_group!(name = every_block, benchmarks = probe);

main!(
    config = LibraryBenchmarkConfig::default()
        .tool(Callgrind::default().entry_point(EntryPoint::Custom(probes::COUNTED.to_string()))),
    library_benchmark_groups = every_block
);
