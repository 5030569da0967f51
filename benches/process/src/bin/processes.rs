//! Builds the contestants, runs every row under each of them in turn, and prints the tables.
//!
//! ```text
//! cargo run --release -p forge-processes --bin processes                          everything, seven rounds
//! cargo run --release -p forge-processes --bin processes -- --row pair-64         one row
//! cargo run --release -p forge-processes --bin processes -- --with forge          one contestant
//! ```

use std::process::{Command, ExitCode};

use forge_processes::comparison::{Wanted, exit, print};
use forge_processes::roster::{Contestant, ROSTER, directory};
use forge_processes::samples::Samples;
use forge_processes::{rows, run_apart};

const USAGE: &str = "usage: processes [--row ID]... [--with NAME]... [--rounds N] [--no-build]";

fn main() -> ExitCode {
    exit(compare())
}

/// Measures the rows that the arguments ask for, and prints the tables.
fn compare() -> Result<(), String> {
    let mut build = true;
    let wanted = Wanted::of_arguments(7, USAGE, |argument, _| {
        let known = argument == "--no-build";
        build &= !known;
        Ok(known)
    })?;
    let rows: Vec<_> =
        rows::all().into_iter().filter(|row| wanted.has_row(row.id)).map(|row| (row.id, row)).collect();
    let contestants: Vec<_> = ROSTER
        .into_iter()
        .filter(|contestant| wanted.has_name(contestant.name) && is_ready(contestant, build))
        .map(|contestant| (contestant.name, contestant))
        .collect();
    let directory = directory()?;
    let mut samples = Samples::of(ROSTER.map(|contestant| (contestant.name, contestant.side)));
    wanted.measure(&mut samples, &rows, &contestants, |row, contestant| {
        run_apart(&mut Command::new(contestant.program(&directory)), row)
    });
    let rows: Vec<&'static str> = rows.iter().map(|(id, _)| *id).collect();
    let [fast, hardened, ..] = &ROSTER;
    let ratio = samples.mean_ratio(&rows, hardened.name, fast.name, |figure| figure.nanoseconds);
    let remark = ratio.map(|ratio| format!("{} / {}, geometric mean: {ratio:.2}", hardened.name, fast.name));
    print(&samples, &rows, "Processor time", remark);
    Ok(())
}

/// Returns whether a contestant can take part, and says so if not.
fn is_ready(contestant: &Contestant, build: bool) -> bool {
    if !build {
        return directory().is_ok_and(|directory| contestant.program(&directory).exists());
    }
    let built = contestant.build();
    if let Err(reason) = &built {
        eprintln!("SKIPPED: {reason}");
    }
    built.is_ok()
}
