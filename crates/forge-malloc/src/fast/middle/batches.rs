//! Batches: what carries blocks from thread to thread, a few dozen addresses at a time.
//!
//! ```text
//!   chunks   | chunk 0 | chunk 1 |  -  | ..                  mapped when they are needed, and for ever
//!                |
//!              | batch 0 | batch 1 | .. | batch 63 |         a batch is named by its number
//!
//!   stack    | number of the top, plus 1 | how many | version |      one word
//!                 |
//!               batch --next--> batch --next--> 0
//! ```
//!
//! # Invariants
//!
//! - (I1) A batch that was made stays a batch at its place: its `next` may be read at any time.
//! - (I2) A batch is on one stack or in the hands of one thread, and its addresses are reached by that thread alone.
//! - (I3) Each change of a stack is an exchange of its word with another version.
//!
//! # Operations
//!
//! `push` and `pop`: lock-free, one exchange. Making a batch: O(1), a mapping for every [`PER_CHUNK`] of them.
//!
//! # Design
//!
//! A stack of Treiber ("Systems programming: coping with parallelism", 1986) whose word holds numbers instead of
//! addresses, so that there is room for a version: a pop that read the `next` of a batch which was popped and pushed again
//! meanwhile fails. It would take some sixteen million changes of the stack in the middle of one pop to defeat that.
//!
//! A thread that dies or is stopped between two of these steps holds no lock, so a fork at any time leaves all stacks whole.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::ptr::{self, NonNull};

use forge_alloc_core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use forge_os::Os;

use crate::fast::LARGEST_BATCH;
use crate::fast::back::aside;
use crate::fast::glue::{array_of, const_unless_loom};

/// How many batches are mapped at a time. The model checker needs few.
const PER_CHUNK: usize = if cfg!(loom) { 4 } else { 64 };
/// How many chunks there can be.
const CHUNKS: usize = if cfg!(loom) { 1 } else { 128 };

const NUMBER_BITS: u32 = 24;
const COUNT_BITS: u32 = 16;
const NUMBERS: u64 = (1 << NUMBER_BITS) - 1;
const COUNTS: u64 = (1 << COUNT_BITS) - 1;
const ONE_MORE: u64 = 1 << NUMBER_BITS;
const NEXT_VERSION: u64 = 1 << (NUMBER_BITS + COUNT_BITS);

/// Addresses of blocks of one class.
#[repr(C)]
pub(crate) struct Batch {
    next: AtomicU32,
    count: Cell<u32>,
    blocks: [Cell<usize>; LARGEST_BATCH],
}

/// The number of a batch that a thread holds.
#[derive(Debug)]
pub(crate) struct Held(u32);

/// A stack of batches.
#[derive(Debug)]
pub(crate) struct Stack {
    word: AtomicU64,
}

impl Stack {
    const_unless_loom! {
        /// Returns the empty stack.
        pub(crate) fn new() -> Self {
            Self { word: AtomicU64::new(0) }
        }
    }

    /// Returns how many batches were on the stack a moment ago. O(1).
    #[inline]
    pub(crate) fn len(&self) -> usize {
        // Relaxed: an estimate.
        ((self.word.load(Ordering::Relaxed) >> NUMBER_BITS) & COUNTS) as usize
    }

    /// Puts a batch on top. Lock-free.
    #[inline]
    pub(crate) fn push(&self, batches: &Batches, held: Held) {
        let batch = batches.at(held.0);
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            // Relaxed: published by the exchange below.
            batch.next.store((word & NUMBERS) as u32, Ordering::Relaxed);
            let above = (word & !NUMBERS).wrapping_add(ONE_MORE + NEXT_VERSION) | u64::from(held.0 + 1);
            // Release: pairs with the Acquire in `pop`, also through the exchanges in between, so that who pops the batch
            // sees its addresses, its `next` and its chunk.
            match self.word.compare_exchange_weak(word, above, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    /// Takes the batch on top. Lock-free.
    #[inline]
    pub(crate) fn pop(&self, batches: &Batches) -> Option<Held> {
        // Acquire: pairs with the Release in `push`, before the top batch is looked at.
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            let number = ((word & NUMBERS) as u32).checked_sub(1)?;
            // Relaxed: if the batch left the stack meanwhile this may be anything, and the exchange fails (I3).
            let next = batches.at(number).next.load(Ordering::Relaxed);
            let below = (word & !NUMBERS).wrapping_sub(ONE_MORE).wrapping_add(NEXT_VERSION) | u64::from(next);
            // Acquire: pairs with the Release in `push`, whichever way it ends.
            match self.word.compare_exchange_weak(word, below, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(Held(number)),
                Err(now) => word = now,
            }
        }
    }
}

/// All batches of a heap.
pub(crate) struct Batches {
    chunks: [AtomicPtr<Batch>; CHUNKS],
    made: AtomicU32,
    unused: Stack,
}

impl Batches {
    const_unless_loom! {
        /// Returns no batches.
        pub(crate) fn new() -> Self {
            Self { chunks: array_of!(AtomicPtr::new(ptr::null_mut()); CHUNKS), made: AtomicU32::new(0), unused: Stack::new() }
        }
    }

    /// Returns the batch of a number.
    #[inline(always)]
    fn at(&self, number: u32) -> &Batch {
        let (chunk, place) = (number as usize / PER_CHUNK % CHUNKS, number as usize % PER_CHUNK);
        // SAFETY: a number names a batch that was made, so its chunk is mapped, for ever (I1). Acquire: pairs with the
        // Release in `chunk`.
        unsafe { &*self.chunks.get_unchecked(chunk).load(Ordering::Acquire).add(place) }
    }

    /// Returns an empty batch, or none if there is no memory for one or there are too many. Lock-free.
    pub(crate) fn take(&self, os: &impl Os) -> Option<Held> {
        self.unused.pop(self).or_else(|| self.make(os))
    }

    /// Takes a batch back whose addresses were taken out. Lock-free.
    pub(crate) fn put_back(&self, held: Held) {
        self.unused.push(self, held);
    }

    /// Calls `fill` with the place for [`LARGEST_BATCH`] addresses, and takes as many for filled as it returns.
    pub(crate) fn fill(&self, held: &Held, fill: impl FnOnce(*mut usize) -> usize) {
        let batch = self.at(held.0);
        let count = fill((&raw const batch.blocks).cast::<usize>().cast_mut());
        batch.count.set(count as u32);
    }

    /// Returns the addresses of a batch, and how many.
    pub(crate) fn addresses(&self, held: &Held) -> (*const usize, usize) {
        let batch = self.at(held.0);
        ((&raw const batch.blocks).cast(), batch.count.get() as usize)
    }

    #[cold]
    fn make(&self, os: &impl Os) -> Option<Held> {
        // Relaxed: each number is handed out once, which is all that it has to be.
        let number = self.made.load(Ordering::Relaxed);
        if number as usize >= PER_CHUNK * CHUNKS {
            return None;
        }
        self.chunk(number as usize / PER_CHUNK, os)?;
        // A number whose chunk is mapped; another thread may be faster, then the next attempt finds what is there.
        match self.made.compare_exchange(number, number + 1, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Some(Held(number)),
            Err(_) => self.unused.pop(self),
        }
    }

    /// Maps a chunk unless it is mapped.
    fn chunk(&self, index: usize, os: &impl Os) -> Option<()> {
        let chunk = self.chunks.get(index)?;
        // Acquire: pairs with the Release below.
        if !chunk.load(Ordering::Acquire).is_null() {
            return Some(());
        }
        let bytes = (PER_CHUNK * size_of::<Batch>()).next_multiple_of(os.page_size());
        let memory = aside::map(os, bytes)?;
        let first: NonNull<Batch> = memory.cast();
        for place in 0..PER_CHUNK {
            // SAFETY: the batch lies in the mapping, which is page-aligned and this thread's alone. Zero is a value of the
            // fields that are not written.
            unsafe { (&raw mut (*first.add(place).as_ptr()).next).write(AtomicU32::new(0)) };
        }
        // Release: publishes the batches to the Acquire loads of `at` and above.
        let installed =
            chunk.compare_exchange(ptr::null_mut(), first.as_ptr(), Ordering::Release, Ordering::Relaxed);
        if installed.is_err() {
            // SAFETY: the mapping is whole and nobody has seen it. If the system refuses, it stays unused.
            let _ = unsafe { os.unmap(memory, bytes) };
        }
        Some(())
    }
}

// SAFETY: a batch is reached through atomics and by the thread that holds it (I2).
unsafe impl Sync for Batches {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Batches {}
