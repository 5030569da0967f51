//! What a process allocator is composed of, chosen when it is compiled.
//!
//! # Design
//!
//! A profile is a type, so that what it chooses folds into the code, and two of them can live in one process. Sizes that
//! a thread or the process may retain are here and nowhere else: they are the memory that speed costs.

use core::marker::PhantomData;

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
    /// Whether blocks are armed: checked whenever they are freed, zero while they are free, and large ones
    /// between guards.
    const ARMED: bool = false;
    /// Whether signal handlers may allocate and free, whatever they interrupt.
    const INTERRUPTIBLE: bool = false;
    /// The most free blocks of one size class that a thread holds back, so that the next block is drawn from them and what it has at
    /// hand at random; 0 if the block that was freed last is the next.
    const RESERVE: usize = 0;
}

/// The profile that checks nothing that costs time on the common path.
///
/// A signal handler must not allocate or free where it may interrupt a request, as in most allocators: [`Interruptible`] allows it.
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

/// The profile that finds misuse of blocks where it happens, and makes what is left of it hard to use.
///
/// Freed twice, freed where no block starts, and freed with another size or alignment: at the call. Written past the end: when the
/// block is freed, or at once where it is large. Written after the free: when the block is handed out again. Signal handlers may
/// allocate and free.
#[derive(Debug)]
pub struct Hardened;

impl Profile for Hardened {
    const CACHE_BYTES: usize = 64 << 10;
    const CACHE_BLOCKS: usize = 512;
    const BATCH: usize = 64;
    const DEPOT_BYTES: usize = 256 << 10;
    const RETAINED_BYTES: usize = 16 << 20;
    const RETAINED_HUGE_BYTES: usize = 0;
    const ARMED: bool = true;
    const INTERRUPTIBLE: bool = true;
    // Two blocks in a row are neighbours in one of 80 cases: 2 of the 128 to 192 that there are to draw from.
    const RESERVE: usize = 128;
}

/// A profile whose signal handlers may allocate and free, and which is otherwise `P`.
///
/// A request costs four instructions more each way, and what takes a lock, once in some dozens of requests, two system calls.
///
/// # Examples
///
/// ```
/// use forge_malloc::fast::{Fast, Heap, Interruptible, Profile};
///
/// static HEAP: Heap<Interruptible<Fast>, forge_os::Native> = Heap::new(forge_os::Native);
///
/// assert!(Interruptible::<Fast>::INTERRUPTIBLE && !Fast::INTERRUPTIBLE);
/// assert_eq!(Interruptible::<Fast>::BATCH, Fast::BATCH);
/// assert_eq!(HEAP.stats().live, 0);
/// ```
#[derive(Debug)]
pub struct Interruptible<P>(PhantomData<fn() -> P>);

impl<P: Profile> Profile for Interruptible<P> {
    const CACHE_BYTES: usize = P::CACHE_BYTES;
    const CACHE_BLOCKS: usize = P::CACHE_BLOCKS;
    const BATCH: usize = P::BATCH;
    const DEPOT_BYTES: usize = P::DEPOT_BYTES;
    const RETAINED_BYTES: usize = P::RETAINED_BYTES;
    const RETAINED_HUGE_BYTES: usize = P::RETAINED_HUGE_BYTES;
    const ARMED: bool = P::ARMED;
    const INTERRUPTIBLE: bool = true;
    const RESERVE: usize = P::RESERVE;
}
