use std::vec::Vec;

use super::Magazines;
use crate::cache::locks::{NoLock, SpinLock};
use crate::cache::testing::{Mood, Provider};
use crate::cache::{SlabBox, SlabCache};
use crate::{AllocError, HeapSource};

#[test]
fn a_pair_in_the_steady_state_leaves_the_cache_alone() {
    let (provider, ledger) = Provider::new();
    let front = Magazines::new(SlabCache::<[u64; 8], NoLock, 1024, _>::new_in(provider).unwrap());
    const COUNT: u64 = if cfg!(miri) { 20 } else { 1000 };
    let kept: Vec<_> = (0..COUNT / 5).map(|n| front.insert([n; 8]).unwrap()).collect();
    drop(front.insert([1; 8]).unwrap());
    let before = (ledger.requests(), front.stats());
    for n in 0..COUNT {
        assert_eq!(front.insert([n; 8]).unwrap()[7], n);
    }
    assert_eq!((ledger.requests(), front.stats()), before);
    assert!(kept.iter().zip(0..).all(|(value, n)| value[3] == n));
}

#[test]
fn slots_at_hand_go_back_with_the_front_or_when_told() {
    let (provider, ledger) = Provider::new();
    let cache = SlabCache::<[u64; 8], NoLock, 1024, _>::new_in(provider).unwrap();
    let mut front = Magazines::new(cache.clone());
    drop((0..if cfg!(miri) { 130 } else { 300 }).map(|n| front.insert([n; 8]).unwrap()).collect::<Vec<_>>());
    assert!(front.stats().live > 0, "some are at hand");
    front.shrink();
    assert_eq!(front.stats().live, 0);
    assert!(ledger.balance() <= 2);
    drop(front.insert([0; 8]).unwrap());
    drop(front);
    assert_eq!(cache.stats().live, 0);
    let beside = cache.alloc_value([7; 8]).unwrap();
    drop(cache);
    assert_eq!(SlabBox::into_inner(beside), [7; 8]);
    assert_eq!(ledger.balance(), 0);
}

#[test]
fn a_burst_goes_through_the_depot_and_what_does_not_fit_to_the_slabs() {
    const COUNT: u64 = if cfg!(miri) { 160 } else { 1000 };
    const PASSES: usize = if cfg!(miri) { 1 } else { 3 };
    let (provider, _) = Provider::new();
    let cache = SlabCache::<[u64; 8], NoLock, 1024, _>::new_in(provider).unwrap();
    let depots = [(0, 1, 127), (1, 65, 64 + 127), (256, COUNT as usize, COUNT as usize + 64)];
    for (depot, least, most) in depots.into_iter().skip(usize::from(cfg!(miri))) {
        let front = Magazines::with_depot(cache.clone(), depot);
        for _ in 0..PASSES {
            let burst: Vec<_> = (0..COUNT).map(|n| front.insert([n; 8]).unwrap()).collect();
            assert!(burst.iter().zip(0..).all(|(value, n)| value[5] == n));
        }
        assert!((least..=most).contains(&front.stats().live), "{depot}: {:?}", front.stats());
    }
    assert_eq!(cache.stats().live, 0);
}

#[test]
fn an_empty_provider_is_an_error_after_the_last_slot() {
    let (provider, ledger) = Provider::new();
    let cache = SlabCache::<[u64; 8], NoLock, 1024, _>::new_in(provider).unwrap();
    let capacity = cache.stats().capacity;
    let front = Magazines::new(cache);
    ledger.set(Mood::Empty);
    let mut all: Vec<_> = core::iter::from_fn(|| front.insert([1; 8]).ok()).collect();
    assert_eq!(all.len(), capacity);
    all.pop();
    assert!(front.insert([2; 8]).is_ok());
    let nothing = Magazines::new(SlabCache::<(), NoLock, 1024, _>::new_in(HeapSource::new()).unwrap());
    assert_eq!(nothing.insert(()).err(), Some(AllocError));
}

#[test]
fn values_that_change_threads_stay_whole() {
    const ROUNDS: u64 = if cfg!(miri) { 1 } else { 50 };
    const COUNT: u64 = if cfg!(miri) { 40 } else { 1000 };
    let (provider, ledger) = Provider::new();
    let front = Magazines::new(SlabCache::<[u64; 2], SpinLock, 1024, _>::new_in(provider).unwrap());
    for _ in 0..ROUNDS {
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let mine: Vec<_> = (0..COUNT).map(|n| front.insert([n, thread]).unwrap()).collect();
                let front = &front;
                scope.spawn(move || {
                    for (value, n) in mine.into_iter().zip(0..) {
                        assert_eq!(*value, [n, thread]);
                        drop(value);
                        assert_eq!(*front.insert([n, 9]).unwrap(), [n, 9]);
                    }
                });
            }
        });
    }
    drop(front);
    assert_eq!(ledger.balance(), 0);
}
