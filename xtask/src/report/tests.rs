//! A skip is repeated, a failure decides, and a spent budget is never a pass.

use super::*;

#[test]
fn summary_repeats_skips_and_counts() {
    let mut report = Report::new(None);
    report.gate("a", |_| Ok(()));
    report.gate("b", |_| Err(Stop::Skipped("no tool".into())));
    report.gate("c", |_| Err(Stop::Failed("3 findings".into())));
    let summary = report.summary();
    assert!(summary.contains("SKIPPED: b: no tool\n"), "{summary}");
    assert!(summary.contains("c: 3 findings"), "{summary}");
    assert!(summary.ends_with("1 passed, 1 failed, 1 skipped\n"), "{summary}");
    assert!(!report.succeeded());
}

#[test]
fn a_skip_is_no_failure_but_an_empty_run_is() {
    let mut report = Report::new(None);
    assert!(!report.succeeded());
    report.gate("b", |_| Err(Stop::Skipped("no tool".into())));
    assert!(report.succeeded());
}

#[test]
fn a_spent_budget_fails_needed_gates_and_skips_deep_ones() {
    let mut report = Report::new(Some(Duration::ZERO));
    report.gate("needed", |_| Err(Stop::OutOfTime));
    let mut ran = false;
    report.deep_gate("deep", Duration::from_secs(1), |_| {
        ran = true;
        Ok(())
    });
    assert!(!ran);
    assert!(report.summary().ends_with("0 passed, 1 failed, 1 skipped\n"));
}
