//! The backings that need an operating system, over the seam that `forge-os` defines.
//!
//! Every type takes the system as a parameter `O: Os = Native`, so that tests run it over a simulated one.

mod huge_page;
mod last_error;
mod locked;
mod mapping;
mod mmap;
mod mmap_source;

pub use forge_os::{Native, Os, OsError, default_huge_page_size, page_size};
pub use huge_page::HugePageBacked;
pub(crate) use last_error::record;
pub use last_error::{last_os_failure, mmap_clear_last_os_error, mmap_last_os_error, mmap_record_os_error};
pub use locked::LockedMmapBacked;
pub use mmap::{MmapBacked, MmapFlags};
pub use mmap_source::MmapSource;

/// Returns the NUMA node that the calling thread runs on at this moment, or `None` where there is no such notion.
#[must_use]
pub fn current_numa_node() -> Option<u32> {
    forge_os::numa_node().ok()
}

#[cfg(test)]
mod tests;
