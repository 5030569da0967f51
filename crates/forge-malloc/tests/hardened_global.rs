//! The hardened profile as the allocator of a whole process: this test binary, its harness and its threads.

mod process;

use forge_malloc::fast::HardenedMalloc;

#[global_allocator]
static GLOBAL: HardenedMalloc = HardenedMalloc::new();

const EFFORT: process::Effort = process::Effort { keys: 20_000, blocks: 200_000, words: 4_000_000 };
