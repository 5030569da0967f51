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
    /// In pages that may be resident: those of spans, those retained, and what was ever asked for of large mappings.
    pub resident: usize,
    /// Free, and possibly resident: kept for the next request.
    pub retained: usize,
}

/// What the spans of one size class hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassStats {
    /// The bytes of a block.
    pub size: usize,
    /// The blocks that were taken out of spans: live ones, those that threads keep at hand, and those that wait.
    pub issued: usize,
    /// How many of them are free and wait for any thread.
    pub waiting: usize,
}
