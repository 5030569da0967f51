//! The teaching allocator: everything between `Box::new` and the kernel, small enough to read in one sitting.
//!
//! ```text
//!   Box::new(7)                                               your program
//!      |  GlobalAlloc::alloc(layout)
//!      v
//!   UnixAllocator        one lock, so that threads take turns           allocators::generic, lock, side_door
//!      |
//!      v
//!   RawAlloc             the policy: look for a block, else grow        allocators::raw_alloc
//!      |         \
//!      v          v
//!   BlockList   MmapHeapGrower                                          blocklist, allocators::grower
//!   the free     asks for pages
//!   memory          |  mmap(...)
//!                   v
//!                syscall                                                the kernel
//! ```
//!
//! A process starts without a heap. The first `Box::new` finds the [`BlockList`] empty, so the [`HeapGrower`] asks the
//! kernel for pages. The program gets the front of them, and the rest becomes the first free block. From then on
//! requests are cut from free blocks; freed blocks go back and grow together with their neighbours; and when a very large
//! one has formed, its pages go back to the kernel.
//!
//! Read in this order: [`syscall`], where memory comes from; [`blocklist`], how free memory remembers itself;
//! [`allocators`], from the policy to the lock. The chapter `docs/book/how-malloc-works.md` tells the same story in prose.
//!
//! # Examples
//!
//! ```
//! use forge_malloc::basic as basic_allocator;
//! use basic_allocator::UnixAllocator;
//!
//! #[global_allocator]
//! static ALLOCATOR: UnixAllocator = UnixAllocator::new();
//!
//! fn main() {
//!     println!("It works!");
//!     let (validity, stats) = ALLOCATOR.stats();
//!     assert!(validity.is_valid() && stats.length > 0);
//! }
//! ```
//!
//! # Design
//!
//! First fit by address, after Knuth, "The Art of Computer Programming", volume 1, section 2.5. Rust passes the layout back
//! when memory is freed, so blocks in use need no header: every byte of bookkeeping lies in memory that is free anyway. The
//! free blocks form a tree rather than a list, because a list makes each free a walk over all of them.

pub mod allocators;
pub mod blocklist;
mod report;
pub mod syscall;
#[cfg(feature = "log")]
pub mod trace;
#[cfg(not(feature = "log"))]
#[path = "basic/trace/off.rs"]
mod trace;

pub use allocators::{
    GenericAllocator, HeapGrower, MmapHeapGrower, RawAlloc, SteppedGrower, UnixAllocator, Usage,
};
pub use blocklist::BlockList;
