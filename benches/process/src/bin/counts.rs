//! Counts the instructions of an operation under callgrind, for every contestant that was built.
//!
//! ```text
//! cargo run --release -p forge-processes --features instructions --bin counts                   the rows of one thread
//! cargo run --release -p forge-processes --features instructions --bin counts -- growth-4 ..    these rows
//! ```

use std::process::ExitCode;

use forge_benches::callgrind;
use forge_processes::COUNTED;
use forge_processes::roster::{Contestant, directory};
use forge_processes::rows::{self, Row};

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    match count(&asked) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

/// Counts the rows that are asked for, or those of one thread.
fn count(asked: &[String]) -> Result<(), String> {
    let valgrind = callgrind::version().ok_or("valgrind is not installed, so nothing can be counted")?;
    let directory = directory()?;
    let contestants = Contestant::built(&directory);
    let rows = rows::all().into_iter().filter(|row| match asked {
        [] => row.threads == 1,
        asked => asked.iter().any(|id| id == row.id),
    });
    let names: String = contestants.iter().map(|contestant| format!(" {} |", contestant.name)).collect();
    println!("Instructions per operation, {valgrind}\n");
    println!("| row |{names}\n|---|{}", "---|".repeat(contestants.len()));
    for row in rows {
        let counts =
            contestants.iter().map(|contestant| of(contestant, &row).unwrap_or_else(|_| " - |".to_string()));
        println!("| {} |{}", row.id, counts.collect::<String>());
    }
    Ok(())
}

/// Counts a row of a contestant.
fn of(contestant: &Contestant, row: &Row) -> Result<String, String> {
    let instructions = callgrind::count(&contestant.program(&directory()?), &[row.id, "--count"], COUNTED)?;
    Ok(format!(" {:.1} |", instructions as f64 / row.operations as f64))
}
