use std::boxed::Box;
use std::sync::atomic::Ordering::SeqCst;
use std::vec::Vec;

use super::MOST_OWNERS;
use crate::cache::locks::NoLock;
use crate::cache::testing::{Mood, Provider};
use crate::cache::{SlabBox, SlabCache, SlabError};

/// How often something is done again, and how many boxes are many.
const AGAIN: usize = if cfg!(miri) { 5 } else { 100 };
const MANY: u64 = if cfg!(miri) { 100 } else { 500 };

type Cache = SlabCache<[u64; 8], NoLock, 1024, Provider>;

fn fill(cache: &Cache, count: u64) -> Vec<SlabBox<[u64; 8], NoLock, 1024>> {
    (0..count).map(|value| cache.alloc_value([value; 8]).unwrap()).collect()
}

#[test]
fn the_last_owner_gives_every_slab_back_whatever_the_order() {
    // Bits choose what goes first: the handle, its clone, or boxes of which slab.
    for order in 0..6 {
        let (provider, ledger) = Provider::new();
        let cache = Cache::new_in(provider).unwrap();
        let clone = cache.clone();
        let mut boxes = fill(&cache, 60);
        let (mut handle, mut other) = (Some(cache), Some(clone));
        if order % 2 == 0 {
            boxes.reverse();
        }
        for step in 0..3 {
            match (step + order / 2) % 3 {
                0 => drop(handle.take()),
                1 => drop(other.take()),
                _ => boxes.drain(..).for_each(|value| assert_eq!(value[0], value[7])),
            }
            let gone = handle.is_none() && other.is_none() && boxes.is_empty();
            assert_eq!(ledger.balance() == 0, gone);
            assert_eq!(ledger.alive.load(SeqCst) == 0, gone, "the provider goes with its last slab");
        }
    }
}

#[test]
fn a_slab_boundary_does_not_call_the_provider_each_time() {
    let (provider, ledger) = Provider::new();
    let cache = Cache::new_in(provider).unwrap();
    let first = cache.stats().capacity as u64;
    let full = fill(&cache, first);
    for _ in 0..AGAIN {
        drop(cache.alloc_value([1; 8]).unwrap());
    }
    assert_eq!(ledger.requests(), 2);
    drop(full);
    for _ in 0..AGAIN {
        drop(fill(&cache, first + 1));
    }
    assert_eq!(ledger.requests(), 2);
}

#[test]
fn a_slot_in_the_hand_is_free_and_is_no_reason_for_another_slab() {
    let (provider, ledger) = Provider::new();
    let cache = Cache::new_in(provider).unwrap();
    let first = cache.stats().capacity as u64;
    let mut boxes = fill(&cache, first);
    for _ in 0..3 {
        boxes.pop();
        assert_eq!(cache.stats().live as u64, first - 1);
        boxes.push(cache.alloc_value([9; 8]).unwrap());
    }
    boxes.truncate(1);
    boxes.extend(fill(&cache, first - 1));
    assert_eq!((cache.stats().live as u64, ledger.requests()), (first, 1));
    boxes.pop();
    drop(cache);
    assert_eq!(ledger.balance(), 1);
    drop(boxes);
    assert_eq!(ledger.balance(), 0);
}

#[test]
fn empty_slabs_go_back_but_for_the_spares_and_all_of_them_when_told() {
    let (provider, ledger) = Provider::new();
    let cache = Cache::new_in(provider).unwrap();
    drop(fill(&cache, MANY));
    let stats = cache.stats();
    assert!(ledger.balance() <= 3 && stats.slabs as isize == ledger.balance(), "{stats:?}");
    assert_eq!(stats.live, 0);
    cache.shrink();
    assert!(cache.stats().slabs <= 2, "the one in use stays, and the first");
    cache.reserve(MANY as usize).unwrap();
    let requests = ledger.requests();
    (0..3).for_each(|_| drop(fill(&cache, MANY)));
    assert_eq!(ledger.requests(), requests, "reserved slabs stay");
    cache.shrink();
    assert!(ledger.balance() <= 2);
}

#[test]
fn each_failure_of_the_provider_is_its_error_and_changes_nothing() {
    for (mood, error) in [
        (Mood::Empty, SlabError::OutOfMemory),
        (Mood::Crooked, SlabError::AlignmentMismatch),
        (Mood::Short, SlabError::FatalError),
    ] {
        let (provider, ledger) = Provider::new();
        ledger.set(mood);
        assert_eq!(Cache::new_in(provider).err(), Some(error));
        assert_eq!((ledger.balance(), ledger.alive.load(SeqCst)), (0, 0), "it was handed back");

        let (provider, ledger) = Provider::new();
        let cache = Cache::new_in(provider).unwrap();
        let mut boxes = fill(&cache, cache.stats().capacity as u64);
        ledger.set(mood);
        assert_eq!(cache.alloc_value([0; 8]).err(), Some(error));
        assert_eq!(cache.try_alloc([5; 8]).err(), Some((error, [5; 8])));
        assert_eq!((ledger.balance(), cache.stats().live), (1, boxes.len()));
        boxes.pop();
        assert!(cache.alloc_value([0; 8]).is_ok());
        ledger.set(Mood::Willing);
        boxes.extend(fill(&cache, 3));
        drop((boxes, cache));
        assert_eq!(ledger.balance(), 0);
    }
}

#[test]
fn handles_are_counted_up_to_a_limit_that_does_not_wrap() {
    let (provider, ledger) = Provider::new();
    let cache = Cache::new_in(provider).unwrap();
    // SAFETY: the root of a handle exists.
    let owners = unsafe { &cache.root_pointer().as_ref().owners };
    owners.set(MOST_OWNERS - 1);
    let last = cache.try_clone().unwrap();
    assert_eq!(cache.try_clone().err(), Some(SlabError::FatalError));
    drop(last);
    owners.set(1);
    drop(cache);
    assert_eq!(ledger.balance(), 0);
}

#[test]
fn the_provider_is_called_with_no_lock_held() {
    use crate::cache::locks::SpinLock;
    use std::sync::{Arc, OnceLock};
    type Shared = SlabCache<u64, SpinLock, 512, Provider>;
    static CACHE: OnceLock<Shared> = OnceLock::new();
    let (mut provider, ledger) = Provider::new();
    let calls = Arc::clone(&ledger);
    // A provider that uses the cache which calls it, as one that logs to a structure in the cache would.
    provider.on_call = Some(Box::new(move || {
        if let Some(cache) = CACHE.get() {
            assert!(cache.stats().slabs > 0);
            drop(cache.clone());
            assert!(calls.requests() > 0);
        }
    }));
    let cache = CACHE.get_or_init(|| Shared::new_in(provider).unwrap()).clone();
    let boxes: Vec<_> = (0..100).map(|value| cache.alloc_value(value).unwrap()).collect();
    assert!(ledger.requests() > 1);
    assert!(boxes.iter().map(|value| **value).eq(0..100));
}
