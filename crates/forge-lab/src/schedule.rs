//! Which contestant runs when: interleaved rounds within a budget of time.
//!
//! ```text
//!   round 0   a  b  c  d
//!   round 1   b  c  d  a      each round starts one further, so that none always runs after the same neighbour
//!   round 2   c  d  a  b
//!   round 3   d  a  b         c is slow, has its fewest rounds and has spent its share
//! ```
//!
//! # Invariants
//!
//! - (I1) A contestant runs in at least `fewest` rounds and at most `most`.
//! - (I2) Beyond `fewest`, it runs only while it has spent less than an equal share of the budget.
//!
//! # Design
//!
//! Interleaving spreads a slow minute of the machine over all rows instead of charging it to one. Shares are per
//! contestant, so that one that is a hundred times slower costs itself rounds and not the others.

use std::time::Duration;

/// The bounds of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Rounds that every contestant gets.
    pub(crate) fewest: usize,
    /// Rounds that none exceeds.
    pub(crate) most: usize,
    /// Rounds in which single calls are timed too.
    pub(crate) latency: usize,
    /// The time for all contestants together; only (I1) exceeds it.
    pub(crate) budget: Duration,
}

/// The state of a schedule: what each contestant has run and spent.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    limits: Limits,
    round: usize,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    rounds: usize,
    latency_runs: usize,
    spent: Duration,
    out: bool,
}

impl Schedule {
    /// Returns the schedule of `contestants` contestants before the first round.
    pub(crate) fn new(contestants: usize, limits: Limits) -> Self {
        Self { limits, round: 0, entries: vec![Entry::default(); contestants] }
    }

    /// Returns the contestants of the next round in their order; none means that the comparison is complete. O(n).
    pub(crate) fn next_round(&mut self) -> Vec<usize> {
        let count = self.entries.len();
        let first = self.round;
        self.round += 1;
        (0..count)
            .map(|position| (first + position) % count)
            .filter(|&index| self.entries.get(index).is_some_and(|entry| self.runs(entry)))
            .collect()
    }

    /// Returns whether the contestant's single calls are timed in the current round, after its whole replay.
    pub(crate) fn wants_latency(&self, contestant: usize) -> bool {
        self.entries.get(contestant).is_some_and(|entry| {
            !entry.out
                && (entry.latency_runs == 0
                    || (entry.latency_runs < self.limits.latency && entry.spent < self.share() / 2))
        })
    }

    /// Notes that the contestant ran a whole replay.
    pub(crate) fn ran(&mut self, contestant: usize, cost: Duration) {
        if let Some(entry) = self.entries.get_mut(contestant) {
            entry.rounds += 1;
            entry.spent += cost;
        }
    }

    /// Notes that the contestant's single calls were timed.
    pub(crate) fn ran_latency(&mut self, contestant: usize, cost: Duration) {
        if let Some(entry) = self.entries.get_mut(contestant) {
            entry.latency_runs += 1;
            entry.spent += cost;
        }
    }

    /// Takes the contestant out: it broke down and need not break down again.
    pub(crate) fn withdraw(&mut self, contestant: usize) {
        if let Some(entry) = self.entries.get_mut(contestant) {
            entry.out = true;
        }
    }

    fn runs(&self, entry: &Entry) -> bool {
        !entry.out
            && (entry.rounds < self.limits.fewest
                || (entry.rounds < self.limits.most && entry.spent < self.share()))
    }

    fn share(&self) -> Duration {
        self.limits.budget / u32::try_from(self.entries.len()).unwrap_or(u32::MAX).max(1)
    }
}

#[cfg(test)]
mod tests;
