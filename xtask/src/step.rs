//! One command: printed as it could be typed, run without standard input, stopped when the time of its gate is spent.
//!
//! # Design
//!
//! Output goes straight through, so that the closing lines of `cargo test` are part of the log. Where the same tests run
//! once more, on another target or with a sanitizer, a thousand lines that say `ok` hide what matters: those commands are
//! [digested](Step::digested), and print all of it only if they fail. A command that runs out of
//! time is stopped with everything that it started: ending only cargo would leave a hanging test behind. It stays in the
//! process group of this program, so that an interrupt from the keyboard, or from whatever runs the gates, ends it too.

mod transcript;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use transcript::Transcript;

use crate::report::{Clock, Outcome, Stop};

/// A command that is not yet run.
pub(crate) struct Step {
    program: &'static str,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    digested: bool,
    success: i32,
}

impl Step {
    /// Returns a command of `program`, which is looked up on the path.
    pub(crate) fn new(program: &'static str) -> Self {
        Self { program, arguments: Vec::new(), environment: Vec::new(), digested: false, success: 0 }
    }

    /// Returns `cargo`, of the toolchain that runs this program.
    pub(crate) fn cargo() -> Self {
        Self::new("cargo")
    }

    /// Returns `cargo` of a named toolchain.
    pub(crate) fn cargo_of(toolchain: &str) -> Self {
        Self::new("rustup").args(["run", toolchain, "cargo"])
    }

    /// Adds arguments.
    pub(crate) fn args<T: Into<String>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds `--package NAME` for each name.
    pub(crate) fn packages<T: AsRef<str>>(self, names: impl IntoIterator<Item = T>) -> Self {
        names.into_iter().fold(self, |step, name| step.args(["--package", name.as_ref()]))
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Puts only the closing lines of tests and what was skipped into the log, unless the command fails.
    pub(crate) fn digested(mut self) -> Self {
        self.digested = true;
        self
    }

    /// Makes `code` the exit code that means success.
    pub(crate) fn succeeds_with(mut self, code: i32) -> Self {
        self.success = code;
        self
    }

    /// Returns the command as one line.
    fn line(&self) -> String {
        let quote = |word: &str| if word.contains(' ') { format!("\"{word}\"") } else { word.to_string() };
        let environment = self.environment.iter().map(|(name, value)| format!("{name}={}", quote(value)));
        let program = std::iter::once(self.program.to_string());
        environment
            .chain(program)
            .chain(self.arguments.iter().map(|word| quote(word)))
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        command.args(&self.arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(crate::workspace::root()).stdin(Stdio::null());
        command
    }

    /// Runs the command with its output, or the digest of it, in the log; fails if it does.
    pub(crate) fn run(self, clock: Clock) -> Outcome {
        println!("$ {}", self.line());
        let transcript = if self.digested { Some(Transcript::new()?) } else { None };
        let mut command = self.command();
        if let Some(transcript) = &transcript {
            transcript.take_output_of(&mut command)?;
        }
        let outcome = self.wait(command, clock);
        if let Some(transcript) = transcript {
            transcript.print(outcome.is_ok())?;
        }
        outcome
    }

    /// Runs `command`, which is this step's, until it ends or its time is spent.
    fn wait(&self, mut command: Command, clock: Clock) -> Outcome {
        let mut child = command.spawn().map_err(|error| format!("cannot start {}: {error}", self.program))?;
        loop {
            match child.try_wait().map_err(|error| format!("cannot wait for {}: {error}", self.program))? {
                Some(status) if status.code() == Some(self.success) => return Ok(()),
                Some(status) => return Err(Stop::Failed(format!("{status}: {}", self.line()))),
                None if clock.left() == Some(Duration::ZERO) => {
                    println!("stopped, out of time: {}", self.line());
                    stop_tree(&mut child);
                    return Err(Stop::OutOfTime);
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Runs the command quietly and returns what it printed; `None` if it could not be started or failed.
    pub(crate) fn read(self) -> Option<String> {
        let output = self.command().stderr(Stdio::null()).output().ok()?;
        if output.status.success() { String::from_utf8(output.stdout).ok() } else { None }
    }
}

/// Returns the directory beside the ordinary target directory for builds with other compiler flags.
pub(crate) fn side_target(name: &str) -> String {
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".into());
    let target = Path::new(&target).to_string_lossy().trim_end_matches(['/', '\\']).to_string();
    format!("{target}-{name}")
}

/// Stops the child and, where `ps` and `kill` exist, everything that it started.
fn stop_tree(child: &mut Child) {
    let listing = Step::new("ps").args(["-A", "-o", "pid=,ppid="]).read().unwrap_or_default();
    let pairs = listing.lines().filter_map(|line| line.trim().split_once(char::is_whitespace));
    let pairs: Vec<(&str, &str)> = pairs.map(|(process, parent)| (process, parent.trim())).collect();
    let started = descendants(&pairs, &child.id().to_string());
    let _ = child.kill();
    if !started.is_empty() {
        let _ = Command::new("kill").arg("-KILL").args(started).stderr(Stdio::null()).status();
    }
    let _ = child.wait();
}

/// Returns the processes below `root`, from pairs of a process and its parent.
fn descendants<'a>(pairs: &[(&'a str, &'a str)], root: &str) -> Vec<&'a str> {
    let mut found: Vec<&str> =
        pairs.iter().filter(|(_, parent)| *parent == root).map(|(process, _)| *process).collect();
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        let children = pairs.iter().filter(|(process, own)| *own == parent && !found.contains(process));
        let children: Vec<&str> = children.map(|(process, _)| *process).collect();
        found.extend(children);
        next += 1;
    }
    found
}

#[cfg(test)]
mod tests;
