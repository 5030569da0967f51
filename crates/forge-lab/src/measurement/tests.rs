use super::*;

#[test]
fn both_kinds_of_run_survive_the_way_through_json() {
    let latency = Latency { p50: 10, p99: 20, p999: 30, max: 4000, clock_overhead: 6.25, clock_step: 10.0 };
    for timing in [
        Timing::Throughput { nanoseconds: 123_456_789, peak_growth_bytes: Some(1 << 20) },
        Timing::Throughput { nanoseconds: 1, peak_growth_bytes: None },
        Timing::Latency(latency),
    ] {
        let run = Run { operations: 10, failures: 2, skipped: 1, timing };
        assert_eq!(Run::parse(&run.json().to_string()).unwrap(), run);
    }
}

#[test]
fn a_missing_figure_is_named() {
    let text = r#"{"operations":1,"failures":0,"skipped":0,"timing":{"pass":"throughput"}}"#;
    assert!(Run::parse(text).unwrap_err().to_string().contains("nanoseconds"));
    assert!(Run::parse("Segmentation fault").is_err());
    assert!(Run::parse("{}").is_err());
}
