use super::{Figure, Sample, Samples};
use crate::roster::Side::{Limit, Ours, Peer};
use crate::rows;

const fn sample(minimum: f64, peak_kib: u64) -> Sample {
    Sample { minimum, median: minimum * 1.5, peak_kib }
}

#[test]
fn a_sample_survives_its_line() {
    let sample = sample(3.25, 1234);
    assert_eq!(Sample::parse(&sample.line()), Some(sample));
    assert_eq!(Sample::parse("3.25 four 5"), None);
}

#[test]
fn a_figure_is_the_smallest_minimum_and_the_middle_peak() {
    let figure = Figure::of(&[sample(3.0, 10), sample(2.0, 30), sample(4.0, 20)]);
    assert_eq!(figure, Some(Figure { nanoseconds: 2.0, spread: 0.5, peak_kib: 20 }));
    assert_eq!(Figure::of(&[]), None);
}

#[test]
fn ratios_are_to_the_best_peer_and_not_to_the_floor() {
    let mut samples =
        Samples::of([("ours", Ours), ("floor", Limit), ("one", Peer), ("two", Peer), ("absent", Peer)]);
    for (name, minimum) in [("ours", 3.0), ("floor", 1.0), ("one", 4.0), ("two", 2.0)] {
        samples.add("row", name, sample(minimum, 1));
    }
    let table = samples.table(&["row", "another"], "ns", |figure| figure.nanoseconds);
    assert!(
        table.starts_with("| row | best peer, ns | ours | floor | one | two | spread of ours |"),
        "{table}"
    );
    assert!(table.contains("| row | 2.00 | 1.50 | 0.50 | 2.00 | 1.00 | 0 % |"), "{table}");
}

#[test]
fn the_mean_of_ratios_is_geometric_and_over_rows_that_have_both() {
    let (rows, mut samples) = (["a", "b", "c"], Samples::of([("one", Ours), ("other", Ours)]));
    for (row, minimum) in rows.into_iter().zip([2.0, 8.0, 5.0]) {
        samples.add(row, "one", sample(minimum, 1));
    }
    for row in ["a", "b"] {
        samples.add(row, "other", sample(1.0, 1));
    }
    let mean = |of, to| samples.mean_ratio(&rows, of, to, |figure| figure.nanoseconds);
    assert!(mean("one", "other").is_some_and(|mean| (mean - 4.0).abs() < 1e-9));
    assert_eq!(mean("one", "none"), None);
}

#[test]
fn rows_have_distinct_names() {
    let mut names: Vec<_> = rows::all().iter().map(|row| row.id).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
