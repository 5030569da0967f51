//! The library crates' tests on other word sizes, byte orders, processors and C libraries.
//!
//! | target | what is other than on the usual machine | runs |
//! |---|---|---|
//! | `x86_64-unknown-linux-musl` | the C library | natively |
//! | `i686-unknown-linux-gnu` | 32 bits of addresses, `u64` at alignment 4 | natively |
//! | `s390x-unknown-linux-gnu` | big endian | in qemu |
//! | `aarch64-unknown-linux-gnu` | processor, with its file of raw system calls | in qemu |
//!
//! # Design
//!
//! Nothing is installed but the target's standard library: a linker and an emulator are for the owner of the machine to
//! choose, so that a missing one is a skip that names it. The tests see the runner as `FORGE_TEST_RUNNER`, because some of
//! them start their own program again and no kernel knows that program's format. User-mode emulation says yes to advice
//! about memory that it does not pass on; the tests find that out and say what they skip, which is why their output is
//! shown.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use super::load;
use crate::report::{Clock, Outcome, Report, Stop};
use crate::rustup;
use crate::step::Step;
use crate::workspace::{Workspace, is_on_path};

/// The longest that one target may take, with the build.
const LIMIT: Duration = Duration::from_secs(480);

/// One target, and how its programs are linked and run on an `x86_64` Linux.
#[derive(Debug)]
struct Port {
    target: &'static str,
    /// The compiler driver that links, and the variable that tells cargo so; without it, the toolchain links by itself.
    linker: Option<(&'static str, &'static str)>,
    /// The emulator with its arguments, and the variable that tells cargo so; without it, the machine runs the programs.
    runner: Option<(&'static str, &'static str)>,
    /// A file that the programs need to start.
    file: Option<&'static str>,
}

const PORTS: [Port; 4] = [
    Port { target: "x86_64-unknown-linux-musl", linker: None, runner: None, file: None },
    Port {
        target: "i686-unknown-linux-gnu",
        linker: Some(("CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_LINKER", "i686-linux-gnu-gcc")),
        runner: None,
        file: Some("/lib/ld-linux.so.2"),
    },
    Port {
        target: "s390x-unknown-linux-gnu",
        linker: Some(("CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_LINKER", "s390x-linux-gnu-gcc")),
        runner: Some(("CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_RUNNER", "qemu-s390x -L /usr/s390x-linux-gnu")),
        file: Some("/usr/s390x-linux-gnu/lib/ld64.so.1"),
    },
    Port {
        target: "aarch64-unknown-linux-gnu",
        linker: Some(("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc")),
        runner: Some((
            "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER",
            "qemu-aarch64 -L /usr/aarch64-linux-gnu",
        )),
        file: Some("/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1"),
    },
];

/// The names of all targets.
pub(crate) const ALL: [&str; PORTS.len()] = {
    let mut names = [""; PORTS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = PORTS[index].target;
        index += 1;
    }
    names
};

impl Port {
    /// Returns the first part that this machine lacks, given the value of `PATH`.
    fn missing(&self, path: &OsStr) -> Option<&'static str> {
        let linker = self.linker.map(|(_, program)| program);
        let emulator = self.runner.and_then(|(_, line)| line.split(' ').next());
        let program = [linker, emulator].into_iter().flatten().find(|program| !is_on_path(program, path));
        program.or_else(|| self.file.filter(|file| !Path::new(file).exists()))
    }

    fn run(&self, clock: Clock) -> Outcome {
        let host = rustup::host()?;
        if !host.starts_with("x86_64-") || !host.contains("-linux-") {
            return Err(Stop::Skipped(format!(
                "linkers and emulators are set up for x86_64 Linux, not for {host}"
            )));
        }
        if let Some(missing) = self.missing(&std::env::var_os("PATH").unwrap_or_default()) {
            return Err(Stop::Skipped(format!("this machine has no `{missing}`")));
        }
        rustup::need_target(self.target, clock)?;
        let workspace = load()?;
        let libraries = workspace.libraries();
        let mut step = Step::cargo()
            .args(["test", "--target", self.target])
            .packages(libraries.iter().map(|package| package.name.as_str()))
            .args(Workspace::all_portable(&libraries))
            .args(["--", "--show-output"]);
        if let Some((variable, program)) = self.linker {
            step = step.env(variable, program);
        }
        if let Some((variable, line)) = self.runner {
            step = step.env(variable, line).env("FORGE_TEST_RUNNER", line);
        }
        step.digested().run(clock.at_most(LIMIT))
    }
}

/// Returns the targets after `cargo xtask cross`; all of them if there are none.
pub(crate) fn parse<'a>(words: &[&'a str]) -> Result<Vec<&'a str>, String> {
    match words.iter().find(|word| !ALL.contains(word)) {
        Some(unknown) => Err(format!("no target `{unknown}`; there are {}", ALL.join(", "))),
        None if words.is_empty() => Ok(ALL.to_vec()),
        None => Ok(words.to_vec()),
    }
}

/// Adds one gate per target.
pub(crate) fn gates(report: &mut Report, targets: &[&str]) {
    for port in PORTS.iter().filter(|port| targets.contains(&port.target)) {
        report
            .deep_gate(&format!("cross {}", port.target), Duration::from_secs(120), |clock| port.run(clock));
    }
}

#[cfg(test)]
mod tests;
