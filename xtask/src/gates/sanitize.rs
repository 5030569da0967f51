//! The library crates' tests under a sanitizer of the nightly compiler.
//!
//! `address` and `leak` work with the shipped standard library. `thread` and `memory` report false races and false
//! uninitialised reads unless the standard library is instrumented too, so they build it.

use std::time::Duration;

use super::load;
use crate::report::{Report, Stop};
use crate::rustup;
use crate::step::{Step, side_target};

const SANITIZERS: [&str; 4] = ["address", "leak", "memory", "thread"];

/// What the runtimes have to leave to the tests: requests that no machine can serve are answered with null, and a touched
/// guard page ends in the system's own signal, which the tests wait for.
const OPTIONS: &str = "allocator_may_return_null=1:handle_segv=0:handle_sigbus=0";

/// A test that a sanitizer's own runtime makes meaningless.
struct LeftOut {
    file: &'static str,
    test: &'static str,
    reason: &'static str,
}

/// Tests that no sanitizer runs. All are about limits of the whole process, which the runtime shares.
const LEFT_OUT: [LeftOut; 4] = [
    LeftOut {
        file: "crates/forge-alloc/tests/backing_limits.rs",
        test: "a_full_address_space_is_an_error_of_mmap",
        reason: "it limits the address space (RLIMIT_AS), and the shadow memory that the runtime reserves is beyond any such \
                 limit: then nothing can be mapped, not even what the test expects to fit",
    },
    LeftOut {
        file: "crates/forge-alloc/tests/backing_limits.rs",
        test: "a_reached_limit_on_locked_memory_is_an_error_of_mlock",
        reason: "it counts the mappings of the process, and the runtime maps memory for itself meanwhile",
    },
    LeftOut {
        file: "crates/forge-alloc/tests/backing_limits.rs",
        test: "a_slab_for_secrets_takes_of_the_limit_what_its_slots_are_and_fails_closed_beyond",
        reason: "it counts the mappings of the process, and the runtime maps memory for itself meanwhile",
    },
    LeftOut {
        file: "crates/forge-malloc/tests/paranoid_death/secrets.rs",
        test: "a_freed_secret_is_nowhere",
        reason: "it reads all memory of the process, and the shadow memory that the runtime reserves is thousands of gibibytes",
    },
];

/// Reads the words after `cargo xtask sanitize`.
pub(crate) fn parse<'a>(words: &[&'a str]) -> Result<Vec<&'a str>, String> {
    match words.iter().find(|word| !SANITIZERS.contains(word)) {
        Some(unknown) => Err(format!("no sanitizer `{unknown}`; there are {}", SANITIZERS.join(", "))),
        None if words.is_empty() => Ok(vec!["address", "thread"]),
        None => Ok(words.to_vec()),
    }
}

/// Adds one gate per sanitizer.
pub(crate) fn gates(report: &mut Report, sanitizers: &[&str]) {
    for sanitizer in sanitizers {
        report.deep_gate(&format!("sanitize {sanitizer}"), Duration::from_secs(90), |clock| {
            let host = rustup::host()?;
            if !host.contains("linux-gnu") {
                return Err(Stop::Skipped(format!(
                    "the sanitizers are set up for Linux with glibc, not for {host}"
                )));
            }
            let instrumented_std = matches!(*sanitizer, "memory" | "thread");
            rustup::need_nightly(if instrumented_std { &["rust-src"] } else { &[] }, clock)?;
            let workspace = load()?;
            let names = workspace.libraries().into_iter().map(|package| package.name.as_str());
            let step = Step::cargo_of("nightly")
                .args(["test", "--lib", "--tests", "--target", &host])
                .packages(names);
            let step = if instrumented_std { step.args(["-Zbuild-std"]) } else { step };
            let step = step.args(["--"]).args(LEFT_OUT.iter().flat_map(|left_out| {
                println!("left out: {} of {}: {}", left_out.test, left_out.file, left_out.reason);
                ["--skip", left_out.test]
            }));
            step.env("ASAN_OPTIONS", OPTIONS)
                .env("TSAN_OPTIONS", OPTIONS)
                .env("MSAN_OPTIONS", OPTIONS)
                .env("RUSTFLAGS", format!("-Zsanitizer={sanitizer}"))
                .env("CARGO_TARGET_DIR", side_target("sanitize"))
                .digested()
                .run(clock)
        });
    }
}

#[cfg(test)]
mod tests;
