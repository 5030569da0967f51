#![allow(unsafe_code)]

use core::ptr::NonNull;
use std::sync::{Barrier, Mutex};
use std::thread;

use forge_alloc_core::{Allocator, Deallocator, FixedRange, NonZeroLayout};

use super::Watermark;
use super::event::{WatermarkEvent, WatermarkLevel, WatermarkThresholds};
use super::handler::{FnHandler, NullHandler, WatermarkHandler};
use crate::observe::testing::{Noting, assert_passes_everything};
use crate::{BumpArena, InlineBacked, NullBacked, SharedBumpArena, Slab, System, WithFallback};

use WatermarkLevel::{Critical, Oom, Warn};

/// A handler that keeps the events.
#[derive(Default)]
struct Keeping(Mutex<Vec<WatermarkEvent>>);

impl Keeping {
    /// Returns the events since the last time.
    fn events(&self) -> Vec<WatermarkEvent> {
        core::mem::take(&mut self.0.lock().unwrap())
    }

    /// Returns the levels since the last time.
    fn levels(&self) -> Vec<WatermarkLevel> {
        self.events().iter().map(|event| event.level).collect()
    }

    fn keep(&self, event: WatermarkEvent, level: WatermarkLevel) {
        assert_eq!(event.level, level);
        self.0.lock().unwrap().push(event);
    }
}

impl WatermarkHandler for Keeping {
    fn on_warn(&self, event: WatermarkEvent) {
        self.keep(event, Warn);
    }

    fn on_critical(&self, event: WatermarkEvent) {
        self.keep(event, Critical);
    }

    fn on_oom(&self, event: WatermarkEvent) {
        self.keep(event, Oom);
    }
}

fn layout(size: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, 1).unwrap()
}

fn slab_of<T>() -> Watermark<Slab<T, InlineBacked<128>>, Keeping> {
    Watermark::new(Slab::new(16, InlineBacked::new()).unwrap(), Keeping::default())
}

/// A watermark over 1024 bytes.
fn kibibyte(warn_pct: u8, critical_pct: u8) -> Watermark<BumpArena<InlineBacked<1024>>, Keeping> {
    let thresholds = WatermarkThresholds { warn_pct, critical_pct };
    Watermark::with_thresholds(BumpArena::new(InlineBacked::new()).unwrap(), Keeping::default(), thresholds)
}

fn take<A: Allocator>(allocator: &A, size: usize) -> NonNull<u8> {
    allocator.allocate(layout(size)).unwrap().cast()
}

fn free<A: Deallocator>(allocator: &A, block: NonNull<u8>, size: usize) {
    // SAFETY: the tests free each block once, with its size, and do not use it afterwards.
    unsafe { allocator.deallocate(block, layout(size)) };
}

#[test]
fn everything_is_passed_on() {
    assert_passes_everything(Watermark::new(Noting::new(), NullHandler), Watermark::inner);
}

#[test]
fn each_level_fires_once_when_it_is_reached() {
    let slab = slab_of::<u64>();
    for count in 1..=16 {
        take(&slab, 8);
        let expected = match count {
            12 => vec![Warn],
            15 => vec![Critical],
            _ => vec![],
        };
        assert_eq!(slab.handler().levels(), expected, "{count}");
    }
    assert_eq!(slab.allocated_bytes(), 128);
}

#[test]
fn an_event_says_how_full_the_allocator_is() {
    let slab = slab_of::<u64>();
    for _ in 0..12 {
        take(&slab, 8);
    }
    let events = slab.handler().events();
    let event = events.first().unwrap();
    assert_eq!((event.allocated_bytes, event.capacity_bytes), (96, 128));
    assert!(event.requested_layout.is_none());
}

#[test]
fn what_the_allocator_gives_out_is_counted_not_what_it_was_asked_for() {
    let slab = slab_of::<u8>();
    let blocks = [(); 16].map(|()| take(&slab, 1));
    assert_eq!((slab.allocated_bytes(), slab.capacity_bytes()), (128, Some(128)));
    assert_eq!(slab.handler().levels(), [Warn, Critical]);
    blocks.into_iter().for_each(|block| free(&slab, block, 1));
    assert_eq!(slab.allocated_bytes(), 0);
}

#[test]
fn every_refusal_is_reported_with_what_was_asked_for() {
    let slab = slab_of::<u64>();
    let block = take(&slab, 8);
    for size in [9, 4096] {
        assert!(slab.allocate(layout(size)).is_err());
        assert!(slab.allocate_zeroed(layout(size)).is_err());
        // SAFETY: the block is live with this layout.
        assert!(unsafe { slab.grow(block, layout(8), layout(size)) }.is_err());
        let events = slab.handler().events();
        assert_eq!(events.len(), 3);
        for event in events {
            assert_eq!((event.level, event.allocated_bytes, event.capacity_bytes), (Oom, 8, 128));
            assert_eq!(event.requested_layout, Some(layout(size)));
        }
    }
    assert_eq!(slab.allocated_bytes(), 8);
}

#[test]
fn a_resize_counts_its_difference_and_may_fire() {
    let arena = kibibyte(75, 90);
    let block = take(&arena, 500);
    // SAFETY: the block is live with the layout of the latest call.
    unsafe {
        assert_eq!(arena.grow(block, layout(500), layout(767)).unwrap().cast(), block);
        assert_eq!((arena.allocated_bytes(), arena.handler().levels()), (767, vec![]));
        assert_eq!(arena.grow_zeroed(block, layout(767), layout(768)).unwrap().cast(), block);
        assert_eq!((arena.allocated_bytes(), arena.handler().levels()), (768, vec![Warn]));
        assert_eq!(arena.shrink(block, layout(768), layout(10)).unwrap().cast(), block);
    }
    assert_eq!(arena.allocated_bytes(), 10);
    free(&arena, block, 10);
    assert_eq!((arena.allocated_bytes(), arena.handler().levels()), (0, vec![]));
}

#[test]
fn frees_do_not_arm_and_rearm_does() {
    let slab = slab_of::<u64>();
    let mut blocks: Vec<_> = (0..16).map(|_| take(&slab, 8)).collect();
    assert_eq!(slab.handler().levels(), [Warn, Critical]);
    for _ in 0..3 {
        blocks.drain(..).for_each(|block| free(&slab, block, 8));
        blocks.extend((0..16).map(|_| take(&slab, 8)));
        assert_eq!(slab.handler().levels(), []);
    }
    slab.rearm();
    free(&slab, blocks.pop().unwrap(), 8);
    take(&slab, 8);
    assert_eq!(slab.handler().levels(), [Critical], "the warning is part of it");
}

#[test]
fn with_a_hysteresis_a_level_fires_again_after_a_fall_far_enough() {
    let arena = kibibyte(75, 90).with_hysteresis(10);
    // Percent of 1024 bytes, rounded up.
    let percent = |share: usize| (1024 * share).div_ceil(100);
    let mut rest = take(&arena, percent(80));
    let mut size = percent(80);
    let mut resize = |share: usize| {
        let new = percent(share);
        let how = if new < size { Allocator::shrink } else { Allocator::grow };
        // SAFETY: the block is live with its latest size.
        rest = unsafe { how(&arena, rest, layout(size), layout(new)) }.unwrap().cast();
        size = new;
        arena.handler().levels()
    };
    assert_eq!(resize(80), [Warn]);
    assert_eq!(resize(66), [], "not yet");
    assert_eq!(resize(80), []);
    assert_eq!(resize(64), []);
    assert_eq!(resize(80), [Warn], "again");
    assert_eq!(resize(95), [Critical]);
    assert_eq!(resize(79), [], "critical is armed");
    assert_eq!(resize(95), [Critical]);
    assert_eq!(resize(1), []);
    assert_eq!(resize(80), [Warn]);
    assert_eq!(resize(95), [Critical]);
}

#[test]
fn a_critical_level_below_the_warning_fires_alone() {
    let arena = kibibyte(90, 50);
    take(&arena, 600);
    assert_eq!(arena.handler().levels(), [Critical]);
    take(&arena, 424);
    assert_eq!(arena.handler().levels(), []);
}

#[test]
fn a_warning_at_zero_percent_fires_at_the_first_allocation() {
    let arena = kibibyte(0, 100);
    take(&arena, 1);
    assert_eq!(arena.handler().levels(), [Warn]);
}

#[test]
fn an_allocator_without_a_capacity_has_no_level() {
    let thresholds = WatermarkThresholds { warn_pct: 0, critical_pct: 0 };
    let unbounded = Watermark::with_thresholds(System::new(), Keeping::default(), thresholds);
    let block = take(&unbounded, 1 << 16);
    free(&unbounded, block, 1 << 16);
    assert_eq!(unbounded.handler().levels(), []);

    // The capacity is that of the primary: none.
    let empty = WithFallback::new(NullBacked, System::new());
    let empty = Watermark::with_thresholds(empty, Keeping::default(), thresholds);
    assert_eq!(empty.capacity_bytes(), Some(0));
    let block = take(&empty, 64);
    assert_eq!((empty.allocated_bytes(), empty.handler().levels()), (64, vec![]));
    free(&empty, block, 64);
}

#[test]
fn a_reset_empties_the_gauge() {
    let mut arena = kibibyte(75, 90);
    take(&arena, 1000);
    assert_eq!(arena.handler().levels(), [Critical]);
    arena.reset().unwrap();
    assert_eq!(arena.allocated_bytes(), 0);
    take(&arena, 1000);
    assert_eq!(arena.handler().levels(), [], "only a hysteresis arms a level at a reset");
    let mut arena = arena.with_hysteresis(1);
    arena.reset().unwrap();
    take(&arena, 1000);
    arena.reset().unwrap();
    take(&arena, 1000);
    assert_eq!(arena.handler().levels(), [Critical, Critical]);
}

#[test]
fn one_thread_reports_a_crossing() {
    const THREADS: usize = 4;
    for _ in 0..if cfg!(miri) { 2 } else { 100 } {
        let arena = SharedBumpArena::new(InlineBacked::<4096>::new()).unwrap();
        let watermark = Watermark::new(arena, Keeping::default());
        let start = Barrier::new(THREADS);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    (0..4096 / 32 / THREADS).for_each(|_| _ = take(&watermark, 32));
                });
            }
        });
        assert_eq!(watermark.allocated_bytes(), 4096);
        let mut levels = watermark.handler().levels();
        levels.sort_by_key(|level| *level == Critical);
        // A thread that is late with the warning finds that the critical level covers it.
        assert!(levels == [Warn, Critical] || levels == [Critical], "{levels:?}");
    }
}

#[test]
fn several_threads_lose_no_byte() {
    let watermark = Watermark::new(System::new(), NullHandler);
    thread::scope(|scope| {
        for thread in 1..=4 {
            let watermark = &watermark;
            scope.spawn(move || {
                for round in 1..=if cfg!(miri) { 20 } else { 500 } {
                    free(watermark, take(watermark, thread * round), thread * round);
                }
            });
        }
    });
    assert_eq!(watermark.allocated_bytes(), 0);
}

#[test]
fn a_closure_is_called_for_every_level() {
    let levels = Mutex::new(Vec::new());
    let slab = Slab::<u64, _>::new(16, InlineBacked::<128>::new()).unwrap();
    let slab =
        Watermark::new(slab, FnHandler(|event: WatermarkEvent| levels.lock().unwrap().push(event.level)));
    (0..16).for_each(|_| _ = take(&slab, 8));
    assert!(slab.allocate(layout(8)).is_err());
    drop(slab);
    assert_eq!(levels.into_inner().unwrap(), [Warn, Critical, Oom]);
}

#[cfg(feature = "log")]
#[test]
fn the_log_crate_sees_each_level_under_the_target() {
    static RECORDS: Mutex<Vec<String>> = Mutex::new(Vec::new());

    struct Logger;
    impl log::Log for Logger {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &log::Record<'_>) {
            let line = format!("{} {}: {}", record.target(), record.level(), record.args());
            RECORDS.lock().unwrap().push(line);
        }

        fn flush(&self) {}
    }

    log::set_logger(&Logger).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    let slab = Slab::<u64, _>::new(16, InlineBacked::<128>::new()).unwrap();
    let slab = Watermark::new(slab, super::log::LogCrateHandler);
    (0..16).for_each(|_| _ = take(&slab, 8));
    assert!(slab.allocate(layout(8)).is_err());
    assert_eq!(
        *RECORDS.lock().unwrap(),
        [
            "forge_alloc::watermark WARN: 96 of 128 bytes are used",
            "forge_alloc::watermark ERROR: critical: 120 of 128 bytes are used",
            "forge_alloc::watermark ERROR: a request for 8 bytes, aligned to 1, was refused; 128 of 128 bytes are used",
        ]
    );
}

#[test]
fn nobody_carves_the_range_of_a_wrapper() {
    const { assert!(!<Watermark<BumpArena<InlineBacked<64>>, NullHandler> as FixedRange>::CARVABLE) }
    let mut arena = kibibyte(75, 90);
    assert!(arena.claim().is_err());
    assert_eq!(arena.into_parts().0.allocated(), 0);
}
