//! Misuse that must end the process, each in a child of its own: the test runs itself again with a case to die of.
#![cfg(all(feature = "std", not(miri), not(loom)))]
#![allow(clippy::unwrap_used)]

use std::env;
use std::process::{Command, ExitStatus};

use forge_alloc_core::sync::{NoLock, RawLock};

/// Names the case that a child process is to run.
const CASE: &str = "FORGE_DEATH_CASE";

/// Returns the command that runs only the test `name` of this program, through the emulator where there is one.
fn only(name: &str) -> Command {
    let program = env::current_exe().unwrap();
    // What cargo calls the runner of a target: an emulator with its arguments.
    let runner = env::var("FORGE_TEST_RUNNER").unwrap_or_default();
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
    command
}

/// Runs `test` of this file again as a child that executes `body`, and returns how that ended.
fn child(test: &str, body: fn()) -> Option<ExitStatus> {
    if env::var_os(CASE).is_some_and(|case| case == test) {
        body();
        return None;
    }
    Some(only(test).env(CASE, test).output().unwrap().status)
}

#[test]
fn a_no_lock_taken_twice_ends_the_process() {
    let status = child("a_no_lock_taken_twice_ends_the_process", || {
        let lock = NoLock::new();
        let _held = lock.guard();
        lock.lock();
    });
    let Some(status) = status else { panic!("the second lock returned") };
    // A returning lock would end in the panic above, which exits with a code; an abort has none, or not that one.
    assert!(!status.success() && status.code() != Some(101), "{status}");
    assert!(cfg!(not(unix)) || status.code().is_none(), "{status}");
}

#[test]
fn a_no_lock_given_back_can_be_taken_again() {
    let status = child("a_no_lock_given_back_can_be_taken_again", || {
        let lock = NoLock::new();
        drop(lock.guard());
        drop(lock.guard());
    });
    assert!(status.is_none_or(|status| status.success()));
}
