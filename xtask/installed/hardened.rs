//! The hardened process allocator as the allocator of every test binary: what `cargo xtask installed hardened` links into them.

use forge_malloc::fast::HardenedMalloc;

#[path = "evidence.rs"]
mod evidence;

#[global_allocator]
static ALLOCATOR: HardenedMalloc = HardenedMalloc::new();

/// Returns the bytes that the allocator has mapped for this process, and whether its numbers can be true.
fn evidence() -> (usize, bool) {
    let stats = HardenedMalloc::stats();
    (stats.mapped, 0 < stats.live && stats.live <= stats.mapped)
}
