//! What the allocator detects, and the one place where it ends the process.
//!
//! # Design
//!
//! *Every profile* checks a block when it goes back to its span, where the address meets the map: that costs nothing on the common
//! path and catches a second free, a free of the inside of a block and one with another size, though not at the
//! offending call. Large blocks are looked up, so what is wrong with their frees is seen at once.
//!
//! *A profile that [arms](super::front::armed) its blocks* checks each of them at the call, and what was written past the end of a block or
//! after it was freed.
//!
//! The message is one stable line, printed without allocating, and no lock is held then.

/// What was detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misuse {
    /// A block that is free, or no block, or one of another size class was freed.
    NotLive,
    /// A mapping of its own was freed or resized that is none.
    NoMapping,
    /// A block that is free was freed.
    DoubleFree,
    /// An address was freed where no block starts.
    NoBlock,
    /// A block was freed with another layout than it was allocated with.
    WrongLayout,
    /// The bytes after a block are not those that were put there.
    Overflow,
    /// The bytes of a free block are not those that were put there.
    WriteAfterFree,
    /// A block was about to be handed out that is live.
    FreedAtOnce,
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
            Self::DoubleFree => "forge-malloc: double free",
            Self::NoBlock => "forge-malloc: free of an address where no block starts",
            Self::WrongLayout => {
                "forge-malloc: free of a block with another size or alignment than it was allocated with"
            }
            Self::Overflow => "forge-malloc: write past the end of a block",
            Self::WriteAfterFree => "forge-malloc: write to a block after it was freed",
            Self::FreedAtOnce => "forge-malloc: double free by two threads at once",
        }
    }
}

/// Prints the message and ends the process.
#[cold]
#[inline(never)]
pub(crate) fn misuse(misuse: Misuse) -> ! {
    forge_os::fatal(&[misuse.message()])
}
