//! The workloads: what every contestant runs.
//!
//! # Design
//!
//! A row makes its state once and is then called for batches of a fixed number of operations, so that what is timed is the allocator when it is warm.
//! Sizes come from tables that are made before, and the same for all. A block is written to where a program would: its first
//! byte, or one byte a page for large ones.

mod large;
mod pairs;
mod sets;
mod threads;

/// One workload.
pub struct Row {
    /// A short name for the command line and the tables.
    pub id: &'static str,
    /// What one operation is.
    pub unit: &'static str,
    /// How many operations one batch does.
    pub operations: usize,
    /// How many threads do them.
    pub threads: usize,
    /// Makes the state, and returns what runs a batch.
    pub make: fn() -> Batch,
}

/// Runs one batch each time it is called.
pub type Batch = Box<dyn FnMut()>;

/// Returns every row, in the order of the tables.
pub fn all() -> Vec<Row> {
    let mut rows = pairs::rows();
    rows.extend(sets::rows());
    rows.extend(large::rows());
    rows.extend(threads::rows());
    rows
}
