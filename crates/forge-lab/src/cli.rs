//! The command line: verbs, their options, and what a user reads under `--help`.

use std::num::NonZeroUsize;

use clap::{Args, Parser, Subcommand};

/// The allocator laboratory.
#[derive(Debug, Parser)]
#[command(name = "forge-lab", version, about, arg_required_else_help = true)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Replays allocation traces against several allocators and compares time, latency and memory.
    Compare(Compare),
    /// Replays one trace, read from standard input, against one allocator: what `compare` starts per run.
    #[command(hide = true)]
    RunContestant(RunContestant),
}

/// What to compare, and how to print it.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Compare {
    /// A built-in trace (sqlite, jq, perl) or the path of a trace file. Without one: sqlite.
    #[arg(value_name = "TRACE")]
    pub(crate) traces: Vec<String>,

    /// Compares these allocators with the system's, instead of all that this build has.
    #[arg(long, value_name = "A,B,...", value_delimiter = ',', action = clap::ArgAction::Append)]
    pub(crate) with: Vec<String>,

    /// Prints the allocators of this build, and what each is.
    #[arg(long)]
    pub(crate) list: bool,

    /// Runs every allocator exactly this many times, however long that takes.
    #[arg(long, value_name = "N")]
    pub(crate) rounds: Option<NonZeroUsize>,

    /// Runs fewer rounds: a look, not a measurement.
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    pub(crate) quick: bool,

    /// How long the comparison should take in all, in seconds; 4 per allocator without this option. Slow allocators run
    /// less often, but at least 4 times.
    #[arg(long, value_name = "S", conflicts_with = "rounds")]
    pub(crate) seconds: Option<u64>,

    /// Prints JSON: every run, and the figures of the table.
    #[arg(long, conflicts_with = "markdown")]
    pub(crate) json: bool,

    /// Prints the tables as Markdown.
    #[arg(long)]
    pub(crate) markdown: bool,
}

const AFTER_HELP: &str = "\
A trace is text, one event a line, optionally compressed with zstd:
  a ID SIZE ALIGN THREAD   allocate SIZE bytes at alignment ALIGN
  z ID SIZE ALIGN THREAD   the same, zero-filled
  r ID SIZE THREAD         resize block ID
  f ID THREAD              free block ID
The binary form of forge-trace and malloc-lab's .rep are read too.

Exit codes: 0 compared, 1 something else failed, 2 wrong arguments or an unusable trace.";

/// What a child process is to do.
#[derive(Debug, Args)]
pub(crate) struct RunContestant {
    /// The name of the contestant.
    pub(crate) contestant: String,
    /// The figure to take: throughput or latency.
    pub(crate) pass: String,
}

#[cfg(test)]
mod tests;
