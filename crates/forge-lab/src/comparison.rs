//! All runs of all contestants on one trace, and the figures that they add up to.

use forge_trace::TraceStats;

use crate::contestants::Contestant;
use crate::measurement::{Latency, Run, Timing};
use crate::rank::{self, Place};
use crate::statistics::{Summary, median, summarise};

/// What one trace brought to light.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) title: String,
    pub(crate) stats: TraceStats,
    pub(crate) threads: usize,
    pub(crate) rows: Vec<Row>,
    /// The runs of a replay whose allocator does nothing.
    pub(crate) replay_alone: Row,
}

/// The runs of one contestant.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) contestant: &'static Contestant,
    pub(crate) runs: Vec<Run>,
    /// How it ended, if a run ended badly. It ran no more after that.
    pub(crate) breakdown: Option<String>,
}

/// The figures of one contestant. What could not be measured is `None`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figures {
    /// The place among those that served every request; `None` for the others.
    pub(crate) place: Option<Place>,
    /// The time per operation in nanoseconds.
    pub(crate) per_operation: Option<Summary>,
    /// The runs that `per_operation` rests on.
    pub(crate) timed_runs: usize,
    /// The median over the runs of each percentile.
    pub(crate) latency: Option<Latency>,
    /// The runs that `latency` rests on.
    pub(crate) latency_runs: usize,
    /// The median of the growth of resident memory, in bytes.
    pub(crate) peak_rss: Option<u64>,
    /// Resident memory per byte that the program held, at the peak of each.
    pub(crate) fragmentation: Option<f64>,
    /// The most requests that failed in one run, with those that could not be made because of it.
    pub(crate) failures: u64,
}

impl Row {
    /// Returns the row of a contestant that has not run yet.
    pub(crate) fn new(contestant: &'static Contestant) -> Self {
        Self { contestant, runs: Vec::new(), breakdown: None }
    }

    /// Returns the time per operation of each run, in nanoseconds.
    fn per_operation(&self) -> Vec<f64> {
        self.runs
            .iter()
            .filter_map(|run| match run.timing {
                Timing::Throughput { nanoseconds, .. } if run.operations > 0 => {
                    Some(nanoseconds as f64 / run.operations as f64)
                }
                _ => None,
            })
            .collect()
    }

    fn latencies(&self) -> Vec<Latency> {
        self.runs
            .iter()
            .filter_map(|run| match run.timing {
                Timing::Latency(latency) => Some(latency),
                Timing::Throughput { .. } => None,
            })
            .collect()
    }

    fn peak_rss(&self) -> Option<u64> {
        let peaks: Vec<f64> = self
            .runs
            .iter()
            .filter_map(|run| match run.timing {
                Timing::Throughput { peak_growth_bytes, .. } => peak_growth_bytes.map(|bytes| bytes as f64),
                Timing::Latency(_) => None,
            })
            .collect();
        median(&peaks).map(|bytes| bytes.round() as u64)
    }

    fn failures(&self) -> u64 {
        self.runs.iter().map(|run| run.failures + run.skipped).max().unwrap_or(0)
    }

    fn figures(&self, place: Option<Place>, peak_live_bytes: u64) -> Figures {
        let (per_operation, latencies, peak_rss) = (self.per_operation(), self.latencies(), self.peak_rss());
        Figures {
            place,
            per_operation: summarise(&per_operation),
            timed_runs: per_operation.len(),
            latency: middle(&latencies),
            latency_runs: latencies.len(),
            peak_rss,
            fragmentation: peak_rss
                .filter(|_| peak_live_bytes > 0)
                .map(|bytes| bytes as f64 / peak_live_bytes as f64),
            failures: self.failures(),
        }
    }
}

impl Comparison {
    /// Returns what the replay itself adds to each figure, in nanoseconds per operation, where that could be measured.
    pub(crate) fn replay_per_operation(&self) -> Option<f64> {
        median(&self.replay_alone.per_operation())
    }

    /// Returns each row with its figures, the best place first; rows without a place follow in their order. O(rows²).
    pub(crate) fn figures(&self) -> Vec<(&Row, Figures)> {
        let samples: Vec<Vec<f64>> = self
            .rows
            .iter()
            .map(|row| {
                let comparable = row.failures() == 0 && row.breakdown.is_none();
                if comparable { row.per_operation() } else { Vec::new() }
            })
            .collect();
        let borrowed: Vec<&[f64]> = samples.iter().map(Vec::as_slice).collect();
        let places = rank::rank(&borrowed);
        let mut figures: Vec<(&Row, Figures)> = self
            .rows
            .iter()
            .zip(places)
            .map(|(row, place)| (row, row.figures(place, self.stats.peak_live_bytes)))
            .collect();
        figures.sort_by(|(_, a), (_, b)| order(a).cmp(&order(b)).then(centre(a).total_cmp(&centre(b))));
        figures
    }
}

fn order(figures: &Figures) -> usize {
    figures.place.map_or(usize::MAX, |place| place.number)
}

fn centre(figures: &Figures) -> f64 {
    figures.per_operation.map_or(f64::INFINITY, |summary| summary.median)
}

/// Returns the median of each percentile.
fn middle(latencies: &[Latency]) -> Option<Latency> {
    let of = |figure: fn(&Latency) -> u64| {
        let values: Vec<f64> = latencies.iter().map(|latency| figure(latency) as f64).collect();
        median(&values).map(|value| value.round() as u64)
    };
    let clock = |property: fn(&Latency) -> f64| median(&latencies.iter().map(property).collect::<Vec<_>>());
    Some(Latency {
        p50: of(|latency| latency.p50)?,
        p99: of(|latency| latency.p99)?,
        p999: of(|latency| latency.p999)?,
        max: of(|latency| latency.max)?,
        clock_overhead: clock(|latency| latency.clock_overhead)?,
        clock_step: clock(|latency| latency.clock_step)?,
    })
}

#[cfg(test)]
pub(crate) mod tests;
