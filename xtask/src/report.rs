//! The outcome of every gate, collected while they run and printed as one table at the end.
//!
//! # Design
//!
//! A run may have a time budget. Ordinary gates fail when it is spent, because they are the ones that every change needs.
//! Deep gates (model checking, interpreters, sanitizers) state the time that they need, run last, and are skipped loudly
//! when it is not there: a slow machine is no defect of the change. No gate gets more than half of the budget, so that a
//! test that hangs leaves the others their turn.

use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Why a gate did not pass.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The check ran and found something, or could not run although this machine has all that it needs.
    Failed(String),
    /// This machine lacks what the check needs.
    Skipped(String),
    /// The time budget of the run was spent.
    OutOfTime,
}

impl From<String> for Stop {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

/// What one gate ended with.
pub(crate) type Outcome = Result<(), Stop>;

/// The time that is left for the commands of a gate.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    deadline: Option<Instant>,
}

impl Clock {
    /// Returns the time that is left, or `None` if the run has no budget.
    pub(crate) fn left(self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Returns a clock that ends after `limit`, or earlier if this one does.
    pub(crate) fn at_most(self, limit: Duration) -> Self {
        let end = Instant::now() + limit;
        Self { deadline: Some(self.deadline.map_or(end, |deadline| deadline.min(end))) }
    }
}

struct Row {
    name: String,
    outcome: Outcome,
    time: Duration,
}

/// All gates of one run.
pub(crate) struct Report {
    rows: Vec<Row>,
    budget: Option<Duration>,
    clock: Clock,
}

impl Report {
    /// Starts a run, with the time that all of it may take.
    pub(crate) fn new(budget: Option<Duration>) -> Self {
        let clock = Clock { deadline: budget.map(|budget| Instant::now() + budget) };
        Self { rows: Vec::new(), budget, clock }
    }

    /// Returns the clock of one gate.
    fn gate_clock(&self) -> Clock {
        self.budget.map_or(self.clock, |budget| self.clock.at_most(budget / 2))
    }

    /// Runs a gate that every change needs.
    pub(crate) fn gate(&mut self, name: &str, body: impl FnOnce(Clock) -> Outcome) {
        println!("\n──── {name}");
        let started = Instant::now();
        let outcome = match body(self.gate_clock()) {
            Err(Stop::OutOfTime) => Err(Stop::Failed("stopped: its time was spent".into())),
            other => other,
        };
        self.push(name, outcome, started.elapsed());
    }

    /// Runs a gate that is skipped if fewer than `need` is left of the budget, or if the budget ends while it runs.
    pub(crate) fn deep_gate(&mut self, name: &str, need: Duration, body: impl FnOnce(Clock) -> Outcome) {
        println!("\n──── {name}");
        let started = Instant::now();
        let outcome = match self.clock.left() {
            Some(left) if left < need => Err(Stop::OutOfTime),
            _ => body(self.gate_clock()),
        };
        let outcome = match outcome {
            Err(Stop::OutOfTime) => Err(Stop::Skipped(
                "not finished: the time of this gate, or of the whole run, was spent".into(),
            )),
            other => other,
        };
        self.push(name, outcome, started.elapsed());
    }

    fn push(&mut self, name: &str, outcome: Outcome, time: Duration) {
        match &outcome {
            Ok(()) => println!("passed: {name} ({:.1} s)", time.as_secs_f64()),
            Err(Stop::Skipped(reason)) => println!("SKIPPED: {name}: {reason}"),
            Err(Stop::Failed(reason)) => println!("FAILED: {name}: {reason}"),
            Err(Stop::OutOfTime) => println!("FAILED: {name}: out of time"),
        }
        self.rows.push(Row { name: name.into(), outcome, time });
    }

    /// Prints the table and the count; the code is a failure if a gate failed or if there was none at all.
    pub(crate) fn finish(self) -> ExitCode {
        print!("{}", self.summary());
        if self.succeeded() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn succeeded(&self) -> bool {
        !self.rows.is_empty()
            && self.rows.iter().all(|row| matches!(row.outcome, Ok(()) | Err(Stop::Skipped(_))))
    }

    fn summary(&self) -> String {
        let mut text = String::from("\n──── summary\n");
        let (mut passed, mut failed, mut skips) = (0, 0, Vec::new());
        for row in &self.rows {
            let word = match &row.outcome {
                Ok(()) => {
                    passed += 1;
                    "passed "
                }
                Err(Stop::Skipped(reason)) => {
                    skips.push(format!("SKIPPED: {}: {reason}\n", row.name));
                    "SKIPPED"
                }
                Err(Stop::Failed(_) | Stop::OutOfTime) => {
                    failed += 1;
                    "FAILED "
                }
            };
            text += &format!("{word} {:>7.1} s  {}", row.time.as_secs_f64(), row.name);
            if let Err(Stop::Failed(reason)) = &row.outcome {
                text += &format!(": {reason}");
            }
            text.push('\n');
        }
        text.extend(skips.iter().map(String::as_str));
        text + &format!("{passed} passed, {failed} failed, {} skipped\n", skips.len())
    }
}

#[cfg(test)]
mod tests;
