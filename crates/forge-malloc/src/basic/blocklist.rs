//! `BlockList`: the free memory, as a list of blocks in the order of their addresses.
//!
//! ```text
//!   memory   |~~~| free |~~~~~~| free |~~|    free    |~~~|       ~ is in use
//!                 64 bytes      16 bytes  512 bytes
//!
//!   list     FreeBlock(64), FreeBlock(16), FreeBlock(512)
//! ```
//!
//! A free block is memory that nobody uses, so the allocator writes its own notes there: the first bytes say how long the
//! block is and where others are. A block in use carries no notes at all, since Rust tells its size when it is freed.
//!
//! # Invariants
//!
//! - (I1) Blocks are in ascending order of addresses and do not overlap.
//! - (I2) No two blocks touch: a freed block is merged with the blocks before and behind it.
//! - (I3) Addresses and sizes are multiples of 16.
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | [`add_block`](BlockList::add_block), [`pop_size`](BlockList::pop_size) | O(log blocks), see the module `tree` for when it is more |
//! | [`iter`](BlockList::iter), a step | the same |
//! | [`stats`](BlockList::stats), [`len`](BlockList::len) | all steps |
//!
//! # Design
//!
//! What it does is a list's, as in Kernighan and Ritchie, "The C Programming Language", section 8.7: first fit by
//! address, cut from the high end so that a block in the list stays where it is, merge on free. How it finds its way is a
//! tree's.
#![allow(unsafe_code)]

use core::fmt;
use core::marker::PhantomData;
use core::ops::Range;
use core::ptr::{self, NonNull};

use super::report;
use super::trace::{Note, Notes};

mod stats;
mod tree;

pub use stats::{Stats, Validity};
use tree::Tree;
pub(super) use tree::{Block, GRAIN};

/// The free blocks of a heap, in the order of their addresses.
///
/// Dropping a list forgets its memory.
///
/// # Examples
///
/// ```
/// use forge_malloc::basic::BlockList;
/// use std::ptr::NonNull;
///
/// #[repr(align(16))]
/// struct Memory([u8; 256]);
/// let mut memory = Memory([0; 256]);
/// let mut list = BlockList::default();
/// // Sound: nothing else uses the memory while the list does.
/// unsafe { list.add_block(NonNull::from(&mut memory.0).cast(), 256) };
///
/// let taken = list.pop_size(64).unwrap();
/// assert_eq!(taken.end.addr().get() - taken.start.addr().get(), 64);
/// assert_eq!(list.iter().map(|block| block.size()).collect::<Vec<_>>(), [192]);
/// ```
pub struct BlockList {
    tree: Tree,
    notes: Notes,
}

impl BlockList {
    /// Returns an empty list. O(1).
    #[must_use]
    pub const fn new() -> Self {
        Self { tree: Tree::new(), notes: Notes::new() }
    }

    /// Returns how many bytes of a free block are used for notes at least, which is also the unit of sizes.
    #[must_use]
    pub const fn header_size() -> usize {
        GRAIN
    }

    /// Returns the blocks in the order of their addresses.
    #[must_use]
    pub fn iter(&self) -> BlockIter<'_> {
        BlockIter { list: self, from: 0 }
    }

    /// Counts the blocks. Walks over all of them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Returns whether there is no block. O(1).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tree.largest().is_none()
    }

    /// Returns what was found wrong, which is nothing, and how much is free. Walks over all blocks.
    #[must_use]
    pub fn stats(&self) -> (Validity, Stats) {
        stats::collect(self.iter().map(|block| (block.block, block.larger_below)))
    }

    /// Takes `size` bytes, rounded up to a multiple of 16, from the high end of the first block that has them; `None` for
    /// none, or for zero bytes. O(log blocks).
    ///
    /// A block of exactly that size leaves the list.
    pub fn pop_size(&mut self, size: usize) -> Option<Range<NonNull<u8>>> {
        let size = size.checked_next_multiple_of(GRAIN).filter(|size| *size > 0)?;
        let start = self.take(size, GRAIN)?;
        let pointer = |address| NonNull::new(ptr::with_exposed_provenance_mut(address));
        let taken = pointer(start)?..pointer(start + size)?;
        self.notes.take().into_iter().for_each(Notes::emit);
        Some(taken)
    }

    /// Adds `size` bytes at `ptr`, merging them with the blocks that they touch. O(log blocks).
    ///
    /// If they overlap a block, the process ends with a message: they were freed twice.
    ///
    /// # Safety
    ///
    /// - The bytes can be read and written through `ptr`, belong to nobody else, and are given up to the list for as long as
    ///   it lives or until it hands them out again.
    /// - `ptr` and `size` are multiples of 16, and `size` is not zero.
    /// - If they touch a block that is in the list, both together can be used as one piece of memory: they are parts of
    ///   one allocation, or pages that the kernel has mapped.
    pub unsafe fn add_block(&mut self, ptr: NonNull<u8>, size: usize) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { self.add(ptr.as_ptr(), size) };
        self.notes.take().into_iter().for_each(Notes::emit);
    }

    /// Does [`BlockList::add_block`] without messages, and returns the block that the bytes are a part of.
    ///
    /// # Safety
    ///
    /// As [`BlockList::add_block`].
    #[inline]
    pub(super) unsafe fn add(&mut self, ptr: *mut u8, size: usize) -> Block {
        let block = Block { address: ptr.expose_provenance(), size };
        if block.address % GRAIN != 0 {
            report::foreign_free()
        }
        debug_assert!(size > 0 && size % GRAIN == 0);
        // SAFETY: the multiples are as asked, and the memory is given up.
        let Some(whole) = (unsafe { self.tree.add(block) }) else { report::overlapping_free() };
        if whole != block {
            self.notes.add(Note::Merged { address: whole.address, size: whole.size });
        }
        whole
    }

    /// Takes `size` bytes, a multiple of 16 and not zero, at a multiple of `align`, from the high end of the first block that
    /// has them.
    #[inline]
    pub(super) fn take(&mut self, size: usize, align: usize) -> Option<usize> {
        let notes = &mut self.notes;
        let mut first = true;
        let (block, start) = self.tree.take_high(size, align, |block| {
            if !core::mem::take(&mut first) {
                notes.add(Note::Candidate { address: block.address, size: block.size });
            }
        })?;
        notes.add(match block.size == size {
            true => Note::Exact { address: block.address },
            false => Note::Split { taken: size, address: block.address, size: block.size },
        });
        Some(start)
    }

    /// Takes `size` bytes at a multiple of `align` from the low end of the largest block if it has `spare` more behind them.
    pub(super) fn take_low(&mut self, size: usize, align: usize, spare: usize) -> Option<usize> {
        self.tree.take_low(size, align, spare)
    }

    /// Takes the `size` bytes at `address` if a block starts there that has them.
    pub(super) fn take_at(&mut self, address: usize, size: usize) -> bool {
        self.tree.take_at(address, size)
    }

    /// Writes a note.
    pub(super) fn note(&mut self, note: Note) {
        self.notes.add(note);
    }

    /// Takes the notes of the latest operation.
    #[inline]
    pub(super) fn take_notes(&mut self) -> Option<Notes> {
        self.notes.take()
    }
}

impl Default for BlockList {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for BlockList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlockList(")?;
        for (index, block) in self.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{block}")?;
        }
        f.write_str(")")
    }
}

impl fmt::Debug for BlockList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'l> IntoIterator for &'l BlockList {
    type Item = FreeBlock<'l>;
    type IntoIter = BlockIter<'l>;

    fn into_iter(self) -> BlockIter<'l> {
        self.iter()
    }
}

/// A look at a free block.
#[derive(Clone, Copy)]
pub struct FreeBlock<'l> {
    block: Block,
    larger_below: usize,
    list: PhantomData<&'l BlockList>,
}

impl FreeBlock<'_> {
    /// Returns the size in bytes. O(1).
    #[must_use]
    pub fn size(&self) -> usize {
        self.block.size
    }

    /// Returns the addresses from the first byte to the one behind the last. O(1).
    #[must_use]
    pub fn as_range(&self) -> Range<*const u8> {
        ptr::without_provenance(self.block.address)..ptr::without_provenance(self.block.end())
    }
}

impl fmt::Display for FreeBlock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FreeBlock({:#x}, {})", self.block.address, self.block.size)
    }
}

impl fmt::Debug for FreeBlock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The blocks of a list in the order of their addresses.
#[derive(Clone, Debug)]
pub struct BlockIter<'l> {
    list: &'l BlockList,
    /// Everything before this address was returned.
    from: usize,
}

impl<'l> Iterator for BlockIter<'l> {
    type Item = FreeBlock<'l>;

    fn next(&mut self) -> Option<FreeBlock<'l>> {
        let (block, larger_below) = self.list.tree.first_from(self.from)?;
        self.from = block.address + 1;
        Some(FreeBlock { block, larger_below, list: PhantomData })
    }
}

#[cfg(test)]
mod tests;
