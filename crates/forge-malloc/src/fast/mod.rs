//! The production allocator.
mod back;
mod checks;
mod front;
#[cfg(all(feature = "std", not(loom)))]
mod global;
mod glue;
mod heap;
mod house;
mod middle;
mod profile;
mod stats;

pub use front::cache::ThreadCache;
#[cfg(all(feature = "std", not(loom)))]
pub use global::{ForgeMalloc, HardenedMalloc};
pub use heap::Heap;
pub use house::Attached;
pub use profile::{Fast, Hardened, Profile};
pub use stats::Stats;

/// The most blocks that move between threads at a time.
pub const LARGEST_BATCH: usize = 64;
