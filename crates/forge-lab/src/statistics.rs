//! Order statistics of small samples: median, quartiles, percentiles.
//!
//! # Design
//!
//! Timings on a shared machine have a hard floor and a long tail upwards, so nothing here is a mean: the median stands
//! for a sample and half the distance between its quartiles for its spread. Both ignore a minority of disturbed runs.
//! Latencies are kept one by one and sorted, not put into a histogram: a trace has some hundred thousand operations,
//! which is a few megabytes and an exact answer.

/// The centre and spread of a sample, in the unit of the sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    /// The middle value, or the mean of the two in the middle.
    pub(crate) median: f64,
    /// Half the distance between the first and the third quartile.
    pub(crate) spread: f64,
    /// The smallest value.
    pub(crate) minimum: f64,
    /// The largest value.
    pub(crate) maximum: f64,
}

/// Summarises `sample`, or returns `None` if it is empty. O(n log n).
pub(crate) fn summarise(sample: &[f64]) -> Option<Summary> {
    let sorted = sorted(sample);
    let (&minimum, &maximum) = (sorted.first()?, sorted.last()?);
    let spread = (quantile(&sorted, 0.75)? - quantile(&sorted, 0.25)?) / 2.0;
    Some(Summary { median: quantile(&sorted, 0.5)?, spread, minimum, maximum })
}

/// Returns the median of `sample`, or `None` if it is empty. O(n log n).
pub(crate) fn median(sample: &[f64]) -> Option<f64> {
    quantile(&sorted(sample), 0.5)
}

/// Returns the smallest value that at least `permille` of 1000 values do not exceed (the nearest-rank percentile), or
/// `None` if there are no values. `sorted` is in increasing order. O(1).
pub(crate) fn percentile(sorted: &[u64], permille: usize) -> Option<u64> {
    let rank = (sorted.len() * permille).div_ceil(1000);
    sorted.get(rank.saturating_sub(1)).copied()
}

fn sorted(sample: &[f64]) -> Vec<f64> {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Interpolates linearly between the neighbours of position `fraction * (n - 1)`.
fn quantile(sorted: &[f64], fraction: f64) -> Option<f64> {
    let position = fraction * sorted.len().checked_sub(1)? as f64;
    let below = sorted.get(position.floor() as usize)?;
    let above = sorted.get(position.ceil() as usize)?;
    Some(below + (above - below) * position.fract())
}

#[cfg(test)]
mod tests;
