//! [`Advice`]: what a caller can tell the system about a range.

#[cfg(doc)]
use crate::{Os, OsError};

/// What [`Os::advise`] tells the system about a range.
///
/// "Linux" includes Android. A kind without a target is Linux only; elsewhere it is an unsupported error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Advice {
    /// The range will be read in order (Unix).
    Sequential,
    /// The range will be read at random (Unix).
    Random,
    /// The range will be used soon (Unix).
    WillNeed,
    /// Give the pages back now; they read as zero afterwards. Locked pages are refused.
    DontNeed,
    /// The same for locked pages (5.18).
    DontNeedLocked,
    /// Let the system take the pages when it needs memory; until the next write each holds its old content or
    /// zero (Linux 4.5, most Unix systems, Windows as `MEM_RESET`).
    Free,
    /// Move the pages to the end of the eviction order (5.4).
    Cold,
    /// Write the pages to swap now (5.4).
    PageOut,
    /// Back the range with transparent huge pages where possible.
    HugePage,
    /// Never use transparent huge pages here.
    NoHugePage,
    /// Collapse the range into huge pages now, waiting for it (6.1).
    Collapse,
    /// Leave the range out of core dumps (Linux, FreeBSD and DragonFly as `MADV_NOCORE`).
    DontDump,
    /// Undo [`DontDump`](Self::DontDump).
    DoDump,
    /// A child process does not inherit the range.
    DontFork,
    /// Undo [`DontFork`](Self::DontFork).
    DoFork,
    /// A child process sees the range as zero (4.14).
    WipeOnFork,
    /// Undo [`WipeOnFork`](Self::WipeOnFork).
    KeepOnFork,
    /// Back every page readably now, reporting failure (5.14).
    PopulateRead,
    /// Back every page writably now, reporting failure (5.14).
    PopulateWrite,
    /// Turn the pages into guards that fault on every touch, without splitting the mapping; content is lost
    /// (6.13).
    GuardInstall,
    /// Remove guards; the pages read as zero (6.13).
    GuardRemove,
}

impl Advice {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 21] = [
        Self::Sequential,
        Self::Random,
        Self::WillNeed,
        Self::DontNeed,
        Self::DontNeedLocked,
        Self::Free,
        Self::Cold,
        Self::PageOut,
        Self::HugePage,
        Self::NoHugePage,
        Self::Collapse,
        Self::DontDump,
        Self::DoDump,
        Self::DontFork,
        Self::DoFork,
        Self::WipeOnFork,
        Self::KeepOnFork,
        Self::PopulateRead,
        Self::PopulateWrite,
        Self::GuardInstall,
        Self::GuardRemove,
    ];

    /// Returns true if the content of the range may be gone after the advice was taken.
    #[must_use]
    pub const fn loses_content(self) -> bool {
        matches!(self, Self::DontNeed | Self::DontNeedLocked | Self::Free | Self::GuardInstall)
    }

    /// Returns the name that an [`OsError`] gives for this advice.
    #[must_use]
    pub const fn call(self) -> &'static str {
        match self {
            Self::Sequential => "madvise(MADV_SEQUENTIAL)",
            Self::Random => "madvise(MADV_RANDOM)",
            Self::WillNeed => "madvise(MADV_WILLNEED)",
            Self::DontNeed => "madvise(MADV_DONTNEED)",
            Self::DontNeedLocked => "madvise(MADV_DONTNEED_LOCKED)",
            Self::Free => "madvise(MADV_FREE)",
            Self::Cold => "madvise(MADV_COLD)",
            Self::PageOut => "madvise(MADV_PAGEOUT)",
            Self::HugePage => "madvise(MADV_HUGEPAGE)",
            Self::NoHugePage => "madvise(MADV_NOHUGEPAGE)",
            Self::Collapse => "madvise(MADV_COLLAPSE)",
            Self::DontDump => "madvise(MADV_DONTDUMP)",
            Self::DoDump => "madvise(MADV_DODUMP)",
            Self::DontFork => "madvise(MADV_DONTFORK)",
            Self::DoFork => "madvise(MADV_DOFORK)",
            Self::WipeOnFork => "madvise(MADV_WIPEONFORK)",
            Self::KeepOnFork => "madvise(MADV_KEEPONFORK)",
            Self::PopulateRead => "madvise(MADV_POPULATE_READ)",
            Self::PopulateWrite => "madvise(MADV_POPULATE_WRITE)",
            Self::GuardInstall => "madvise(MADV_GUARD_INSTALL)",
            Self::GuardRemove => "madvise(MADV_GUARD_REMOVE)",
        }
    }
}
