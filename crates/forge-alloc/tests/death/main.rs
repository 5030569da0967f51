//! Misuse that ends the process, each in a process of its own: the exact message, and the end by an abort.
#![cfg(all(unix, feature = "std", not(miri)))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the other half is for the tests against the operating system")]
mod support;

mod cache;
mod hardened_slab;
mod hardening;
mod slab;
mod watermark;

use std::os::unix::process::ExitStatusExt;

/// The variable that tells this program that it is the process that ends.
const CHILD: &str = "FORGE_DEATH";

/// Runs `misuse` in a process of its own, which runs only the test `name`, and asserts that it aborts with `message`.
fn dies(name: &str, message: &str, misuse: fn()) {
    if std::env::var_os(CHILD).is_some() {
        misuse();
        eprintln!("the misuse was not noticed");
        return;
    }
    let output = support::only(name).arg("--nocapture").env(CHILD, "1").output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.lines().any(|line| line == message), "{errors}");
    // An emulator may die of the signal itself or report it as a shell does.
    let code = output.status.code();
    assert!(
        output.status.signal() == Some(libc::SIGABRT) || code == Some(128 + libc::SIGABRT),
        "{code:?}: {errors}"
    );
}
