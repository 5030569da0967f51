//! The hidden verb: one contestant, one figure, one line of JSON.

use std::io::{Read as _, Write as _};

use anyhow::{Context as _, Result};
use forge_trace::Trace;

use crate::cli::RunContestant;
use crate::contestants;
use crate::failure::UsageError;
use crate::measurement::Pass;
use crate::trial::Trial;

/// Reads a trace from standard input, runs the trial and prints its figures.
///
/// # Errors
///
/// An unknown contestant or pass, an unreadable trace, or a contestant that cannot be made.
pub(crate) fn run(arguments: &RunContestant) -> Result<()> {
    let contestant = Some(&contestants::REPLAY_ALONE)
        .filter(|alone| alone.name == arguments.contestant)
        .or_else(|| contestants::find(&arguments.contestant))
        .ok_or_else(|| UsageError(format!("no contestant is called `{}`", arguments.contestant)))?;
    let pass = Pass::from_word(&arguments.pass)
        .ok_or_else(|| UsageError(format!("expected throughput or latency, found `{}`", arguments.pass)))?;
    let trial = Trial::new(read_trace()?, pass);
    let run = (contestant.run)(&trial)?;
    writeln!(std::io::stdout(), "{}", run.json()).context("cannot report the figures")
}

fn read_trace() -> Result<Trace> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).context("cannot read the trace from standard input")?;
    Trace::parse("standard input", &bytes).map_err(|error| UsageError(error.to_string()).into())
}
