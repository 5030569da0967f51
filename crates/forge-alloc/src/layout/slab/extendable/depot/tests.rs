//! The depot against a queue of slots.

use std::collections::VecDeque;
use std::vec::Vec;

use super::super::magazine::Magazine;
use super::*;

/// A slot without memory.
fn slot(number: usize) -> NonNull<u8> {
    NonNull::without_provenance(core::num::NonZeroUsize::MIN.saturating_add(number))
}

/// Puts a bundle of these slots in and returns those of the one that had to go.
fn put(depot: &mut Depot, slots: impl Iterator<Item = usize>) -> Vec<NonNull<u8>> {
    let magazine = Magazine::new();
    for number in slots {
        assert!(magazine.push(slot(number)));
    }
    let count = magazine.len();
    let (place, evicted) = depot.put();
    magazine.move_oldest(count, place.unwrap());
    assert_eq!(magazine.len(), 0);
    evicted.iter().flat_map(Bundle::slots).collect()
}

#[test]
fn slots_leave_in_the_order_of_a_stack_and_are_evicted_in_that_of_a_queue() {
    for limit in [1, 2, BUNDLES, 2 * BUNDLES] {
        let mut depot = Depot::new(limit * BUNDLE, BUNDLE);
        let limit = limit.min(BUNDLES);
        let mut model: VecDeque<Vec<usize>> = VecDeque::new();
        let (mut state, mut next) = (1_u64, 0);
        for _ in 0..if cfg!(miri) { 200 } else { 5000 } {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            match state >> 62 {
                0 => {
                    let newest = model.pop_back();
                    let taken: Option<Vec<_>> = depot.take().map(|bundle| bundle.slots().collect());
                    assert_eq!(taken, newest.map(|slots| slots.into_iter().map(slot).collect()));
                }
                1 => {
                    let newest = model.back_mut().and_then(Vec::pop);
                    model.retain(|slots| !slots.is_empty());
                    assert_eq!(depot.take_one(), newest.map(slot));
                }
                _ => {
                    let count = 1 + (state >> 32) as usize % BUNDLE;
                    let oldest = if model.len() == limit { model.pop_front().unwrap() } else { Vec::new() };
                    let evicted = put(&mut depot, next..next + count);
                    assert_eq!(evicted, oldest.into_iter().map(slot).collect::<Vec<_>>());
                    model.push_back((next..next + count).collect());
                    next += count;
                }
            }
            assert_eq!(depot.count, model.len());
        }
    }
}

#[test]
fn a_depot_for_less_than_a_bundle_takes_none() {
    for mut depot in [Depot::new(0, 0), Depot::new(100, 0), Depot::new(3, 4)] {
        let (place, evicted) = depot.put();
        assert!(place.is_none() && evicted.is_none());
        assert!(depot.take().is_none() && depot.take_one().is_none());
    }
}
