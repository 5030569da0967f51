//! [`SimPage`]: the record of one simulated page.

#[cfg(doc)]
use super::SimOs;
use crate::contract::{Advice, MapOptions, Protection};

/// What a [`SimOs`] records about one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimPage {
    /// The access rights.
    pub protection: Protection,
    /// The mapping was made with [`MapOptions::reserve`].
    pub reserved: bool,
    /// The page may be touched; false only for reserved pages.
    pub committed: bool,
    /// The page counts as backed by memory.
    pub resident: bool,
    /// The page is locked.
    pub locked: bool,
    /// [`Advice::DontDump`] is in force.
    pub dont_dump: bool,
    /// [`Advice::DontFork`] is in force.
    pub dont_fork: bool,
    /// [`Advice::WipeOnFork`] is in force.
    pub wipe_on_fork: bool,
    /// [`Advice::HugePage`] is in force.
    pub huge_page: bool,
    /// [`Advice::GuardInstall`] is in force.
    pub guard: bool,
}

impl SimPage {
    /// Returns the record of a page that was just mapped.
    pub(super) const fn fresh(options: MapOptions) -> Self {
        Self {
            protection: options.protection,
            reserved: options.reserve,
            committed: !options.reserve,
            resident: !options.reserve,
            locked: false,
            dont_dump: false,
            dont_fork: false,
            wipe_on_fork: false,
            huge_page: false,
            guard: false,
        }
    }

    /// Records that `advice` was taken.
    pub(super) fn record(&mut self, advice: Advice) {
        match advice {
            Advice::DontNeed | Advice::DontNeedLocked | Advice::Free | Advice::PageOut => {
                self.resident = self.locked && advice != Advice::DontNeedLocked;
            }
            Advice::GuardInstall => {
                self.resident = false;
                self.guard = true;
            }
            Advice::GuardRemove => self.guard = false,
            Advice::PopulateRead | Advice::PopulateWrite | Advice::Collapse => self.resident = true,
            Advice::HugePage => self.huge_page = true,
            Advice::NoHugePage => self.huge_page = false,
            Advice::DontDump => self.dont_dump = true,
            Advice::DoDump => self.dont_dump = false,
            Advice::DontFork => self.dont_fork = true,
            Advice::DoFork => self.dont_fork = false,
            Advice::WipeOnFork => self.wipe_on_fork = true,
            Advice::KeepOnFork => self.wipe_on_fork = false,
            Advice::Sequential | Advice::Random | Advice::WillNeed | Advice::Cold => {}
        }
    }
}
