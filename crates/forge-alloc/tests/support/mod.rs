//! What the tests against the operating system share: processes of their own, and what an emulator only pretends.
#![allow(unsafe_code)]

use std::env;
use std::process::Command;

use forge_alloc::{FixedRange, MmapBacked, page_size};

/// Returns the command that runs only the test `name` of this program, through the emulator where there is one.
pub(crate) fn only(name: &str) -> Command {
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

/// Returns whether this system agrees to advice that does not exist, and says that the test that asks is skipped.
///
/// The system-call translation of an emulator may answer yes to all advice that it does not know; then nothing follows
/// from the yes to the advice that a test is about.
pub(crate) fn agrees_to_anything() -> bool {
    const NO_ADVICE: libc::c_int = 0x7FFF_0000;
    let backing = MmapBacked::new(page_size()).unwrap();
    // SAFETY: a live mapping of one page, whose content nobody uses.
    let agrees = unsafe { libc::madvise(backing.base().as_ptr().cast(), page_size(), NO_ADVICE) } == 0;
    if agrees {
        eprintln!(
            "skipped: this system says yes to advice that does not exist, so its yes to this advice means nothing"
        );
    }
    agrees
}
