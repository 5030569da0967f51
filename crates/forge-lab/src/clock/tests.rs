use super::*;

#[test]
fn a_pause_is_measured_in_nanoseconds() {
    let clock = Clock::calibrated();
    let start = clock.now();
    std::thread::sleep(Duration::from_millis(20));
    let nanoseconds = clock.nanoseconds(clock.since(start));
    assert!((19_000_000..2_000_000_000).contains(&nanoseconds), "20 ms measured as {nanoseconds} ns");
}

#[test]
fn an_empty_interval_is_nearly_nothing() {
    let clock = Clock::calibrated();
    let mut empty: Vec<u64> = (0..101)
        .map(|_| {
            let start = clock.now();
            clock.nanoseconds(clock.since(start))
        })
        .collect();
    empty.sort_unstable();
    assert!(empty[50] <= 1_000, "the median empty interval takes {} ns", empty[50]);
    assert!(clock.overhead_nanoseconds() < 10_000.0);
}

#[cfg(unix)]
#[test]
fn processor_time_advances_with_work() {
    let before = process_time();
    let mut value = 1_u64;
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(20) || process_time() == before {
        value = std::hint::black_box(value.wrapping_mul(3));
    }
    assert!(process_time() > before);
}
