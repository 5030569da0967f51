//! Watching another allocator: counting, warning, failing on purpose.

pub(crate) mod faulty;
pub(crate) mod statistics;
mod tally;
#[cfg(test)]
mod testing;
pub(crate) mod watermark;
