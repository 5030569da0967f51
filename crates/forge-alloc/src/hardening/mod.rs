//! Guarding the blocks of another allocator: one behaviour a wrapper, everything else passed through.
