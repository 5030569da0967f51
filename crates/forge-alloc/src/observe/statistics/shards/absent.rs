//! The shards where no thread has a slot, or no system maps memory: there are none, and the fields count.

use super::alloc_stats::Event;
use super::snapshot::StatsSnapshot;

/// The way to no counters.
#[derive(Debug)]
pub(super) struct Shards;

impl Shards {
    /// Returns no shards.
    pub(super) const fn new() -> Self {
        Self
    }

    /// Counts nothing.
    #[inline(always)]
    pub(super) fn count_in_slot(&self, _: Event) -> bool {
        false
    }

    /// Counts nothing.
    #[inline(always)]
    pub(super) fn count(&self, _: Event) -> bool {
        false
    }

    /// Returns no sums.
    #[inline(always)]
    pub(super) fn sums(&self) -> Option<StatsSnapshot> {
        None
    }

    /// Does nothing.
    #[inline(always)]
    pub(super) fn forget_live(&mut self) {}
}
