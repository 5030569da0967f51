//! What a request costs a process: allocators behind `GlobalAlloc`, called as a program calls them.
//!
//! # Design
//!
//! The calls are inlined as far as the allocator lets them be, which is what a program with link-time optimisation has. Without it there is
//! a call more each way; the package `forge-processes` counts such programs, and those of the peers. A warm batch comes first, so that
//! the count is that of the usual path; where batches of blocks travel to what threads share and back, that is the usual path.
//!
//! The same pairs are counted on one thread, and spread over several that run at once: what one more thread costs is the
//! difference, and there is none while nothing is shared.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::hint::black_box;
use core::ptr::NonNull;
use std::alloc::System;
use std::sync::Barrier;
use std::thread;

use forge_malloc::fast::ForgeMalloc;

use super::{OPERATIONS, Probe, counted, probe};
use crate::harness::Side;
use crate::sink::{exhausted, touch};

/// Returns the probes of this file.
pub(super) fn probes() -> Vec<Probe> {
    [of::<ForgeMalloc>(), of::<System>()].into_iter().flatten().collect()
}

/// Returns the probes of an allocator.
fn of<P: Process>() -> [Probe; 7] {
    let named = |what: &str, run| probe(&format!("process allocator, {what}"), P::NAME, P::SIDE, run);
    [
        named("64 B, constant layout", constant::<P>),
        named("64 B", pairs::<P, 64>),
        named("1000 x 64 B", batch::<P>),
        named("16 KiB", pairs::<P, { 16 << 10 }>),
        named("256 KiB", pairs::<P, { 256 << 10 }>),
        named("64 B on 4 threads", spread::<P, 4>),
        named("64 B on 20 threads", spread::<P, 20>),
    ]
}

/// An allocator of a whole process.
trait Process: GlobalAlloc + Default {
    const NAME: &'static str;
    const SIDE: Side;
}

impl Process for ForgeMalloc {
    const NAME: &'static str = "ours: ForgeMalloc";
    const SIDE: Side = Side::Ours;
}

impl Process for System {
    const NAME: &'static str = "the system's";
    const SIDE: Side = Side::Peer;
}

/// Allocates a block and writes its first byte.
#[inline(always)]
fn take<P: GlobalAlloc>(allocator: &P, layout: Layout) -> NonNull<u8> {
    // SAFETY: no probe asks for an empty block.
    let Some(block) = NonNull::new(unsafe { allocator.alloc(layout) }) else { exhausted() };
    // SAFETY: the block has a byte.
    unsafe { touch(block, 1) };
    block
}

/// Allocates and frees `number` blocks, one at a time.
#[inline(always)]
fn take_and_give<P: GlobalAlloc>(allocator: &P, number: u64, layout: impl Fn() -> Layout) {
    for _ in 0..number {
        let layout = layout();
        let block = take(allocator, layout);
        // SAFETY: the block is live with this layout, and not used afterwards.
        unsafe { allocator.dealloc(block.as_ptr(), layout) };
    }
}

/// Returns the layout of a block whose size the compiler does not know.
#[inline(always)]
fn unknown(size: usize) -> Layout {
    // SAFETY: the sizes are small, and the alignment is a power of two.
    unsafe { Layout::from_size_align_unchecked(black_box(size), 8) }
}

/// A block whose layout the compiler knows.
fn constant<P: Process>() {
    let allocator = P::default();
    take_and_give(&allocator, 10, Layout::new::<[u64; 8]>);
    counted(|| take_and_give(&allocator, OPERATIONS, Layout::new::<[u64; 8]>));
}

/// A block whose size the compiler does not know.
fn pairs<P: Process, const SIZE: usize>() {
    let allocator = P::default();
    take_and_give(&allocator, 10, || unknown(SIZE));
    counted(|| take_and_give(&allocator, OPERATIONS, || unknown(SIZE)));
}

/// Blocks that are all allocated before the first is freed.
fn batch<P: Process>() {
    let allocator = P::default();
    let mut blocks = vec![NonNull::dangling(); OPERATIONS as usize];
    let mut work = || {
        let layout = unknown(64);
        blocks.iter_mut().for_each(|place| *place = take(&allocator, layout));
        // SAFETY: the blocks are live with this layout, and not used afterwards.
        blocks.iter().for_each(|block| unsafe { allocator.dealloc(block.as_ptr(), layout) });
    };
    (0..3).for_each(|_| work());
    counted(work);
}

/// The pairs of [`pairs`], spread over threads that are all there at once.
fn spread<P: Process, const THREADS: u64>() {
    let (warm, done) = (Barrier::new(THREADS as usize), Barrier::new(THREADS as usize));
    let work = || {
        let allocator = P::default();
        take_and_give(&allocator, 10, || unknown(64));
        warm.wait();
        counted(|| take_and_give(&allocator, OPERATIONS / THREADS, || unknown(64)));
        done.wait();
    };
    thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(work))));
}
