//! Handlers of watermarks that panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

use forge_alloc::{
    Allocator, BumpArena, FnHandler, InlineBacked, NonZeroLayout, NullHandler, Watermark, WatermarkEvent,
    WatermarkHandler,
};

use super::dies;

const PANICKED: &str = "forge-alloc: a handler of a watermark panicked inside of an allocator";

fn watched<H: WatermarkHandler>(handler: H) -> Watermark<BumpArena<InlineBacked<64>>, H> {
    Watermark::new(BumpArena::new(InlineBacked::new()).unwrap(), handler)
}

/// Fills an arena whose handler panics, and shows that nobody catches that.
fn fill(requests: &[usize]) {
    let arena = watched(FnHandler(|event: WatermarkEvent| panic!("{:?}", event.level)));
    let _ = catch_unwind(AssertUnwindSafe(|| {
        for &size in requests {
            let _ = arena.allocate(NonZeroLayout::from_size_align(size, 1).unwrap());
        }
    }));
}

#[test]
fn a_panic_at_a_warning() {
    dies("watermark::a_panic_at_a_warning", PANICKED, || fill(&[47, 1]));
}

#[test]
fn a_panic_at_the_critical_level() {
    dies("watermark::a_panic_at_the_critical_level", PANICKED, || fill(&[64]));
}

#[test]
fn a_panic_at_a_refusal() {
    dies("watermark::a_panic_at_a_refusal", PANICKED, || fill(&[65]));
}

#[test]
fn the_same_requests_without_a_panic_go_on() {
    let arena = watched(NullHandler);
    let sizes = [47, 1, 64].map(|size| NonZeroLayout::from_size_align(size, 1).unwrap());
    assert_eq!(sizes.map(|layout| arena.allocate(layout).is_ok()), [true, true, false]);
}
