//! Where the pages of another allocator lie: huge pages, NUMA nodes.
