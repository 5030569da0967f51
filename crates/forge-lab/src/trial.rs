//! One contestant replays one trace, in a process that does nothing else: the measured part of the laboratory.
//!
//! ```text
//!   decode trace | make table | baseline | make contestant | first op ......... last op | read peak
//!                                                          |<------ timed ------------>|
//! ```
//!
//! # Design
//!
//! The clock starts at the first operation, not before: clearing the replay's table of blocks is not a contestant's
//! doing. Making the contestant is inside the memory figure and outside the time. Blocks that the trace never frees stay
//! alive, as they did in the program. All calls are made by one thread in the order of the recording; the contestant's
//! type is known to the compiler, as it would be in a program that names its allocator.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use forge_alloc::Allocator;
use forge_trace::replay::{Options, Touch};
use forge_trace::{Observer, Op, Outcome, ReplayReport, Replayer, Trace, TraceStats};

use crate::clock::{Clock, process_time};
use crate::measurement::{Latency, Pass, Run, Timing};
use crate::memory::Baseline;
use crate::statistics::percentile;

/// A trace that is ready to be replayed, and the figure to take.
#[derive(Debug)]
pub(crate) struct Trial {
    trace: Trace,
    stats: TraceStats,
    pass: Pass,
}

impl Trial {
    /// Returns the trial of a decoded trace.
    pub(crate) fn new(trace: Trace, pass: Pass) -> Self {
        let stats = trace.stats();
        Self { trace, stats, pass }
    }

    /// Returns what is known of the trace, from which a fixed region is dimensioned.
    pub(crate) fn stats(&self) -> &TraceStats {
        &self.stats
    }

    /// Makes the contestant and replays the trace against it.
    ///
    /// # Errors
    ///
    /// The contestant cannot be made, or the trace holds no operation.
    pub(crate) fn run<A: Allocator>(&self, make: impl FnOnce() -> Result<A>) -> Result<Run> {
        match self.pass {
            Pass::Throughput => self.run_throughput(make),
            Pass::Latency => self.run_latency(make),
        }
    }

    fn run_throughput<A: Allocator>(&self, make: impl FnOnce() -> Result<A>) -> Result<Run> {
        let mut stopwatch = Stopwatch { started: None };
        let mut replayer = self.replayer();
        crate::HEAP.begin_trial();
        let baseline = Baseline::take();
        let contestant = make()?;
        let report = replayer.run(&contestant, &mut stopwatch);
        let ended = process_time();
        let started = stopwatch.started.context("the trace holds no operation")?;
        let peak_growth_bytes = baseline.and_then(Baseline::peak_growth);
        let nanoseconds = u64::try_from(ended.saturating_sub(started).as_nanos()).unwrap_or(u64::MAX);
        Ok(run_of(report, Timing::Throughput { nanoseconds, peak_growth_bytes }))
    }

    fn run_latency<A: Allocator>(&self, make: impl FnOnce() -> Result<A>) -> Result<Run> {
        let clock = Clock::calibrated();
        let mut stopwatch = CallStopwatch { clock, started: 0, calls: Vec::with_capacity(self.stats.events) };
        let mut replayer = self.replayer();
        crate::HEAP.begin_trial();
        let contestant = make()?;
        let report = replayer.run(&contestant, &mut stopwatch);
        let mut calls = stopwatch.calls;
        calls.sort_unstable();
        let at = |permille| percentile(&calls, permille).map(|ticks| clock.nanoseconds(ticks));
        let (Some(p50), Some(p99), Some(p999), Some(max)) = (at(500), at(990), at(999), at(1000)) else {
            bail!("the trace holds no operation");
        };
        let (clock_overhead, clock_step) = (clock.overhead_nanoseconds(), clock.step_nanoseconds());
        Ok(run_of(report, Timing::Latency(Latency { p50, p99, p999, max, clock_overhead, clock_step })))
    }

    fn replayer(&self) -> Replayer<'_> {
        let options = Options { touch: Touch::Pages, verify: false, free_at_end: false };
        Replayer::new(&self.trace, options)
    }
}

fn run_of(report: ReplayReport, timing: Timing) -> Run {
    Run { operations: report.operations, failures: report.failures, skipped: report.skipped, timing }
}

/// Notes when the first operation begins.
struct Stopwatch {
    started: Option<Duration>,
}

impl Observer for Stopwatch {
    #[inline]
    fn before(&mut self, index: usize, _: &Op) {
        if index == 0 {
            self.started = Some(process_time());
        }
    }
}

/// Notes how long each call takes, in ticks of the clock. Its vector has room for every call of the trace.
struct CallStopwatch {
    clock: Clock,
    started: u64,
    calls: Vec<u64>,
}

impl Observer for CallStopwatch {
    #[inline]
    fn before(&mut self, _: usize, _: &Op) {
        self.started = self.clock.now();
    }

    #[inline]
    fn after(&mut self, _: usize, _: &Op, _: Outcome) {
        let ticks = self.clock.since(self.started);
        self.calls.push(ticks);
    }
}
