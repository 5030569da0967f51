use forge_trace::Trace;

use super::*;
use crate::contestants;

const PEAK: u64 = 1000;

/// A comparison of the first contestants of the build with the given runs.
pub(crate) fn comparison(rows: Vec<(Vec<Run>, Option<&str>)>) -> Comparison {
    let trace = Trace::parse("test", b"a 0 400 16 0\na 1 600 16 0\nf 0 0\nf 1 0\n").unwrap();
    let rows = contestants::all()
        .into_iter()
        .zip(rows)
        .map(|(contestant, (runs, breakdown))| Row {
            contestant,
            runs,
            breakdown: breakdown.map(str::to_string),
        })
        .collect();
    let replay_alone = Row::new(&contestants::REPLAY_ALONE);
    Comparison { title: "test".into(), stats: trace.stats(), threads: 1, rows, replay_alone }
}

pub(crate) fn timed(nanoseconds: u64) -> Run {
    let timing = Timing::Throughput { nanoseconds, peak_growth_bytes: Some(2 * PEAK) };
    Run { operations: 4, failures: 0, skipped: 0, timing }
}

pub(crate) fn single_calls(p50: u64) -> Run {
    let latency =
        Latency { p50, p99: 2 * p50, p999: 3 * p50, max: 4 * p50, clock_overhead: 6.0, clock_step: 1.0 };
    Run { operations: 4, failures: 0, skipped: 0, timing: Timing::Latency(latency) }
}

fn steady(nanoseconds: u64) -> Vec<Run> {
    (0..7).map(|run| timed(nanoseconds + run)).collect()
}

#[test]
fn figures_are_medians_over_the_runs() {
    let runs = vec![timed(40), timed(80), timed(4000), single_calls(10), single_calls(30), single_calls(20)];
    let comparison = comparison(vec![(runs, None)]);
    let figures = &comparison.figures()[0].1;
    assert_eq!(figures.per_operation.map(|summary| summary.median), Some(20.0));
    assert_eq!((figures.timed_runs, figures.latency_runs), (3, 3));
    assert_eq!(figures.latency.map(|latency| (latency.p50, latency.max)), Some((20, 80)));
    assert_eq!((figures.peak_rss, figures.fragmentation), (Some(2 * PEAK), Some(2.0)));
}

#[test]
fn rows_come_in_the_order_of_their_places() {
    let comparison = comparison(vec![(steady(900), None), (steady(100), None), (steady(500), None)]);
    let places: Vec<_> =
        comparison.figures().iter().map(|(_, figures)| figures.place.map(|p| p.number)).collect();
    assert_eq!(places, [Some(1), Some(2), Some(3)]);
}

#[test]
fn who_fails_requests_or_breaks_down_has_no_place_and_comes_last() {
    let failing: Vec<Run> = steady(1).into_iter().map(|run| Run { failures: 1, skipped: 2, ..run }).collect();
    let comparison = comparison(vec![(failing, None), (steady(1), Some("signal")), (steady(500), None)]);
    let figures = comparison.figures();
    let places: Vec<_> = figures.iter().map(|(_, figures)| figures.place.map(|p| p.number)).collect();
    assert_eq!(places, [Some(1), None, None]);
    assert!(figures.iter().any(|(_, figures)| figures.failures == 3));
}

#[test]
fn what_was_not_measured_is_absent() {
    let comparison = comparison(vec![(vec![], Some("signal"))]);
    let figures = &comparison.figures()[0].1;
    assert_eq!((figures.per_operation, figures.latency, figures.peak_rss), (None, None, None));
    assert_eq!(comparison.replay_per_operation(), None);
}
