//! Measures every row and writes docs/PERFORMANCE.md.
//!
//! ```text
//! cargo run --release -p forge-benches --bin report                       all rows, the document
//! cargo run --release -p forge-benches --bin report -- --row scope        one row, the terminal only
//! cargo run --release -p forge-benches --bin report -- --rounds 50        a fixed number of rounds
//! ```

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use forge_benches::harness::{Outcome, Rounds, Row, measure};
use forge_benches::{render, rows};

/// The time that one row gets unless a number of rounds is asked for.
const PER_ROW: Duration = Duration::from_secs(5);

const USAGE: &str = "usage: report [--row NAME]... [--rounds N]";

fn main() -> ExitCode {
    let (wanted, rounds) = match arguments(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if cfg!(debug_assertions) {
        eprintln!("the figures of an unoptimised build say nothing: run with --release");
        return ExitCode::from(2);
    }
    let everything = wanted.is_empty();
    let rows = rows::all().into_iter().filter(|row| everything || wanted.iter().any(|name| name == row.id));
    let outcomes: Vec<Outcome> = rows.map(|row| report(&row, rounds)).collect();
    let failed = outcomes.iter().flat_map(|outcome| &outcome.lines).any(|line| line.outcome.is_err());
    let written = if everything { write_document(&outcomes) } else { Ok(()) };
    if let Err(error) = &written {
        eprintln!("docs/PERFORMANCE.md could not be written: {error}");
    }
    if failed || written.is_err() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Returns the rows and the rounds that were asked for.
fn arguments(mut arguments: impl Iterator<Item = String>) -> Result<(Vec<String>, Rounds), String> {
    let (mut wanted, mut rounds) = (Vec::new(), Rounds::Within(PER_ROW));
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--row" => wanted.push(arguments.next().ok_or("--row needs a name")?),
            "--rounds" => {
                let number = arguments.next().ok_or("--rounds needs a number")?;
                rounds =
                    Rounds::Exactly(number.parse().map_err(|_| format!("--rounds {number}: not a number"))?);
            }
            _ => return Err(format!("unknown argument {argument}")),
        }
    }
    let known: Vec<&str> = rows::all().iter().map(|row| row.id).collect();
    match wanted.iter().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(format!("no row {unknown}; the rows are {}", known.join(", "))),
        None => Ok((wanted, rounds)),
    }
}

/// Measures one row and prints its table.
fn report(row: &Row, rounds: Rounds) -> Outcome {
    let outcome = measure(row, rounds);
    println!("{}", render::terminal(&outcome));
    outcome
}

/// Writes the document beside the workspace's other documents.
fn write_document(outcomes: &[Outcome]) -> std::io::Result<()> {
    let mut command = "cargo run --release -p forge-benches --bin report".to_string();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.is_empty() {
        command += &format!(" -- {}", arguments.join(" "));
    }
    let setting = render::Setting::here(command);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/PERFORMANCE.md");
    std::fs::write(&path, render::markdown(outcomes, &setting))?;
    println!("written: docs/PERFORMANCE.md");
    Ok(())
}
