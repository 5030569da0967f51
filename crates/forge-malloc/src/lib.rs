//! Process allocators: what stands behind `Box::new` of a whole program.
//!
//! ```text
//!   Box, Vec, String, ...            every allocation of a program
//!          |  GlobalAlloc
//!          v
//!   a process allocator              this crate
//!          |  forge-alloc: lists, heaps, sources, locks
//!          v
//!   forge-os                         mmap, munmap, madvise
//! ```
//!
//! # Design
//!
//! A process allocator differs from a building block in what it may rely on: nothing. It allocates before `main`, after
//! the destructors of thread-local values, between `fork` and `exec`, and inside of loggers. So nothing here calls the
//! global allocator, panics, or unwinds.
#![no_std]

#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod basic;
#[cfg(target_has_atomic = "64")]
pub mod fast;
#[cfg(all(target_has_atomic = "ptr", not(loom)))]
pub mod paranoid;
#[cfg(target_has_atomic = "ptr")]
mod zeros;

/// The chapters about this crate, compiled and run as tests.
#[cfg(all(doctest, feature = "std"))]
mod chapter {
    #[doc = include_str!("../../../docs/book/how-malloc-works.md")]
    mod how_malloc_works {}

    #[cfg(target_has_atomic = "64")]
    #[doc = include_str!("../../../docs/ONE_ALLOCATION.md")]
    mod one_allocation {}
}
