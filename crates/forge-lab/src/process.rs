//! A run in a process of its own: start it, feed it the trace, read one line of figures, or say how it ended.
//!
//! ```text
//!   laboratory ── stdin: the trace, binary ──▶ run-contestant NAME PASS
//!              ◀── stdout: one line of JSON ──
//!              ◀── stderr: the reason, if it ends badly
//! ```
//!
//! # Design
//!
//! A fresh process gives every run the same empty heap, the same page tables and no memory of its predecessor, and
//! contains an allocator that crashes or hangs: that is a row of the table, not the end of the comparison. The trace
//! travels decoded through a pipe, so that no child unpacks it again and no file is left behind.

use std::io::{Read, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::measurement::{Pass, Run};

/// How long one run may take before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs `contestant` in a fresh process on the trace in `trace`, in the binary form.
///
/// # Errors
///
/// How the process ended instead of reporting: a signal, an exit code with its message, a time-out, unreadable output.
pub(crate) fn run(contestant: &str, pass: Pass, trace: &[u8]) -> Result<Run, String> {
    let executable =
        std::env::current_exe().map_err(|error| format!("cannot find this executable: {error}"))?;
    let child = Command::new(executable)
        .args(["run-contestant", contestant, pass.word()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start a process: {error}"))?;
    let (status, output, complaint) = converse(child, trace)?;
    if !status.success() {
        return Err(ending(status, &complaint));
    }
    Run::parse(&output).map_err(|error| format!("unreadable figures: {error:#}"))
}

/// Feeds `input` to the child and collects what it says, killing it when it takes too long.
fn converse(mut child: Child, input: &[u8]) -> Result<(ExitStatus, String, String), String> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (ended, end) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            // A child that dies early closes the pipe; how it ended says more than the failed write.
            let _closed = stdin.map(|mut stdin| stdin.write_all(input));
        });
        let complaint = scope.spawn(move || drain(stderr));
        let output = scope.spawn(move || {
            let output = drain(stdout);
            // The receiver is gone once it has given up waiting.
            let _unheard = ended.send(());
            output
        });
        let late = end.recv_timeout(PATIENCE).is_err();
        if late {
            // A child that has just ended by itself cannot be killed, and need not be.
            let _already_gone = child.kill();
        }
        let status = child.wait().map_err(|error| format!("cannot wait for the process: {error}"))?;
        let (output, complaint) = (output.join().unwrap_or_default(), complaint.join().unwrap_or_default());
        if late {
            Err(format!("no answer within {} s", PATIENCE.as_secs()))
        } else {
            Ok((status, output, complaint))
        }
    })
}

fn drain(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // What was read until an error is all there is to show.
        let _partial = pipe.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Describes a process that ended badly, by its status and the first line that it wrote to standard error.
fn ending(status: ExitStatus, complaint: &str) -> String {
    match complaint.lines().find(|line| !line.trim().is_empty()) {
        Some(line) => format!("{status}: {}", line.trim()),
        None => status.to_string(),
    }
}

#[cfg(test)]
mod tests;
