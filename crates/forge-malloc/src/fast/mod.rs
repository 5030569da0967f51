//! The production allocator: general purpose, many threads, a cache for each.
//!
//! ```text
//!   front    what a thread does alone        sizes ── cache ── exchange      by_address, armed
//!              refill │ ▲ spill
//!   middle   what threads share              depot: batches, lock-free       shelf: spans, a lock for each class
//!                     ▼ │
//!   back     where memory comes from         units of segments               huge: mappings of their own
//!                     ▼ │
//!            forge_os
//! ```
//!
//! | type | what it is |
//! |---|---|
//! | [`ForgeMalloc`], [`InterruptibleMalloc`], [`HardenedMalloc`] | the allocator of a process, for `#[global_allocator]` |
//! | [`Heap`] | what threads share; any number of them |
//! | [`ThreadCache`], [`Attached`] | a thread's way to a heap, and the same as an allocator of the toolkit |
//! | [`Profile`]: [`Fast`], [`Hardened`], [`Interruptible`] | what a heap retains and checks, chosen at compile time |
//!
//! `docs/ONE_ALLOCATION.md` follows one allocation and one free by another thread through all of it.
//!
//! # Design
//!
//! *Blocks have no owner.* A free is a push onto the freeing thread's own stack of the class; surplus travels in batches of
//! addresses through a depot, as in the magazine layer of Bonwick and Adams ("Magazines and Vmem", 2001) and the transfer cache of tcmalloc.
//! So a thread that ends leaves nothing behind that somebody has to adopt, and a producer and a consumer pay one exchange for up to 64 blocks.
//!
//! *Nothing is written into free blocks.* Addresses are kept beside them in consecutive words: no dependent miss on the way to the next
//! block, no link to corrupt, and memory that was never touched stays so.
//!
//! *Rust says the layout when it frees*, so neither side looks anything up; a constant layout folds to a constant bin.
//!
//! *Large blocks keep their mappings*, within limits that grow with what is in use, since a fresh page costs more than a microsecond.
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
mod quiet;
#[cfg(not(loom))]
mod settings;
mod stats;

pub use front::cache::ThreadCache;
#[cfg(all(feature = "std", not(loom)))]
pub use global::{ForgeMalloc, HardenedMalloc, InterruptibleMalloc};
pub use heap::Heap;
pub use house::Attached;
pub use profile::{Fast, Hardened, Interruptible, Profile};
pub use stats::{ClassStats, Stats};

/// The most blocks that move between threads at a time.
pub const LARGEST_BATCH: usize = 64;
