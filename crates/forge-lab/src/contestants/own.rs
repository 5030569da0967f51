//! The contestants of every build: the system allocator and the toolkit's own, none of which needs a C compiler.

use std::alloc::System;

use anyhow::{Context as _, Result};
use forge_alloc::{Arena, BumpArena, MmapBacked, MmapSource, SharedBumpArena};

use super::adapter::GlobalAllocAdapter;
use super::mapping_per_block::MappingPerBlock;
use super::{Contestant, region};
use crate::trial::Trial;

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
        name: "mmap",
        about: "one mapping of the operating system per block: what an allocator is there to avoid",
        note: "a system call per call",
        run: |trial| trial.run(|| Ok(MappingPerBlock)),
    },
];

fn mapping(trial: &Trial) -> Result<MmapBacked> {
    let bytes = region::bytes_without_reuse(trial.stats());
    MmapBacked::new(bytes).with_context(|| format!("cannot map {bytes} bytes, the sum of all requests"))
}
