//! The fast profile as the allocator of a whole process: this test binary, its harness and its threads.

mod process;

use forge_malloc::fast::ForgeMalloc;

#[global_allocator]
static GLOBAL: ForgeMalloc = ForgeMalloc::new();
