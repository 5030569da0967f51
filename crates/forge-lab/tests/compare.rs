//! The verb `compare` as a user meets it: the built executable, its output and its exit codes.
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const DEFAULT_CONTESTANTS: [&str; 6] = ["system", "bump", "arena", "shared-bump", "size-classed", "mmap"];
const SMALL: &[u8] = b"a 0 100 16 0\nz 1 5000 64 0\nr 0 9000 0\nf 1 0\na 2 24 8 0\nf 2 0\n";

fn laboratory(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_forge-lab")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A file of its own for one test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, content: &[u8]) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A leftover in the directory for temporary files of tests harms nothing.
        let _leftover = std::fs::remove_file(&self.0);
    }
}

/// Asserts that the trace was refused: exit code 2, nothing on standard output, and a message with every part.
fn assert_refused(output: &Output, parts: &[&str]) {
    let message = stderr(output);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(output.stdout.is_empty());
    assert!(!message.contains("panicked"), "{message}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

#[test]
fn a_quick_comparison_has_a_row_for_every_contestant_of_the_build() {
    let output = laboratory(&["compare", "perl", "--quick"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let table = stdout(&output);
    for name in DEFAULT_CONTESTANTS {
        let row = table.lines().find(|line| line.split_whitespace().nth(1) == Some(name));
        let row = row.unwrap_or_else(|| panic!("no row for {name} in\n{table}"));
        assert!(!row.contains("broke down"), "{row}");
    }
    assert!(table.contains("101,300 events"), "{table}");
    assert!(stderr(&output).is_empty(), "no progress bar without a terminal: {}", stderr(&output));
}

#[test]
fn json_holds_every_run_and_plausible_figures() {
    let output = laboratory(&["compare", "jq", "--json", "--rounds", "2", "--with", "arena"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let value: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let comparison = &value["comparisons"][0];
    assert_eq!(comparison["trace"]["events"], 241_490);
    let peak_live = comparison["trace"]["peak_live_bytes"].as_f64().unwrap();
    let rows = comparison["contestants"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!(row["failures"], 0);
        assert_eq!(row["runs"].as_array().unwrap().len(), 4, "two whole replays, two of single calls");
        assert!(row["ns_per_operation"]["median"].as_f64().unwrap() > 0.0);
        assert!(row["latency_ns"]["p50"].as_u64() <= row["latency_ns"]["max"].as_u64());
        if cfg!(target_os = "linux") {
            let resident = row["peak_rss_bytes"].as_f64().unwrap();
            assert!(resident > 0.8 * peak_live, "{resident} bytes resident for {peak_live} bytes live");
        }
    }
}

#[test]
fn markdown_is_a_table_of_the_named_file() {
    let file = Scratch::new("markdown.trace", SMALL);
    let output = laboratory(&["compare", file.path(), "--markdown", "--rounds", "1", "--with", "bump,mmap"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("| rank | allocator |"), "{text}");
    let rows = text.lines().filter(|line| line.starts_with("| ")).count();
    assert_eq!(rows, 4, "a header and three rows in\n{text}");
}

#[test]
fn several_traces_have_a_table_each() {
    let file = Scratch::new("several.trace", SMALL);
    let output = laboratory(&["compare", file.path(), file.path(), "--rounds", "1", "--with", "bump"]);
    assert_eq!(stdout(&output).matches("rank  allocator").count(), 2);
}

#[test]
fn a_malformed_line_is_named() {
    let file = Scratch::new("malformed.trace", b"a 0 100 16 0\na 1 many 16 0\n");
    assert_refused(&laboratory(&["compare", file.path()]), &[file.path(), "line 2", "expected", "many"]);
}

#[test]
fn a_line_that_makes_no_sense_is_named() {
    let file = Scratch::new("double-free.trace", b"a 0 100 16 0\nf 0 0\nf 0 0\n");
    assert_refused(
        &laboratory(&["compare", file.path()]),
        &[file.path(), "line 3", "expected", "already freed"],
    );
}

#[test]
fn a_missing_file_is_named_with_what_to_give_instead() {
    assert_refused(
        &laboratory(&["compare", "no/such.trace"]),
        &["no/such.trace", "expected", "sqlite, jq, perl"],
    );
}

#[test]
fn a_directory_is_no_trace() {
    assert_refused(&laboratory(&["compare", env!("CARGO_TARGET_TMPDIR")]), &["expected", "trace"]);
}

#[test]
fn a_truncated_compressed_trace_is_refused() {
    let whole = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/perl.trace.zst")).unwrap();
    for length in [3, 4, 20, whole.len() / 2, whole.len() - 1] {
        let file = Scratch::new(&format!("truncated-{length}.trace.zst"), &whole[..length]);
        assert_refused(&laboratory(&["compare", file.path()]), &[file.path(), "expected"]);
    }
}

#[test]
fn an_empty_file_and_arbitrary_bytes_are_refused() {
    for (name, content) in [("empty.trace", &b""[..]), ("noise.trace", &[0xFF, 0x00, 0xFE, 0x80, b'\n'])] {
        let file = Scratch::new(name, content);
        assert_refused(&laboratory(&["compare", file.path()]), &[file.path(), "expected"]);
    }
}

#[test]
fn one_unusable_trace_among_several_stops_before_anything_runs() {
    assert_refused(&laboratory(&["compare", "sqlite", "no/such.trace"]), &["no/such.trace"]);
}

#[test]
fn an_unknown_contestant_is_answered_with_the_known_ones() {
    let output = laboratory(&["compare", "--with", "arena,nobody"]);
    assert_refused(&output, &["`nobody`", "system", "shared-bump"]);
}

#[test]
fn wrong_arguments_end_with_2_and_help_with_0() {
    for arguments in [&["compare", "--json", "--markdown"][..], &["contrast"], &["compare", "--rounds", "0"]]
    {
        assert_eq!(laboratory(arguments).status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(laboratory(&["compare", "--help"]).status.code(), Some(0));
    assert!(!stdout(&laboratory(&["--help"])).contains("run-contestant"));
}

#[test]
fn the_list_names_every_contestant() {
    let output = laboratory(&["compare", "--list"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        DEFAULT_CONTESTANTS.iter().all(|name| stdout(&output).lines().any(|line| line.starts_with(name)))
    );
}

#[test]
fn a_request_that_cannot_be_served_is_counted_and_not_ranked() {
    let impossible = format!("a 0 {} 16 0\na 1 64 16 0\nf 0 0\nf 1 0\n", 1_u64 << 60);
    let file = Scratch::new("impossible.trace", impossible.as_bytes());
    let output = laboratory(&["compare", file.path(), "--rounds", "1", "--with", "arena,bump"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let table = stdout(&output);
    for name in ["system", "arena"] {
        let row = table.lines().find(|line| line.split_whitespace().nth(1) == Some(name)).unwrap();
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(cells[0], "-", "{row}");
        assert!(cells[2].ends_with('*'), "{row}");
    }
    let bump = table.lines().find(|line| line.contains(" bump ")).unwrap();
    assert!(bump.contains("broke down") && bump.contains("cannot map"), "{bump}");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_forge-lab"))
        .args(["compare", "--list"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

#[test]
fn a_child_that_is_fed_nonsense_reports_and_exits() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_forge-lab"))
        .args(["run-contestant", "system", "throughput"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"nonsense\n").unwrap();
    assert_refused(&child.wait_with_output().unwrap(), &["standard input", "expected"]);
}
