//! Counting instructions with callgrind, and comparing the counts with a committed baseline.
//!
//! # Design
//!
//! Nothing but valgrind itself is needed: a probe is this program again, started under it. A count belongs to a
//! compiler and to a C library, so the baseline names the compiler; under another one differences are shown and do not
//! fail, since they are not the change's.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// Returns valgrind's version, or `None` where it is not installed.
pub fn version() -> Option<String> {
    let output = Command::new("valgrind").arg("--version").output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// Runs `program` with `arguments` under callgrind and returns the instructions executed within functions that match
/// `counted`.
///
/// # Errors
///
/// A sentence if valgrind cannot be started, fails, or writes no total.
pub fn count(program: &Path, arguments: &[&str], counted: &str) -> Result<u64, String> {
    let profile = std::env::temp_dir().join(format!("forge-benches-{}.callgrind", std::process::id()));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", &format!("--toggle-collect={counted}")])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program)
        .args(arguments)
        .stdout(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind could not be started: {error}"))?;
    let text = std::fs::read_to_string(&profile);
    // The profile is a by-product; one that cannot be removed changes no result.
    let _ = std::fs::remove_file(&profile);
    if !output.status.success() {
        return Err(format!("valgrind failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let text = text.map_err(|error| format!("callgrind's profile could not be read: {error}"))?;
    total(&text).ok_or_else(|| "callgrind's profile has no total".to_string())
}

/// Returns the total of a callgrind profile.
fn total(profile: &str) -> Option<u64> {
    let line =
        profile.lines().find_map(|line| line.strip_prefix("totals:").or(line.strip_prefix("summary:")))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Counts that were measured before: the committed file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Baseline {
    /// The compiler whose code was counted.
    pub compiler: String,
    /// How many percent more instructions are accepted.
    pub tolerance: f64,
    /// Instructions per probe.
    pub instructions: BTreeMap<String, u64>,
}

impl Baseline {
    /// Returns the baseline of a file's text.
    ///
    /// # Errors
    ///
    /// A sentence with the line's number, for the first line that is not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut baseline = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') || line.starts_with('[') {
                continue;
            }
            let understood = line.rsplit_once('=').and_then(|(key, value)| {
                let (key, value) = (key.trim().trim_matches('"'), value.trim().trim_matches('"'));
                match key {
                    "compiler" => baseline.compiler = value.to_string(),
                    "tolerance_percent" => baseline.tolerance = value.parse().ok()?,
                    probe => {
                        baseline.instructions.insert(probe.to_string(), value.parse().ok()?);
                    }
                }
                Some(())
            });
            understood
                .ok_or_else(|| format!("line {}: expected `name = value`, found `{line}`", index + 1))?;
        }
        Ok(baseline)
    }

    /// Returns the file's text.
    pub fn text(&self) -> String {
        let mut text = format!(
            "# Instructions per {} operations of each probe; written by\n\
             # cargo run --release -p forge-benches --bin instructions -- --bless\n\
             compiler = \"{}\"\ntolerance_percent = {}\n\n[instructions]\n",
            crate::probes::OPERATIONS,
            self.compiler,
            self.tolerance
        );
        for (probe, instructions) in &self.instructions {
            text += &format!("\"{probe}\" = {instructions}\n");
        }
        text
    }

    /// Compares a count with the baseline's.
    pub fn judge(&self, probe: &str, instructions: u64) -> Verdict {
        let Some(&before) = self.instructions.get(probe) else { return Verdict::New };
        let percent = 100.0 * (instructions as f64 - before as f64) / before.max(1) as f64;
        match percent {
            percent if percent > self.tolerance => Verdict::Worse(percent),
            percent if percent < -self.tolerance => Verdict::Better(percent),
            _ => Verdict::Same,
        }
    }
}

/// What a count means beside the baseline's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// Within the tolerance.
    Same,
    /// This many percent more instructions.
    Worse(f64),
    /// This many percent, below zero: fewer instructions.
    Better(f64),
    /// The baseline does not know the probe.
    New,
}

#[cfg(test)]
mod tests;
