//! What one run of one contestant found, and the line of JSON in which a child process hands it to its parent.
//!
//! # Design
//!
//! A run is either timed as a whole or call by call, never both, so that reading the clock twice per call does not slow
//! the figure that the ranking rests on. Resident memory comes from the kernel and disturbs neither; it is taken in the
//! runs that are timed as a whole. A figure that a system cannot give is `None` all the way to the table.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// Which figure a run takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// The time of the whole replay, and the peak of resident memory.
    Throughput,
    /// The time of every single call.
    Latency,
}

impl Pass {
    /// Returns the word for the command line of a child.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::Latency => "latency",
        }
    }

    /// Returns the pass that `word` denotes.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Throughput, Self::Latency].into_iter().find(|pass| pass.word() == word)
    }
}

/// The figures of one run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    /// How many calls the contestant served or failed.
    pub(crate) operations: u64,
    /// How many of them failed.
    pub(crate) failures: u64,
    /// How many operations of the trace were left out, because the block they concern was never allocated.
    pub(crate) skipped: u64,
    /// What was timed.
    pub(crate) timing: Timing,
}

/// The figures that depend on the pass.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Timing {
    /// Of [`Pass::Throughput`].
    Throughput {
        /// The time of the whole replay.
        nanoseconds: u64,
        /// By how much resident memory exceeded the state before the replay, at its peak.
        peak_growth_bytes: Option<u64>,
    },
    /// Of [`Pass::Latency`].
    Latency(Latency),
}

/// Percentiles of the time of single calls in nanoseconds, less the cost of the clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Latency {
    /// The median.
    pub(crate) p50: u64,
    /// 99 % of the calls took at most this long.
    pub(crate) p99: u64,
    /// 99.9 % of the calls took at most this long.
    pub(crate) p999: u64,
    /// The slowest call.
    pub(crate) max: u64,
    /// The cost of the clock that was subtracted.
    pub(crate) clock_overhead: f64,
    /// The smallest difference that the clock shows.
    pub(crate) clock_step: f64,
}

impl Run {
    /// Returns the run as JSON.
    pub(crate) fn json(&self) -> Value {
        let timing = match self.timing {
            Timing::Throughput { nanoseconds, peak_growth_bytes } => {
                json!({ "pass": Pass::Throughput.word(), "nanoseconds": nanoseconds, "peak_rss_bytes": peak_growth_bytes })
            }
            Timing::Latency(latency) => json!({
                "pass": Pass::Latency.word(),
                "p50": latency.p50,
                "p99": latency.p99,
                "p999": latency.p999,
                "max": latency.max,
                "clock_overhead": latency.clock_overhead,
                "clock_step": latency.clock_step,
            }),
        };
        json!({ "operations": self.operations, "failures": self.failures, "skipped": self.skipped, "timing": timing })
    }

    /// Reads what [`Run::json`] wrote.
    ///
    /// # Errors
    ///
    /// The text is not JSON or lacks a figure, which the error names.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text.trim()).context("a line of JSON was expected")?;
        let timing = value.get("timing").context("`timing` is missing")?;
        let pass = timing.get("pass").and_then(Value::as_str).and_then(Pass::from_word);
        let timing = match pass.context("`pass` is missing or unknown")? {
            Pass::Throughput => Timing::Throughput {
                nanoseconds: number(timing, "nanoseconds")?,
                peak_growth_bytes: timing.get("peak_rss_bytes").and_then(Value::as_u64),
            },
            Pass::Latency => Timing::Latency(Latency {
                p50: number(timing, "p50")?,
                p99: number(timing, "p99")?,
                p999: number(timing, "p999")?,
                max: number(timing, "max")?,
                clock_overhead: fraction(timing, "clock_overhead")?,
                clock_step: fraction(timing, "clock_step")?,
            }),
        };
        Ok(Self {
            operations: number(&value, "operations")?,
            failures: number(&value, "failures")?,
            skipped: number(&value, "skipped")?,
            timing,
        })
    }
}

fn number(value: &Value, name: &str) -> Result<u64> {
    value.get(name).and_then(Value::as_u64).with_context(|| format!("`{name}` is missing or not a count"))
}

fn fraction(value: &Value, name: &str) -> Result<f64> {
    value.get(name).and_then(Value::as_f64).with_context(|| format!("`{name}` is missing or not a number"))
}

#[cfg(test)]
mod tests;
