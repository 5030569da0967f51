//! Tests that end a process run in one of their own: this test program, started again.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

/// Returns the command that runs only the test `name` of this program, and lets it print, through the emulator where there is one.
pub(crate) fn only(name: &str) -> Command {
    let program = std::env::current_exe().unwrap();
    // What cargo calls the runner of a target: an emulator with its arguments.
    let runner = std::env::var("FORGE_TEST_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace().map(Into::into).chain([program.into_os_string()]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(["--exact", name, "--nocapture"]);
    command
}

/// Returns the signal that ended a process: an emulator may die of it or report it as a shell does.
pub(crate) fn signal_of(status: ExitStatus) -> Option<i32> {
    status.signal().or_else(|| status.code().filter(|&code| code > 128).map(|code| code - 128))
}

/// Runs `work` in a process of its own, which runs only the test `name`: it finds the variable `child` set. The work is given the
/// number that this program was started with, if any; to the harness it is one more name to look for.
#[allow(dead_code, reason = "not every program has such tests")]
pub(crate) fn apart(name: &str, child: &str, work: fn(Option<usize>)) {
    if let Some(number) = std::env::var_os(child) {
        return work(number.to_str().and_then(|number| number.parse().ok()));
    }
    let number = std::env::args().find(|argument| argument.parse::<usize>().is_ok()).unwrap_or_default();
    let output = only(name).env(child, number).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {errors}", signal_of(output.status));
    eprint!("{errors}");
}
