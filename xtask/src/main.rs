//! The project's own tool: every check that a change has to pass, each as one command.
//!
//! ```text
//! main ──▶ gates/   one file per kind of check; a gate is a row of the report
//!     │      └──▶ step     one command: printed, then run within the time that is left
//!     │      └──▶ rustup   what this machine has, and what may be installed on the way
//!     └──▶ tidy/    checks of the sources themselves, one file per rule
//!     └──▶ report   passed, failed or skipped, with the time; skips are repeated at the end
//! ```
//!
//! # Invariants
//!
//! * (I1) A gate that could not do its work is `SKIPPED` with a reason, and the summary says so again. It never passes.
//! * (I2) A failed gate does not stop the others; the exit code is non-zero if any gate failed.
//!
//! # Design
//!
//! A workspace member instead of shell scripts: it runs wherever the crates build, and its rules have unit tests, each
//! with a planted violation. It depends on no crate of this project, so that it works while they do not compile.

mod gates;
mod report;
mod rustup;
mod step;
mod tidy;
mod workspace;

use std::process::ExitCode;
use std::time::Duration;

use report::Report;

/// The time that one whole `ci` run may take, below the half hour that the machine grants.
const CI_BUDGET: Duration = Duration::from_secs(27 * 60);

const HELP: &str = "\
usage: cargo xtask <command> [options]

  ci                      every gate below, bounded in time; what .ci/run calls
  tidy                    checks of the sources: layers, unsafe, headers, words, links
  lint                    rustfmt, clippy and rustdoc without warnings
  test                    the tests, with default and with all portable features
  features                every feature alone, none, and all together
  no-std                  bare-metal and wasm builds without the standard library
  targets                 type check for the operating systems other than this one
  msrv                    library crates on the oldest supported Rust
  deny                    licences, refused crates and sources of all dependencies
  kernel                  the bare-metal kernel of examples/kernel, in an emulator
  miri [--tree-borrows] [--target TRIPLE] [--quick]
                          the tests under Miri, with strict provenance
  counts                  instruction counts of the hot paths against their baseline, under valgrind
  preload                 the shared object in C programs and in programs of this machine
  loom                    every interleaving of the lock-free code
  sanitize [address|leak|memory|thread]...
                          the tests with a sanitizer; default: address and thread
  installed [NAME]...     the tests of the whole workspace with an allocator of ours in every test binary (nightly)
  cross [TRIPLE]...       the tests on 32-bit, big-endian, ARM and musl; default: all of them
  help                    this text
";

fn main() -> ExitCode {
    if let Some(code) = gates::installed::wrapper::run() {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut words = arguments.iter().map(String::as_str);
    let command = words.next().unwrap_or("help");
    let options: Vec<&str> = words.collect();
    if matches!(command, "help" | "--help" | "-h") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let mut report = Report::new(if command == "ci" { Some(CI_BUDGET) } else { None });
    match run(command, &options, &mut report) {
        Ok(()) => report.finish(),
        Err(message) => {
            eprintln!("xtask: {message}\n\n{HELP}");
            ExitCode::from(2)
        }
    }
}

/// Runs the gates of one command into `report`; an error is a misuse of the command line.
fn run(command: &str, options: &[&str], report: &mut Report) -> Result<(), String> {
    if !options.is_empty() && !matches!(command, "miri" | "sanitize" | "installed" | "cross") {
        return Err(format!("`{command}` takes no options, got {options:?}"));
    }
    match command {
        "ci" => gates::ci(report),
        "tidy" => tidy::gate(report),
        "lint" => gates::lint::gates(report),
        "test" => gates::test::gates(report),
        "features" => gates::features::gates(report),
        "no-std" => gates::no_std::gates(report),
        "targets" => gates::targets::gates(report),
        "msrv" => gates::msrv::gate(report),
        "deny" => gates::deny::gate(report),
        "miri" => gates::miri::gates(report, &gates::miri::Options::parse(options)?),
        "kernel" => gates::kernel::gate(report),
        "counts" => gates::counts::gate(report),
        "preload" => gates::preload::gates(report),
        "loom" => gates::loom::gates(report),
        "installed" => gates::installed::gates(report, &gates::installed::parse(options)?),
        "cross" => gates::cross::gates(report, &gates::cross::parse(options)?),
        "sanitize" => gates::sanitize::gates(report, &gates::sanitize::parse(options)?),
        other => return Err(format!("no command `{other}`")),
    }
    Ok(())
}
