//! The harness: rounds over contestants, and what is said about their samples.
//!
//! ```text
//!   warm-up   A B C D
//!   round 1   A B C D
//!   round 2   A B' B C D       B' took much longer than B usually does: interrupted, taken again
//!   ...
//! ```
//!
//! # Design
//!
//! Contestants alternate within one process, so that a change of clock frequency or a neighbour on the machine meets
//! all of them. A sample is a batch of tens of microseconds or more, which the resolution of the clock does not show
//! in. A sample above [`INTERRUPTED`] times the running median is taken again, at most [`ATTEMPTS`] times, and the
//! shortest attempt counts. The minimum is the cost of the code on an undisturbed machine; the median and the spread
//! tell how much to trust it.

use std::time::{Duration, Instant};

/// How many times the running median a sample may take before it counts as interrupted.
pub const INTERRUPTED: f64 = 1.5;

/// How often one sample is taken at most.
pub const ATTEMPTS: usize = 3;

/// The fewest rounds of a row.
pub const FEWEST_ROUNDS: usize = 20;

/// The most rounds of a row, unless asked for by number.
pub const MOST_ROUNDS: usize = 300;

/// Whose code a contestant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A block of this workspace.
    Ours,
    /// Another library, in its best settings for the row; ours are compared with the best of these.
    Peer,
    /// Hand-written code that does no more than the row needs: no checks, no growth. Not a library.
    Limit,
    /// Shown for context and not compared: it solves another problem than the row's.
    Context,
}

/// One participant of a row: what is checked once, and a batch that times itself.
pub struct Contestant {
    /// The name of the library and its configuration.
    pub name: &'static str,
    /// Whose code it is.
    pub side: Side,
    check: Box<dyn FnMut() -> Result<(), String>>,
    batch: Box<dyn FnMut() -> Duration>,
}

impl Contestant {
    /// Returns a contestant of `check`, which compares contents, and `batch`, which returns how long its timed part took.
    pub fn new(
        name: &'static str,
        side: Side,
        check: impl FnMut() -> Result<(), String> + 'static,
        batch: impl FnMut() -> Duration + 'static,
    ) -> Self {
        Self { name, side, check: Box::new(check), batch: Box::new(batch) }
    }

    /// Compares what the contestant's blocks hold with what was written to them.
    ///
    /// # Errors
    ///
    /// The first difference, in words.
    pub fn check(&mut self) -> Result<(), String> {
        (self.check)()
    }

    /// Runs one batch and returns the time of its timed part.
    pub fn sample(&mut self) -> Duration {
        (self.batch)()
    }
}

/// Which of the samples a row compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// The shortest: what the code costs when nothing disturbs it.
    Minimum,
    /// The middle one, where the shortest is a lucky schedule: rows of several threads.
    Median,
    /// The only one, which is no time but a [`figure`], the same in every round; less is better.
    Figure,
}

/// How many operations a row about a figure has: the resolution of the figure.
pub const FIGURE_PARTS: u64 = 1_000_000;

/// Returns a figure in the form of a sample of [`FIGURE_PARTS`] operations.
pub fn figure(value: f64) -> Duration {
    Duration::from_nanos((value * FIGURE_PARTS as f64) as u64)
}

impl Statistic {
    /// Returns the statistic's value.
    pub fn of(self, summary: &Summary) -> f64 {
        match self {
            Self::Minimum | Self::Figure => summary.minimum,
            Self::Median => summary.median,
        }
    }
}

/// One workload and everyone who runs it.
pub struct Row {
    /// A short name for the command line.
    pub id: &'static str,
    /// What the row is about, for the reader of the table.
    pub title: &'static str,
    /// What one operation is.
    pub unit: &'static str,
    /// How many operations one batch does.
    pub operations: u64,
    /// The wanted ratio of ours to the best peer.
    pub goal: f64,
    /// What is compared.
    pub statistic: Statistic,
    /// Makes the contestants, with their memory.
    pub contestants: fn() -> Vec<Contestant>,
}

/// What is said about the samples of one contestant, in nanoseconds per operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// The shortest sample.
    pub minimum: f64,
    /// The middle sample.
    pub median: f64,
    /// The distance between the quartiles, as a part of the median.
    pub spread: f64,
    /// How many samples count.
    pub samples: usize,
    /// How many samples were taken again.
    pub repeated: usize,
}

/// One contestant's line of a row's result.
#[derive(Debug, Clone)]
pub struct Line {
    /// The contestant's name.
    pub name: &'static str,
    /// Whose code it is.
    pub side: Side,
    /// Its samples, or what its check found.
    pub outcome: Result<Summary, String>,
}

/// The result of one row.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The row's short name.
    pub id: &'static str,
    /// The row's title.
    pub title: &'static str,
    /// What one operation is.
    pub unit: &'static str,
    /// The wanted ratio of ours to the best peer.
    pub goal: f64,
    /// What is compared.
    pub statistic: Statistic,
    /// One line per contestant, in the row's order.
    pub lines: Vec<Line>,
}

impl Outcome {
    /// Returns the line of `side` whose `statistic` is smallest.
    pub fn best(&self, side: Side, statistic: Statistic) -> Option<(&Line, Summary)> {
        let measured = self.lines.iter().filter_map(|line| Some((line, *line.outcome.as_ref().ok()?)));
        let of_side = measured.filter(|(line, _)| line.side == side);
        of_side.min_by(|(_, one), (_, other)| statistic.of(one).total_cmp(&statistic.of(other)))
    }

    /// Returns our best `statistic` divided by the best peer's, or `None` while one of them is missing.
    pub fn ratio(&self, statistic: Statistic) -> Option<f64> {
        let (_, ours) = self.best(Side::Ours, statistic)?;
        let (_, peer) = self.best(Side::Peer, statistic)?;
        Some(statistic.of(&ours) / statistic.of(&peer))
    }
}

/// How many rounds a row gets.
#[derive(Debug, Clone, Copy)]
pub enum Rounds {
    /// This many.
    Exactly(usize),
    /// As many as fit into the time, between [`FEWEST_ROUNDS`] and [`MOST_ROUNDS`].
    Within(Duration),
}

/// Checks the contestants of `row`, then measures those that passed, in turn.
pub fn measure(row: &Row, rounds: Rounds) -> Outcome {
    let mut contestants = (row.contestants)();
    let checks: Vec<_> = contestants.iter_mut().map(Contestant::check).collect();
    let mut series: Vec<_> = contestants.iter().map(|_| Series::default()).collect();
    let rounds = if row.statistic == Statistic::Figure {
        1
    } else {
        let start = Instant::now();
        each_passing(&mut contestants, &checks, |_, contestant| {
            contestant.sample();
        });
        number_of_rounds(rounds, start.elapsed())
    };
    for _ in 0..rounds {
        each_passing(&mut contestants, &checks, |index, contestant| series[index].take(contestant));
    }
    let lines = contestants.iter().zip(checks).zip(series).map(|((contestant, check), series)| Line {
        name: contestant.name,
        side: contestant.side,
        outcome: check.map(|()| series.summary(row.operations)),
    });
    let lines = lines.collect();
    Outcome { id: row.id, title: row.title, unit: row.unit, goal: row.goal, statistic: row.statistic, lines }
}

/// Calls `visit` for every contestant whose check passed.
fn each_passing(
    contestants: &mut [Contestant],
    checks: &[Result<(), String>],
    mut visit: impl FnMut(usize, &mut Contestant),
) {
    for (index, contestant) in contestants.iter_mut().enumerate() {
        if checks[index].is_ok() {
            visit(index, contestant);
        }
    }
}

/// Returns how many rounds of the length `one` there are.
fn number_of_rounds(rounds: Rounds, one: Duration) -> usize {
    match rounds {
        Rounds::Exactly(number) => number.max(1),
        Rounds::Within(time) => {
            let fitting = time.as_secs_f64() / one.as_secs_f64().max(1e-9);
            (fitting as usize).clamp(FEWEST_ROUNDS, MOST_ROUNDS)
        }
    }
}

/// The samples of one contestant, sorted, in nanoseconds per batch.
#[derive(Default)]
struct Series {
    sorted: Vec<f64>,
    repeated: usize,
}

impl Series {
    /// Takes a sample of `contestant`, again if it was interrupted.
    fn take(&mut self, contestant: &mut Contestant) {
        let mut shortest = f64::INFINITY;
        for attempt in 0..ATTEMPTS {
            self.repeated += usize::from(attempt > 0);
            shortest = shortest.min(contestant.sample().as_nanos() as f64);
            if !self.is_interrupted(shortest) {
                break;
            }
        }
        let position = self.sorted.partition_point(|&sample| sample < shortest);
        self.sorted.insert(position, shortest);
    }

    /// Returns whether `sample` is far above what was seen so far.
    fn is_interrupted(&self, sample: f64) -> bool {
        self.sorted.len() >= 5 && sample > INTERRUPTED * quantile(&self.sorted, 0.5)
    }

    /// Returns the statistics per operation.
    fn summary(&self, operations: u64) -> Summary {
        let per_operation = |nanoseconds: f64| nanoseconds / operations as f64;
        let median = quantile(&self.sorted, 0.5);
        let quartiles = quantile(&self.sorted, 0.75) - quantile(&self.sorted, 0.25);
        Summary {
            minimum: per_operation(quantile(&self.sorted, 0.0)),
            median: per_operation(median),
            spread: if median > 0.0 { quartiles / median } else { 0.0 },
            samples: self.sorted.len(),
            repeated: self.repeated,
        }
    }
}

/// Returns the value below which the part `part` of the sorted samples lies, between neighbours in proportion; zero for
/// no samples.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let position = part * last as f64;
    let (below, above) = (position.floor() as usize, position.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

/// Runs `work` and returns how long it took.
#[inline(always)]
pub fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

#[cfg(test)]
mod tests;
