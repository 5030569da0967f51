use super::{CRITICAL, FIRED, Gauge, NEVER, WARN};
use crate::observe::watermark::event::{WatermarkLevel, WatermarkThresholds};

fn thresholds(warn_pct: u8, critical_pct: u8) -> WatermarkThresholds {
    WatermarkThresholds { warn_pct, critical_pct }
}

/// The level that the integer percentage of the use names, as its documentation words it.
fn expected(used: usize, capacity: usize, thresholds: WatermarkThresholds) -> Option<WatermarkLevel> {
    let percent = used as u128 * 100 / capacity as u128;
    if percent >= thresholds.critical_pct.into() {
        Some(WatermarkLevel::Critical)
    } else if percent >= thresholds.warn_pct.into() {
        Some(WatermarkLevel::Warn)
    } else {
        None
    }
}

/// Asks a fresh gauge, whose fast comparison must not miss what the other one finds.
fn level(used: usize, capacity: usize, thresholds: WatermarkThresholds) -> Option<WatermarkLevel> {
    let gauge = Gauge::new(thresholds, 0);
    let may_fire = gauge.may_fire(used, capacity);
    let level = gauge.fire(used, capacity, true);
    assert!(may_fire || level.is_none(), "{used} of {capacity}, {thresholds:?}");
    level
}

#[test]
fn a_level_fires_at_its_integer_percentage() {
    let pairs = [(75, 90), (0, 100), (90, 75), (50, 50), (1, 255), (255, 255), (33, 66)];
    for capacity in if cfg!(miri) { 97..=103 } else { 1..=230 } {
        for (used, (warn, critical)) in (0..=2 * capacity).flat_map(|used| pairs.map(|pair| (used, pair))) {
            let thresholds = thresholds(warn, critical);
            assert_eq!(level(used, capacity, thresholds), expected(used, capacity, thresholds));
        }
    }
}

#[test]
fn no_size_overflows() {
    let most = isize::MAX as usize;
    for capacity in [1, 99, 1 << 20, most / 100, most / 75, most - 1, most] {
        for used in [0, 1, capacity / 100 * 75, capacity / 100 * 90 + 100, capacity - 1, capacity] {
            // No process uses as many bytes as 2^57.
            if used as u64 <= 1 << 57 {
                assert_eq!(
                    level(used, capacity, thresholds(75, 90)),
                    expected(used, capacity, thresholds(75, 90)),
                    "{used} of {capacity}"
                );
            }
        }
    }
}

#[test]
fn a_gauge_whose_levels_have_fired_has_nothing_to_look_at() {
    let gauge = Gauge::new(thresholds(75, 90), 0);
    assert_eq!(gauge.fire(100, 100, true), Some(WatermarkLevel::Critical));
    assert!(!gauge.may_fire(100, 100));
    assert!(!gauge.may_fire(NEVER - 1, 100));
    assert_eq!(gauge.fire(100, 100, true), None);
}

#[test]
fn the_words_hold_what_they_are_made_of() {
    for hysteresis in [0, 5, 80, 255] {
        let gauge = Gauge::new(thresholds(75, 90), hysteresis);
        for fired in [0, WARN, WARN | CRITICAL] {
            let word = gauge.word(fired);
            assert_eq!(word & FIRED, fired);
            assert_eq!(word & super::FALLS != 0, hysteresis != 0 && fired != 0);
        }
    }
}

#[test]
fn a_fall_arms_each_level_at_its_own_distance() {
    let gauge = Gauge::new(thresholds(75, 90), 5);
    let fired = |gauge: &Gauge| gauge.state.load(super::Relaxed) & FIRED;
    gauge.rise(95, true);
    assert_eq!(gauge.fire(95, 100, true), Some(WatermarkLevel::Critical));
    for (fall, expected) in [(9, FIRED), (1, WARN), (14, WARN), (1, 0), (70, 0)] {
        if gauge.fall(fall, true) {
            gauge.settle(100, true);
        }
        assert_eq!(fired(&gauge), expected, "at {}", gauge.used());
    }
}
