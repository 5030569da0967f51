use std::cell::RefCell;
use std::rc::Rc;

use super::*;

/// A contestant whose samples are given, in nanoseconds, then zero for ever.
fn scripted(name: &'static str, side: Side, mut samples: Vec<u64>) -> Contestant {
    samples.reverse();
    Contestant::new(name, side, || Ok(()), move || Duration::from_nanos(samples.pop().unwrap_or(0)))
}

fn series(samples: &[f64]) -> Series {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    Series { sorted, repeated: 0 }
}

#[test]
fn the_quantiles_of_a_known_series_are_exact() {
    let sorted = [10.0, 20.0, 30.0, 40.0, 50.0];
    assert_eq!(quantile(&sorted, 0.0), 10.0);
    assert_eq!(quantile(&sorted, 0.5), 30.0);
    assert_eq!(quantile(&sorted, 1.0), 50.0);
    assert_eq!(quantile(&sorted, 0.125), 15.0);
    assert_eq!(quantile(&[], 0.5), 0.0);
}

#[test]
fn a_summary_is_per_operation_and_its_spread_relative() {
    let summary = series(&[50.0, 10.0, 30.0, 20.0, 40.0]).summary(10);
    assert_eq!((summary.minimum, summary.median), (1.0, 3.0));
    assert!((summary.spread - 20.0 / 30.0).abs() < 1e-12);
    assert_eq!(summary.samples, 5);
}

#[test]
fn an_interrupted_sample_is_taken_again_and_the_shortest_attempt_counts() {
    let mut series = series(&[100.0; 5]);
    series.take(&mut scripted("", Side::Peer, vec![1_000, 110]));
    assert_eq!(series.repeated, 1);
    assert_eq!(series.sorted.last(), Some(&110.0));
}

#[test]
fn a_sample_that_stays_long_is_kept_after_the_last_attempt() {
    let mut series = series(&[100.0; 5]);
    series.take(&mut scripted("", Side::Peer, vec![900, 800, 850, 1]));
    assert_eq!(series.repeated, ATTEMPTS - 1);
    assert_eq!(series.sorted.last(), Some(&800.0));
}

#[test]
fn contestants_take_turns() {
    thread_local! { static ORDER: Rc<RefCell<String>> = Rc::default(); }
    fn recording(name: &'static str) -> Contestant {
        let order = ORDER.with(Rc::clone);
        Contestant::new(
            name,
            Side::Peer,
            || Ok(()),
            move || {
                order.borrow_mut().push_str(name);
                Duration::from_nanos(1)
            },
        )
    }
    let contestants = || vec![recording("A"), recording("B"), recording("C")];
    let row = Row {
        id: "",
        title: "",
        unit: "",
        operations: 1,
        goal: 1.0,
        statistic: Statistic::Minimum,
        contestants,
    };
    measure(&row, Rounds::Exactly(3));
    assert_eq!(ORDER.with(|order| order.borrow().clone()), "ABCABCABCABC");
}

#[test]
fn a_contestant_that_fails_its_check_is_reported_and_not_measured() {
    fn contestants() -> Vec<Contestant> {
        let failing = Contestant::new("failing", Side::Ours, || Err("byte 3".into()), || Duration::ZERO);
        vec![failing, scripted("passing", Side::Peer, vec![7; 100])]
    }
    let row = Row {
        id: "",
        title: "",
        unit: "",
        operations: 1,
        goal: 1.0,
        statistic: Statistic::Minimum,
        contestants,
    };
    let outcome = measure(&row, Rounds::Exactly(4));
    assert_eq!(outcome.lines[0].outcome, Err("byte 3".to_string()));
    assert_eq!(outcome.lines[1].outcome.as_ref().unwrap().minimum, 7.0);
    assert_eq!(outcome.ratio(Statistic::Minimum), None);
}

#[test]
fn the_ratio_is_of_our_best_to_the_best_peer() {
    fn contestants() -> Vec<Contestant> {
        vec![
            scripted("ours", Side::Ours, vec![30; 9]),
            scripted("ours, other", Side::Ours, vec![40; 9]),
            scripted("peer", Side::Peer, vec![60; 9]),
            scripted("slow peer", Side::Peer, vec![90; 9]),
            scripted("limit", Side::Limit, vec![1; 9]),
            scripted("context", Side::Context, vec![1; 9]),
        ]
    }
    let row = Row {
        id: "",
        title: "",
        unit: "",
        operations: 1,
        goal: 1.0,
        statistic: Statistic::Minimum,
        contestants,
    };
    let outcome = measure(&row, Rounds::Exactly(8));
    assert_eq!(outcome.ratio(Statistic::Minimum), Some(0.5));
    assert_eq!(outcome.best(Side::Peer, Statistic::Median).unwrap().0.name, "peer");
}

#[test]
fn the_number_of_rounds_follows_the_time_within_bounds() {
    let second = Duration::from_secs(1);
    assert_eq!(number_of_rounds(Rounds::Within(second), Duration::from_millis(10)), 100);
    assert_eq!(number_of_rounds(Rounds::Within(second), second), FEWEST_ROUNDS);
    assert_eq!(number_of_rounds(Rounds::Within(second), Duration::ZERO), MOST_ROUNDS);
    assert_eq!(number_of_rounds(Rounds::Exactly(3), second), 3);
}

#[test]
fn a_figure_is_taken_once_and_kept_to_a_millionth() {
    let contestants = || {
        let mut taken = 0;
        let sample = move || {
            taken += 1;
            figure(1.25 * f64::from(taken))
        };
        vec![Contestant::new("", Side::Ours, || Ok(()), sample)]
    };
    let (operations, statistic) = (FIGURE_PARTS, Statistic::Figure);
    let row = Row { id: "", title: "", unit: "", operations, goal: 1.0, statistic, contestants };
    let outcome = measure(&row, Rounds::Within(Duration::from_millis(1)));
    let best = outcome.best(Side::Ours, Statistic::Figure).map(|(_, summary)| summary.minimum);
    assert_eq!(best, Some(1.25));
}
