//! Watching another allocator: counting, warning, failing on purpose.

pub(crate) mod faulty;
#[cfg(test)]
mod testing;
