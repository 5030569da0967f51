//! The teaching allocator as the allocator of every test binary: what `cargo xtask installed basic` links into them.

use forge_malloc::basic::UnixAllocator;

#[path = "evidence.rs"]
mod evidence;

#[global_allocator]
static ALLOCATOR: UnixAllocator = UnixAllocator::new();

/// Returns the bytes that the allocator has obtained for this process, and whether its free blocks are as they should be.
fn evidence() -> (usize, bool) {
    let usage = ALLOCATOR.usage();
    (usage.obtained, ALLOCATOR.validate() && usage.live > 0)
}
