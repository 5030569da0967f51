use super::*;

#[test]
fn an_empty_sample_has_no_summary() {
    assert_eq!(summarise(&[]), None);
    assert_eq!(median(&[]), None);
    assert_eq!(percentile(&[], 500), None);
}

#[test]
fn one_value_is_its_own_median_without_spread() {
    assert_eq!(summarise(&[7.0]), Some(Summary { median: 7.0, spread: 0.0, minimum: 7.0, maximum: 7.0 }));
}

#[test]
fn the_median_ignores_order_and_one_wild_value() {
    assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median(&[1.0, 2.0, 3.0, 4.0]), Some(2.5));
    assert_eq!(median(&[2.0, 1.0, 1e9]), Some(2.0));
}

#[test]
fn the_spread_is_half_the_interquartile_range() {
    let summary = summarise(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
    assert_eq!((summary.median, summary.spread, summary.minimum, summary.maximum), (3.0, 1.0, 1.0, 5.0));
}

#[test]
fn percentiles_are_values_of_the_sample() {
    let sorted: Vec<u64> = (1..=1000).collect();
    assert_eq!(percentile(&sorted, 500), Some(500));
    assert_eq!(percentile(&sorted, 990), Some(990));
    assert_eq!(percentile(&sorted, 999), Some(999));
    assert_eq!(percentile(&sorted, 1000), Some(1000));
    assert_eq!(percentile(&sorted, 0), Some(1));
    assert_eq!(percentile(&[5, 6, 7], 500), Some(6));
    assert_eq!(percentile(&[5], 999), Some(5));
}
