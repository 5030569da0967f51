//! The command-line laboratory: real allocation traces, replayed against real allocators, compared truthfully.
//!
//! ```text
//!   cli ─▶ compare ─▶ traces, contestants          what to compare
//!             │
//!             ├─▶ schedule ─▶ process ═══▶ child ─▶ trial ─▶ clock, memory     one run, in a process of its own
//!             │                  ▲            │
//!             │                  └─ measurement (a line of JSON)
//!             └─▶ comparison ─▶ statistics, rank ─▶ report ─▶ table ─▶ output
//! ```
//!
//! Everything left of the double arrow decides, everything right of it measures; the two share no memory, and neither
//! shares a heap with a contestant ([`heap`]).

mod child;
mod cli;
mod clock;
mod compare;
mod comparison;
mod contestants;
mod failure;
mod heap;
mod machine;
mod measurement;
mod memory;
mod output;
mod process;
mod rank;
mod report;
mod schedule;
mod statistics;
mod table;
mod traces;
mod trial;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{CommandLine, Verb};
use crate::failure::UsageError;

#[global_allocator]
static HEAP: heap::LaboratoryHeap = heap::LaboratoryHeap::new();

fn main() -> ExitCode {
    let result = match CommandLine::parse().verb {
        Verb::Compare(arguments) => compare::run(&arguments),
        Verb::RunContestant(arguments) => child::run(&arguments),
    };
    let Err(error) = result else { return ExitCode::SUCCESS };
    // Nobody is left to tell if standard error is closed.
    let _unheard = writeln!(std::io::stderr(), "error: {error:#}");
    let usage = error.downcast_ref::<UsageError>().is_some();
    ExitCode::from(if usage { 2 } else { 1 })
}
