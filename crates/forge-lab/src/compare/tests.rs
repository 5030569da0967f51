use std::num::NonZeroUsize;

use super::*;

fn names(chosen: &[&'static Contestant]) -> Vec<&'static str> {
    chosen.iter().map(|contestant| contestant.name).collect()
}

fn arguments() -> Compare {
    Compare {
        traces: vec![],
        with: vec![],
        list: false,
        rounds: None,
        quick: false,
        seconds: None,
        json: false,
        markdown: false,
    }
}

#[test]
fn the_system_allocator_is_always_there_and_nobody_twice() {
    let with = ["arena", "system", "arena"].map(String::from);
    assert_eq!(names(&choose(&with).unwrap()), ["system", "arena"]);
    assert_eq!(choose(&[]).unwrap().len(), contestants::all().len());
}

#[test]
fn an_unknown_name_is_answered_with_the_known_ones() {
    let message = choose(&["areno".to_string()]).unwrap_err().to_string();
    assert!(
        message.contains("`areno`") && message.contains("arena") && message.contains("system"),
        "{message}"
    );
}

#[test]
fn the_budget_is_shared_by_the_traces() {
    let ten_seconds = Duration::from_secs(10);
    assert_eq!(limits(&arguments(), 5, 2).budget, ten_seconds);
    assert_eq!(limits(&Compare { seconds: Some(40), ..arguments() }, 5, 4).budget, ten_seconds);
    assert!(limits(&Compare { quick: true, ..arguments() }, 5, 1).budget < ten_seconds);
}

#[test]
fn an_exact_number_of_rounds_binds_both_ways() {
    let limits = limits(&Compare { rounds: NonZeroUsize::new(4), ..arguments() }, 5, 1);
    assert_eq!((limits.fewest, limits.most, limits.latency), (4, 4, 3));
}

#[test]
fn the_listing_says_what_each_allocator_is() {
    let listing = listing();
    assert!(contestants::all().iter().all(|contestant| listing.contains(contestant.about)));
}
