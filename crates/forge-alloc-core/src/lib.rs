//! The contract of the forge allocator toolkit: what every allocator, backing, heap and lock promises.
//!
//! This crate holds no algorithm. It states two contracts and the few types that both share:
//!
//! | | shared | exclusive |
//! |---|---|---|
//! | traits | [`Allocator`], [`Deallocator`] | [`ByteAllocator`], [`PageAllocator`], [`IdAllocator`] |
//! | receiver | `&self` | `&mut self` |
//! | memory | one [`FixedRange`], owned by value, which may move | [`Region`]s, which may not |
//! | state holds | offsets | addresses |
//!
//! [`RegionSource`] is the seam through which growing structures obtain more memory, [`StableAddress`] the promise
//! that lets a block outlive a move of its allocator, and [`StdCompat`] the one place where zero sizes appear.
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(feature = "nightly", feature(allocator_api))]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod align;
mod allocator;
mod blanket;
pub mod cache_padded;
mod compat;
mod error;
mod growable;
mod heap;
mod layout;
mod os_backed;
mod policy;
mod range;
mod region;
mod source;
mod stable;
pub mod sync;
pub mod testing;
pub mod traits;

pub use align::{align_down, align_up, is_aligned};
pub use allocator::relocate;
pub use cache_padded::{CACHE_LINE, CachePadded};
pub use error::{AllocError, AllocResult, HeapError, LayoutError};
pub use growable::GrowableHeap;
pub use heap::{BaseAllocator, ByteAllocator, HeapBlock, IdAllocator, PageAllocator, RejectedRegion};
pub use layout::NonZeroLayout;
pub use region::Region;
pub use source::{NoSource, RegionSource};
pub use stable::StableAddress;
pub use traits::*;
