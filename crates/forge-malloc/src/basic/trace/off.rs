//! Notes without the feature `log`: nothing is kept.

/// What the allocator did.
#[derive(Clone, Copy)]
#[allow(dead_code)]
pub(super) enum Note {
    Candidate { address: usize, size: usize },
    Exact { address: usize },
    Split { taken: usize, address: usize, size: usize },
    Merged { address: usize, size: usize },
    Grown { address: usize, size: usize },
    GivenBack { address: usize, size: usize },
}

/// No notes.
pub(super) struct Notes;

impl Notes {
    pub(super) const fn new() -> Self {
        Self
    }

    #[inline]
    pub(super) fn add(&mut self, _: Note) {}

    #[inline]
    pub(super) fn take(&mut self) -> Option<Self> {
        None
    }

    #[inline]
    pub(super) fn emit(self) {}
}
