//! The gate on instruction counts: runs each probe under callgrind and compares with instructions.toml.
//!
//! ```text
//! cargo run --release -p forge-benches --bin instructions              compare; exit code 1 if one of ours grew
//! cargo run --release -p forge-benches --bin instructions -- --bless   make the present counts the baseline
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use forge_benches::callgrind::{Baseline, Verdict, count, version};
use forge_benches::harness::Side;
use forge_benches::probes::{COUNTED, EQUAL, OPERATIONS, Probe, all};

/// The tolerance in percent of a new baseline.
const TOLERANCE: f64 = 2.0;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["--probe", name] => run_probe(name),
        [] => gate(false),
        ["--bless"] => gate(true),
        _ => Err("usage: instructions [--bless]".to_string()),
    };
    match result {
        Ok(code) => code,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

/// Runs one probe in this process, which valgrind watches.
fn run_probe(name: &str) -> Result<ExitCode, String> {
    let probe =
        all().into_iter().find(|probe| probe.name == name).ok_or_else(|| format!("no probe {name}"))?;
    probe.run();
    Ok(ExitCode::SUCCESS)
}

/// Counts every probe, then compares with the baseline or replaces it.
fn gate(bless: bool) -> Result<ExitCode, String> {
    let Some(valgrind) = version() else {
        eprintln!("SKIPPED: valgrind is not installed, so NO INSTRUCTION COUNT WAS COMPARED");
        return Ok(ExitCode::SUCCESS);
    };
    if cfg!(debug_assertions) {
        return Err("the counts of an unoptimised build say nothing: run with --release".to_string());
    }
    let program = std::env::current_exe().map_err(|error| format!("this program's own path: {error}"))?;
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("instructions.toml");
    let baseline = if bless { Baseline::default() } else { read(&path)? };
    println!("{valgrind}, {}; instructions per operation", forge_benches::COMPILER);
    let (mut counts, mut every, mut worse) = (Baseline::default(), BTreeMap::new(), 0);
    for probe in all() {
        let instructions = count(&program, &["--probe", &probe.name], COUNTED)?;
        let verdict =
            if probe.side == Side::Ours { baseline.judge(&probe.name, instructions) } else { Verdict::Same };
        worse += usize::from(matches!(verdict, Verdict::Worse(_)));
        print_line(&probe, instructions, verdict);
        every.insert(probe.name.clone(), instructions);
        if probe.side == Side::Ours {
            counts.instructions.insert(probe.name, instructions);
        }
    }
    let different = EQUAL.iter().filter(|(bare, same)| every.get(*bare) != every.get(*same));
    let different: Vec<_> = different.map(|(bare, same)| format!("{same} differs from {bare}")).collect();
    if !different.is_empty() {
        return Err(different.join("\n"));
    }
    if bless {
        counts.compiler = forge_benches::COMPILER.to_string();
        counts.tolerance = TOLERANCE;
        std::fs::write(&path, counts.text()).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("written: benches/instructions.toml");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(conclude(&baseline, worse))
}

/// Reads the committed counts.
fn read(path: &Path) -> Result<Baseline, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{}: {error}; run with --bless", path.display()))?;
    Baseline::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Prints one probe's count.
fn print_line(probe: &Probe, instructions: u64, verdict: Verdict) {
    let note = match verdict {
        Verdict::Same => String::new(),
        Verdict::Worse(percent) => format!("  WORSE by {percent:.1} %"),
        Verdict::Better(percent) => format!("  better by {:.1} %: run with --bless", -percent),
        Verdict::New => "  new: run with --bless".to_string(),
    };
    println!("  {:9.2}  {}{note}", instructions as f64 / OPERATIONS as f64, probe.name);
}

/// Returns the exit code for `worse` probes of ours that grew.
fn conclude(baseline: &Baseline, worse: usize) -> ExitCode {
    if worse == 0 {
        println!("no count of ours grew by more than {} %", baseline.tolerance);
        ExitCode::SUCCESS
    } else if baseline.compiler == forge_benches::COMPILER {
        println!("{worse} counts of ours grew by more than {} %", baseline.tolerance);
        ExitCode::FAILURE
    } else {
        println!("NOT A VERDICT: the baseline was counted with {}", baseline.compiler);
        ExitCode::SUCCESS
    }
}
