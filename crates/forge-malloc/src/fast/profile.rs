//! What a process allocator is composed of, chosen when it is compiled.
//!
//! # Design
//!
//! A profile is a type, so that what it chooses folds into the code, and two of them can live in one process. Sizes that
//! a thread or the process may retain are here and nowhere else: they are the memory that speed costs.

/// The numbers that make one process allocator different from another.
pub trait Profile: 'static {
    /// The most bytes of free blocks of one size class that a thread keeps at hand.
    const CACHE_BYTES: usize;
    /// The most free blocks of one size class that a thread keeps at hand.
    const CACHE_BLOCKS: usize;
    /// The most blocks that move between threads at a time; at most [`LARGEST_BATCH`](super::LARGEST_BATCH).
    const BATCH: usize;
    /// The bytes of free blocks of one size class that wait for any thread.
    const DEPOT_BYTES: usize;
    /// The bytes of free memory in segments that stay resident, besides a quarter of what is in use.
    const RETAINED_BYTES: usize;
    /// The bytes of free mappings of their own that are kept for the next request.
    const RETAINED_HUGE_BYTES: usize;
}

/// The profile that checks nothing that costs time on the common path.
#[derive(Debug)]
pub struct Fast;

impl Profile for Fast {
    const CACHE_BYTES: usize = 64 << 10;
    const CACHE_BLOCKS: usize = 512;
    const BATCH: usize = 64;
    const DEPOT_BYTES: usize = 256 << 10;
    const RETAINED_BYTES: usize = 16 << 20;
    const RETAINED_HUGE_BYTES: usize = 64 << 20;
}
