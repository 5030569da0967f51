//! The tests of the whole workspace with an allocator of this project under every `Box` and `Vec` of theirs.
//!
//! ```text
//!   cargo build -p forge-malloc          -Cmetadata=installed: its symbols are not those of the crates under test
//!        │
//!   xtask/installed/NAME.rs ──▶ libinstalled.rlib, which declares the #[global_allocator]
//!        │
//!   cargo test ──▶ wrapper (this program) ──▶ rustc --test ... --extern force:installed=libinstalled.rlib
//!        │
//!   each test binary, when it exits ──▶ a line of the record: its path, bytes obtained, whether the heap is intact
//! ```
//!
//! # Invariants
//!
//! * (I1) Every test binary that cargo has built is either on the record, or its crate has an allocator of its own and the log
//!   names it. Without its line the gate fails: a test with the allocator of the C library shows nothing.
//!
//! # Design
//!
//! A program has one global allocator, and a test binary is a program of its own: no file of the workspace can give all of
//! them one without a feature or a dependency that users would see. The compiler of the nightly toolchain links a crate
//! that nobody names, so that nothing under test changes. The allocator is built with optimisation and with its debug
//! assertions. Tests in documentation are left out: rustdoc links them itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::report::{Clock, Outcome, Report, Stop};
use crate::rustup;
use crate::step::{Step, side_target};
use crate::workspace::root;

pub(crate) mod wrapper;

/// The allocators that can be installed, each a file of `xtask/installed`.
const ALLOCATORS: [&str; 3] = ["basic", "fast", "hardened"];

/// Tests that cannot pass, or cannot show anything, with another allocator: part of the name, and the reason.
const LEFT_OUT: [(&str, &str); 0] = [];

/// The variable that tells a test binary where to leave its line.
const RECORD: &str = "FORGE_INSTALLED_RECORD";

/// Returns the allocators after `cargo xtask installed`; all of them if there are none.
pub(crate) fn parse<'a>(words: &[&'a str]) -> Result<Vec<&'a str>, String> {
    match words.iter().find(|word| !ALLOCATORS.contains(word)) {
        Some(unknown) => Err(format!("no allocator `{unknown}`; there are {}", ALLOCATORS.join(", "))),
        None if words.is_empty() => Ok(ALLOCATORS.to_vec()),
        None => Ok(words.to_vec()),
    }
}

/// Adds one gate per allocator.
pub(crate) fn gates(report: &mut Report, allocators: &[&str]) {
    for name in allocators {
        report.deep_gate(&format!("installed {name}"), Duration::from_secs(120), |clock| run(name, clock));
    }
}

fn run(name: &str, clock: Clock) -> Outcome {
    let host = rustup::host()?;
    if !host.contains("linux-gnu") {
        return Err(Stop::Skipped(format!(
            "the record of test binaries is set up for Linux, not for {host}"
        )));
    }
    rustup::need_nightly(&[], clock)?;
    println!("left out: tests in documentation: rustdoc links them itself");
    let target = root().join(side_target("installed"));
    let library = build(name, &host, &target, clock)?;
    let wrapper = std::env::current_exe().map_err(|error| format!("cannot name this program: {error}"))?;
    let tests = || {
        Step::cargo_of("nightly")
            .args(["test", "--workspace", "--tests", "--no-fail-fast", "--target", &host])
            .env("RUSTC_WORKSPACE_WRAPPER", text(&wrapper))
            .env(wrapper::LIBRARY, text(&library))
            .env("CARGO_TARGET_DIR", text(&target))
    };
    tests().args(["--no-run"]).run(clock)?;
    let built = tests().args(["--no-run", "--message-format", "json"]).read();
    let binaries = binaries(&built.ok_or_else(|| String::from("cargo does not list the tests again"))?);
    let record = target.join(format!("record-{name}"));
    // A record of an earlier run would say that binaries ran which did not.
    let _ = std::fs::remove_file(&record);
    let skips = LEFT_OUT.iter().flat_map(|(test, reason)| {
        println!("left out: {test}: {reason}");
        ["--skip", test]
    });
    tests().args(["--"]).args(skips).env(RECORD, text(&record)).digested().run(clock)?;
    let record = std::fs::read_to_string(&record).map_err(|error| format!("no record: {error}"))?;
    let (lines, left_out) = judge(&binaries, &record)?;
    println!(
        "{} test binaries had the allocator installed ({lines} processes ended intact)",
        binaries.len() - left_out
    );
    Ok(())
}

/// Builds the crate with the allocator, and returns its library.
fn build(name: &str, host: &str, target: &Path, clock: Clock) -> Result<PathBuf, Stop> {
    let directory = target.join("allocator");
    Step::cargo_of("nightly")
        .args(["build", "--package", "forge-malloc", "--target", host])
        .env("RUSTFLAGS", "-Cmetadata=installed")
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "2")
        .env("CARGO_TARGET_DIR", text(&directory))
        .run(clock)?;
    let built = directory.join(host).join("debug");
    let (fresh, library) =
        (built.join("libinstalled-fresh.rlib"), built.join(format!("{name}/libinstalled.rlib")));
    Step::new("rustup")
        .args(["run", "nightly", "rustc", "--crate-name", "installed", "--crate-type", "rlib"])
        .args(["--edition", "2024", "-Copt-level=2", "-Cdebug-assertions", "-Ccodegen-units=1"])
        .args([
            "-Cmetadata=installed".into(),
            format!("xtask/installed/{name}.rs"),
            "-o".into(),
            text(&fresh),
        ])
        .args(["--extern".into(), format!("forge_malloc={}", text(&built.join("libforge_malloc.rlib")))])
        .args(["-L".into(), format!("dependency={}", text(&built.join("deps")))])
        .run(clock)?;
    replace(&fresh, &library).map_err(|error| format!("cannot write {}: {error}", library.display()))?;
    Ok(library)
}

/// Copies `fresh` to `library` if that is another one: its age tells cargo whether a test has to be linked again.
fn replace(fresh: &Path, library: &Path) -> std::io::Result<()> {
    let bytes = std::fs::read(fresh)?;
    if std::fs::read(library).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    library.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    std::fs::write(library, bytes)
}

/// Returns the test binaries with the sources of their crates, from the messages of `cargo test --no-run`.
fn binaries(messages: &str) -> BTreeMap<String, String> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let tests = messages.filter(|message| message["profile"]["test"] == true);
    tests
        .filter_map(|message| {
            let (binary, source) = (message["executable"].as_str()?, message["target"]["src_path"].as_str()?);
            Some((binary.to_string(), source.to_string()))
        })
        .collect()
}

/// Holds (I1); returns the number of lines on the record, and of binaries that have another allocator.
fn judge(binaries: &BTreeMap<String, String>, record: &str) -> Result<(usize, usize), Stop> {
    let mut ended: BTreeMap<&str, bool> = BTreeMap::new();
    for line in record.lines() {
        let mut words = line.split('\t');
        let binary = words.next().unwrap_or_default();
        let obtained = words.next().and_then(|word| word.parse::<usize>().ok()).unwrap_or(0);
        let well = obtained > 0 && words.next() == Some("true");
        *ended.entry(binary).or_insert(true) &= well;
    }
    let mut left_out = 0;
    let mut wrong = Vec::new();
    for (binary, source) in binaries {
        if wrapper::has_allocator(Path::new(source)) {
            println!("left out: {source}: it has an allocator of its own");
            left_out += 1;
            continue;
        }
        match ended.get(binary.as_str()) {
            Some(true) => {}
            Some(false) => wrong.push(format!("{binary} ended with a broken heap")),
            None => wrong.push(format!("{binary} did not say that it had the allocator")),
        }
    }
    if binaries.len() == left_out {
        wrong.push("no test binary had the allocator".into());
    }
    if wrong.is_empty() {
        Ok((record.lines().count(), left_out))
    } else {
        Err(Stop::Failed(wrong.join("; ")))
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
