//! Tests that end or change a process run in one of their own: this test program, started again.

use std::process::Command;
use std::{env, io};

/// The program and its arguments, in words, that run a test program of a foreign target, as cargo's `runner` does.
///
/// Without it, a system that does not know the format of the program cannot start it again.
const RUNNER: &str = "FORGE_TEST_RUNNER";

/// Returns whether the processes are run by an emulator, which adds lines of its own to what they print.
pub(crate) fn is_emulated() -> bool {
    env::var_os(RUNNER).is_some()
}

/// Returns the command that runs only the test `name` of this program.
pub(crate) fn only(name: &str) -> io::Result<Command> {
    let program = env::current_exe()?;
    let runner = env::var(RUNNER).unwrap_or_default();
    let mut words = runner.split_whitespace();
    let mut command = match words.next() {
        Some(emulator) => {
            let mut command = Command::new(emulator);
            command.args(words).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.args(["--exact", name]);
    Ok(command)
}
