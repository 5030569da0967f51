//! Builds the contestants, runs every row under each of them in turn, and prints the tables.
//!
//! ```text
//! cargo run --release -p forge-processes --bin processes                          everything, seven rounds
//! cargo run --release -p forge-processes --bin processes -- --row pair-64         one row
//! cargo run --release -p forge-processes --bin processes -- --with forge          one contestant
//! ```

use std::process::{Command, ExitCode};

use forge_processes::roster::{Contestant, ROSTER, directory};
use forge_processes::rows::{self, Row};
use forge_processes::run_apart;
use forge_processes::samples::Samples;

const USAGE: &str = "usage: processes [--row ID]... [--with NAME]... [--rounds N] [--no-build]";

/// What was asked for.
struct Wanted {
    rows: Vec<String>,
    names: Vec<String>,
    rounds: usize,
    build: bool,
}

fn main() -> ExitCode {
    let result = arguments(std::env::args().skip(1)).and_then(|wanted| compare(&wanted));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

/// Returns what the arguments ask for.
fn arguments(mut arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let mut wanted = Wanted { rows: Vec::new(), names: Vec::new(), rounds: 7, build: true };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value\n{USAGE}"));
        match argument.as_str() {
            "--row" => wanted.rows.push(value()?),
            "--with" => wanted.names.push(value()?),
            "--rounds" => wanted.rounds = value()?.parse().map_err(|_| USAGE.to_string())?,
            "--no-build" => wanted.build = false,
            _ => return Err(USAGE.to_string()),
        }
    }
    Ok(wanted)
}

/// Measures the rows, and prints the tables.
fn compare(wanted: &Wanted) -> Result<(), String> {
    let asked = |names: &[String], name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let rows: Vec<Row> = rows::all().into_iter().filter(|row| asked(&wanted.rows, row.id)).collect();
    let contestants = ROSTER.into_iter().filter(|contestant| asked(&wanted.names, contestant.name));
    let contestants: Vec<Contestant> =
        contestants.filter(|contestant| is_ready(contestant, wanted.build)).collect();
    let everyone = ROSTER.map(|contestant| (contestant.name, contestant.side));
    let (directory, mut samples) = (directory()?, Samples::of(everyone));
    for round in 0..wanted.rounds {
        eprintln!("round {} of {}", round + 1, wanted.rounds);
        for row in &rows {
            for contestant in &contestants {
                match run_apart(&mut Command::new(contestant.program(&directory)), row) {
                    Ok(sample) => samples.add(row.id, contestant.name, sample),
                    Err(reason) => eprintln!("{}, {}: {reason}", row.id, contestant.name),
                }
            }
        }
    }
    let rows: Vec<&'static str> = rows.iter().map(|row| row.id).collect();
    println!("Processor time, ratio to the best peer\n");
    println!("{}", samples.table(&rows, "ns", |figure| figure.nanoseconds));
    let [fast, hardened, ..] = &ROSTER;
    if let Some(ratio) = samples.mean_ratio(&rows, hardened.name, fast.name, |figure| figure.nanoseconds) {
        println!("{} / {}, geometric mean: {ratio:.2}\n", hardened.name, fast.name);
    }
    println!("Peak of resident memory, ratio to the best peer\n");
    println!("{}", samples.table(&rows, "MiB", |figure| figure.peak_kib as f64 / 1024.0));
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
