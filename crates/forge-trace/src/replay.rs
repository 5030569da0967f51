//! A trace run against an allocator, as a program would run it: at full speed, with the pages touched.
//!
//! # Invariants
//!
//! - (I1) A slot is `Some` exactly while its block is live in the allocator, with the layout that it has there.
//! - (I2) The table has one slot per block of the trace, and is allocated before the run.
//!
//! # Operations
//!
//! Each operation costs one slot of the table, the allocator's call, and the touching of its pages: O(1) plus
//! O(pages of the block). Nothing is hashed and nothing is allocated during a run.
//!
//! # Design
//!
//! A program that asks for memory writes to it, and the page faults of the first write are part of what an allocator
//! costs, so touching is on unless it is turned off. An [`Observer`] sees the moment right before and right after each
//! call, so that it can measure latency without the touching; [`NoObserver`] compiles to nothing. A failed allocation
//! is counted, and the later operations on its block are skipped and counted: an allocator that fails does less work,
//! so a comparison must look at the failures before it looks at the time.
#![allow(unsafe_code)]

use alloc::vec::Vec;
use core::ptr::NonNull;

use forge_alloc_core::{Allocator, NonZeroLayout};

use crate::random::mix;
use crate::{Op, Trace};

/// What became of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The allocator did it.
    Done,
    /// The allocator returned an error.
    Failed,
}

/// Somebody who watches a run, operation by operation.
///
/// Operations that are skipped because their block was never allocated are not shown.
pub trait Observer {
    /// Notes that operation `index` is about to be passed to the allocator.
    #[inline]
    fn before(&mut self, index: usize, op: &Op) {
        let _ = (index, op);
    }

    /// Notes that the allocator has returned from operation `index`.
    #[inline]
    fn after(&mut self, index: usize, op: &Op, outcome: Outcome) {
        let _ = (index, op, outcome);
    }
}

/// The observer that notes nothing and costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}

impl<O: Observer + ?Sized> Observer for &mut O {
    #[inline]
    fn before(&mut self, index: usize, op: &Op) {
        (**self).before(index, op);
    }

    #[inline]
    fn after(&mut self, index: usize, op: &Op, outcome: Outcome) {
        (**self).after(index, op, outcome);
    }
}

/// Which bytes of a block a run writes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Touch {
    /// None.
    Nothing,
    /// The first 8 bytes.
    First,
    /// The first 8 bytes of the block and of each further 4 KiB of it, once when it is allocated or grows.
    #[default]
    Pages,
}

/// How a trace is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Which bytes of a block are written to.
    pub touch: Touch,
    /// Whether what was written is compared before a block is resized or freed, and zero-filled blocks are looked at.
    /// This is a check of the first bytes only; the [shadow model](crate::shadow) checks everything.
    pub verify: bool,
    /// Whether the blocks that the trace never frees are freed after the last operation, youngest first.
    pub free_at_end: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { touch: Touch::Pages, verify: false, free_at_end: true }
    }
}

/// What happened during a run. Bytes are counted as requested from the allocator, so a size of 0 counts as 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplayReport {
    /// How many operations were passed to the allocator; the frees after the end are not counted.
    pub operations: u64,
    /// How many of them failed.
    pub failures: u64,
    /// How many operations were skipped because the allocation of their block had failed.
    pub skipped: u64,
    /// How many requests of 0 bytes were made with 1 byte.
    pub rounded: u64,
    /// How many blocks did not hold what was written to them, or were not zero-filled; 0 without `verify`.
    pub corrupted: u64,
    /// The largest sum of the sizes of live blocks in bytes.
    pub peak_live_bytes: u64,
    /// The largest number of live blocks.
    pub peak_live_blocks: u64,
    /// The sum of the sizes of the blocks that were live after the last operation, in bytes.
    pub live_bytes_at_end: u64,
    /// The number of blocks that were live after the last operation.
    pub live_blocks_at_end: u64,
}

/// Runs `trace` against `allocator` with default [`Options`]. O(operations), with a table of O(blocks).
pub fn replay<A: Allocator + ?Sized, O: Observer>(
    trace: &Trace,
    allocator: &A,
    observer: &mut O,
) -> ReplayReport {
    Replayer::new(trace, Options::default()).run(allocator, observer)
}

/// A block of the allocator under test.
#[derive(Clone, Copy, Debug)]
struct Slot {
    ptr: NonNull<u8>,
    layout: NonZeroLayout,
}

/// A trace and the table that its runs need, so that repeated runs allocate nothing.
#[derive(Debug)]
pub struct Replayer<'a> {
    trace: &'a Trace,
    options: Options,
    slots: Vec<Option<Slot>>,
}

impl<'a> Replayer<'a> {
    /// Returns the replayer of `trace`. O(blocks).
    #[must_use]
    pub fn new(trace: &'a Trace, options: Options) -> Self {
        Self { trace, options, slots: alloc::vec![None; trace.blocks()] }
    }

    /// Runs the trace against `allocator`. O(operations).
    ///
    /// Blocks that [`Options::free_at_end`] leaves alive are forgotten: they end with the allocator.
    pub fn run<A: Allocator + ?Sized, O: Observer>(
        &mut self,
        allocator: &A,
        observer: &mut O,
    ) -> ReplayReport {
        self.slots.fill(None);
        let mut run = Run {
            allocator,
            observer,
            options: self.options,
            report: ReplayReport::default(),
            live_bytes: 0,
            live: 0,
        };
        for (index, op) in self.trace.ops().iter().enumerate() {
            if let Some(slot) = self.slots.get_mut(op.id() as usize) {
                run.step(index, op, slot);
            }
        }
        run.report.live_bytes_at_end = run.live_bytes;
        run.report.live_blocks_at_end = run.live;
        if self.options.free_at_end {
            for slot in self.slots.iter_mut().rev() {
                if let Some(Slot { ptr, layout }) = slot.take() {
                    // SAFETY: the block is live with this layout (replay I1), and its slot has just been emptied.
                    unsafe { allocator.deallocate(ptr, layout) };
                }
            }
        }
        run.report
    }
}

/// One run under way.
struct Run<'r, A: ?Sized, O> {
    allocator: &'r A,
    observer: &'r mut O,
    options: Options,
    report: ReplayReport,
    live_bytes: u64,
    live: u64,
}

impl<A: Allocator + ?Sized, O: Observer> Run<'_, A, O> {
    #[inline]
    fn step(&mut self, index: usize, op: &Op, slot: &mut Option<Slot>) {
        match (*op, *slot) {
            (Op::Allocate { size, align, zeroed, .. }, None) => {
                self.allocate(index, op, size, align, zeroed, slot);
            }
            (Op::Resize { size, .. }, Some(block)) => self.resize(index, op, size, block, slot),
            (Op::Free { .. }, Some(block)) => {
                self.verify(op.id(), &block);
                *slot = None;
                self.observer.before(index, op);
                // SAFETY: the block is live with this layout (I1), and its slot has just been emptied.
                unsafe { self.allocator.deallocate(block.ptr, block.layout) };
                self.observer.after(index, op, Outcome::Done);
                self.report.operations += 1;
                self.live -= 1;
                self.live_bytes -= block.layout.size().get() as u64;
            }
            _ => self.report.skipped += 1,
        }
    }

    #[inline]
    fn allocate(
        &mut self,
        index: usize,
        op: &Op,
        size: usize,
        align: usize,
        zeroed: bool,
        slot: &mut Option<Slot>,
    ) {
        self.report.rounded += u64::from(size == 0);
        let Ok(layout) = Op::layout_of(size, align) else { return self.refuse() };
        self.observer.before(index, op);
        let result =
            if zeroed { self.allocator.allocate_zeroed(layout) } else { self.allocator.allocate(layout) };
        let outcome = if result.is_ok() { Outcome::Done } else { Outcome::Failed };
        self.observer.after(index, op, outcome);
        self.report.operations += 1;
        let Ok(block) = result else { return self.refuse() };
        let block = Slot { ptr: block.cast(), layout };
        if zeroed && self.options.verify {
            // SAFETY: the block is fresh and ours, and at least one byte long.
            self.report.corrupted += u64::from(unsafe { *block.ptr.as_ptr() } != 0);
        }
        self.touch(op.id(), &block, 0);
        *slot = Some(block);
        self.live += 1;
        self.live_bytes += layout.size().get() as u64;
        self.raise_peaks();
    }

    #[inline]
    fn resize(&mut self, index: usize, op: &Op, size: usize, block: Slot, slot: &mut Option<Slot>) {
        self.report.rounded += u64::from(size == 0);
        let Ok(layout) = Op::layout_of(size, block.layout.align().get()) else { return self.refuse() };
        self.observer.before(index, op);
        let result = if layout.size() >= block.layout.size() {
            // SAFETY: the block is live with this layout (I1); the new size is not smaller.
            unsafe { self.allocator.grow(block.ptr, block.layout, layout) }
        } else {
            // SAFETY: the block is live with this layout (I1); the new size is smaller.
            unsafe { self.allocator.shrink(block.ptr, block.layout, layout) }
        };
        let outcome = if result.is_ok() { Outcome::Done } else { Outcome::Failed };
        self.observer.after(index, op, outcome);
        self.report.operations += 1;
        let Ok(resized) = result else { return self.refuse() };
        let resized = Slot { ptr: resized.cast(), layout };
        let kept = block.layout.size().min(layout.size()).get();
        self.verify(op.id(), &Slot { ptr: resized.ptr, layout: shortened(block.layout, kept) });
        self.touch(op.id(), &resized, kept);
        *slot = Some(resized);
        self.live_bytes = self.live_bytes - block.layout.size().get() as u64 + layout.size().get() as u64;
        self.raise_peaks();
    }

    #[cold]
    fn refuse(&mut self) {
        self.report.failures += 1;
    }

    #[inline]
    fn raise_peaks(&mut self) {
        self.report.peak_live_bytes = self.report.peak_live_bytes.max(self.live_bytes);
        self.report.peak_live_blocks = self.report.peak_live_blocks.max(self.live);
    }

    /// Writes to the block as the options say, from the page of byte `from` on.
    #[inline]
    fn touch(&self, id: u32, block: &Slot, from: usize) {
        const STRIDE: usize = 4096;
        if self.options.touch == Touch::Nothing {
            return;
        }
        write_mark(block, id);
        if self.options.touch == Touch::Pages {
            let mut offset = (from / STRIDE) * STRIDE + STRIDE;
            while offset < block.layout.size().get() {
                // SAFETY: the block is live and ours, and `offset` is below its size.
                unsafe { block.ptr.add(offset).write(id as u8) };
                offset += STRIDE;
            }
        }
    }

    /// Counts the block as corrupted if it does not start with its mark.
    #[inline]
    fn verify(&mut self, id: u32, block: &Slot) {
        if self.options.verify && self.options.touch != Touch::Nothing {
            self.report.corrupted += u64::from(!has_mark(block, id));
        }
    }
}

/// Returns `layout` with `size` bytes, which do not exceed its own.
fn shortened(layout: NonZeroLayout, size: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, layout.align().get()).unwrap_or(layout)
}

/// Returns the bytes that block `id` starts with.
#[inline]
const fn mark(id: u32) -> [u8; 8] {
    mix(id as u64).to_le_bytes()
}

#[inline]
fn write_mark(block: &Slot, id: u32) {
    let mark = mark(id);
    let length = block.layout.size().get().min(mark.len());
    // SAFETY: the block is live and ours; `length` exceeds neither the mark nor the block, which do not overlap.
    unsafe { mark.as_ptr().copy_to_nonoverlapping(block.ptr.as_ptr(), length) };
}

#[inline]
fn has_mark(block: &Slot, id: u32) -> bool {
    let mark = mark(id);
    let length = block.layout.size().get().min(mark.len());
    let mut held = [0u8; 8];
    // SAFETY: the block is live and ours and was written to this length when it was touched; `length` exceeds neither
    // side, which do not overlap.
    unsafe { held.as_mut_ptr().copy_from_nonoverlapping(block.ptr.as_ptr(), length) };
    held.get(..length) == mark.get(..length)
}

#[cfg(test)]
mod tests;
