//! What the allocator detects, and the one place where it ends the process.
//!
//! # Design
//!
//! Blocks are checked when they go back to their spans, where the address meets the map: that costs nothing on the common
//! path and catches a second free, a free of the inside of a block and one with another size, though not at the
//! offending call. The message is one stable line.

/// What was detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misuse {
    /// A block that is free, or no block, or one of another size class was freed.
    NotLive,
    /// A mapping of its own was freed or resized that is none.
    NoMapping,
}

impl Misuse {
    /// Returns the line that is printed, without its line end.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::NotLive => {
                "forge-malloc: free of a block that is not live, or with another layout than it has"
            }
            Self::NoMapping => {
                "forge-malloc: free of a large block that is not live, or with another layout than it has"
            }
        }
    }
}

/// Prints the message and ends the process.
#[cold]
#[inline(never)]
pub(crate) fn misuse(misuse: Misuse) -> ! {
    forge_os::fatal(&[misuse.message()])
}
