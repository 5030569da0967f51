//! What a contestant does: one row, in batches, and one line about them.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::meter::{peak_kib, processor_time};
use crate::rows::{self, Row};
use crate::samples::Sample;

/// The time that a row gets in one process.
const TIME: Duration = Duration::from_millis(60);
/// How many batches come before those that count.
const WARM: usize = 2;
/// The fewest batches of a row in one process.
const FEWEST: usize = 3;

/// What callgrind starts and stops at.
pub const COUNTED: &str = "*forge_processes*run*counted*";

/// Runs the row that the arguments name, and prints its [`Sample`]. With `--count` a second argument, runs one batch within [`COUNTED`].
pub fn run() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(row) = arguments.first().and_then(|id| rows::all().into_iter().find(|row| row.id == id)) else {
        let known: Vec<&str> = rows::all().iter().map(|row| row.id).collect();
        eprintln!("usage: ROW [--count]; the rows are {}", known.join(", "));
        return ExitCode::from(2);
    };
    if arguments.len() > 1 {
        count(&row);
    } else {
        println!("{}", sample(&row).line());
    }
    ExitCode::SUCCESS
}

/// Runs a row in a process of its own: the program of a contestant, as `command` would start it.
///
/// # Errors
///
/// A sentence, if the process cannot be started, fails, or says something else.
pub fn run_apart(command: &mut Command, row: &Row) -> Result<Sample, String> {
    let output = command.arg(row.id).output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Sample::parse(&text).ok_or_else(|| format!("not a sample: {text}"))
}

/// Runs batches for warmth and another for callgrind.
fn count(row: &Row) {
    let mut batch = (row.make)();
    (0..WARM).for_each(|_| batch());
    counted(&mut batch);
}

/// Runs `work`: the one function that is counted.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
}

/// Runs batches for [`TIME`].
fn sample(row: &Row) -> Sample {
    let mut batch = (row.make)();
    let mut times = Vec::with_capacity(1024);
    (0..WARM).for_each(|_| batch());
    let start = Instant::now();
    while times.len() < FEWEST || (start.elapsed() < TIME && times.len() < times.capacity()) {
        let before = processor_time();
        batch();
        times.push(processor_time() - before);
    }
    times.sort_unstable();
    let per_operation = |time: Duration| time.as_nanos() as f64 / row.operations as f64;
    Sample {
        minimum: per_operation(times.first().copied().unwrap_or_default()),
        median: per_operation(times.get(times.len() / 2).copied().unwrap_or_default()),
        peak_kib: peak_kib(),
    }
}
