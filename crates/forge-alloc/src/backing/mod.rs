//! Where bytes come from: backings, which own one range of bytes, and sources, which hand out whole regions.
//!
//! | backing | its bytes | allocator of its own | bytes stay when it moves |
//! |---|---|---|---|
//! | [`InlineBacked`] | inside the value | yes | no |
//! | [`StaticBacked`] | lent by the caller | - | yes |
//! | [`HeapBytes`] | one block of the global allocator | - | yes |
//! | [`NullBacked`] | none | yes, refuses | yes |
//! | [`System`] | no range: the global allocator itself | yes | yes |
//! | [`MmapBacked`] | one mapping | yes | yes |
//! | [`HugePageBacked`] | one mapping of reserved huge pages | yes | yes |
//! | [`LockedMmapBacked`] | one mapping that is never swapped out | yes | yes |
//!
//! Every backing that is also an allocator runs the one bump cursor over its bytes (`own`), and turns it off for good
//! once a layout claims them. What needs an operating system is under one gate.

#[cfg(feature = "alloc")]
mod heap_bytes;
mod inline;
mod null;
pub(crate) mod own;
mod source;
mod static_buf;
#[cfg(feature = "alloc")]
mod system;
#[cfg(test)]
mod testing;

#[cfg(all(feature = "std", any(unix, windows)))]
mod os;

#[cfg(feature = "alloc")]
pub use heap_bytes::HeapBytes;
pub use inline::{InlineBacked, MAX_ALIGN};
pub use null::NullBacked;
#[cfg(feature = "alloc")]
pub use source::HeapSource;
pub use source::RangeSource;
pub use static_buf::StaticBacked;
#[cfg(feature = "alloc")]
pub use system::System;

#[cfg(all(feature = "std", any(unix, windows)))]
pub(crate) use os::record;
#[cfg(all(feature = "std", any(unix, windows)))]
pub use os::*;
