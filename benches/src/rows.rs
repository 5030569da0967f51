//! Rows: the workloads, one file each, in the order of the report.

use crate::harness::Row;

pub mod basic;
pub mod cache;
pub mod classes;
pub mod copies;
pub mod fresh;
pub mod growing;
pub mod handles;
pub mod hardening;
pub mod heap_latency;
pub mod heap_memory;
pub mod heap_traces;
pub mod heaps;
pub mod mixed;
pub mod numbers;
pub mod remotes;
pub mod scopes;
pub mod shared;
pub mod slabs;
pub mod typed;
pub mod vectors;

/// Returns every row, in the order of the report.
pub fn all() -> Vec<Row> {
    let groups = [
        typed::rows(),
        mixed::rows(),
        copies::rows(),
        vectors::rows(),
        scopes::rows(),
        fresh::rows(),
        shared::rows(),
        slabs::rows(),
        classes::rows(),
        growing::rows(),
        remotes::rows(),
        handles::rows(),
        hardening::rows(),
        basic::rows(),
        cache::rows(),
        heaps::rows(),
        heap_latency::rows(),
        heap_memory::rows(),
        heap_traces::rows(),
        numbers::rows(),
    ];
    groups.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
