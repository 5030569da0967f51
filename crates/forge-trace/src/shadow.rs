//! The shadow model: operations run against an allocator next to a model of what it must do.
//!
//! ```text
//!              +--> allocator under test --> block or error --+
//!   Op --------+                                              +--> the same? ----> next Op
//!              +--> model: which bytes are whose -------------+         \
//!                                                                        +-------> Violation
//! ```
//!
//! What is checked, after every operation on the block concerned and over all blocks every so often and at the end:
//!
//! - a block starts inside the range that the allocator is known to have, is aligned, is as long as asked, and
//!   overlaps no live block with any byte that it says is usable;
//! - the contents of a block survive until it is freed, through resizes, failures and moves of the allocator;
//! - zero-filled means zero-filled, for allocations and for the tail of a zeroed grow;
//! - an error leaves the old block alive and intact;
//! - a resize that `stays_in_place` has promised leaves the block where it is;
//! - blocks are freed with the layout that was asked for, however long the slice was (memory fitting);
//! - `usable_size` is at least the size, and all usable bytes can be written;
//! - `capacity_bytes` is not exceeded, and `corruption_events` does not move.
//!
//! # Invariants
//!
//! - (I1) `live` holds exactly the blocks that the allocator has issued and not taken back, with the layout of their
//!   latest request, by address.
//! - (I2) `numbers` maps the number of each live block to its address, and nothing else.
//! - (I3) The extents of the live blocks are disjoint: a block enters `live` only after it was compared with its
//!   neighbours there.
//! - (I4) The sampled bytes of each live block hold its pattern; bytes are written only after the
//!   checks of address, length and overlap.
//!
//! # Operations
//!
//! An operation is O(log live blocks + size), where at most 64 KiB of a block are written and compared.
//!
//! # Design
//!
//! The model is a map by address, so a new block is compared with two neighbours and not with all. A violation is a
//! value and not a panic, so that tests assert on it, a fuzzer shrinks it and the laboratory prints it; [`check`] is
//! the form that panics. The model owns what it tests only where that is a [`StableAddress`]: a model over an inline
//! allocator would end the allocator's blocks each time it is moved or borrowed mutably. Operations that make no sense (a
//! free of an unknown number) are skipped, because a failed allocation leaves such operations behind and a fuzzer produces
//! them.
#![allow(unsafe_code)]

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ptr::NonNull;

use forge_alloc_core::{Allocator, NonZeroLayout, StableAddress};

use crate::Op;
use crate::random::mix;

mod checks;
pub mod moving;
pub mod ops;
mod outcome;
mod pattern;
mod violation;

pub use checks::Checks;
pub use moving::{check_moving, check_moving_empty, drive_moving, drive_moving_empty};
pub use ops::{Limits, random_ops};
pub use outcome::{Step, Summary};
pub use violation::{Promise, Violation};

/// A live block as the model knows it.
#[derive(Clone, Copy, Debug)]
struct Block {
    id: u32,
    ptr: NonNull<u8>,
    layout: NonZeroLayout,
    /// How many bytes from `ptr` on nobody else may have: the longest of size, slice and usable size.
    extent: usize,
    /// Whether it was asked for zero-filled; such blocks also grow zero-filled.
    zeroed: bool,
    /// The place of its allocation in the order of all allocations.
    birth: u64,
}

/// An allocator and the model of what it owes.
///
/// The model may be moved while blocks are live, so the allocator must have a stable address; a reference to any
/// allocator has one.
///
/// Dropping the model forgets the blocks that are live; [`Shadow::finish`] checks and frees them.
#[derive(Debug)]
pub struct Shadow<A> {
    allocator: A,
    checks: Checks,
    live: BTreeMap<usize, Block>,
    numbers: BTreeMap<u32, usize>,
    live_bytes: u64,
    births: u64,
    operations: usize,
    corruption_events: u64,
}

impl<A: Allocator + StableAddress> Shadow<A> {
    /// Returns the model of `allocator`, which has no live blocks, with default [`Checks`].
    pub fn new(allocator: A) -> Self {
        Self::with_checks(allocator, Checks::default())
    }

    /// Returns the model of `allocator`, which has no live blocks.
    pub fn with_checks(allocator: A, checks: Checks) -> Self {
        let corruption_events = allocator.corruption_events();
        Self {
            allocator,
            checks,
            live: BTreeMap::new(),
            numbers: BTreeMap::new(),
            live_bytes: 0,
            births: 0,
            operations: 0,
            corruption_events,
        }
    }

    /// Returns the allocator under test.
    pub fn allocator(&self) -> &A {
        &self.allocator
    }

    /// Returns the number of live blocks. O(1).
    pub fn live_blocks(&self) -> usize {
        self.live.len()
    }

    /// Returns the sum of the sizes of the live blocks in bytes. O(1).
    pub fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// Returns the address and the layout of live block `id`. O(log live blocks).
    pub fn block(&self, id: u32) -> Option<(NonNull<u8>, NonZeroLayout)> {
        let block = self.live.get(self.numbers.get(&id)?)?;
        Some((block.ptr, block.layout))
    }

    /// Passes `op` to the allocator and checks what it did.
    ///
    /// # Errors
    ///
    /// [`Violation`] if a promise was broken. The allocator must then be taken as unusable, and so must the model.
    pub fn step(&mut self, op: &Op) -> Result<Step, Violation> {
        let step = match *op {
            Op::Allocate { id, size, align, zeroed, .. } => self.allocate(id, size, align, zeroed),
            Op::Resize { id, size, .. } => self.resize(id, size),
            Op::Free { id, .. } => self.free(id),
        }?;
        self.check_bookkeeping(op.id())?;
        self.operations += 1;
        if self.checks.sweep_every != 0 && self.operations % self.checks.sweep_every == 0 {
            self.sweep()?;
        }
        Ok(step)
    }

    /// Passes all of `ops` to the allocator, one after another, and compares all live blocks at the end.
    ///
    /// # Errors
    ///
    /// The first [`Violation`], as [`Shadow::step`].
    pub fn run(&mut self, ops: &[Op]) -> Result<Summary, Violation> {
        let mut summary = Summary::default();
        for op in ops {
            summary.count(self.step(op)?);
        }
        self.sweep()?;
        Ok(summary)
    }

    /// Compares the contents of all live blocks. O(bytes).
    ///
    /// # Errors
    ///
    /// [`Violation`] if a block does not hold what was written to it.
    pub fn sweep(&self) -> Result<(), Violation> {
        self.live
            .values()
            .try_for_each(|block| self.check_content(block, block.layout.size().get(), "at a sweep"))
    }

    /// Compares and frees all live blocks, youngest first.
    ///
    /// # Errors
    ///
    /// [`Violation`] if a block does not hold what was written to it; the others are then forgotten.
    pub fn free_all(&mut self) -> Result<(), Violation> {
        let mut order: Vec<(u64, u32)> = self.live.values().map(|block| (block.birth, block.id)).collect();
        order.sort_unstable_by(|left, right| right.cmp(left));
        order.into_iter().try_for_each(|(_, id)| self.free(id).map(drop))
    }

    /// Frees all live blocks and returns the allocator.
    ///
    /// # Errors
    ///
    /// As [`Shadow::free_all`].
    pub fn finish(mut self) -> Result<A, Violation> {
        self.free_all()?;
        Ok(self.allocator)
    }

    /// Resets the allocator, which ends all live blocks at once.
    ///
    /// # Errors
    ///
    /// [`Violation`] if the allocator refused and a block does not hold what was written to it.
    pub fn reset(&mut self) -> Result<Step, Violation> {
        if self.allocator.reset().is_err() {
            self.sweep()?;
            return Ok(Step::Failed);
        }
        self.live.clear();
        self.numbers.clear();
        self.live_bytes = 0;
        Ok(Step::Done)
    }

    fn violation(&self, id: u32, promise: Promise, detail: String) -> Violation {
        Violation { operation: self.operations, id, promise, detail }
    }

    fn allocate(&mut self, id: u32, size: usize, align: usize, zeroed: bool) -> Result<Step, Violation> {
        let Ok(layout) = Op::layout_of(size, align) else { return Ok(Step::Skipped) };
        if self.numbers.contains_key(&id) {
            return Ok(Step::Skipped);
        }
        let result =
            if zeroed { self.allocator.allocate_zeroed(layout) } else { self.allocator.allocate(layout) };
        let Ok(issued) = result else { return Ok(Step::Failed) };
        self.births += 1;
        let block = self.check_issued(id, issued, layout, zeroed, self.births)?;
        if zeroed {
            self.check_zeroed(&block, 0)?;
        }
        self.adopt(block)
    }

    fn resize(&mut self, id: u32, size: usize) -> Result<Step, Violation> {
        let Some(old) = self.numbers.get(&id).and_then(|address| self.live.get(address)).copied() else {
            return Ok(Step::Skipped);
        };
        let Ok(layout) = Op::layout_of(size, self.next_align(&old)) else { return Ok(Step::Skipped) };
        let kept = old.layout.size().min(layout.size()).get();
        // SAFETY: the block is live with this layout (shadow I1).
        let promised = unsafe { self.allocator.stays_in_place(old.ptr, old.layout, layout) };
        let result = if layout.size() < old.layout.size() {
            // SAFETY: the block is live with this layout (shadow I1), and the new size is smaller.
            unsafe { self.allocator.shrink(old.ptr, old.layout, layout) }
        } else if old.zeroed {
            // SAFETY: the block is live with this layout (shadow I1), and the new size is not smaller.
            unsafe { self.allocator.grow_zeroed(old.ptr, old.layout, layout) }
        } else {
            // SAFETY: the block is live with this layout (shadow I1), and the new size is not smaller.
            unsafe { self.allocator.grow(old.ptr, old.layout, layout) }
        };
        if promised && result.map(NonNull::cast) != Ok(old.ptr) {
            let detail = format!("{result:?} of {:#x}, {:?} to {layout:?}", old.ptr.addr(), old.layout);
            return Err(self.violation(id, Promise::InPlace, detail));
        }
        let Ok(issued) = result else {
            self.check_content(&old, old.layout.size().get(), "after a failed resize")?;
            return Ok(Step::Failed);
        };
        self.forget(&old);
        let block = self.check_issued(id, issued, layout, old.zeroed, old.birth)?;
        self.check_content(&Block { layout: old.layout, ..block }, kept, "after a resize")?;
        if old.zeroed && layout.size() > old.layout.size() {
            self.check_zeroed(&block, kept)?;
        }
        self.adopt(block)
    }

    fn free(&mut self, id: u32) -> Result<Step, Violation> {
        let Some(block) = self.numbers.get(&id).and_then(|address| self.live.get(address)).copied() else {
            return Ok(Step::Skipped);
        };
        self.check_content(&block, block.layout.size().get(), "before its free")?;
        self.forget(&block);
        // A program leaves anything behind in a block that it frees.
        // SAFETY: the block is live and ours, and this many of its bytes are usable (I3).
        unsafe { pattern::scribble(block.ptr, 0, block.extent) };
        // SAFETY: the block is live with this layout (shadow I1), and the model has just forgotten it.
        unsafe { self.allocator.deallocate(block.ptr, block.layout) };
        Ok(Step::Done)
    }

    /// Returns the alignment that the next resize of `block` asks for.
    fn next_align(&self, block: &Block) -> usize {
        if self.checks.vary_alignment {
            1 << (mix(self.operations as u64) % 9)
        } else {
            block.layout.align().get()
        }
    }

    /// Returns the block that the allocator has issued, once its address, length and neighbours are checked.
    fn check_issued(
        &self,
        id: u32,
        issued: NonNull<[u8]>,
        layout: NonZeroLayout,
        zeroed: bool,
        birth: u64,
    ) -> Result<Block, Violation> {
        let ptr = issued.cast::<u8>();
        let address = ptr.addr().get();
        let size = layout.size().get();
        let fail = |promise, detail| Err(self.violation(id, promise, detail));
        if address & (layout.align().get() - 1) != 0 {
            return fail(Promise::Alignment, format!("address {address:#x} for {layout:?}"));
        }
        if issued.len() < size {
            return fail(Promise::Length, format!("a slice of {} bytes for {layout:?}", issued.len()));
        }
        self.check_span(id, address, issued.len())?;
        // SAFETY: the allocator has just issued the block with this layout.
        let usable = unsafe { self.allocator.usable_size(ptr, layout) };
        if usable.is_some_and(|usable| usable < size) {
            return fail(Promise::UsableSize, format!("{usable:?} bytes for {layout:?}"));
        }
        let extent = issued.len().max(usable.unwrap_or(0));
        self.check_span(id, address, extent)?;
        let total = self.live_bytes.saturating_add(size as u64);
        match self.allocator.capacity_bytes() {
            Some(capacity) if total > capacity as u64 => {
                fail(Promise::Capacity, format!("{total} bytes are live of {capacity}"))
            }
            _ => Ok(Block { id, ptr, layout, extent, zeroed, birth }),
        }
    }

    /// Checks that `length` bytes at `address` lie in the range and overlap no live block.
    fn check_span(&self, id: u32, address: usize, length: usize) -> Result<(), Violation> {
        let Some(end) = address.checked_add(length) else {
            let detail = format!("{length} bytes at {address:#x} leave the address space");
            return Err(self.violation(id, Promise::Containment, detail));
        };
        if let Some(range) = &self.checks.range {
            if address < range.start || end > range.end {
                let detail =
                    format!("{address:#x}..{end:#x} outside of {:#x}..{:#x}", range.start, range.end);
                return Err(self.violation(id, Promise::Containment, detail));
            }
        }
        // The live blocks are disjoint, so the last one that starts before `end` is the only one that can reach in.
        match self.live.range(..end).next_back() {
            Some((start, other)) if start + other.extent > address => {
                let theirs = start + other.extent;
                let detail =
                    format!("{address:#x}..{end:#x} and block {} at {start:#x}..{theirs:#x}", other.id);
                Err(self.violation(id, Promise::Overlap, detail))
            }
            _ => Ok(()),
        }
    }

    fn check_content(&self, block: &Block, length: usize, when: &str) -> Result<(), Violation> {
        // SAFETY: the block is live, `length` does not exceed its size, and its sampled bytes were written (I4).
        match unsafe { pattern::first_difference(block.ptr, block.layout.size().get(), length, block.id) } {
            None => Ok(()),
            Some(offset) => {
                let detail = format!(
                    "byte {offset} of {:?} at {:#x} has changed, seen {when}",
                    block.layout,
                    block.ptr.addr()
                );
                Err(self.violation(block.id, Promise::Content, detail))
            }
        }
    }

    fn check_zeroed(&self, block: &Block, from: usize) -> Result<(), Violation> {
        // SAFETY: the block is live, and the allocator has written zeros from `from` to its size if it keeps its word.
        match unsafe { pattern::first_nonzero(block.ptr, from, block.layout.size().get()) } {
            None => Ok(()),
            Some(offset) => {
                let detail = format!("byte {offset} of {:?} is not zero", block.layout);
                Err(self.violation(block.id, Promise::Zeroed, detail))
            }
        }
    }

    fn check_bookkeeping(&self, id: u32) -> Result<(), Violation> {
        let events = self.allocator.corruption_events();
        if events == self.corruption_events {
            return Ok(());
        }
        let detail = format!("{events} corruption events instead of {}", self.corruption_events);
        Err(self.violation(id, Promise::Bookkeeping, detail))
    }

    /// Writes the pattern of the block and what lies behind it, and takes the block into the model.
    fn adopt(&mut self, block: Block) -> Result<Step, Violation> {
        let size = block.layout.size().get();
        // SAFETY: the block is live and ours, and `extent >= size` of its bytes are usable and nobody else's (I3).
        unsafe {
            pattern::fill(block.ptr, size, block.id);
            pattern::scribble(block.ptr, size, block.extent);
        }
        let address = block.ptr.addr().get();
        self.numbers.insert(block.id, address);
        self.live.insert(address, block);
        self.live_bytes += size as u64;
        Ok(Step::Done)
    }

    fn forget(&mut self, block: &Block) {
        self.numbers.remove(&block.id);
        self.live.remove(&block.ptr.addr().get());
        self.live_bytes -= block.layout.size().get() as u64;
    }
}

/// Passes `ops` to `allocator` and frees what is left.
///
/// # Errors
///
/// The first [`Violation`].
pub fn drive<A: Allocator + ?Sized>(allocator: &A, ops: &[Op], checks: Checks) -> Result<Summary, Violation> {
    let mut shadow = Shadow::with_checks(allocator, checks);
    let summary = shadow.run(ops)?;
    shadow.finish()?;
    Ok(summary)
}

/// Passes `ops` to `allocator` and frees what is left.
///
/// # Panics
///
/// If a promise is broken, with the [`Violation`].
#[track_caller]
pub fn check<A: Allocator + ?Sized>(allocator: &A, ops: &[Op]) -> Summary {
    demand(drive(allocator, ops, Checks::default()))
}

/// Returns the value, or panics with the violation.
#[track_caller]
fn demand<T>(result: Result<T, Violation>) -> T {
    match result {
        Ok(value) => value,
        Err(violation) => panic!("{violation}"),
    }
}

#[cfg(test)]
mod tests;
