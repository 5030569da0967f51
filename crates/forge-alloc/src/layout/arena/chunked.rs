//! The growing arena: a bump cursor over chunks that a source supplies and that `reset` keeps.
//!
//! ```text
//!   first              current                kept from before the last reset
//!   | hdr | blocks  |->| hdr | blocks | free |->| hdr | free            |-> none
//!                                     ^ next ^ limit
//! ```
//!
//! # Invariants
//!
//! - (I1) The chunks from `first` on are live, linked in the order of their use, and owned by the arena.
//! - (I2) `next <= limit`, both inside `current` and multiples of `MIN_ALIGN`; without a chunk they are equal.
//! - (I3) Live blocks lie in chunks before `current`, or in `current` below `next`; chunks after `current` hold none.
//! - (I4) `limit <= usize::MAX - HEADROOM`, so sums of requests below `HEADROOM` need no overflow check.
//!
//! # Operations
//!
//! Allocation is O(1): a load, a sum, a comparison and a store. When a chunk is full, the next kept chunk is taken if
//! the request fits it; otherwise a new chunk goes between the two, as large as all others together, so n bytes need
//! O(log n) requests to the source. `reset` is O(1). The same work after a reset takes the same chunks in the same
//! order, so a steady state asks the source for nothing.
//!
//! # Design
//!
//! State holds addresses, since chunks do not move. The cursor runs upwards, so that the last block, which is the one
//! that a growing `Vec` owns, can grow in place. Every block starts at a multiple of `MIN_ALIGN` (8 unless chosen), so
//! aligning a usual request costs no instruction; with 1, strings are packed without gaps. Requests above `HEADROOM`
//! leave the fast path, which so needs one comparison where a general one needs three.
#![allow(unsafe_code)]

mod contract;
mod face;
pub(crate) mod scope;

use core::cell::Cell;
use core::fmt;
use core::hint::black_box;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};

use forge_alloc_core::{AllocError, NonZeroLayout, RegionSource, align::checked_align_up, align_up};

use super::boxed::ArenaBox;
use super::typed;
use face::typed_face;
use scope::ArenaScope;

use crate::raw::chunk::{CHUNK_ALIGN, Chunk, HEADER_SIZE, HEADROOM};

/// The source that an arena uses unless another is named: the global allocator where there is one.
#[cfg(feature = "alloc")]
type DefaultSource = crate::backing::HeapSource;
#[cfg(not(feature = "alloc"))]
type DefaultSource = forge_alloc_core::NoSource;

/// The size in bytes of the first chunk where nothing else was asked for: small enough for the front end of a usual
/// heap, so that an arena of a few values is cheap to make and to drop.
const FIRST_CHUNK: usize = 1024 - 2 * size_of::<usize>();

/// The size in bytes up to which chunks double; larger ones are made for larger requests only.
const LARGEST_CHUNK: usize = 64 << 20;

/// An arena that grows by chunks from `S`.
///
/// # Examples
///
/// ```
/// use forge_alloc::Arena;
///
/// let mut arena = Arena::new();
/// for line in ["first", "second"] {
///     let copy = arena.alloc_str(line)?;
///     copy.make_ascii_uppercase();
///     let words = arena.alloc_box(vec![copy.len()])?; // the vector is freed, its slot waits for the reset
///     assert_eq!(words[0], line.len());
/// }
/// arena.reset(); // forgets every block and keeps the memory
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
///
/// A value whose destructor would be skipped does not compile:
///
/// ```compile_fail,E0080
/// let arena = forge_alloc::Arena::new();
/// let leaked = arena.alloc(String::from("never freed"));
/// ```
pub struct Arena<S: RegionSource = DefaultSource, const MIN_ALIGN: usize = 8> {
    next: Cell<NonNull<u8>>,
    limit: Cell<usize>,
    current: Cell<Option<Chunk>>,
    first: Cell<Option<Chunk>>,
    held: Cell<usize>,
    max_held: usize,
    source: S,
}

// SAFETY: the arena owns its chunks alone (I1), and memory is not tied to a thread.
unsafe impl<S: RegionSource + Send, const MIN_ALIGN: usize> Send for Arena<S, MIN_ALIGN> {}

#[cfg(feature = "alloc")]
impl Arena {
    /// Returns an empty arena over the global allocator, which is asked for nothing yet. O(1).
    #[must_use]
    pub const fn new() -> Self {
        Self::with_source(DefaultSource::new())
    }

    /// Returns an empty arena whose first chunk holds at least `bytes` bytes. O(1) and one request to the allocator.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the allocator refuses.
    pub fn with_capacity(bytes: usize) -> Result<Self, AllocError> {
        let mut arena = Self::new();
        arena.reserve(bytes)?;
        Ok(arena)
    }
}

impl<S: RegionSource, const MIN_ALIGN: usize> Arena<S, MIN_ALIGN> {
    const CHECKED: () = assert!(
        MIN_ALIGN.is_power_of_two() && MIN_ALIGN <= CHUNK_ALIGN,
        "MIN_ALIGN is a power of two of at most 16 bytes, the alignment of a chunk"
    );
    /// The cursor of an arena without a chunk.
    const NOWHERE: NonNull<u8> = match NonNull::new(ptr::without_provenance_mut(CHUNK_ALIGN)) {
        Some(nowhere) => nowhere,
        None => NonNull::dangling(),
    };

    /// Returns an empty arena over `source`, which is asked for nothing yet. O(1).
    #[must_use]
    pub const fn with_source(source: S) -> Self {
        let () = Self::CHECKED;
        Self {
            next: Cell::new(Self::NOWHERE),
            limit: Cell::new(CHUNK_ALIGN),
            current: Cell::new(None),
            first: Cell::new(None),
            held: Cell::new(0),
            max_held: usize::MAX,
            source,
        }
    }

    /// Bounds the bytes that the arena holds in chunks, headers included; chunks that it has already are kept. O(1).
    ///
    /// What the source adds to a request counts too: a limit below the page size leaves nothing of a source of mappings.
    #[must_use]
    pub fn limited_to(mut self, bytes: usize) -> Self {
        self.max_held = bytes;
        self
    }

    /// Makes room for `bytes` more bytes in one chunk. O(1) and at most one request to the source.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the source refuses or the limit forbids it; nothing changes.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), AllocError> {
        if bytes <= self.limit.get() - self.next.get().addr().get() {
            return Ok(());
        }
        let layout = NonZeroLayout::from_size_align(bytes, CHUNK_ALIGN).map_err(|_| AllocError)?;
        self.enter_chunk_for(layout)
    }

    /// Returns the bytes held in chunks, headers included. O(1).
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.get()
    }

    /// Returns the bytes handed out since the last reset, padding and the unused ends of full chunks included.
    /// O(chunks).
    #[must_use]
    pub fn allocated_bytes(&self) -> usize {
        let Some(current) = self.current.get() else { return 0 };
        let mut sum = 0;
        for chunk in self.chunks() {
            // SAFETY: the chunks of the arena are live (I1).
            let (start, end) = unsafe { (chunk.start().addr().get(), chunk.end()) };
            if chunk == current {
                return sum + (self.next.get().addr().get() - start);
            }
            sum += end - start;
        }
        sum
    }

    /// Returns the number of chunks held. O(chunks).
    #[must_use]
    pub fn chunk_count(&self) -> usize {
        self.chunks().count()
    }

    /// Returns the source of chunks.
    #[must_use]
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Forgets every block and keeps every chunk. O(1).
    #[inline]
    pub fn reset(&mut self) {
        match self.first.get() {
            Some(first) => self.enter(first),
            None => self.leave(),
        }
    }

    /// Gives the chunks that hold no block back to the source. O(chunks).
    pub fn release_spare(&mut self) {
        match self.current.get() {
            // SAFETY: the chunk is live (I1), and those after it hold no block (I3).
            Some(current) => unsafe {
                let spare = current.next();
                current.set_next(None);
                self.release_from(spare);
            },
            None => self.release_all(),
        }
    }

    /// Forgets every block and gives every chunk back to the source. O(chunks).
    pub fn release_all(&mut self) {
        let first = self.first.take();
        self.leave();
        // SAFETY: no block survives, and the list is the arena's no more.
        unsafe { self.release_from(first) };
    }

    /// Opens a scope: what is allocated through it is forgotten when it is dropped. O(1).
    #[inline]
    pub fn scope(&mut self) -> ArenaScope<'_, S, MIN_ALIGN> {
        ArenaScope::new(self)
    }

    /// Returns the room for `layout` in the current chunk, and moves the cursor past it; `None` where the request is
    /// too large for the fast path or for the chunk.
    #[inline(always)]
    fn bump(&self, layout: NonZeroLayout) -> Option<NonNull<u8>> {
        let (size, align) = (layout.size().get(), layout.align().get());
        if (size | align) >= HEADROOM / 4 {
            return None;
        }
        let next = self.next.get();
        let from = next.addr().get();
        // The sums cannot overflow: `from <= limit`, and they add less than the headroom (I4).
        let start = if align <= MIN_ALIGN {
            from
        } else {
            // Keeps this a branch: as a conditional move, the rounding would delay every request.
            black_box(());
            (from + (align - 1)) & !(align - 1)
        };
        let end = start + ((size + (MIN_ALIGN - 1)) & !(MIN_ALIGN - 1));
        if end > self.limit.get() {
            return None;
        }
        // SAFETY: both offsets stay within the current chunk, whose end is `limit` (I2).
        unsafe {
            self.next.set(next.add(end - from));
            Some(next.add(start - from))
        }
    }

    /// Serves what [`bump`](Self::bump) could not: large requests, and those that need another chunk.
    #[cold]
    #[inline(never)]
    fn allocate_slowly(&self, layout: NonZeroLayout) -> Result<NonNull<u8>, AllocError> {
        if let Some(block) = self.bump_checked(layout) {
            return Ok(block);
        }
        self.enter_chunk_for(layout)?;
        self.bump_checked(layout).ok_or(AllocError)
    }

    /// Does what [`bump`](Self::bump) does, for every layout.
    fn bump_checked(&self, layout: NonZeroLayout) -> Option<NonNull<u8>> {
        let next = self.next.get();
        let from = next.addr().get();
        let start = checked_align_up(from, layout.align().get().max(MIN_ALIGN))?;
        let end = start.checked_add(layout.size().get())?;
        let end = checked_align_up(end, MIN_ALIGN)?;
        if end > self.limit.get() {
            return None;
        }
        // SAFETY: both offsets stay within the current chunk, whose end is `limit` (I2).
        unsafe {
            self.next.set(next.add(end - from));
            Some(next.add(start - from))
        }
    }

    /// Makes a chunk current that `layout` fits: the next kept one, or a new one put before it.
    fn enter_chunk_for(&self, layout: NonZeroLayout) -> Result<(), AllocError> {
        let following = match self.current.get() {
            // SAFETY: the chunk is live (I1).
            Some(current) => unsafe { current.next() },
            None => self.first.get(),
        };
        if let Some(kept) = following {
            // SAFETY: the chunk is live (I1).
            let room = unsafe { kept.end() - kept.start().addr().get() };
            if room >= Self::room_for(layout).ok_or(AllocError)? {
                self.enter(kept);
                return Ok(());
            }
        }
        let fresh = self.request_chunk(layout)?;
        // SAFETY: the new chunk and the current one are live (I1).
        unsafe {
            fresh.set_next(following);
            match self.current.get() {
                Some(current) => current.set_next(Some(fresh)),
                None => self.first.set(Some(fresh)),
            }
        }
        self.enter(fresh);
        Ok(())
    }

    /// Returns the bytes of chunk that serve `layout` wherever the chunk starts.
    fn room_for(layout: NonZeroLayout) -> Option<usize> {
        let padding = layout.align().get().saturating_sub(CHUNK_ALIGN);
        checked_align_up(layout.size().get(), CHUNK_ALIGN)?.checked_add(padding)
    }

    /// Obtains a chunk that `layout` fits from the source, within the limit.
    fn request_chunk(&self, layout: NonZeroLayout) -> Result<Chunk, AllocError> {
        let held = self.held.get();
        let least =
            Self::room_for(layout).and_then(|room| room.checked_add(HEADER_SIZE)).ok_or(AllocError)?;
        let usual = held.clamp(FIRST_CHUNK, LARGEST_CHUNK);
        let allowed = self.max_held.saturating_sub(held);
        let size = align_up(least.max(usual.min(allowed)), CHUNK_ALIGN);
        if least > allowed {
            return Err(AllocError);
        }
        let request =
            NonZeroLayout::from_size_align(size.min(allowed), CHUNK_ALIGN).map_err(|_| AllocError)?;
        // SAFETY: the arena owns the source, and its drop releases every region first.
        let region = unsafe { self.source.request(request) }?;
        if region.len() > allowed {
            // SAFETY: the region is the one of this request, whole and unused.
            unsafe { self.source.release(region, request) };
            return Err(AllocError);
        }
        let chunk = Chunk::new(region, request).map_err(|region| {
            // SAFETY: as above.
            unsafe { self.source.release(region, request) };
            AllocError
        })?;
        // SAFETY: the chunk is live (I1).
        self.held.set(held + unsafe { chunk.region_len() });
        Ok(chunk)
    }

    /// Makes `chunk` current, with all of it free.
    #[inline]
    fn enter(&self, chunk: Chunk) {
        self.current.set(Some(chunk));
        // SAFETY: the chunk is live (I1).
        unsafe {
            self.next.set(chunk.start());
            self.limit.set(chunk.end());
        }
    }

    /// Makes no chunk current.
    fn leave(&self) {
        self.current.set(None);
        self.next.set(Self::NOWHERE);
        self.limit.set(CHUNK_ALIGN);
    }

    /// Returns the chunks in their order.
    fn chunks(&self) -> impl Iterator<Item = Chunk> + '_ {
        // SAFETY: the chunks of the arena are live (I1) while it is borrowed.
        core::iter::successors(self.first.get(), |chunk| unsafe { chunk.next() })
    }

    /// Gives `chunk` and all that follow it back to the source.
    ///
    /// # Safety
    ///
    /// They are live (I1), hold no block, and nothing links to them.
    unsafe fn release_from(&self, mut chunk: Option<Chunk>) {
        while let Some(live) = chunk {
            // SAFETY: the chunk is live and unused, by the caller's promise; the next one is read before it goes.
            unsafe {
                chunk = live.next();
                self.held.set(self.held.get() - live.region_len());
                let (region, layout) = live.into_region();
                self.source.release(region, layout);
            }
        }
    }

    /// Returns the present position.
    #[inline(always)]
    fn mark(&self) -> Mark {
        Mark { chunk: self.current.get(), next: self.next.get(), limit: self.limit.get() }
    }

    /// Goes back to `mark`: every block handed out since is forgotten.
    ///
    /// # Safety
    ///
    /// `mark` is a position that the arena had since its last reset, and no block handed out since is used again.
    #[inline(always)]
    unsafe fn rewind(&self, mark: Mark) {
        if mark.chunk == self.current.get() {
            // A block from before the mark may have been freed since: the cursor only ever goes back.
            if mark.next < self.next.get() {
                self.next.set(mark.next);
            }
            return;
        }
        self.current.set(mark.chunk);
        self.next.set(mark.next);
        self.limit.set(mark.limit);
    }

    /// Returns whether the block of `layout` at `ptr` is the last one.
    #[inline(always)]
    fn is_last(&self, ptr: NonNull<u8>, layout: NonZeroLayout) -> bool {
        // A block ends inside its chunk, so the sum cannot overflow; the header between chunks keeps a block at the
        // end of one from touching the cursor of another.
        let size = (layout.size().get() + (MIN_ALIGN - 1)) & !(MIN_ALIGN - 1);
        ptr.addr().get() + size == self.next.get().addr().get()
    }

    /// Returns the address `addr` of the current chunk, as a pointer to all of the chunk.
    #[inline(always)]
    fn in_current(&self, addr: NonNull<u8>) -> NonNull<u8> {
        self.next.get().with_addr(addr.addr())
    }
}

impl<S: RegionSource, const MIN_ALIGN: usize> Drop for Arena<S, MIN_ALIGN> {
    fn drop(&mut self) {
        self.release_all();
    }
}

#[cfg(feature = "alloc")]
impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: RegionSource, const MIN_ALIGN: usize> fmt::Debug for Arena<S, MIN_ALIGN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena")
            .field("allocated_bytes", &self.allocated_bytes())
            .field("held_bytes", &self.held_bytes())
            .field("chunks", &self.chunk_count())
            .finish_non_exhaustive()
    }
}

/// A position of the arena.
#[derive(Clone, Copy, Debug)]
struct Mark {
    chunk: Option<Chunk>,
    next: NonNull<u8>,
    limit: usize,
}

impl<S: RegionSource, const MIN_ALIGN: usize> Arena<S, MIN_ALIGN> {
    /// Returns the arena itself, for the typed methods.
    #[inline(always)]
    fn allocator(&self) -> &Self {
        self
    }
}

typed_face!(Arena<S, MIN_ALIGN>);

#[cfg(test)]
mod tests;
