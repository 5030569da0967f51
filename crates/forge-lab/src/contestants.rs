//! The allocators that can be compared: a name, one honest line, and how a trial makes one.
//!
//! # Design
//!
//! A contestant is a row of a table, so adding one is adding a row. Making and replaying are one function per row,
//! because the replay is compiled for the contestant's type. Contestants over a fixed region get one that is
//! dimensioned from the trace: arenas the sum of all requests, heaps twice the peak; only touched pages are resident,
//! so a generous region costs no memory figure.

use anyhow::Result;

use crate::measurement::Run;
use crate::trial::Trial;

mod adapter;
mod mapping_per_block;
mod nothing;
mod own;
#[cfg(feature = "contestants")]
mod peers;
mod region;

/// The contestant that is in every comparison.
pub(crate) const ALWAYS: &str = "system";

#[cfg(feature = "contestants")]
use peers::CONTESTANTS as PEERS;
#[cfg(not(feature = "contestants"))]
static PEERS: &[Contestant] = &[];

/// One allocator that can be compared.
#[derive(Debug)]
pub(crate) struct Contestant {
    /// The name on the command line and in the tables.
    pub(crate) name: &'static str,
    /// What it is, in one line.
    pub(crate) about: &'static str,
    /// What a reader of its row must know, in a few words; often nothing.
    pub(crate) note: &'static str,
    /// Makes the allocator and replays the trial's trace against it.
    pub(crate) run: fn(&Trial) -> Result<Run>,
}

/// Returns all contestants of this build, the system allocator first.
pub(crate) fn all() -> Vec<&'static Contestant> {
    own::CONTESTANTS.iter().chain(PEERS).collect()
}

/// Returns the contestant called `name`.
pub(crate) fn find(name: &str) -> Option<&'static Contestant> {
    all().into_iter().find(|contestant| contestant.name == name)
}

/// What a replay costs when the allocator does nothing: no contestant, but run like one.
pub(crate) static REPLAY_ALONE: Contestant = Contestant {
    name: "replay-alone",
    about: "no allocator: every block is the same scratch memory",
    note: "",
    run: |trial| trial.run(|| nothing::Nothing::for_trial(trial)),
};

#[cfg(test)]
mod tests;
