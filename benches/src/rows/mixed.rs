//! Blocks of 1 to 256 bytes, aligned to 1, 2, 4 or 8, with layouts known only at run time; the first byte is written.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::contestants::Blocks;
use crate::contestants::blink::LocalBlink;
use crate::contestants::bump_scope::{Bytes, Default, Down, Scoped, Up};
use crate::contestants::bumpalo::Bumpalo;
use crate::contestants::limit::Limit;
use crate::contestants::ours;
use crate::contestants::reference::Reference;
use crate::harness::{Contestant, Row, Statistic, timed};
use crate::random::Random;
use crate::sink::{keep, touch};

/// Layouts of the hot row: about 8 KiB of blocks.
const FEW: usize = 64;
/// Layouts of the row that leaves the second-level cache: about 8 MiB of blocks.
const MANY: usize = 64 * 1024;

/// Returns the rows of this file.
pub fn rows() -> Vec<Row> {
    let unit = "allocation";
    let (hot_title, many_title) = ("mixed 1..256 B, 64 then reset", "mixed 1..256 B, 64 Ki then reset");
    vec![
        Row {
            id: "mixed",
            title: hot_title,
            unit,
            operations: 64 * 1024,
            goal: 0.92,
            statistic: Statistic::Minimum,
            contestants: || everyone(FEW),
        },
        Row {
            id: "mixed-64k",
            title: many_title,
            unit,
            operations: 64 * 1024,
            goal: 1.0,
            statistic: Statistic::Minimum,
            contestants: || everyone(MANY),
        },
    ]
}

fn everyone(count: usize) -> Vec<Contestant> {
    vec![
        contestant::<ours::Fixed>(count),
        contestant::<ours::Growing>(count),
        contestant::<ours::GrowingPacked>(count),
        contestant::<Bumpalo<1>>(count),
        contestant::<Bumpalo<8>>(count),
        contestant::<Scoped<Default>>(count),
        contestant::<Scoped<Down>>(count),
        contestant::<Scoped<Up>>(count),
        contestant::<Scoped<Bytes>>(count),
        contestant::<LocalBlink>(count),
        contestant::<Reference>(count),
        contestant::<Limit>(count),
    ]
}

/// Returns `count` layouts, the same in every run.
pub fn layouts(count: usize) -> Vec<Layout> {
    let mut random = Random::new(0x5eed);
    let layout = |random: &mut Random| {
        let (size, align) = (random.between(1, 256), 1 << random.between(0, 3));
        Layout::from_size_align(size, align).ok()
    };
    std::iter::repeat_with(|| layout(&mut random)).flatten().take(count).collect()
}

fn contestant<A: Blocks>(count: usize) -> Contestant {
    let own: Vec<A::Layout> = layouts(count).into_iter().map(A::layout).collect();
    let bytes = count * (256 + 8);
    let mut arena = Box::new(A::with_capacity(bytes));
    let repeats = MANY / count;
    let check = move || check(&mut A::with_capacity(bytes), count);
    Contestant::new(A::NAME, A::SIDE, check, move || {
        fill(&mut *arena, &own, 1);
        timed(|| fill(&mut *arena, &own, repeats))
    })
}

/// Takes a block of each layout and resets the arena, `repeats` times.
#[inline(never)]
fn fill<A: Blocks>(arena: &mut A, layouts: &[A::Layout], repeats: usize) {
    keep(arena);
    for _ in 0..repeats {
        for &layout in layouts {
            // SAFETY: a block has at least one byte.
            unsafe { touch(arena.block(layout), 1) };
        }
        arena.reset();
    }
}

/// Returns an error unless all blocks are aligned and keep their bytes.
fn check<A: Blocks>(arena: &mut A, count: usize) -> Result<(), String> {
    let mut blocks: Vec<(NonNull<u8>, Layout, u8)> = Vec::new();
    for (index, layout) in layouts(count).into_iter().enumerate() {
        let (block, byte) = (arena.block(A::layout(layout)), index as u8);
        if block.addr().get() & (layout.align() - 1) != 0 {
            return Err(format!("block {index} is not aligned to {}", layout.align()));
        }
        // SAFETY: the block is `layout.size()` bytes long.
        unsafe { block.write_bytes(byte, layout.size()) };
        blocks.push((block, layout, byte));
    }
    for (index, (block, layout, byte)) in blocks.into_iter().enumerate() {
        // SAFETY: the block was written whole and the arena was not reset.
        let bytes = unsafe { NonNull::slice_from_raw_parts(block, layout.size()).as_ref() };
        if bytes.iter().any(|&other| other != byte) {
            return Err(format!("block {index} was overwritten"));
        }
    }
    arena.reset();
    Ok(())
}
