//! What a heap tells about its memory.

/// How much memory a heap holds, and how well it is guarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Live blocks.
    pub live_blocks: usize,
    /// The bytes of live blocks, as they were asked for. Each block takes whole pages.
    pub live_bytes: usize,
    /// Freed blocks whose addresses wait.
    pub quarantined_blocks: usize,
    /// The bytes of addresses that wait. None of them has memory.
    pub quarantined_bytes: usize,
    /// Slots that are out of use because the system did not take their pages back or did not guard them. Their content is gone.
    pub retired: usize,
    /// The bytes of addresses in ranges for blocks. Only the pages of live blocks have memory.
    pub mapped: usize,
    /// How many of these bytes have guards that are pages without rights, so that each of their blocks costs up to two mappings: those of
    /// very large blocks, and all where the system has no guards that are part of a mapping.
    pub guarded_by_rights: usize,
    /// The bytes of mappings for metadata that belongs to ranges, with their guards.
    pub metadata: usize,
    /// Whether the system once refused random words: addresses may be guessed.
    pub guessable: bool,
}
