//! [`SimCall`] and [`SimCalls`]: what a simulated system is asked, and how often.

#[cfg(doc)]
use super::SimOs;
#[cfg(doc)]
use crate::Os;

/// The kinds of calls that are counted and can be told to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SimCall {
    /// [`Os::map`].
    Map,
    /// [`Os::unmap`].
    Unmap,
    /// [`Os::protect`].
    Protect,
    /// [`Os::commit`].
    Commit,
    /// [`Os::decommit`].
    Decommit,
    /// [`Os::advise`], every kind.
    Advise,
    /// [`Os::lock`].
    Lock,
    /// [`Os::unlock`].
    Unlock,
    /// [`Os::remap`].
    Remap,
}

/// How many calls of each kind a [`SimOs`] has received, failed ones included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimCalls {
    /// Calls of [`Os::map`].
    pub map: usize,
    /// Calls of [`Os::unmap`].
    pub unmap: usize,
    /// Calls of [`Os::protect`].
    pub protect: usize,
    /// Calls of [`Os::commit`].
    pub commit: usize,
    /// Calls of [`Os::decommit`].
    pub decommit: usize,
    /// Calls of [`Os::advise`].
    pub advise: usize,
    /// Calls of [`Os::lock`].
    pub lock: usize,
    /// Calls of [`Os::unlock`].
    pub unlock: usize,
    /// Calls of [`Os::remap`].
    pub remap: usize,
}

impl SimCalls {
    /// Returns the number of calls of every kind together.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.map
            + self.unmap
            + self.protect
            + self.commit
            + self.decommit
            + self.advise
            + self.lock
            + self.unlock
            + self.remap
    }

    pub(super) fn count_mut(&mut self, call: SimCall) -> &mut usize {
        match call {
            SimCall::Map => &mut self.map,
            SimCall::Unmap => &mut self.unmap,
            SimCall::Protect => &mut self.protect,
            SimCall::Commit => &mut self.commit,
            SimCall::Decommit => &mut self.decommit,
            SimCall::Advise => &mut self.advise,
            SimCall::Lock => &mut self.lock,
            SimCall::Unlock => &mut self.unlock,
            SimCall::Remap => &mut self.remap,
        }
    }
}
