//! Watching another allocator: counting, warning, failing on purpose.
