use super::*;
use crate::comparison::tests::{comparison, single_calls, timed};
use crate::measurement::{Run, Timing};

fn steady(nanoseconds: u64) -> Vec<Run> {
    let mut runs: Vec<Run> = (0..7).map(|run| timed(nanoseconds + run)).collect();
    runs.push(single_calls(1200));
    runs
}

#[test]
fn the_table_shows_ranks_figures_and_reasons() {
    let failing: Vec<Run> = (0..7).map(|_| Run { failures: 1, skipped: 2, ..timed(8) }).collect();
    let rows = vec![
        (steady(4000), None),
        (steady(400), None),
        (failing, None),
        (vec![], Some("signal: 6 (SIGABRT)")),
    ];
    let comparison = comparison(rows);
    let expected = "\
rank  allocator    ns/op  spread     p50     p99   p99.9     max  peak RSS  peak live  frag  failed  note
-----------------------------------------------------------------------------------------------------------------------------
   1  bump         100.8   ±0.38  1.2 µs  2.4 µs  3.6 µs  4.8 µs   2.0 KiB     1000 B  2.00       0  never reuses memory; 7 runs
   2  system       1,001   ±0.38  1.2 µs  2.4 µs  3.6 µs  4.8 µs   2.0 KiB     1000 B  2.00       0  7 runs
   -  arena        2.00*   ±0.00     n/a     n/a     n/a     n/a   2.0 KiB     1000 B  2.00       3  never reuses memory; 7 runs
   -  shared-bump    n/a     n/a     n/a     n/a     n/a     n/a       n/a     1000 B   n/a     n/a  broke down: signal: 6 (SIGABRT); never reuses memory
";
    let figures = comparison.figures();
    let rendered = table(&comparison, &figures).text();
    let rule = |text: &str| text.lines().filter(|line| !line.starts_with('-')).collect::<Vec<_>>().join("\n");
    assert_eq!(rule(&rendered), rule(expected));
    let notes = footnotes(&comparison, &figures).join("\n");
    for part in ["rank-sum", "n/a:", "never reuses memory:", "requests failed", "6 ns is subtracted"] {
        assert!(notes.contains(part), "{part:?} is not explained in\n{notes}");
    }
}

#[test]
fn a_clean_comparison_has_no_footnote_about_failures() {
    let comparison = comparison(vec![(steady(400), None)]);
    let notes = footnotes(&comparison, &comparison.figures()).join("\n");
    assert!(!notes.contains("failed") && !notes.contains("n/a:"), "{notes}");
}

#[test]
fn json_says_null_for_what_was_not_measured() {
    let unmeasured = Timing::Throughput { nanoseconds: 400, peak_growth_bytes: None };
    let run = Run { operations: 4, failures: 0, skipped: 0, timing: unmeasured };
    let value = json(&[comparison(vec![(vec![run], None)])], &Machine::this());
    let row = &value["comparisons"][0]["contestants"][0];
    assert_eq!(row["name"], "system");
    assert_eq!(row["ns_per_operation"]["median"], 100.0);
    assert!(row["peak_rss_bytes"].is_null() && row["fragmentation"].is_null() && row["latency_ns"].is_null());
    assert_eq!(value["comparisons"][0]["trace"]["peak_live_bytes"], 1000);
}

#[test]
fn numbers_are_readable() {
    assert_eq!([7.2549, 54.26, 999.4, 5119.6].map(decimal), ["7.25", "54.3", "999.4", "5,120"]);
    assert_eq!(
        [0, 84, 1_200, 999_949, 3_400_000].map(duration),
        ["0 ns", "84 ns", "1.2 µs", "999.9 µs", "3.4 ms"]
    );
    assert_eq!(
        [0, 1023, 1536, 9_859_915, 1 << 40].map(bytes),
        ["0 B", "1023 B", "1.5 KiB", "9.4 MiB", "1.0 TiB"]
    );
    assert_eq!(
        [0, 999, 1_000, 400_316, 1_000_000].map(grouped),
        ["0", "999", "1,000", "400,316", "1,000,000"]
    );
}
