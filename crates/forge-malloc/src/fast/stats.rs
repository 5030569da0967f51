//! What a heap tells about its memory.

/// How much memory a heap holds, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// In blocks that were handed to threads: live ones, rounded up to their classes, and free ones that threads keep at hand.
    pub live: usize,
    /// The most that spans and large blocks ever took at once, each for itself.
    pub peak: usize,
    /// In mappings of the system.
    pub mapped: usize,
    /// Free, and possibly resident: kept for the next request.
    pub retained: usize,
}
