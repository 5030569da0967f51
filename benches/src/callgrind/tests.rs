use super::*;

fn baseline() -> Baseline {
    let instructions = BTreeMap::from([("copy, ours: A".to_string(), 1000), ("scope".to_string(), 500)]);
    Baseline { compiler: "rustc 1".to_string(), tolerance: 2.0, instructions }
}

#[test]
fn a_baseline_survives_being_written_and_read() {
    assert_eq!(Baseline::parse(&baseline().text()), Ok(baseline()));
}

#[test]
fn a_line_that_is_not_understood_is_named() {
    let error = Baseline::parse("# comment\ncompiler = \"x\"\n\"scope\" = many\n").unwrap_err();
    assert!(error.starts_with("line 3:"), "{error}");
    assert!(Baseline::parse("nothing").unwrap_err().starts_with("line 1:"));
}

#[test]
fn only_changes_beyond_the_tolerance_count() {
    let baseline = baseline();
    assert_eq!(baseline.judge("copy, ours: A", 1020), Verdict::Same);
    assert_eq!(baseline.judge("copy, ours: A", 980), Verdict::Same);
    assert_eq!(baseline.judge("copy, ours: A", 1030), Verdict::Worse(3.0));
    assert_eq!(baseline.judge("copy, ours: A", 900), Verdict::Better(-10.0));
    assert_eq!(baseline.judge("unheard of", 1), Verdict::New);
}

#[test]
fn the_total_is_read_from_either_line() {
    assert_eq!(total("events: Ir\nfn=(1)\nsummary: 42 3\n"), Some(42));
    assert_eq!(total("totals: 7\n"), Some(7));
    assert_eq!(total("events: Ir\n"), None);
}
