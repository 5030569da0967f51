use super::StatsSnapshot;

const SNAPSHOT: StatsSnapshot = StatsSnapshot {
    total_allocations: 12,
    total_deallocations: 10,
    bytes_allocated: 160,
    bytes_peak: 4096,
    failures: 1,
    corruption_events: 0,
    resizes: 3,
};

#[test]
fn the_prometheus_text_is_the_exposition_format() {
    let mut text = String::new();
    SNAPSHOT.write_prometheus(&mut text, "texture pool").unwrap();
    let expected = "\
# HELP forge_alloc_allocations_total Blocks that were allocated.
# TYPE forge_alloc_allocations_total counter
forge_alloc_allocations_total{allocator=\"texture pool\"} 12
# HELP forge_alloc_deallocations_total Blocks that were freed.
# TYPE forge_alloc_deallocations_total counter
forge_alloc_deallocations_total{allocator=\"texture pool\"} 10
# HELP forge_alloc_resizes_total Blocks that were grown or shrunk.
# TYPE forge_alloc_resizes_total counter
forge_alloc_resizes_total{allocator=\"texture pool\"} 3
# HELP forge_alloc_failures_total Allocations and resizes that failed.
# TYPE forge_alloc_failures_total counter
forge_alloc_failures_total{allocator=\"texture pool\"} 1
# HELP forge_alloc_corruption_events_total Corruptions that were noticed.
# TYPE forge_alloc_corruption_events_total counter
forge_alloc_corruption_events_total{allocator=\"texture pool\"} 0
# HELP forge_alloc_live_blocks Blocks that are live.
# TYPE forge_alloc_live_blocks gauge
forge_alloc_live_blocks{allocator=\"texture pool\"} 2
# HELP forge_alloc_allocated_bytes Requested bytes of live blocks.
# TYPE forge_alloc_allocated_bytes gauge
forge_alloc_allocated_bytes{allocator=\"texture pool\"} 160
# HELP forge_alloc_peak_bytes Largest value of the allocated bytes.
# TYPE forge_alloc_peak_bytes gauge
forge_alloc_peak_bytes{allocator=\"texture pool\"} 4096
";
    assert_eq!(text, expected);
}

#[test]
fn a_label_is_escaped() {
    let mut text = String::new();
    SNAPSHOT.write_prometheus(&mut text, "a\\b\"c\nd{}=é").unwrap();
    assert!(text.contains("live_blocks{allocator=\"a\\\\b\\\"c\\nd{}=é\"} 2\n"), "{text}");
    assert_eq!(text.lines().count(), 3 * 8);
}

#[test]
fn a_writer_that_fails_ends_the_text() {
    struct Full;
    impl core::fmt::Write for Full {
        fn write_str(&mut self, _: &str) -> core::fmt::Result {
            Err(core::fmt::Error)
        }
    }
    assert!(SNAPSHOT.write_prometheus(&mut Full, "full").is_err());
}

#[test]
fn the_table_has_a_line_per_counter() {
    let expected = "\
allocations                     12
deallocations                   10
live blocks                      2
live bytes                     160
peak bytes                    4096
resizes                          3
failures                         1
corruptions                      0";
    assert_eq!(SNAPSHOT.to_string(), expected);
}

#[test]
fn more_frees_than_allocations_are_a_negative_number_of_live_blocks() {
    let snapshot = StatsSnapshot { total_deallocations: 15, ..SNAPSHOT };
    assert_eq!(snapshot.live_count(), -3);
    assert!(snapshot.to_string().contains("live blocks                     -3\n"));
}

#[cfg(feature = "serde")]
#[test]
fn serde_sees_every_counter() {
    let text = serde_json::to_string(&SNAPSHOT).unwrap();
    assert_eq!(
        text,
        "{\"total_allocations\":12,\"total_deallocations\":10,\"bytes_allocated\":160,\"bytes_peak\":4096,\
         \"failures\":1,\"corruption_events\":0,\"resizes\":3}"
    );
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["bytes_peak"], SNAPSHOT.bytes_peak);
}
