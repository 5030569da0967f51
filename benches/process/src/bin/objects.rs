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

use forge_processes::comparison::{Wanted, build, exit, print};
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

/// What is run.
enum Workload {
    Row(Row),
    Program(Program),
}

fn main() -> ExitCode {
    exit(compare())
}

/// Measures the workloads that the arguments ask for, and prints the tables.
fn compare() -> Result<(), String> {
    let mut named = None;
    let wanted = Wanted::of_arguments(5, USAGE, |argument, value| {
        if argument != "--ours" {
            return Ok(false);
        }
        named = Some(PathBuf::from(value()?));
        Ok(true)
    })?;
    let (peers, missing) = Preload::peers();
    missing.iter().for_each(|file| eprintln!("SKIPPED: this machine has no {file}"));
    let preloads: Vec<_> = [Preload::ours(OURS, our_object(named)?), Preload::system()]
        .into_iter()
        .chain(peers)
        .filter(|preload| wanted.has_name(preload.name))
        .map(|preload| (preload.name, preload))
        .collect();
    let workloads: Vec<_> = workloads().into_iter().filter(|(id, _)| wanted.has_row(id)).collect();
    let system = ROSTER.iter().find(|contestant| contestant.name == SYSTEM).ok_or("no system malloc")?;
    system.build()?;
    let mut samples = Samples::of(preloads.iter().map(|(name, preload)| (*name, preload.side)));
    wanted.measure(&mut samples, &workloads, &preloads, |workload, preload| workload.sample(preload, system));
    let rows: Vec<&'static str> = workloads.iter().map(|(id, _)| *id).collect();
    let title = "Processor time under the C ABI, of an operation or of a whole program";
    print(&samples, &rows, title, None::<&str>);
    Ok(())
}

/// Returns every row, and the programs that this machine has, with their names in the tables.
fn workloads() -> Vec<(&'static str, Workload)> {
    let mut workloads: Vec<_> = rows::all().into_iter().map(|row| (row.id, Workload::Row(row))).collect();
    for program in PROGRAMS {
        match program.lacks() {
            Some(missing) => eprintln!("SKIPPED: {}: this machine has no {missing}", program.id),
            None => workloads.push((program.id, Workload::Program(program))),
        }
    }
    workloads
}

impl Workload {
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
fn our_object(named: Option<PathBuf>) -> Result<PathBuf, String> {
    let object = match named {
        Some(object) => object,
        None => {
            build("our object", ["--profile", PROFILE, "-p", "forge-malloc-abi"])?;
            let programs = directory()?;
            let target = programs.parent().ok_or("the programs are in no target directory")?;
            target.join(PROFILE).join("libforge_malloc.so")
        }
    };
    object.canonicalize().map_err(|error| format!("{}: {error}", object.display()))
}
