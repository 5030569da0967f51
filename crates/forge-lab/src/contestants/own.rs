//! The contestants of every build: the system allocator and the toolkit's own, none of which needs a C compiler.

use std::alloc::System;

use anyhow::{Context as _, Result};
use forge_alloc::{
    Arena, BumpArena, FINE_CLASS_SIZES_24, MmapBacked, MmapSource, SharedBumpArena, SizeClassed,
};

use forge_malloc::basic::UnixAllocator;
use forge_malloc::fast::{ForgeMalloc, HardenedMalloc};
use forge_malloc::paranoid::ParanoidMalloc;

use super::adapter::GlobalAllocAdapter;
use super::mapping_per_block::MappingPerBlock;
use super::{Contestant, region};
use crate::trial::Trial;

/// The number of classes of `SizeClassed::with_fine_classes`.
const CLASSES: usize = FINE_CLASS_SIZES_24.len();

const NEVER_REUSES: &str = "never reuses memory";

pub(super) static CONTESTANTS: &[Contestant] = &[
    Contestant {
        name: super::ALWAYS,
        about: "the allocator of the operating system's C library, through std::alloc::System",
        note: "",
        run: |trial| trial.run(|| Ok(GlobalAllocAdapter(System))),
    },
    Contestant {
        name: "bump",
        about: "BumpArena over one mapping: a cursor; a free takes back the last block only",
        note: NEVER_REUSES,
        run: |trial| trial.run(|| BumpArena::new(mapping(trial)?).context("the arena refused its mapping")),
    },
    Contestant {
        name: "arena",
        about: "Arena over mapped chunks: a cursor that grows; a free takes back the last block only",
        note: NEVER_REUSES,
        run: |trial| trial.run(|| Ok(Arena::<MmapSource>::with_source(MmapSource::new()))),
    },
    Contestant {
        name: "shared-bump",
        about: "SharedBumpArena over one mapping: a cursor that threads share; a free takes back the last block only",
        note: NEVER_REUSES,
        run: |trial| {
            trial.run(|| SharedBumpArena::new(mapping(trial)?).context("the arena refused its mapping"))
        },
    },
    Contestant {
        name: "size-classed",
        about: "SizeClassed, four classes to a doubling up to 1 KiB, over one mapping, which takes the rest like `bump`",
        note: "reuses blocks of up to 1 KiB",
        run: |trial| trial.run(|| size_classed(trial)),
    },
    Contestant {
        name: "mmap",
        about: "one mapping of the operating system per block: what an allocator is there to avoid",
        note: "a system call per call",
        run: |trial| trial.run(|| Ok(MappingPerBlock)),
    },
    Contestant {
        name: "forge",
        about: "forge_malloc::fast, the process allocator: a cache per thread, spans, depots",
        note: "",
        run: |trial| trial.run(|| Ok(GlobalAllocAdapter(ForgeMalloc::new()))),
    },
    Contestant {
        name: "forge-hardened",
        about: "forge_malloc::fast, profile hardened: blocks are checked and cleared when they are freed, large ones guarded",
        note: "checks each block",
        run: |trial| trial.run(|| Ok(GlobalAllocAdapter(HardenedMalloc::new()))),
    },
    Contestant {
        name: "forge-paranoid",
        about: "forge_malloc::paranoid: pages of its own between guards for each block",
        note: "two system calls per call",
        run: |trial| trial.run(|| Ok(GlobalAllocAdapter(ParanoidMalloc::new()))),
    },
    Contestant {
        name: "forge-basic",
        about: "forge_malloc::basic, the teaching allocator: a tree of free blocks, first fit",
        note: "",
        run: |trial| trial.run(|| Ok(GlobalAllocAdapter(UnixAllocator::new()))),
    },
];

/// Returns a pool each class of which has room for all blocks that live at once.
fn size_classed(trial: &Trial) -> Result<SizeClassed<MmapBacked, CLASSES>> {
    let stats = trial.stats();
    let slots = stats.peak_live_blocks.max(1);
    // A class may be padded by its alignment, at most its size.
    let classes = FINE_CLASS_SIZES_24.iter().sum::<usize>().saturating_mul(slots.saturating_add(1));
    let bytes = classes.saturating_add(region::bytes_without_reuse(stats));
    let backing =
        MmapBacked::new(bytes).with_context(|| format!("cannot map {bytes} bytes for size classes"))?;
    let slots = u32::try_from(slots).context("more blocks live at once than a class has slots")?;
    SizeClassed::with_fine_classes(backing, slots).context("the mapping has no room for the classes")
}

fn mapping(trial: &Trial) -> Result<MmapBacked> {
    let bytes = region::bytes_without_reuse(trial.stats());
    MmapBacked::new(bytes).with_context(|| format!("cannot map {bytes} bytes, the sum of all requests"))
}
