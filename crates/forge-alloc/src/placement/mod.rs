//! Where the pages of another allocator lie: huge pages, NUMA nodes.
//!
//! | wrapper | what it asks the system for |
//! |---|---|
//! | [`HugePageAligned`] | transparent huge pages, and blocks that start on one |
//! | [`NumaLocal`] | pages on the nodes of a [`NumaPolicy`] |
//!
//! Both speak about one mapping and never about the process; what the system does not grant is an error of the constructor.

mod huge_page_aligned;
mod node_set;
mod numa_local;

pub use huge_page_aligned::HugePageAligned;
pub use node_set::NodeSet;
pub use numa_local::{NumaLocal, NumaPolicy};
