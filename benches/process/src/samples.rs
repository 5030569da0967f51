//! What a contestant says about a row, and what is said about all of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::roster::Side;

/// What one process measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The processor time of an operation in the shortest batch, in nanoseconds.
    pub minimum: f64,
    /// The processor time of an operation in the middle batch, in nanoseconds.
    pub median: f64,
    /// The most resident memory, in KiB.
    pub peak_kib: u64,
}

impl Sample {
    /// Returns the line that carries it from process to process.
    pub fn line(&self) -> String {
        format!("{} {} {}", self.minimum, self.median, self.peak_kib)
    }

    /// Reads such a line.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let mut next = || words.next();
        Some(Self {
            minimum: next()?.parse().ok()?,
            median: next()?.parse().ok()?,
            peak_kib: next()?.parse().ok()?,
        })
    }
}

/// What the rounds of one contestant and row say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The smallest minimum.
    pub nanoseconds: f64,
    /// How far the middle one of the minima is above the smallest, as a part of it.
    pub spread: f64,
    /// The middle one of the peaks.
    pub peak_kib: u64,
}

impl Figure {
    /// Returns the figure of some samples; none if there are none.
    pub fn of(samples: &[Sample]) -> Option<Self> {
        let mut minima: Vec<f64> = samples.iter().map(|sample| sample.minimum).collect();
        let mut peaks: Vec<u64> = samples.iter().map(|sample| sample.peak_kib).collect();
        minima.sort_unstable_by(f64::total_cmp);
        peaks.sort_unstable();
        let (nanoseconds, middle) = (*minima.first()?, *minima.get(minima.len() / 2)?);
        let peak_kib = *peaks.get(peaks.len() / 2)?;
        Some(Self { nanoseconds, spread: middle / nanoseconds.max(f64::MIN_POSITIVE) - 1.0, peak_kib })
    }
}

/// All samples, by row and contestant.
#[derive(Debug)]
pub struct Samples {
    /// Who takes part, in the order of the tables, first the one of ours that is compared with the peers.
    roster: Vec<(&'static str, Side)>,
    measured: BTreeMap<(&'static str, &'static str), Vec<Sample>>,
}

impl Samples {
    /// Returns no samples of these contestants.
    pub fn of(roster: impl IntoIterator<Item = (&'static str, Side)>) -> Self {
        Self { roster: roster.into_iter().collect(), measured: BTreeMap::new() }
    }

    /// Adds one.
    pub fn add(&mut self, row: &'static str, name: &'static str, sample: Sample) {
        self.measured.entry((row, name)).or_default().push(sample);
    }

    /// Returns what was measured of a contestant in a row.
    pub fn figure(&self, row: &str, name: &str) -> Option<Figure> {
        Figure::of(self.measured.get(&(row, name))?)
    }

    /// Returns the least that `measure` gives for a peer in a row.
    fn best(&self, row: &str, measure: fn(&Figure) -> f64) -> Option<f64> {
        let peers = self.roster.iter().filter(|(_, side)| *side == Side::Peer);
        let figures = peers.filter_map(|(name, _)| self.figure(row, name));
        figures.map(|figure| measure(&figure)).min_by(f64::total_cmp)
    }

    /// Returns the geometric mean over rows of what `measure` gives for one contestant, as a ratio to another one; none if no row has both.
    pub fn mean_ratio(
        &self,
        rows: &[&'static str],
        of: &str,
        to: &str,
        measure: fn(&Figure) -> f64,
    ) -> Option<f64> {
        let both = rows.iter().filter_map(|row| Some((self.figure(row, of)?, self.figure(row, to)?)));
        let logarithms: Vec<f64> = both.map(|(of, to)| (measure(&of) / measure(&to)).ln()).collect();
        let mean = logarithms.iter().sum::<f64>() / logarithms.len() as f64;
        (!logarithms.is_empty()).then(|| mean.exp())
    }

    /// Returns the table of a measure: the best peer's, and everyone's ratio to it.
    pub fn table(&self, rows: &[&'static str], unit: &str, measure: fn(&Figure) -> f64) -> String {
        let there: Vec<&str> = self
            .roster
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| rows.iter().any(|row| self.figure(row, name).is_some()))
            .collect();
        let names: String = there.iter().map(|name| format!(" {name} |")).collect();
        let mut table = format!(
            "| row | best peer, {unit} |{names} spread of ours |\n|---|---|{}---|\n",
            "---|".repeat(there.len())
        );
        let mut logarithms = vec![(0.0, 0_u32); there.len()];
        for row in rows {
            let Some(best) = self.best(row, measure) else { continue };
            // Writing into a string cannot fail.
            let _ = write!(table, "| {row} | {best:.2} |");
            for (name, (sum, count)) in there.iter().zip(&mut logarithms) {
                let Some(figure) = self.figure(row, name) else {
                    table += " - |";
                    continue;
                };
                let ratio = measure(&figure) / best;
                (*sum, *count) = (*sum + ratio.ln(), *count + 1);
                let _ = write!(table, " {ratio:.2} |");
            }
            let ours = self.roster.first().and_then(|(ours, _)| self.figure(row, ours));
            let _ = writeln!(table, " {:.0} % |", 100.0 * ours.map_or(0.0, |figure| figure.spread));
        }
        table += "| geometric mean | |";
        for (sum, count) in logarithms {
            let _ = write!(table, " {:.2} |", (sum / f64::from(count.max(1))).exp());
        }
        table + " |\n"
    }
}

#[cfg(test)]
mod tests;
