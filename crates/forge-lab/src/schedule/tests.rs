use super::*;

const LIMITS: Limits = Limits { fewest: 3, most: 9, latency: 3, budget: Duration::from_secs(8) };

/// Runs a schedule whose contestants cost `costs` milliseconds a run; returns rounds and latency runs of each.
fn simulate(costs: &[u64], limits: Limits) -> Vec<(usize, usize)> {
    let mut schedule = Schedule::new(costs.len(), limits);
    let mut counts = vec![(0, 0); costs.len()];
    loop {
        let round = schedule.next_round();
        if round.is_empty() {
            return counts;
        }
        for contestant in round {
            let cost = Duration::from_millis(costs[contestant]);
            schedule.ran(contestant, cost);
            counts[contestant].0 += 1;
            if schedule.wants_latency(contestant) {
                schedule.ran_latency(contestant, cost);
                counts[contestant].1 += 1;
            }
        }
    }
}

#[test]
fn quick_contestants_get_all_rounds() {
    assert_eq!(simulate(&[10, 20, 30, 40], LIMITS), [(9, 3); 4]);
}

#[test]
fn a_slow_contestant_gets_the_fewest_rounds_and_costs_the_others_none() {
    assert_eq!(simulate(&[10, 10, 10, 5000], LIMITS), [(9, 3), (9, 3), (9, 3), (3, 1)]);
}

#[test]
fn an_exact_number_of_rounds_ignores_the_budget() {
    let exact = Limits { fewest: 5, most: 5, latency: 1, budget: Duration::ZERO };
    assert_eq!(simulate(&[1, 1_000_000], exact), [(5, 1), (5, 1)]);
}

#[test]
fn each_round_starts_one_further() {
    let mut schedule = Schedule::new(3, LIMITS);
    assert_eq!(schedule.next_round(), [0, 1, 2]);
    assert_eq!(schedule.next_round(), [1, 2, 0]);
    assert_eq!(schedule.next_round(), [2, 0, 1]);
    assert_eq!(schedule.next_round(), [0, 1, 2]);
}

#[test]
fn one_that_broke_down_does_not_run_again() {
    let mut schedule = Schedule::new(2, LIMITS);
    schedule.withdraw(1);
    assert_eq!(schedule.next_round(), [0]);
    assert!(!schedule.wants_latency(1));
}

#[test]
fn nobody_runs_in_an_empty_schedule() {
    assert!(Schedule::new(0, LIMITS).next_round().is_empty());
}
