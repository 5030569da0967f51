//! Runs the workloads under the malloc of the system, and programs of the machine, with each shared object preloaded in turn, and prints the
//! tables: what an allocator is worth under the C ABI.
//!
//! ```text
//! cargo run --release -p forge-processes --bin objects                            everything, five rounds
//! cargo run --release -p forge-processes --bin objects -- --row git --row perl    these
//! cargo run --release -p forge-processes --bin objects -- --ours OBJECT           ours is this file, and not built
//! ```

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use forge_processes::preloads::Preload;
use forge_processes::programs::{PROGRAMS, Program};
use forge_processes::roster::{Contestant, ROSTER, directory};
use forge_processes::rows::{self, Row};
use forge_processes::run_apart;
use forge_processes::samples::{Sample, Samples};

const USAGE: &str = "usage: objects [--row ID]... [--with NAME]... [--rounds N] [--ours OBJECT]";

/// The name of ours.
const OURS: &str = "forge";
/// The contestant whose program is run with every object.
const SYSTEM: &str = "system";
/// The cargo profile that builds our object.
const PROFILE: &str = "preload";

/// What was asked for.
struct Wanted {
    rows: Vec<String>,
    names: Vec<String>,
    rounds: usize,
    ours: Option<PathBuf>,
}

/// What is run.
enum Workload {
    Row(Row),
    Program(Program),
}

fn main() -> ExitCode {
    match arguments(std::env::args().skip(1)).and_then(|wanted| compare(&wanted)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

/// Returns what the arguments ask for.
fn arguments(mut arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let mut wanted = Wanted { rows: Vec::new(), names: Vec::new(), rounds: 5, ours: None };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value\n{USAGE}"));
        match argument.as_str() {
            "--row" => wanted.rows.push(value()?),
            "--with" => wanted.names.push(value()?),
            "--rounds" => wanted.rounds = value()?.parse().map_err(|_| USAGE.to_string())?,
            "--ours" => wanted.ours = Some(value()?.into()),
            _ => return Err(USAGE.to_string()),
        }
    }
    Ok(wanted)
}

/// Measures the workloads, and prints the tables.
fn compare(wanted: &Wanted) -> Result<(), String> {
    let asked = |names: &[String], name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let (peers, missing) = Preload::peers();
    missing.iter().for_each(|file| eprintln!("SKIPPED: this machine has no {file}"));
    let ours = Preload::ours(OURS, our_object(wanted)?);
    let preloads: Vec<Preload> = [ours, Preload::system()].into_iter().chain(peers).collect();
    let preloads: Vec<Preload> =
        preloads.into_iter().filter(|preload| asked(&wanted.names, preload.name)).collect();
    let workloads: Vec<Workload> =
        workloads().into_iter().filter(|workload| asked(&wanted.rows, workload.id())).collect();
    let system = ROSTER.iter().find(|contestant| contestant.name == SYSTEM).ok_or("no system malloc")?;
    system.build()?;
    let mut samples = Samples::of(preloads.iter().map(|preload| (preload.name, preload.side)));
    for round in 0..wanted.rounds {
        eprintln!("round {} of {}", round + 1, wanted.rounds);
        for workload in &workloads {
            for preload in &preloads {
                match workload.sample(preload, system) {
                    Ok(sample) => samples.add(workload.id(), preload.name, sample),
                    Err(reason) => eprintln!("{}, {}: {reason}", workload.id(), preload.name),
                }
            }
        }
    }
    let rows: Vec<&'static str> = workloads.iter().map(Workload::id).collect();
    println!(
        "Processor time under the C ABI, of an operation or of a whole program, ratio to the best peer\n"
    );
    println!("{}", samples.table(&rows, "ns", |figure| figure.nanoseconds));
    println!("Peak of resident memory, ratio to the best peer\n");
    println!("{}", samples.table(&rows, "MiB", |figure| figure.peak_kib as f64 / 1024.0));
    Ok(())
}

/// Returns every row, and the programs that this machine has.
fn workloads() -> Vec<Workload> {
    let mut workloads: Vec<Workload> = rows::all().into_iter().map(Workload::Row).collect();
    for program in PROGRAMS {
        match program.lacks() {
            Some(missing) => eprintln!("SKIPPED: {}: this machine has no {missing}", program.id),
            None => workloads.push(Workload::Program(program)),
        }
    }
    workloads
}

impl Workload {
    /// Returns its name in the tables.
    fn id(&self) -> &'static str {
        match self {
            Self::Row(row) => row.id,
            Self::Program(program) => program.id,
        }
    }

    /// Runs it once with an object.
    fn sample(&self, preload: &Preload, system: &Contestant) -> Result<Sample, String> {
        let directory = directory()?;
        match self {
            Self::Row(row) => {
                run_apart(preload.put_before(&mut Command::new(system.program(&directory))), row)
            }
            Self::Program(program) => program.sample(preload, &directory.join("workloads").join(program.id)),
        }
    }
}

/// Returns our object, which is built unless it was named.
fn our_object(wanted: &Wanted) -> Result<PathBuf, String> {
    if let Some(object) = &wanted.ours {
        return object.canonicalize().map_err(|error| format!("{}: {error}", object.display()));
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--profile", PROFILE, "-p", "forge-malloc-abi"]);
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(format!("our object was not built: {status}")),
        Err(error) => return Err(format!("cargo could not be started: {error}")),
    }
    let target = directory()?.parent().map(PathBuf::from).ok_or("the programs are in no target directory")?;
    let object = target.join(PROFILE).join("libforge_malloc.so");
    object.canonicalize().map_err(|error| format!("{}: {error}", object.display()))
}
