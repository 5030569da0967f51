//! The verb `compare`: load the traces, choose the contestants, run the rounds, print the tables.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use forge_trace::format::binary::write_binary;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::Compare;
use crate::comparison::{Comparison, Row};
use crate::contestants::{self, Contestant};
use crate::failure::UsageError;
use crate::machine::Machine;
use crate::measurement::Pass;
use crate::schedule::{Limits, Schedule};
use crate::traces::{self, Loaded};
use crate::{output, process, report};

/// Compares and prints.
///
/// # Errors
///
/// [`UsageError`] for an unknown contestant or an unusable trace, before anything runs; or a failed write.
pub(crate) fn run(arguments: &Compare) -> Result<()> {
    if arguments.list {
        return output::print(&listing());
    }
    let chosen = choose(&arguments.with)?;
    let mut references = arguments.traces.clone();
    if references.is_empty() {
        references.push(traces::DEFAULT.to_string());
    }
    let loaded: Vec<Loaded> =
        references.iter().map(|reference| traces::load(reference)).collect::<Result<_, UsageError>>()?;

    let machine = Machine::this();
    let limits = limits(arguments, chosen.len(), loaded.len());
    let mut comparisons = Vec::new();
    for (index, loaded) in loaded.into_iter().enumerate() {
        let comparison = compare(loaded, &chosen, limits);
        if !arguments.json {
            let rendered = if arguments.markdown {
                report::markdown(&comparison, &machine)
            } else {
                report::text(&comparison, &machine)
            };
            output::print(&if index > 0 { format!("\n{rendered}") } else { rendered })?;
        }
        comparisons.push(comparison);
    }
    if arguments.json {
        let document = serde_json::to_string_pretty(&report::json(&comparisons, &machine))
            .context("cannot render the results as JSON")?;
        output::print(&format!("{document}\n"))?;
    }
    Ok(())
}

fn listing() -> String {
    let all = contestants::all();
    let width = all.iter().map(|contestant| contestant.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for Contestant { name, about, .. } in all {
        out.push_str(&format!("{name:<width$}  {about}\n"));
    }
    if cfg!(not(feature = "contestants")) {
        out.push_str("\nMore with `--features contestants`, some of which need a C and C++ compiler.\n");
    }
    out
}

/// Returns the contestants called `names`, each once, after the system allocator; all if there are no names.
fn choose(names: &[String]) -> Result<Vec<&'static Contestant>, UsageError> {
    if names.is_empty() {
        return Ok(contestants::all());
    }
    let mut chosen: Vec<&'static Contestant> = Vec::new();
    for name in std::iter::once(contestants::ALWAYS).chain(names.iter().map(String::as_str)) {
        let contestant = contestants::find(name).ok_or_else(|| unknown(name))?;
        if !chosen.iter().any(|earlier| earlier.name == contestant.name) {
            chosen.push(contestant);
        }
    }
    Ok(chosen)
}

fn unknown(name: &str) -> UsageError {
    let known: Vec<&str> = contestants::all().iter().map(|contestant| contestant.name).collect();
    let mut message = format!("--with: expected an allocator of this build, found `{name}`\n");
    message.push_str(&format!("This build has: {}.", known.join(", ")));
    if cfg!(not(feature = "contestants")) {
        message.push_str(" Build with `--features contestants` for those of other projects.");
    }
    UsageError(message)
}

/// The time for one contestant on all traces, in seconds, unless the user says otherwise.
const SECONDS_EACH: u64 = 4;

/// Returns the bounds of the schedule of one trace.
fn limits(arguments: &Compare, contestants: usize, traces: usize) -> Limits {
    let in_all = arguments.seconds.unwrap_or(SECONDS_EACH * contestants as u64);
    let seconds = Duration::from_secs(in_all) / u32::try_from(traces).unwrap_or(u32::MAX).max(1);
    match arguments.rounds {
        Some(rounds) => {
            Limits { fewest: rounds.get(), most: rounds.get(), latency: rounds.get().min(3), budget: seconds }
        }
        None if arguments.quick => Limits { fewest: 2, most: 6, latency: 1, budget: seconds / 5 },
        None => Limits { fewest: 4, most: 15, latency: 3, budget: seconds },
    }
}

/// Runs the rounds of one trace.
fn compare(loaded: Loaded, chosen: &[&'static Contestant], limits: Limits) -> Comparison {
    let Loaded { trace, title } = loaded;
    let encoded = write_binary(&trace);
    let mut rows: Vec<Row> = chosen.iter().map(|contestant| Row::new(contestant)).collect();
    let mut replay_alone = Row::new(&contestants::REPLAY_ALONE);
    let mut schedule = Schedule::new(rows.len(), limits);
    let progress = progress(rows.len() * limits.most);
    for round in 1.. {
        let order = schedule.next_round();
        if order.is_empty() {
            break;
        }
        progress.set_position(((round - 1) * rows.len()) as u64);
        if round <= REPLAY_ALONE_RUNS {
            run_replay_alone(&mut replay_alone, &encoded);
        }
        for index in order {
            let Some(row) = rows.get_mut(index) else { continue };
            progress.set_message(format!("round {round}: {}", row.contestant.name));
            run_once(row, index, &encoded, &mut schedule);
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    Comparison { title, stats: trace.stats(), threads: trace.threads(), rows, replay_alone }
}

/// How often the replay without an allocator is timed; it is a footnote, not a row.
const REPLAY_ALONE_RUNS: usize = 5;

fn run_replay_alone(row: &mut Row, encoded: &[u8]) {
    match process::run(row.contestant.name, Pass::Throughput, encoded) {
        Ok(run) => row.runs.push(run),
        Err(reason) => row.breakdown = Some(reason),
    }
}

/// Runs one contestant's turn in a round: a whole replay, then single calls if they are wanted.
fn run_once(row: &mut Row, index: usize, encoded: &[u8], schedule: &mut Schedule) {
    for pass in [Pass::Throughput, Pass::Latency] {
        if pass == Pass::Latency && !schedule.wants_latency(index) {
            return;
        }
        let started = Instant::now();
        match process::run(row.contestant.name, pass, encoded) {
            Ok(run) => row.runs.push(run),
            Err(reason) => {
                row.breakdown = Some(reason);
                schedule.withdraw(index);
                return;
            }
        }
        match pass {
            Pass::Throughput => schedule.ran(index, started.elapsed()),
            Pass::Latency => schedule.ran_latency(index, started.elapsed()),
        }
    }
}

/// Returns a bar on standard error if that is a terminal, else one that shows nothing.
fn progress(length: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(length as u64), ProgressDrawTarget::stderr());
    match ProgressStyle::with_template("[{bar:30}] {elapsed} {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests;
