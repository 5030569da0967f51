//! Rows: the workloads, one file each, in the order of the report.

use crate::harness::Row;

pub mod copies;
pub mod fresh;
pub mod mixed;
pub mod scopes;
pub mod shared;
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
    ];
    groups.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
