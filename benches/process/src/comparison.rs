//! What both runners do: their arguments, the rounds, and the two tables.

use std::ffi::OsStr;
use std::fmt::Display;
use std::process::{Command, ExitCode};

use crate::samples::{Sample, Samples};

/// What every runner can be asked for.
#[derive(Debug)]
pub struct Wanted {
    /// The rows; none for all of them.
    pub rows: Vec<String>,
    /// The contestants; none for all of them.
    pub names: Vec<String>,
    /// How many times everything is run.
    pub rounds: usize,
}

impl Wanted {
    /// Reads the arguments of this program: `--row ID`, `--with NAME`, `--rounds N`. Others are for `other`, which is given the argument and
    /// a way to its value, and returns whether there is such a one.
    ///
    /// # Errors
    ///
    /// A sentence, or the usage, if an argument is unknown or lacks its value.
    pub fn of_arguments(
        rounds: usize,
        usage: &str,
        mut other: impl FnMut(&str, &mut dyn FnMut() -> Result<String, String>) -> Result<bool, String>,
    ) -> Result<Self, String> {
        let mut wanted = Self { rows: Vec::new(), names: Vec::new(), rounds };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value\n{usage}"));
            match argument.as_str() {
                "--row" => wanted.rows.push(value()?),
                "--with" => wanted.names.push(value()?),
                "--rounds" => wanted.rounds = value()?.parse().map_err(|_| usage.to_string())?,
                _ if other(&argument, &mut value)? => {}
                _ => return Err(usage.to_string()),
            }
        }
        Ok(wanted)
    }

    /// Returns whether a row is asked for.
    pub fn has_row(&self, id: &str) -> bool {
        asked(&self.rows, id)
    }

    /// Returns whether a contestant is asked for.
    pub fn has_name(&self, name: &str) -> bool {
        asked(&self.names, name)
    }

    /// Runs every workload with every contestant in turn, as often as there are rounds, and adds what they say to the samples.
    pub fn measure<W, C>(
        &self,
        samples: &mut Samples,
        workloads: &[(&'static str, W)],
        contestants: &[(&'static str, C)],
        sample: impl Fn(&W, &C) -> Result<Sample, String>,
    ) {
        for round in 0..self.rounds {
            eprintln!("round {} of {}", round + 1, self.rounds);
            for (row, workload) in workloads {
                for (name, contestant) in contestants {
                    match sample(workload, contestant) {
                        Ok(sample) => samples.add(row, name, sample),
                        Err(reason) => eprintln!("{row}, {name}: {reason}"),
                    }
                }
            }
        }
    }
}

/// Returns whether a name is among those that were asked for.
fn asked(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|wanted| wanted == name)
}

/// Prints the table of times under a title, what is to be said about them, and the table of memory.
pub fn print(samples: &Samples, rows: &[&'static str], title: &str, remark: Option<impl Display>) {
    println!("{title}, ratio to the best peer\n");
    println!("{}", samples.table(rows, "ns", |figure| figure.nanoseconds));
    if let Some(remark) = remark {
        println!("{remark}\n");
    }
    println!("Peak of resident memory, ratio to the best peer\n");
    println!("{}", samples.table(rows, "MiB", |figure| figure.peak_kib as f64 / 1024.0));
}

/// Builds something of this workspace, which a message calls `what`.
///
/// # Errors
///
/// A sentence, if cargo says no: what it needs may be missing here.
pub fn build(what: &str, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    match Command::new(cargo).args(["build", "--quiet"]).args(arguments).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{what} was not built: {status}")),
        Err(error) => Err(format!("cargo could not be started: {error}")),
    }
}

/// Returns what a runner ends with, after saying what went wrong.
pub fn exit(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}
