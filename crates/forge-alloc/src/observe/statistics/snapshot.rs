//! [`StatsSnapshot`]: the counters of an allocator as plain numbers, and their texts.
//!
//! # Operations
//!
//! All O(1); nothing allocates, except what the given writer or serialiser does.
//!
//! # Design
//!
//! The Prometheus text follows its exposition format, version 0.0.4: for each metric a `HELP` line, a `TYPE` line and one
//! sample; in the value of a label a backslash, a double quote and a line feed are escaped. Counts that only rise are
//! counters and end in `_total`; sizes carry the unit in their name.

use core::fmt::{self, Write};

#[cfg(feature = "serde")]
mod serialize;

/// The counters of an allocator at one moment.
///
/// # Examples
///
/// ```
/// use forge_alloc::{Allocator, BumpArena, InlineBacked, NonZeroLayout, Statistics};
///
/// let arena = Statistics::new(BumpArena::new(InlineBacked::<256>::new())?);
/// arena.allocate(NonZeroLayout::from_size_align(40, 8).unwrap())?;
/// let mut page = String::new();
/// arena.snapshot().write_prometheus(&mut page, "scratch").unwrap();
/// assert!(page.contains("forge_alloc_allocated_bytes{allocator=\"scratch\"} 40\n"));
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct StatsSnapshot {
    /// How many blocks were allocated.
    pub total_allocations: u64,
    /// How many blocks were freed, by a free or by a reset.
    pub total_deallocations: u64,
    /// The requested sizes of the live blocks in bytes.
    pub bytes_allocated: u64,
    /// The largest value of `bytes_allocated` so far.
    pub bytes_peak: u64,
    /// How many allocations and resizes failed.
    pub failures: u64,
    /// How many corruptions the inner allocator has noticed.
    pub corruption_events: u64,
    /// How many blocks were grown or shrunk.
    pub resizes: u64,
}

impl StatsSnapshot {
    /// Returns how many blocks are live: the allocations less the frees.
    #[must_use]
    pub const fn live_count(&self) -> i64 {
        self.total_allocations.wrapping_sub(self.total_deallocations) as i64
    }

    /// Writes the counters in the text format of Prometheus, each with the label `allocator="name"`.
    ///
    /// # Errors
    ///
    /// What `out` returns; what was written until then stays written.
    pub fn write_prometheus(&self, out: &mut dyn Write, name: &str) -> fmt::Result {
        for (metric, kind, help, value) in self.metrics() {
            let label = Escaped(name);
            write!(
                out,
                "# HELP forge_alloc_{metric} {help}\n\
                 # TYPE forge_alloc_{metric} {kind}\n\
                 forge_alloc_{metric}{{allocator=\"{label}\"}} {value}\n"
            )?;
        }
        Ok(())
    }

    /// Returns the metrics: name, kind, explanation, value.
    fn metrics(&self) -> [(&'static str, &'static str, &'static str, i128); 8] {
        [
            ("allocations_total", "counter", "Blocks that were allocated.", self.total_allocations.into()),
            ("deallocations_total", "counter", "Blocks that were freed.", self.total_deallocations.into()),
            ("resizes_total", "counter", "Blocks that were grown or shrunk.", self.resizes.into()),
            ("failures_total", "counter", "Allocations and resizes that failed.", self.failures.into()),
            (
                "corruption_events_total",
                "counter",
                "Corruptions that were noticed.",
                self.corruption_events.into(),
            ),
            ("live_blocks", "gauge", "Blocks that are live.", self.live_count().into()),
            ("allocated_bytes", "gauge", "Requested bytes of live blocks.", self.bytes_allocated.into()),
            ("peak_bytes", "gauge", "Largest value of the allocated bytes.", self.bytes_peak.into()),
        ]
    }
}

impl fmt::Display for StatsSnapshot {
    /// Writes a table of two columns.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: [(&str, i128); 8] = [
            ("allocations", self.total_allocations.into()),
            ("deallocations", self.total_deallocations.into()),
            ("live blocks", self.live_count().into()),
            ("live bytes", self.bytes_allocated.into()),
            ("peak bytes", self.bytes_peak.into()),
            ("resizes", self.resizes.into()),
            ("failures", self.failures.into()),
            ("corruptions", self.corruption_events.into()),
        ];
        for (position, (name, value)) in rows.into_iter().enumerate() {
            let line_end = if position == 0 { "" } else { "\n" };
            write!(formatter, "{line_end}{name:<13} {value:>20}")?;
        }
        Ok(())
    }
}

/// The value of a label, escaped as the format demands.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '\\' => formatter.write_str("\\\\"),
            '"' => formatter.write_str("\\\""),
            '\n' => formatter.write_str("\\n"),
            other => formatter.write_char(other),
        })
    }
}

#[cfg(test)]
mod tests;
