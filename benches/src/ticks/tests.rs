use super::*;

#[test]
fn ticks_follow_the_clock_of_the_system() {
    let (clock, start) = moment();
    std::thread::sleep(Duration::from_millis(30));
    let (end, tick) = moment();
    let (passed, time) = ((tick - start) as f64 * nanoseconds_per_tick(), (end - clock).as_nanos() as f64);
    assert!((0.5..2.0).contains(&(passed / time)), "{passed} ns by ticks, {time} ns by the clock");
}

#[test]
fn two_readings_take_less_than_a_microsecond() {
    assert!((overhead() as f64) * nanoseconds_per_tick() < 1000.0);
}
