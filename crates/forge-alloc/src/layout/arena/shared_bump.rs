//! [`SharedBumpArena`]: a bump arena that many threads allocate from at once, mostly without meeting.
//!
//! ```text
//!   base                                                      cursor            size
//!    | blocks | chunk of thread A | blocks | chunk of thread B |      free       |
//!             [ used | next..end )         [ used | next..end )
//!
//!   cursor            atomic, alone on its cache lines: moved once per chunk
//!   stripes[slot]     (next, end), alone on its cache lines: written by the one thread that holds the slot
//! ```
//!
//! # Invariants
//!
//! - (I1) Only the thread that holds thread slot `n` writes stripe `n`; holders follow each other in happens-before order.
//! - (I2) Bytes at and above `cursor` are free. `cursor` only rises, except through `&mut self`.
//! - (I3) A byte below `cursor` is in at most one live block or in the free part `next..end` of at most one stripe, never
//!   in both. A byte that is in neither stays unused until a reset.
//! - (I4) `next <= end <= cursor <= size <= isize::MAX` for each stripe, as its holder sees it, and the free part is
//!   committed.
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | allocate from the thread's chunk | O(1), no atomic read-modify-write |
//! | allocate from the cursor: a new chunk, a large block, or no chunk | lock-free, one exchange that others can make retry |
//! | free, grow, shrink the thread's last block | O(1), in place |
//! | free any other block | nothing: its bytes wait for a reset |
//! | `allocated`, `remaining`, `reset` | O(number of stripes) |
//!
//! # Design
//!
//! One shared cursor makes every allocation wait for the cache line that another core wrote last. A thread therefore
//! takes a chunk and carves it alone. A chunk is a small share of what is left, so that idle threads cannot hold more than
//! an eighth of the range beside what they have freed, and ranges of less than 32 KiB have no chunks: there every request
//! takes exactly its bytes. What a thread frees stays with its stripe, until that thread, or the next holder of its slot,
//! allocates it again: giving it back to the cursor would let the cursor fall, which other threads rely on not to happen. A
//! chunk that ends at the cursor is continued there, so that a single
//! thread fills the range without a gap. Chunks end at multiples of a cache line: blocks of two threads then rarely share
//! one, and blocks of the usual sizes leave nothing over.
//!
//! Why plain stores suffice for a stripe: its holder is its only writer (I1), and a byte enters a stripe's free part only
//! by an exchange of the cursor, which hands the span to one thread, or when the holder frees a block that touches the
//! free part; either way it was in no other (I3). `allocated` reads stripes of other threads, hence the atomic type.
//!
//! A thread beyond the number of slots, or on a target without thread-locals, uses the cursor directly. A signal handler
//! must not allocate from an arena that the interrupted thread may be allocating from.
#![allow(unsafe_code)]

use core::array;
use core::fmt;
use core::ptr::NonNull;

use forge_alloc_core::sync::atomic::{AtomicUsize, Ordering};
use forge_alloc_core::{
    AllocError, Allocator, CACHE_LINE, CachePadded, Deallocator, FixedRange, NonZeroLayout, StableAddress,
    align_down, is_aligned, relocate,
};

use crate::forward::forward_range;
use crate::raw::place::{Span, place_below};
use crate::thread_slot::{self, SLOTS};

/// A chunk is the free part of the range shifted right by this: 1/128, so that all stripes hold at most 1/8.
const CHUNK_SHARE: u32 = 7;
/// The smallest chunk in bytes; where the share is smaller, requests are served exactly.
const MIN_CHUNK: usize = 256;
/// The largest chunk in bytes: large enough that the exchange of the cursor disappears among its allocations.
const MAX_CHUNK: usize = 16 << 10;
/// A request takes a chunk if it is at most this part of one, which bounds what is left behind in the old chunk.
const REQUESTS_PER_CHUNK: usize = 8;

/// A bump arena for many threads.
///
/// # Examples
///
/// ```
/// use forge_alloc::{Allocator, HeapBytes, NonZeroLayout, SharedBumpArena};
///
/// let arena = SharedBumpArena::new(HeapBytes::new(1 << 16)?)?;
/// let layout = NonZeroLayout::for_type::<[u64; 4]>().unwrap();
/// std::thread::scope(|scope| {
///     for _ in 0..2 {
///         scope.spawn(|| (0..100).all(|_| arena.allocate(layout).is_ok()));
///     }
/// });
/// assert_eq!(arena.allocated(), 2 * 100 * 32);
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
pub struct SharedBumpArena<B: FixedRange> {
    backing: B,
    claimed: bool,
    cursor: CachePadded<AtomicUsize>,
    stripes: [CachePadded<Stripe>; SLOTS],
}

/// The chunk of one thread: offsets `next..end` are free.
struct Stripe {
    next: AtomicUsize,
    end: AtomicUsize,
}

// SAFETY: stripes are written by one thread each (I1), the cursor is atomic, and the range answers `base`, `size` and
// `commit` from several threads by contract; dropping the backing on another thread needs `B: Send`.
unsafe impl<B: FixedRange + Send> Sync for SharedBumpArena<B> {}

impl<B: FixedRange> SharedBumpArena<B> {
    /// Returns an empty arena over the whole range of `backing`. O(1).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the range is empty or the backing has handed out blocks of its own.
    pub fn new(mut backing: B) -> Result<Self, AllocError> {
        const { assert!(B::CARVABLE, "an arena would bypass this wrapper: put the wrapper around the arena") }
        if backing.size() == 0 {
            return Err(AllocError);
        }
        backing.claim()?;
        Ok(Self {
            backing,
            claimed: false,
            cursor: CachePadded::new(AtomicUsize::new(0)),
            stripes: array::from_fn(|_| CachePadded::new(Stripe::empty())),
        })
    }

    /// Returns how many bytes are handed out or lost to padding. O(number of stripes).
    ///
    /// Exact while no other thread allocates; approximate otherwise.
    pub fn allocated(&self) -> usize {
        let unused = self.stripes.iter().fold(0_usize, |sum, stripe| sum.saturating_add(stripe.free_bytes()));
        self.cursor.load(Ordering::Relaxed).saturating_sub(unused)
    }

    /// Returns the number of bytes in all. O(1).
    #[inline]
    pub fn capacity(&self) -> usize {
        self.backing.size()
    }

    /// Returns `capacity() - allocated()`. O(number of stripes).
    ///
    /// A thread cannot allocate the part of it that lies in the chunks of others or that others have freed.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.capacity().saturating_sub(self.allocated())
    }

    /// Returns the stripe of the calling thread, if it has one.
    #[inline(always)]
    fn own_stripe(&self) -> Option<&Stripe> {
        self.stripes.get(thread_slot::current()).map(|stripe| &**stripe)
    }

    /// Hands out a block from the stripe of the calling thread, if it has room.
    #[inline(always)]
    fn allocate_from(&self, stripe: &Stripe, layout: NonZeroLayout) -> Option<NonNull<[u8]>> {
        let span = place_below(&self.backing, stripe.next(), stripe.end(), layout)?;
        stripe.next.store(span.end, Ordering::Relaxed);
        Some(self.block(span))
    }

    /// Hands out a block from the cursor, and gives the calling thread a chunk where that pays.
    #[cold]
    #[inline(never)]
    fn allocate_from_cursor(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let Some(stripe) = self.stripes.get(thread_slot::acquire()) else {
            return self.take_span(layout, None).map(|(span, _)| self.block(span));
        };
        // A thread that took its slot just now inherits what the last holder left.
        if let Some(block) = self.allocate_from(stripe, layout) {
            return Ok(block);
        }
        let (span, end) = self.take_span(layout, Some(stripe))?;
        let joined = span.start < stripe.end();
        if joined || end - span.end >= stripe.free_bytes() {
            stripe.set(span.end, end);
        }
        Ok(self.block(span))
    }

    /// Moves the cursor past a block of `layout`, and past a chunk behind it if there is a stripe to hold it. Returns the
    /// block's span and where the bytes end that the caller may use.
    ///
    /// The free part of a stripe that ends at the cursor is continued: the block may start inside it.
    fn take_span(&self, layout: NonZeroLayout, stripe: Option<&Stripe>) -> Result<(Span, usize), AllocError> {
        let size = self.backing.size();
        let mut cursor = self.cursor.load(Ordering::Relaxed);
        loop {
            let origin = match stripe {
                Some(stripe) if stripe.end() == cursor => stripe.next(),
                _ => cursor,
            };
            let span = place_below(&self.backing, origin, size, layout).ok_or(AllocError)?;
            let chunk = if stripe.is_some() { chunk_size(size - cursor) } else { 0 };
            let takes_chunk = layout.size().get() <= chunk / REQUESTS_PER_CHUNK;
            let chunk_end = align_down(cursor + chunk, CACHE_LINE);
            let mut end = if takes_chunk { span.end.max(chunk_end) } else { span.end };
            if self.commit(cursor, end).is_err() {
                end = span.end;
                self.commit(cursor, end)?;
            }
            // Relaxed: the exchange hands out a span of bytes, and the bytes carry no message.
            match self.cursor.compare_exchange_weak(cursor, end, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok((span, end)),
                Err(now) => cursor = now,
            }
        }
    }

    /// Lengthens a block in place, if it is the thread's last one or ends at the cursor.
    #[inline]
    fn grow_in_place(&self, start: usize, old_size: usize, new_size: usize) -> bool {
        let old_end = start + old_size;
        if new_size > self.backing.size() - start {
            return false;
        }
        let new_end = start + new_size;
        let own = self.own_stripe().filter(|stripe| stripe.next() == old_end);
        let reach = own.map_or(old_end, Stripe::end);
        if new_end <= reach {
            if let Some(stripe) = own {
                stripe.next.store(new_end, Ordering::Relaxed);
            }
            return true;
        }
        let grown = self.cursor.load(Ordering::Relaxed) == reach
            && self.commit(reach, new_end).is_ok()
            // Relaxed: as in `take_span`.
            && self.cursor.compare_exchange(reach, new_end, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if let (true, Some(stripe)) = (grown, own) {
            stripe.set(new_end, new_end);
        }
        grown
    }

    /// Makes the bytes `start..end` writable.
    fn commit(&self, start: usize, end: usize) -> Result<(), AllocError> {
        if end <= self.backing.committed() { Ok(()) } else { self.backing.commit(start, end - start) }
    }

    /// Returns the offset of a block of this arena.
    #[inline(always)]
    fn offset_of(&self, ptr: NonNull<u8>) -> usize {
        ptr.addr().get() - self.backing.base().addr().get()
    }

    /// Returns the bytes of a span.
    #[inline(always)]
    fn block(&self, span: Span) -> NonNull<[u8]> {
        // SAFETY: `span.start < span.end <= size`, so the address is inside the range.
        let start = unsafe { self.backing.base().add(span.start) };
        NonNull::slice_from_raw_parts(start, span.end - span.start)
    }
}

impl Stripe {
    /// Returns a stripe without a chunk.
    fn empty() -> Self {
        Self { next: AtomicUsize::new(0), end: AtomicUsize::new(0) }
    }

    /// Returns the offset of the first free byte. Relaxed: the holder reads what it, or its predecessor, wrote (I1).
    #[inline(always)]
    fn next(&self) -> usize {
        self.next.load(Ordering::Relaxed)
    }

    /// Returns the offset behind the last free byte. Relaxed: as for `next`.
    #[inline(always)]
    fn end(&self) -> usize {
        self.end.load(Ordering::Relaxed)
    }

    /// Returns the length of the free part; approximate if another thread holds the stripe.
    fn free_bytes(&self) -> usize {
        self.end().saturating_sub(self.next())
    }

    /// Gives the stripe another free part. Relaxed: as for `next`.
    fn set(&self, next: usize, end: usize) {
        self.next.store(next, Ordering::Relaxed);
        self.end.store(end, Ordering::Relaxed);
    }
}

/// Returns how large a chunk may be when `free` bytes are left, or 0 for none.
fn chunk_size(free: usize) -> usize {
    let share = (free >> CHUNK_SHARE).min(MAX_CHUNK);
    if share < MIN_CHUNK { 0 } else { share }
}

// SAFETY: a freed block joins the free part of the caller's own stripe or nothing at all, so concurrent calls do not
// touch the same state; the block was live until now, so its bytes were in no free part (I3).
unsafe impl<B: FixedRange> Deallocator for SharedBumpArena<B> {
    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        if let Some(stripe) = self.own_stripe() {
            let start = self.offset_of(ptr);
            if start + layout.size().get() == stripe.next() {
                stripe.next.store(start, Ordering::Relaxed);
            }
        }
    }
}

// SAFETY: every block is carved from bytes that were free and belonged to the calling thread alone: a stripe's free part
// (I1, I3) or a span that the exchange of the cursor handed over (I2). Nothing moves a live block.
unsafe impl<B: FixedRange> Allocator for SharedBumpArena<B> {
    #[inline]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        match self.own_stripe().and_then(|stripe| self.allocate_from(stripe, layout)) {
            Some(block) => Ok(block),
            None => self.allocate_from_cursor(layout),
        }
    }

    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        debug_assert!(new.size() >= old.size());
        let (start, end) = (self.offset_of(ptr), self.offset_of(ptr) + new.size().get());
        if is_aligned(ptr.addr().get(), new.align().get())
            && self.grow_in_place(start, old.size().get(), new.size().get())
        {
            return Ok(self.block(Span { start, end }));
        }
        // SAFETY: the caller's promises are the callee's.
        unsafe { relocate(self, ptr, old, new) }
    }

    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        debug_assert!(new.size() <= old.size());
        if !is_aligned(ptr.addr().get(), new.align().get()) {
            // SAFETY: the caller's promises are the callee's.
            return unsafe { relocate(self, ptr, old, new) };
        }
        let start = self.offset_of(ptr);
        let end = start + new.size().get();
        // The tail joins the free part as a freed block does.
        if let Some(stripe) = self.own_stripe().filter(|stripe| stripe.next() == start + old.size().get()) {
            stripe.next.store(end, Ordering::Relaxed);
        }
        Ok(self.block(Span { start, end }))
    }

    /// Answers for shrinking only: another thread may take what a block would grow into.
    #[inline]
    unsafe fn stays_in_place(&self, ptr: NonNull<u8>, old: NonZeroLayout, new: NonZeroLayout) -> bool {
        new.size() < old.size() && is_aligned(ptr.addr().get(), new.align().get())
    }

    fn can_reset(&self) -> bool {
        !self.claimed
    }

    unsafe fn visit_spans(&mut self, visit: &mut dyn FnMut(NonNull<[u8]>)) -> Result<(), AllocError> {
        if self.claimed {
            return Err(AllocError);
        }
        // Relaxed: `&mut self` means that other threads' accesses happen before and after this.
        let used = self.cursor.load(Ordering::Relaxed);
        if used != 0 {
            visit(NonNull::slice_from_raw_parts(self.backing.base(), used));
        }
        Ok(())
    }

    /// Forgets every block. O(number of stripes).
    fn reset(&mut self) -> Result<(), AllocError> {
        if self.claimed {
            return Err(AllocError);
        }
        // Relaxed: `&mut self` means that other threads' accesses happen before and after this.
        self.cursor.store(0, Ordering::Relaxed);
        for stripe in &self.stripes {
            stripe.set(0, 0);
        }
        Ok(())
    }

    fn capacity_bytes(&self) -> Option<usize> {
        Some(self.capacity())
    }

    #[inline]
    fn blocks_stay(&self) -> bool {
        B::STAYS
    }
}

// SAFETY: the range is the backing's, which this value owns; a claim needs an arena without blocks or chunks and leaves
// the cursor at the end for good, so that every later request fails.
unsafe impl<B: FixedRange> FixedRange for SharedBumpArena<B> {
    forward_range!(backing: B);

    fn claim(&mut self) -> Result<(), AllocError> {
        if self.claimed || self.allocated() != 0 {
            return Err(AllocError);
        }
        self.reset()?;
        self.claimed = true;
        self.cursor.store(self.backing.size(), Ordering::Relaxed);
        Ok(())
    }
}

// SAFETY: every block lies in the backing's range, which stays where it is.
unsafe impl<B: FixedRange + StableAddress> StableAddress for SharedBumpArena<B> {}

impl<B: FixedRange> fmt::Debug for SharedBumpArena<B> {
    // The backing is left out: it need not be `Sync`, so its own `Debug` must not run through a shared arena.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBumpArena")
            .field("allocated", &self.allocated())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
