//! What each wrapper costs: a slot of a slab taken and given back through it.
//!
//! ```text
//!   layer-mac         links signed                 layer-poison      the slot filled at its free
//!   layer-statistics  counted                      layer-zeroize     the slot wiped at its free
//!   layer-watermark   compared with a mark         layer-canary      a word on both sides, checked at the free
//!   layer-quarantine  reused 64 frees later        layer-crypto      locked, split, guarded and wiped
//!   layer-hardened    split, tracked and guarded   layer-all         five of these at once
//!   wipe-64 .. wipe-64k   a block of that many bytes of an arena, taken, written, and wiped at its free
//! ```
//!
//! # Design
//!
//! Each row has the bare slab of both libraries beside the wrapped ones, so that what a layer costs is a difference within
//! one row. A `memset` that the compiler may not remove is the limit of wiping.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc::{Allocator, BumpArena, HeapBytes, NonZeroLayout, ZeroizeOnFree};

use crate::contestants::slabs::hardened::{ours, reference};
use crate::harness::{Contestant, Row, Side, Statistic, timed};
use crate::rows::slabs::pair;
use crate::sink::{exhausted, keep};

/// Pairs per batch, those of the row about bare slabs.
const PAIRS: u64 = 16 * 1024;

/// A row, and the ratio to the bare slab of the same library that is wanted.
struct Layer {
    id: &'static str,
    title: &'static str,
    over_bare: f64,
    contestants: fn() -> Vec<Contestant>,
}

macro_rules! layers {
    ($($id:literal, $title:literal, $goal:literal, $contestant:ident;)*) => {
        &[$(Layer {
            id: $id,
            title: $title,
            over_bare: $goal,
            contestants: || vec![
                pair::<ours::$contestant>(),
                pair::<ours::Bare>(),
                pair::<reference::$contestant>(),
                pair::<reference::Bare>(),
            ],
        }),*]
    };
}

const LAYERS: &[Layer] = layers! {
    "layer-statistics", "layer over a slab: statistics", 1.10, Counted;
    "layer-watermark", "layer over a slab: watermark", 1.10, Marked;
    "layer-quarantine", "layer over a slab: quarantine of 64", 1.20, Held;
    "layer-poison", "layer over a slab: poison on free", 1.35, Poisoned;
    "layer-canary", "layer over a slab: canary", 1.35, Guarded;
    "layer-zeroize", "layer over a slab: zeroize on free", 1.40, Zeroed;
    "layer-crypto", "layer over a slab: crypto slab", 1.40, Crypto;
    "layer-hardened", "layer over a slab: guard pages and split metadata", 1.00, Hardened;
    "layer-mac", "layer over a slab: free-list MAC", 2.00, Signed;
    "layer-all", "layer over a slab: statistics, canary, poison, quarantine and MAC", 4.00, All;
};

/// Returns the ratio to the bare slab that is wanted of the row `id`; `None` if it is not about a layer.
pub fn goal_over_bare(id: &str) -> Option<f64> {
    LAYERS.iter().find(|layer| layer.id == id).map(|layer| layer.over_bare)
}

/// Returns the rows of this file.
pub fn rows() -> Vec<Row> {
    let statistic = Statistic::Minimum;
    let layers = LAYERS.iter().map(|layer| Row {
        id: layer.id,
        title: layer.title,
        unit: "pair",
        operations: PAIRS,
        goal: 0.75,
        statistic,
        contestants: layer.contestants,
    });
    let wipe = |id, title, contestants| Row {
        id,
        title,
        unit: "block",
        operations: BLOCKS,
        goal: 1.00,
        statistic,
        contestants,
    };
    layers
        .chain([
            wipe("wipe-64", "a block of 64 B wiped at its free", wiped::<64>),
            wipe("wipe-1k", "a block of 1 KiB wiped at its free", wiped::<1024>),
            wipe("wipe-64k", "a block of 64 KiB wiped at its free", wiped::<{ 64 << 10 }>),
        ])
        .collect()
}

/// The alignment of a block that is wiped: where the heap puts an arena would decide how many of its stores cross lines.
const LINE: usize = 64;

/// Blocks per batch of the rows about wiping.
const BLOCKS: u64 = 256;

fn wiped<const BYTES: usize>() -> Vec<Contestant> {
    vec![
        wiping::<BYTES, _>("ours: ZeroizeOnFree", Side::Ours, ZeroizeOnFree::new(arena(BYTES)), |_, _| {}),
        wiping_reference::<BYTES>(),
        wiping::<BYTES, _>("memset before the free", Side::Limit, arena(BYTES), |block, bytes| {
            // SAFETY: the caller's block has this many bytes.
            unsafe { block.write_bytes(0, bytes) };
            keep(block.as_ptr());
        }),
    ]
}

fn arena(bytes: usize) -> BumpArena<HeapBytes> {
    HeapBytes::new(2 * bytes).and_then(BumpArena::new).unwrap_or_else(|_| exhausted())
}

/// Returns a contestant that takes a block, writes its first word, and frees it after `before` has had it.
fn wiping<const BYTES: usize, A: Allocator + 'static>(
    name: &'static str,
    side: Side,
    allocator: A,
    before: fn(NonNull<u8>, usize),
) -> Contestant {
    let layout = NonZeroLayout::from_size_align(BYTES, LINE).unwrap_or_else(|_| exhausted());
    let cycle = move |allocator: &A, word: u64| {
        let block = allocator.allocate(layout).unwrap_or_else(|_| exhausted()).cast::<u8>();
        // SAFETY: the block is live, longer than a word, and freed once.
        unsafe {
            block.cast::<u64>().write(word);
            keep(block.as_ptr());
            before(block, layout.size().get());
            allocator.deallocate(block, layout);
        }
        block
    };
    let allocator = Box::leak(Box::new(allocator));
    let shared: &'static A = allocator;
    let check = move || {
        let block = cycle(shared, u64::MAX);
        // SAFETY: the bytes belong to the arena, which outlives the check, and were written.
        let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), BYTES) };
        if bytes.iter().all(|&byte| byte == 0) { Ok(()) } else { Err("a byte survived".to_string()) }
    };
    Contestant::new(name, side, check, move || {
        timed(|| (0..BLOCKS).for_each(|word| keep(cycle(shared, word).as_ptr())))
    })
}

/// Returns the reference's contestant, whose traits are its own.
fn wiping_reference<const BYTES: usize>() -> Contestant {
    use forge_alloc_reference::{Allocator, BumpArena, Deallocator, HeapBytes, NonZeroLayout, ZeroizeOnFree};

    let layout = NonZeroLayout::from_size_align(BYTES, LINE).unwrap_or_else(|_| exhausted());
    let arena = || HeapBytes::new(2 * BYTES).and_then(BumpArena::new).unwrap_or_else(|_| exhausted());
    let mut allocator = ZeroizeOnFree::new(arena());
    let check = || Ok(());
    Contestant::new("reference ZeroizeOnFree", Side::Peer, check, move || {
        timed(|| {
            for word in 0..BLOCKS {
                let Ok(block) = allocator.allocate(layout) else {
                    // The reference reclaims nothing but by a reset.
                    if allocator.reset().is_err() {
                        exhausted();
                    }
                    continue;
                };
                let block = block.cast::<u8>();
                // SAFETY: the block is live, longer than a word, and freed once.
                unsafe {
                    block.cast::<u64>().write(word);
                    keep(block.as_ptr());
                    allocator.deallocate(block, layout);
                }
            }
        })
    })
}
