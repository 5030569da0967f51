//! The rows under criterion: `cargo bench -p forge-benches --features criterion --bench rows`.
//!
//! Each row is a group, each contestant a benchmark of it; criterion's figure is the time of a batch, and its throughput
//! the operations of the row. Contestants follow one another here instead of alternating: for ratios on a busy machine
//! see the report.

use std::time::Duration;

use criterion::{Criterion, Throughput};
use forge_benches::rows;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    for row in rows::all() {
        let mut group = criterion.benchmark_group(row.id);
        group.throughput(Throughput::Elements(row.operations));
        for mut contestant in (row.contestants)() {
            if let Err(reason) = contestant.check() {
                eprintln!("{} in {} fails its check: {reason}", contestant.name, row.id);
                continue;
            }
            group.bench_function(contestant.name, |bencher| {
                bencher.iter_custom(|batches| (0..batches).map(|_| contestant.sample()).sum());
            });
        }
        group.finish();
    }
    criterion.final_summary();
}
