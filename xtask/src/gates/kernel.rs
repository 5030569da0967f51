//! The kernel of `examples/kernel`: built by the ordinary toolchain, started by an emulator of the whole machine.
//!
//! Nothing is installed: a machine without the emulator says so. The kernel ends the emulator with a status of its own, so
//! that a fault, which resets the machine, and a kernel that hangs are told apart from success.

use std::time::Duration;

use crate::report::{Clock, Outcome, Report, Stop};
use crate::rustup;
use crate::step::Step;
use crate::workspace::is_on_path;

/// The emulator of a whole x86-64 machine.
const EMULATOR: &str = "qemu-system-x86_64";
/// Where the kernel is built.
const TARGET: &str = "examples/kernel/target";
/// The memory of the emulated machine in MiB.
const MEMORY: &str = "128";
/// The emulator's exit code when the kernel writes its sign of success: twice the sign, plus one.
const SUCCESS: i32 = 33;
/// The longest that the kernel may run.
const LIMIT: Duration = Duration::from_secs(120);

/// Adds the gate.
pub(crate) fn gate(report: &mut Report) {
    report.gate("kernel", run);
}

fn run(clock: Clock) -> Outcome {
    let host = rustup::host()?;
    if !host.starts_with("x86_64-") || !host.contains("-linux-") {
        return Err(Stop::Skipped(format!(
            "the kernel is linked by the toolchain of x86_64 Linux, not of {host}"
        )));
    }
    let manifest = "examples/kernel/Cargo.toml";
    Step::cargo()
        .args(["clippy", "--release", "--manifest-path", manifest, "--", "-D", "warnings"])
        .run(clock)?;
    Step::cargo().args(["build", "--release", "--manifest-path", manifest]).run(clock)?;
    if !is_on_path(EMULATOR, &std::env::var_os("PATH").unwrap_or_default()) {
        return Err(Stop::Skipped(format!(
            "the kernel was built and NOT STARTED: this machine has no `{EMULATOR}` (Debian: qemu-system-x86)"
        )));
    }
    Step::new(EMULATOR)
        .args(["-m", MEMORY, "-display", "none", "-no-reboot", "-serial", "stdio"])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"])
        .args(["-kernel".to_string(), format!("{TARGET}/release/kernel")])
        .succeeds_with(SUCCESS)
        .run(clock.at_most(LIMIT))
}
