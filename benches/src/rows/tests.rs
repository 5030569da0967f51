use super::*;
use crate::harness::Side;

#[test]
fn every_contestant_of_every_row_keeps_what_is_written_to_it() {
    for row in all() {
        for mut contestant in (row.contestants)() {
            assert_eq!(contestant.check(), Ok(()), "{} in {}", contestant.name, row.id);
        }
    }
}

#[test]
fn every_row_has_ours_a_peer_and_a_name_of_its_own() {
    let rows = all();
    for (index, row) in rows.iter().enumerate() {
        assert!(rows[..index].iter().all(|other| other.id != row.id), "{} twice", row.id);
        assert!(row.operations > 0 && row.goal > 0.0, "{}", row.id);
        let contestants = (row.contestants)();
        for side in [Side::Ours, Side::Peer] {
            assert!(contestants.iter().any(|contestant| contestant.side == side), "{side:?} in {}", row.id);
        }
        for (index, contestant) in contestants.iter().enumerate() {
            let twice = contestants[..index].iter().any(|other| other.name == contestant.name);
            assert!(!twice, "{} twice in {}", contestant.name, row.id);
        }
    }
}

#[test]
fn a_batch_of_every_row_takes_time() {
    // Making what a row about pages starts with takes seconds for some contestants, and minutes without optimisation.
    let quick = |row: &Row| row.operations <= 100_000 && !row.id.starts_with("page");
    for row in all().into_iter().filter(quick) {
        for mut contestant in (row.contestants)() {
            assert!(!contestant.sample().is_zero(), "{} in {}", contestant.name, row.id);
        }
    }
}
