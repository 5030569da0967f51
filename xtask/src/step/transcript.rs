//! The output of one command in a file of its own, printed whole or as a digest.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// How many lines of a failed command are printed: its end, and its failures from anywhere, fit.
const LAST_LINES: usize = 400;

/// A file that takes what a command prints; it is removed when it was printed.
pub(super) struct Transcript {
    path: PathBuf,
    file: File,
}

impl Transcript {
    /// Returns an empty transcript.
    pub(super) fn new() -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("xtask-{}-{number}.log", std::process::id()));
        let file =
            File::create(&path).map_err(|error| format!("cannot create {}: {error}", path.display()))?;
        Ok(Self { path, file })
    }

    /// Sends both outputs of `command` here.
    pub(super) fn take_output_of(&self, command: &mut Command) -> Result<(), String> {
        for output in [Command::stdout, Command::stderr] {
            let file = self.file.try_clone().map_err(|error| format!("cannot share a file: {error}"))?;
            output(command, Stdio::from(file));
        }
        Ok(())
    }

    /// Prints the digest after a success, and what a reader needs after a failure.
    pub(super) fn print(self, success: bool) -> Result<(), String> {
        let bytes =
            fs::read(&self.path).map_err(|error| format!("cannot read {}: {error}", self.path.display()))?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        if success {
            digest(&lines).iter().for_each(|line| println!("{line}"));
        } else {
            let (early, late) = lines.split_at(lines.len().saturating_sub(LAST_LINES));
            early.iter().filter(|line| is_failure(line)).for_each(|line| println!("{line}"));
            println!(".. the last {} lines of {}:", late.len(), lines.len());
            late.iter().for_each(|line| println!("{line}"));
        }
        let _ = fs::remove_file(&self.path);
        Ok(())
    }
}

/// Returns the closing lines of tests, and every line that says that something was skipped.
fn digest<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let wanted =
        |line: &&&str| line.starts_with("test result:") || line.to_lowercase().starts_with("skipped");
    lines.iter().filter(wanted).copied().collect()
}

/// Returns whether the line names what failed.
fn is_failure(line: &str) -> bool {
    line.contains("panicked at") || line.ends_with("FAILED") || line.starts_with("error")
}

#[cfg(test)]
mod tests;
