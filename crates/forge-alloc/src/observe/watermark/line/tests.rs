use forge_alloc_core::NonZeroLayout;

use super::Line;
use crate::observe::watermark::event::{WatermarkEvent, WatermarkLevel};

fn event(level: WatermarkLevel) -> WatermarkEvent {
    WatermarkEvent { level, allocated_bytes: 96, capacity_bytes: 128, requested_layout: None }
}

fn text(event: &WatermarkEvent) -> String {
    String::from_utf8(Line::new(event).as_bytes().to_vec()).unwrap()
}

#[test]
fn each_level_has_its_documented_prefix() {
    let rest = "96 of 128 bytes are used\n";
    assert_eq!(text(&event(WatermarkLevel::Warn)), format!("[forge-alloc] watermark WARN: {rest}"));
    assert_eq!(text(&event(WatermarkLevel::Critical)), format!("[forge-alloc] watermark CRITICAL: {rest}"));
    let layout = NonZeroLayout::from_size_align(40, 8).unwrap();
    let refused = WatermarkEvent { requested_layout: Some(layout), ..event(WatermarkLevel::Oom) };
    assert_eq!(
        text(&refused),
        format!("[forge-alloc] watermark OOM: a request for 40 bytes, aligned to 8, was refused; {rest}")
    );
}

#[test]
fn an_allocator_without_a_bound_names_none() {
    let unbounded = WatermarkEvent { capacity_bytes: 0, ..event(WatermarkLevel::Oom) };
    assert_eq!(text(&unbounded), "[forge-alloc] watermark OOM: 96 bytes are used\n");
}

#[test]
fn the_longest_event_fits() {
    let longest = |size, align| WatermarkEvent {
        level: WatermarkLevel::Oom,
        allocated_bytes: usize::MAX,
        capacity_bytes: usize::MAX,
        requested_layout: NonZeroLayout::from_size_align(size, align).ok(),
    };
    let most = isize::MAX as usize;
    for event in [longest(most, 1), longest(1, 1 << (usize::BITS - 2))] {
        assert!(event.requested_layout.is_some());
        assert!(text(&event).ends_with(" bytes are used\n"));
    }
}
