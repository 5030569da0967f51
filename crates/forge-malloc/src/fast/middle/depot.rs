//! The depot of a class: batches of free blocks that any thread may put and any thread may take.
//!
//! ```text
//!   a thread frees more than it keeps              a thread has none
//!        |  a batch of addresses                        ^  a batch of addresses
//!        v                                              |
//!      [ batch ] -> [ batch ] -> ..     at most `limit`; beyond it, blocks go to their spans
//! ```
//!
//! # Invariants
//!
//! - (I1) A block in a depot is issued as far as its span can tell, and neither live nor in the cache of a thread.
//! - (I2) A batch in a depot holds at least one block.
//!
//! # Operations
//!
//! `put` and `take`: lock-free, O(batch).
//!
//! # Design
//!
//! This is how a block that another thread frees comes back: the freeing thread keeps it like any other, and what it has too
//! much of travels in batches to whoever allocates. One exchange moves a batch, and the addresses travel in eight to a line,
//! while the blocks themselves are not touched. Bonwick and Adams call it the depot of magazines ("Magazines and
//! Vmem", 2001), tcmalloc the transfer cache. Queues to the owner of each block, as in snmalloc, need an owner that still
//! lives and looks; blocks here have none, so a thread that ends leaves nothing behind.
#![allow(unsafe_code)]

use forge_alloc_core::sync::atomic::{AtomicUsize, Ordering};
use forge_os::Os;

use super::batches::{Batches, Stack};
use crate::fast::LARGEST_BATCH;
use crate::fast::glue::const_unless_loom;

/// Free blocks of one class between threads.
#[derive(Debug)]
pub(crate) struct Depot {
    stack: Stack,
    blocks: AtomicUsize,
}

impl Depot {
    const_unless_loom! {
        /// Returns an empty depot.
        pub(crate) fn new() -> Self {
            Self { stack: Stack::new(), blocks: AtomicUsize::new(0) }
        }
    }

    /// Returns how many blocks there were a moment ago, or a batch more. O(1).
    pub(crate) fn blocks(&self) -> usize {
        // Relaxed: an estimate.
        self.blocks.load(Ordering::Relaxed)
    }

    /// Returns how many batches there were a moment ago. O(1).
    pub(crate) fn len(&self) -> usize {
        self.stack.len()
    }

    /// Takes `count` blocks over whose addresses start at `blocks`, unless there are `limit` batches already. Returns whether
    /// it did. Lock-free.
    ///
    /// # Safety
    ///
    /// `blocks` is valid for reading `count` words, `1 <= count <= LARGEST_BATCH`.
    #[inline]
    pub(crate) unsafe fn put(
        &self,
        batches: &Batches,
        os: &impl Os,
        limit: usize,
        blocks: *const usize,
        count: usize,
    ) -> bool {
        debug_assert!((1..=LARGEST_BATCH).contains(&count));
        if self.stack.len() >= limit {
            return false;
        }
        let Some(held) = batches.take(os) else { return false };
        batches.fill(&held, |place| {
            // SAFETY: the caller promises the words, and a batch has room for as many.
            unsafe { place.copy_from_nonoverlapping(blocks, count) };
            count
        });
        // Relaxed, here and below: the number is read by itself. It is never less than what is taken out.
        self.blocks.fetch_add(count, Ordering::Relaxed);
        self.stack.push(batches, held);
        true
    }

    /// Hands a batch over: writes the addresses from `out` on, and returns how many. Lock-free.
    ///
    /// # Safety
    ///
    /// `out` is valid for writing [`LARGEST_BATCH`] words, or as many as the largest batch that was put.
    #[inline]
    pub(crate) unsafe fn take(&self, batches: &Batches, out: *mut usize) -> usize {
        let Some(held) = self.stack.pop(batches) else { return 0 };
        let (blocks, count) = batches.addresses(&held);
        // SAFETY: the caller promises the room; the batch is this thread's.
        unsafe { out.copy_from_nonoverlapping(blocks, count) };
        batches.put_back(held);
        self.blocks.fetch_sub(count, Ordering::Relaxed);
        count
    }
}

#[cfg(test)]
mod tests;
