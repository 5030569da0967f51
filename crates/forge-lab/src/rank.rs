//! Ranking that noise cannot produce: a row is behind another only if a test tells their runs apart.
//!
//! ```text
//!   runs of a   1.0 1.1 1.1 1.2                          place 1=
//!   runs of b       1.1     1.2 1.3          overlaps a  place 1=
//!   runs of c                     2.0 2.1    beyond both place 3
//! ```
//!
//! # Invariants
//!
//! - (I1) The place of a row is one more than the number of rows that are faster beyond noise.
//! - (I2) Beyond noise means by the rank-sum test at a level that bounds the chance of any false verdict in the table by
//!   5 %.
//! - (I3) A row with so few runs that no outcome could tell it from the most measured row has no place.
//!
//! # Design
//!
//! The rank-sum test of Wilcoxon, Mann and Whitney assumes nothing about the shape of timing noise, works for samples of
//! different lengths (slow contestants run less often) and is exact for the handful of runs that a table affords: the
//! distribution of the statistic is counted, not approximated. Intervals around medians were rejected because they need
//! more runs for the same verdict. Every pair of rows is tested, so the level of one test is 5 % divided by the pairs.
//! Grouping rows around the best one was rejected too: one noisy row in front would hide the differences behind it.

use std::cmp::Ordering;

use crate::statistics::median;

/// The place of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of rows that are faster beyond noise, plus one.
    pub(crate) number: usize,
    /// Whether another row has the same place.
    pub(crate) shared: bool,
}

/// Ranks samples, the smallest median first. `None` for a sample that is too short to be ranked. O(rows² · tests).
pub(crate) fn rank(samples: &[&[f64]]) -> Vec<Option<Place>> {
    let present = samples.iter().filter(|sample| !sample.is_empty()).count();
    let longest = samples.iter().map(|sample| sample.len()).max().unwrap_or(0);
    let level = Level::for_rows(present);
    let numbers: Vec<Option<usize>> = samples
        .iter()
        .map(|sample| {
            let decidable = present < 2 || level.can_tell_apart(sample.len(), longest);
            (decidable && !sample.is_empty())
                .then(|| 1 + samples.iter().filter(|other| level.is_faster(other, sample)).count())
        })
        .collect();
    let shared = |number| numbers.iter().filter(|&&other| other == Some(number)).count() > 1;
    numbers.iter().map(|number| number.map(|number| Place { number, shared: shared(number) })).collect()
}

/// The significance level of one comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Level(f64);

impl Level {
    /// Returns the level of one comparison in a table of `rows` rows. O(1).
    pub(crate) fn for_rows(rows: usize) -> Self {
        let pairs = rows * rows.saturating_sub(1) / 2;
        Self(0.05 / pairs.max(1) as f64)
    }

    /// Returns whether `a` is smaller than `b` beyond noise. O(n m (n + m)).
    fn is_faster(self, a: &[f64], b: &[f64]) -> bool {
        let smaller = match (median(a), median(b)) {
            (Some(a), Some(b)) => a.total_cmp(&b) == Ordering::Less,
            _ => false,
        };
        smaller && probability_of_chance(a, b) <= self.0
    }

    /// Returns whether samples of these lengths differ at this level if they do not overlap at all. O(n m min(n, m)).
    fn can_tell_apart(self, n: usize, m: usize) -> bool {
        let interleavings: f64 = statistic_counts(n, m).iter().sum();
        2.0 / interleavings <= self.0
    }
}

/// Returns the two-sided probability that two samples of one distribution separate at least as much as these.
///
/// Ties count half, and the statistic is rounded towards no difference, so a tie never makes a place.
fn probability_of_chance(a: &[f64], b: &[f64]) -> f64 {
    let pairs = a.len() * b.len();
    if pairs == 0 {
        return 1.0;
    }
    let mut twice_wins = 0;
    for x in a {
        for y in b {
            twice_wins += match x.total_cmp(y) {
                Ordering::Less => 2,
                Ordering::Equal => 1,
                Ordering::Greater => 0,
            };
        }
    }
    let smaller_side = twice_wins.min(2 * pairs - twice_wins).div_ceil(2);
    let counts = statistic_counts(a.len(), b.len());
    let total: f64 = counts.iter().sum();
    let tail: f64 = counts.iter().take(smaller_side + 1).sum();
    (2.0 * tail / total).min(1.0)
}

/// Counts, for each number of wins `u`, the interleavings of `n` and `m` values in which `u` pairs are won.
///
/// The counts are the coefficients of the Gaussian binomial `prod_{i=1..n} (1 - q^(m+i)) / (1 - q^i)`, built by one
/// multiplication and one division per factor.
fn statistic_counts(n: usize, m: usize) -> Vec<f64> {
    let top = n * m;
    let mut counts = vec![0.0; top + 1];
    if let Some(first) = counts.first_mut() {
        *first = 1.0;
    }
    for factor in 1..=n {
        for u in (m + factor..=top).rev() {
            add_shifted(&mut counts, u, m + factor, -1.0);
        }
        for u in factor..=top {
            add_shifted(&mut counts, u, factor, 1.0);
        }
    }
    counts
}

/// Adds `sign * counts[u - shift]` to `counts[u]`.
fn add_shifted(counts: &mut [f64], u: usize, shift: usize, sign: f64) {
    let Some(&shifted) = u.checked_sub(shift).and_then(|index| counts.get(index)) else { return };
    if let Some(count) = counts.get_mut(u) {
        *count += sign * shifted;
    }
}

#[cfg(test)]
mod tests;
