//! The paranoid allocator: every block has pages of its own between guards, and nothing about it is where it could be
//! reached.
//!
//! ```text
//!   a range of addresses                                           vaults, elsewhere
//!   | guard | slot            | slot            | slot        |    | guards | the table of the slots | guards |
//!           | .. guards .. |B|g | .. |BBBBBBBB|g| guards ..   |
//!                           |  |
//!              block, its end at a guard
//!
//!   sizes      what a request needs: pages, a class of slots, where in its slot a block lies
//!   guards     how pages become guards and memory again
//!   dice       random words of the system
//!   canary     the bytes beside a block
//!   vault      mappings for metadata
//!   directory  from an address to the range that it lies in
//!   extent     one range: slots, which are vacant, and what is known about each
//!   grounds    all ranges
//!   shard      the ranges of some threads, and the addresses that wait
//!   heap       all shards
//! ```
//!
//! # Design
//!
//! This is the layout of Electric Fence (Perens 1987) and of page heaps, for whole processes: one block, its own pages, a
//! guard behind it. What kept such allocators out of programs was the kernel's limit on mappings, two of which a block
//! took. Here guards are marks in the page tables of one large mapping (`MADV_GUARD_INSTALL`, Linux 6.13), so a million
//! blocks cost a few mappings. On systems without the marks guards are pages without rights, and the limit is back.

mod canary;
mod checks;
mod dice;
mod directory;
mod extent;
#[cfg(feature = "std")]
mod global;
mod grounds;
mod guards;
mod heap;
mod house;
mod shard;
mod sizes;
mod stats;
mod vault;

#[cfg(feature = "std")]
pub use global::ParanoidMalloc;
pub use heap::Heap;
pub use shard::{QUARANTINED_BLOCKS, QUARANTINED_BYTES};
pub use stats::Stats;
