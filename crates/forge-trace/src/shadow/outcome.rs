//! [`Step`] and [`Summary`]: what became of operations that broke no promise.

/// What became of one operation that broke no promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The allocator did it.
    Done,
    /// The allocator returned an error, and changed nothing.
    Failed,
    /// It was not passed on: the block is not live, or live already, or the layout does not exist.
    Skipped,
}

/// How many operations became what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Operations that the allocator did.
    pub done: usize,
    /// Operations that the allocator refused.
    pub failed: usize,
    /// Operations that were not passed on.
    pub skipped: usize,
}

impl Summary {
    pub(super) fn count(&mut self, step: Step) {
        match step {
            Step::Done => self.done += 1,
            Step::Failed => self.failed += 1,
            Step::Skipped => self.skipped += 1,
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.done += other.done;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}
