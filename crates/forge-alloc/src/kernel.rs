//! What a kernel author needs, under the names of the kernel family.
//!
//! | for | exclusive | shared |
//! |---|---|---|
//! | bytes | [`TlsfByteAllocator`], [`SlabByteAllocator`], [`BuddyByteAllocator`], [`FreeListHeap`] | [`StaticHeap`], [`Locked`], [`Growing`], `AllocatorRc` |
//! | pages | [`BitmapPageAllocator`], [`BuddyPageAllocator`] | behind a lock of the kernel |
//! | ids | [`BitmapIdAllocator`] | behind a lock of the kernel |
//!
//! # Design
//!
//! A page of names and no code, so that `use forge_alloc::kernel as allocator` is the crate root that this family was
//! documented with. `AllocError` is the error with four reasons here; the contract with `&self` has one of its own under the
//! root of the crate.
//!
//! # Examples
//!
//! ```
//! use core::alloc::Layout;
//! use forge_alloc::kernel::{AllocError, BaseAllocator, ByteAllocator, PageAllocator, TlsfByteAllocator};
//!
//! let mut memory = vec![0_u64; 8192].into_boxed_slice();
//! let start = memory.as_mut_ptr().expose_provenance();
//!
//! let mut heap = TlsfByteAllocator::new();
//! let layout = Layout::new::<[u64; 8]>();
//! assert_eq!(heap.alloc(layout), Err(AllocError::NoMemory));
//! // SAFETY: the memory is the heap's alone until the end of this block.
//! unsafe {
//!     heap.init(start, 8192 * 8);
//!     assert_eq!(heap.add_memory(start, 4096), Err(AllocError::MemoryOverlap));
//!     let block = heap.alloc(layout)?;
//!     assert_eq!(heap.available_bytes() + heap.used_bytes(), heap.total_bytes());
//!     heap.dealloc(block, layout);
//! }
//! # Ok::<(), AllocError>(())
//! ```

pub use forge_alloc_core::{
    AllocResult, BaseAllocator, ByteAllocator, GrowableHeap, HeapBlock, HeapError as AllocError, IdAllocator,
    PageAllocator, Region, RegionSource, RejectedRegion, align_down, align_up, is_aligned,
};

#[cfg(feature = "buddy")]
pub use crate::layout::heap::buddy::BuddyByteAllocator;
pub use crate::layout::heap::free_list::FreeListHeap;
#[cfg(feature = "slab")]
pub use crate::layout::heap::slab_heap::{SlabByteAllocator, SlabHeap};
#[cfg(feature = "tlsf")]
pub use crate::layout::heap::tlsf::{Tlsf, TlsfByteAllocator};
#[cfg(feature = "bitmap")]
pub use crate::layout::page::bitmap_pages::BitmapPageAllocator;
#[cfg(feature = "buddy")]
pub use crate::layout::page::buddy_pages::BuddyPageAllocator;
pub use crate::layout::page::ids::BitmapIdAllocator;
#[cfg(feature = "alloc")]
pub use crate::share::allocator_rc::AllocatorRc;
#[cfg(feature = "critical-section")]
pub use crate::share::critical_section::CriticalSection;
pub use crate::share::growing::Growing;
#[cfg(feature = "lock_api")]
pub use crate::share::lock_api::LockApi;
pub use crate::share::locked::{Local, Locked};
pub use crate::share::occupancy::Occupancy;
#[cfg(feature = "tlsf")]
pub use crate::share::static_heap::StaticHeap;
