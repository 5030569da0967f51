use super::*;

#[test]
fn a_helper_keeps_its_state_and_returns_results_in_turn() {
    let helper = Helper::new(10_u64);
    for expected in 11..20 {
        let result = helper.run(|state| {
            *state += 1;
            *state
        });
        assert_eq!(result, expected);
    }
}

#[test]
fn both_sides_run_at_once() {
    let helper = Helper::new(());
    let (there, here) = (Arc::new(Barrier::new(2)), Arc::new(AtomicUsize::new(0)));
    let (barrier, count) = (Arc::clone(&there), Arc::clone(&here));
    // Each side waits for the other inside its work, which ends only if both run.
    let time = helper.at_once(
        || {
            there.wait();
        },
        move |()| {
            barrier.wait();
            count.fetch_add(1, Ordering::Relaxed);
        },
    );
    assert!(!time.is_zero());
    assert_eq!(here.load(Ordering::Relaxed), 1);
}
