//! The fast process allocator as the allocator of every test binary: what `cargo xtask installed fast` links into them.

use forge_malloc::fast::ForgeMalloc;

#[path = "evidence.rs"]
mod evidence;

#[global_allocator]
static ALLOCATOR: ForgeMalloc = ForgeMalloc::new();

/// Returns the bytes that the allocator has mapped for this process, and whether its numbers can be true.
fn evidence() -> (usize, bool) {
    let stats = ForgeMalloc::stats();
    (stats.mapped, 0 < stats.live && stats.live <= stats.mapped)
}
