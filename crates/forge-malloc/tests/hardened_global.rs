//! The hardened profile as the allocator of a whole process: this test binary, its harness and its threads.

mod process;

use forge_malloc::fast::HardenedMalloc;

#[global_allocator]
static GLOBAL: HardenedMalloc = HardenedMalloc::new();
