use forge_os::SimOs;

use super::*;

/// Notes the same amount until the clock was looked at, and returns how much went back.
fn settled(decay: &mut Decay, os: &SimOs, idle: usize) -> usize {
    let first = decay.note(os, idle);
    (1..CHANGES).map(|_| decay.note(os, idle - first)).sum::<usize>() + first
}

#[test]
fn what_was_free_for_a_whole_delay_goes_back_and_nothing_before() {
    let os = SimOs::new(4 << 10);
    let mut decay = Decay::new();
    os.pass(DELAY);
    assert_eq!(settled(&mut decay, &os, 100), 0, "nothing was free before");
    os.pass(DELAY - 1);
    assert_eq!(settled(&mut decay, &os, 100), 0);
    decay.note(&os, 30);
    os.pass(1);
    assert_eq!((0..CHANGES).map(|_| decay.note(&os, 90)).sum::<usize>(), 30, "the lowest counts");
    assert_eq!(settled(&mut decay, &os, 60), 0);
    os.pass(DELAY);
    assert_eq!(settled(&mut decay, &os, 60), 60);
}

#[test]
fn without_a_clock_or_a_delay_that_ends_nothing_goes_back() {
    let (os, stopped) = (SimOs::new(4 << 10), SimOs::new(4 << 10));
    let (mut decay, mut endless) = (Decay::new(), Decay::new());
    endless.set_delay(u64::MAX);
    for _ in 0..10 {
        os.pass(1 << 40);
        assert_eq!((settled(&mut decay, &stopped, 5), settled(&mut endless, &os, 5)), (0, 0));
    }
}
