//! The building blocks of the forge allocator toolkit: memory allocators that compose as types.
//!
//! ```text
//!   backing: owns bytes  -->  layout: organises them  -->  StdCompat: std-style collections
//!   InlineBacked<1024>        BumpArena<InlineBacked<1024>>
//! ```
//!
//! # The table
//!
//! | block | what it is | a free returns | moves with live blocks | `no_std` |
//! |---|---|---|---|---|
//! | [`InlineBacked`] | bytes inside the value | the last block | no | yes |
//! | [`StaticBacked`] | bytes lent by the caller | - | yes | yes |
//! | [`HeapBytes`] | one block of the global allocator | - | yes | `alloc` |
//! | [`NullBacked`] | no bytes: every request fails | - | yes | yes |
//! | [`System`] | the global allocator | every block | yes | `alloc` |
//! | [`MmapBacked`] | one mapping of the operating system | the last block | yes | no |
//! | [`HugePageBacked`] | one mapping of reserved huge pages | the last block | yes | no |
//! | [`LockedMmapBacked`] | one mapping that is never swapped out or dumped | the last block | yes | no |
//! | [`BumpArena`] | a cursor over one backing | the last block | as its backing | yes |
//! | [`Scope`] | scratch space in a bump arena, forgotten at its end | the last block | yes | yes |
//! | [`Arena`], [`ArenaScope`] | a cursor over chunks from a [`RegionSource`] | the last block | yes | yes |
//! | [`SharedBumpArena`] | one bump arena for many threads, without a lock | the thread's last block | as its backing | yes |
//! | [`StackAlloc`] | last in, first out | every block, late if out of order | as its backing | yes |
//! | [`Slab`], [`SlotBox`] | slots for values of one type, owned by boxes or as raw blocks | every block | as its backing | yes |
//! | [`StaticBox`] | a box one pointer wide, in any pool that is a static ([`StaticPool`], `static_pool!`) | every value | - | yes |
//! | [`SizeClassed`] | a slab per size class, and the backing for the rest | every block | as its backing | yes |
//! | `ExtendableSlab` | a slab for many threads that grows and shrinks by mapped segments | every block | yes | no |
//! | `SlabOwner`, `SlabRemote` | a slab of one thread whose blocks any thread may free | every block | yes | no |
//! | [`GenerationalSlab`], [`BrandedSlab`] | values of one type, named by a [`Handle`] that never dangles | every value | yes | yes |
//! | `GuardedSlab` | a slab whose every block ends at a page that faults | every block | yes | no |
//! | [`SlabCache`](cache::SlabCache), [`SlabBox`](cache::SlabBox) | an object cache: boxes one pointer wide that find their slab by a mask | every value | yes | yes |
//! | `Magazines` | an object cache with free slots at hand for each thread, without a lock | every value | yes | no |
//! | [`ObjectCache`](cache::ObjectCache) | objects that keep their construction from one use to the next | every object | yes | yes |
//! | [`ArenaPool`] | bump arenas that stay warm between uses | - | - | `alloc` |
//! | [`WithFallback`] | a primary, and a secondary for what the primary refuses | as the half that owns it | as both halves | yes |
//!
//! | exclusive heap, fed with regions | what it hands out | `no_std` |
//! |---|---|---|
//! | [`Tlsf`] | blocks of any layout, in constant time | yes |
//! | [`SlabHeap`] | slots of size classes over another heap, which serves the rest | yes |
//! | [`FreeListHeap`] | blocks of any layout, from one list of free runs by address | yes |
//! | [`BuddyByteAllocator`] | blocks of powers of two bytes, by bits beside them | yes |
//! | [`BitmapPageAllocator`] | runs of pages at the lowest addresses | yes |
//! | [`BuddyPageAllocator`] | runs of pages in a bounded number of steps | yes |
//! | [`BitmapIdAllocator`] | runs of ids, the lowest first or in turn | yes |
//!
//! | wrapper | what it adds to another allocator | memory beside the blocks | `no_std` |
//! |---|---|---|---|
//! | [`PoisonOnFree`] | freed blocks are filled with a pattern | nothing | yes |
//! | [`ZeroizeOnFree`] | blocks are wiped when they are freed, shrunk, moved, reset or dropped | nothing | yes |
//! | [`Canary`] | writes beside a block, and frees with a wrong layout, end the process | 16 bytes a block | yes |
//! | [`Quarantine`] | freed blocks are held back; writes to them, and second frees, can be noticed | the blocks held | yes |
//! | [`CacheJitter`] | blocks start at random cache lines | a line and the distance | yes |
//! | `GuardPage` | pages that fault at both ends of a mapping | two pages | no |
//! | `SplitMetadata` | a mapping of its own for what a layout remembers | that mapping | no |
//! | [`Statistics`] | counts of blocks, bytes, resizes and failures | nothing | yes |
//! | [`Watermark`] | a call to a handler when the allocator runs full | nothing | yes |
//! | [`Faulty`] | requests that fail when a policy says so, for tests | nothing | yes |
//! | `HugePageAligned` | transparent huge pages under a mapping | padding | no |
//! | `NumaLocal` | a mapping on the NUMA nodes of a `NumaPolicy` | nothing | no |
//!
//! | recipe | what it is |
//! |---|---|
//! | `HardenedSlab` | a slab between guards, with its free list and map of live slots out of reach |
//! | `CryptoSlab` | a hardened slab for secrets: locked, kept from dumps and children, wiped on free |
//!
//! | adapter of an exclusive heap | what it makes of it |
//! |---|---|
//! | [`Local`] | an [`Allocator`] for one thread |
//! | [`Locked`] | an [`Allocator`] and a global allocator for threads and interrupts, through any lock |
//! | [`Growing`] | a heap, or a locked one, that grows by regions of a source and gives empty ones back |
//! | `AllocatorRc` | an [`Allocator`] over a borrowed pool, shared by clones on one thread; needs `alloc` |
//! | [`StaticHeap`] | a global allocator whose memory lies in `.bss`, in one line |
//! | [`Occupancy`] | a picture in text |
//!
//! | source of regions | what it is |
//! |---|---|
//! | [`HeapSource`] | blocks of the global allocator |
//! | [`MmapSource`] | mappings |
//! | [`RangeSource`] | pieces of any backing that stays in place |
//! | [`NoSource`] | nothing: turns a growing structure into a fixed one |
//!
//! # Examples
//!
//! ```
//! use forge_alloc::{Allocator, BumpArena, Deallocator, InlineBacked, NonZeroLayout};
//!
//! let arena = BumpArena::new(InlineBacked::<1024>::new())?;
//! let layout = NonZeroLayout::from_size_align(64, 8).unwrap();
//! let block = arena.allocate(layout)?;
//! assert_eq!(block.len(), 64);
//! // Sound: the block is live, and this is its layout.
//! unsafe { arena.deallocate(block.cast(), layout) };
//! # Ok::<(), forge_alloc::AllocError>(())
//! ```
//!
//! # Features
//!
//! `std` (default) adds what needs an operating system, `alloc` what needs a global allocator. `allocator-api2-02`, `-03`,
//! `-04` and `nightly` make [`StdCompat`] the allocator of collections of that line. `siphasher` adds `SipHashMAC`,
//! `critical-section` and `lock_api` the locks `CriticalSection` and `LockApi`. `log` adds `LogCrateHandler`, which passes events
//! of a [`Watermark`] to the crate of that name; `serde` makes [`StatsSnapshot`] serialisable. `bitmap`, `buddy`, `slab` and `tlsf`
//! (default) are the [kernel] family by parts, `allocator_api` makes `AllocatorRc` a standard allocator, `page-alloc-256m`, `-4g`,
//! `-64g` and `-1t` choose the capacity of a `BitmapPageAllocator`, and `full` is the first five and the least capacity.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(feature = "nightly", feature(allocator_api))]

#[cfg(feature = "alloc")]
extern crate alloc;

mod backing;
pub mod cache;
mod forward;
mod hardening;
pub mod kernel;
mod layout;
mod observe;
#[cfg(all(feature = "std", any(unix, windows)))]
mod placement;
mod raw;
#[cfg(all(feature = "std", any(unix, windows)))]
mod recipes;
mod report;
mod share;
#[cfg(all(target_has_atomic = "ptr", any(feature = "std", loom)))]
mod thread_slot;
#[cfg(all(target_has_atomic = "ptr", not(any(feature = "std", loom))))]
#[path = "thread_slot/absent.rs"]
mod thread_slot;

// Backings and sources.
#[cfg(feature = "alloc")]
pub use backing::{HeapBytes, HeapSource, System};
#[cfg(all(feature = "std", any(unix, windows)))]
pub use backing::{
    HugePageBacked, LockedMmapBacked, MmapBacked, MmapFlags, MmapSource, Native, Os, OsError,
    current_numa_node, default_huge_page_size, last_os_failure, mmap_clear_last_os_error, mmap_last_os_error,
    mmap_record_os_error, page_size,
};
pub use backing::{InlineBacked, MAX_ALIGN, NullBacked, RangeSource, StaticBacked};

// The contract.
pub use forge_alloc_core::*;
pub use hardening::cache_jitter::CacheJitter;
pub use hardening::canary::Canary;
pub use hardening::poison::{DEFAULT_POISON, PoisonOnFree};
pub use hardening::quarantine::Quarantine;
pub use hardening::zeroize::ZeroizeOnFree;
#[cfg(all(feature = "std", any(unix, windows)))]
pub use hardening::{guard_page::GuardPage, guarded_slab::GuardedSlab, split_metadata::SplitMetadata};
pub use layout::arena::boxed::ArenaBox;
pub use layout::arena::bump::{BumpArena, BumpDeallocator};
pub use layout::arena::chunked::Arena;
pub use layout::arena::chunked::scope::ArenaScope;
#[cfg(feature = "alloc")]
pub use layout::arena::pool::{ArenaLease, ArenaPool};
pub use layout::arena::scope::Scope;
#[cfg(target_has_atomic = "ptr")]
pub use layout::arena::shared_bump::SharedBumpArena;
pub use layout::arena::stack::StackAlloc;
pub use layout::heap::blocks::HeapBlocks;
#[cfg(feature = "buddy")]
pub use layout::heap::buddy::BuddyByteAllocator;
pub use layout::heap::free_list::{BestFit, FirstFit, Fit, FreeListHeap};
#[cfg(feature = "slab")]
pub use layout::heap::slab_heap::{SlabByteAllocator, SlabHeap};
#[cfg(feature = "tlsf")]
pub use layout::heap::tlsf::{Tlsf, TlsfByteAllocator};
#[cfg(feature = "bitmap")]
pub use layout::page::bitmap_pages::BitmapPageAllocator;
#[cfg(feature = "buddy")]
pub use layout::page::buddy_pages::{BuddyPageAllocator, buddy_words};
pub use layout::page::ids::{BitmapIdAllocator, IdOrder, LowestFirst, RoundRobin};
pub use layout::page::spans::page_words;
pub use layout::quarantinable::Quarantinable;
pub use layout::route::WithFallback;
#[cfg(all(feature = "std", any(unix, windows)))]
pub use layout::slab::extendable::ExtendableSlab;
pub use layout::slab::generational::GenerationalSlab;
pub use layout::slab::generational::branded::{Brand, BrandedHandle, BrandedSlab};
pub use layout::slab::generational::iter::{HandleDrain, HandleIter, HandleIterMut};
pub use layout::slab::handle::{GenerationInt, Handle};
#[cfg(all(feature = "std", target_has_atomic = "64"))]
pub use layout::slab::remote::{
    SlabOwner, SlabRemote,
    policy::{ADAPTIVE_COOLDOWN_TICKS, ADAPTIVE_LEVELS, BatchPolicy},
};
pub use layout::slab::size_classed::{ClassTable, DEFAULT_CLASS_SIZES_8, FINE_CLASS_SIZES_24, SizeClassed};
pub use layout::slab::slot_box::SlotBox;
pub use layout::slab::static_box::{StaticBox, StaticPool};
pub use layout::slab::typed::Slab;
pub use layout::slab::typed::live::LiveSlots;
pub use observe::faulty::Faulty;
pub use observe::statistics::{Statistics, alloc_stats::AllocStats, snapshot::StatsSnapshot};
#[cfg(feature = "log")]
pub use observe::watermark::log::LogCrateHandler;
#[cfg(feature = "std")]
pub use observe::watermark::log::LogHandler;
pub use observe::watermark::{
    Watermark,
    event::{WatermarkEvent, WatermarkLevel, WatermarkThresholds},
    handler::{FnHandler, NullHandler, WatermarkHandler},
};
#[cfg(all(feature = "std", any(unix, windows)))]
pub use placement::{HugePageAligned, NodeSet, NumaLocal, NumaPolicy};
pub use raw::bitmap::BitStorage;
#[cfg(all(feature = "std", any(unix, windows)))]
pub use recipes::{CryptoSlab, HardenedSlab};
pub use report::{Misuse, MisuseEvent, set_misuse_hook};
#[cfg(feature = "alloc")]
pub use share::allocator_rc::AllocatorRc;
pub use share::const_init::{ConstInit, DefaultLock};
#[cfg(feature = "critical-section")]
pub use share::critical_section::CriticalSection;
pub use share::growing::Growing;
#[cfg(feature = "lock_api")]
pub use share::lock_api::LockApi;
pub use share::locked::{HeapGuard, Local, Locked};
pub use share::occupancy::Occupancy;
#[cfg(feature = "tlsf")]
pub use share::static_heap::{Late, StaticHeap};

/// The examples of the project's documents, compiled and run as tests.
#[cfg(all(doctest, feature = "std"))]
mod documents {
    #[doc = include_str!("../../../README.md")]
    mod readme {}
    #[doc = include_str!("../../../docs/DIFFERENCES.md")]
    mod differences {}
}
