//! The shared object in processes of the system: C and C++ programs that run with it preloaded.
//!
//! Each test compiles a program of `programs/` with the C compiler of the machine. A machine without one says `SKIPPED` on
//! the standard error and the test says nothing about the object. The environment can multiply the work of the stress
//! programs: `FORGE_PRELOAD_TIMES`.

#![cfg(not(miri))]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

mod object;

use object::{object, skip};

/// Compiles a program, or says why not.
fn program(source: &str) -> Result<PathBuf, String> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
    let (stem, extension) = source.split_once('.').unwrap();
    let (compiler, standard) = match extension {
        "cpp" => (env::var("CXX").unwrap_or("c++".into()), "-std=c++17"),
        _ => (env::var("CC").unwrap_or("cc".into()), "-std=gnu11"),
    };
    // Several tests compile the same program at once; each renames its own result.
    let thread = format!("{:?}", std::thread::current().id()).replace(['(', ')'], "-");
    let (made, built) =
        (directory.join(stem), directory.join(format!("{stem}-{}{thread}", std::process::id())));
    let output = Command::new(&compiler)
        .args([standard, "-O1", "-g", "-fno-builtin", "-pthread", "-o"])
        .arg(&built)
        .arg(sources.join(source))
        .arg("-ldl")
        .output()
        .map_err(|error| format!("no compiler `{compiler}`: {error}"))?;
    assert!(output.status.success(), "{compiler}: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::rename(&built, &made).unwrap();
    Ok(made)
}

/// Runs a program with the object preloaded, or returns none after saying why not.
fn run(test: &str, source: &str, arguments: &[&str], preload: bool) -> Option<Output> {
    let (object, program) = match (object(), program(source)) {
        (Ok(object), Ok(program)) => (object, program),
        (Err(reason), _) => return skip(test, reason),
        (_, Err(reason)) => return skip(test, &reason),
    };
    let mut command = Command::new("timeout");
    command.arg("300").arg(program).args(arguments).stdin(Stdio::null());
    command.env("FORGE_MALLOC_OBJECT", object);
    if preload {
        command.env("LD_PRELOAD", object);
    }
    Some(command.output().unwrap())
}

/// Runs a program that says by its exit code whether it found what it expected.
fn passes(test: &str, source: &str, arguments: &[&str]) {
    if let Some(output) = run(test, source, arguments, true) {
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{source} {arguments:?}: {}\n{message}", output.status);
    }
}

fn times() -> String {
    env::var("FORGE_PRELOAD_TIMES").unwrap_or("1".into())
}

#[test]
fn every_function_of_c_does_what_is_documented() {
    passes("edges", "edges.c", &[]);
}

#[test]
fn every_operator_of_cxx_does_what_the_standard_says() {
    passes("operators", "operators.cpp", &[]);
}

#[test]
fn every_byte_of_64_threads_stays_whoever_frees_it() {
    passes("bytes", "stress.c", &["bytes", &times()]);
}

#[test]
fn the_child_of_a_fork_allocates_at_once_and_frees_what_lost_threads_made() {
    passes("forks", "stress.c", &["forks", &times()]);
}

#[test]
fn signals_may_arrive_at_any_instruction() {
    passes("signals", "stress.c", &["signals", &times()]);
}

#[test]
#[cfg(any(feature = "hardened", feature = "interruptible"))]
fn signal_handlers_may_allocate_whatever_they_interrupt() {
    passes("handlers", "stress.c", &["handlers", &times()]);
}

#[test]
fn ten_thousand_threads_leave_nothing_behind() {
    passes("threads", "stress.c", &["threads", &times()]);
}

#[test]
fn destructors_of_thread_locals_may_allocate() {
    passes("destructors", "stress.c", &["destructors", &times()]);
}

#[test]
fn little_address_space_is_used_up_and_freed_again() {
    passes("limit", "stress.c", &["limit"]);
}

#[test]
fn programs_start_other_programs() {
    passes("programs", "stress.c", &["programs", &times()]);
}

#[test]
fn the_object_may_be_opened_late_and_closed_while_threads_use_it() {
    if let Some(output) = run("late", "stress.c", &["late"], false) {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn what_is_no_block_is_refused_with_one_line() {
    for kind in ["stack", "data", "code", "inside", "2 times", "wild", "high", "realloc"] {
        let Some(output) = run("misuse", "misuse.c", &[kind], true) else { return };
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{kind} went unnoticed");
        assert_eq!(message.lines().count(), 1, "{kind}: {message}");
        assert!(message.starts_with("forge-malloc: free of a large block that is not live"), "{message}");
    }
}
