//! What the allocator detects, and the one place where it ends the process.
//!
//! # Design
//!
//! Everything here is detected in the call that is wrong, or in the free of the block beside which something was written.
//! Each kind has one stable line.

/// What was detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misuse {
    /// The address lies in no range of the allocator.
    Foreign,
    /// The address lies in a slot, but no block starts there.
    NoStart,
    /// The block was freed, and its address not handed out since.
    NotLive,
    /// The block has another size or alignment.
    Layout,
    /// The bytes between the start of the page and the block changed.
    Front,
    /// The bytes between the block and the guard changed.
    Behind,
}

impl Misuse {
    /// Returns the line that is printed, without its line end.
    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::Foreign => {
                "forge-malloc: free or resize of an address that this allocator never handed out"
            }
            Self::NoStart => "forge-malloc: free or resize of an address at which no block starts",
            Self::NotLive => "forge-malloc: free or resize of a block that was freed already",
            Self::Layout => {
                "forge-malloc: free or resize of a block with another size or alignment than it has"
            }
            Self::Front => "forge-malloc: the bytes in front of a block were overwritten",
            Self::Behind => "forge-malloc: the bytes behind a block were overwritten",
        }
    }
}

/// Prints the message and ends the process. The caller holds no lock: the process may have a handler for the signal.
#[cold]
#[inline(never)]
pub(super) fn misuse(misuse: Misuse) -> ! {
    forge_os::fatal(&[misuse.message()])
}
