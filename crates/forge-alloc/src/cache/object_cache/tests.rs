use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::vec::Vec;

use super::ObjectCache;
use crate::cache::locks::{NoLock, SpinLock};
use crate::cache::testing::{Mood, Provider};
use crate::cache::{SlabCache, SlabError};

/// A value that counts how many of it there are.
struct Counted<'a>(&'a AtomicUsize, u32);

impl<'a> Counted<'a> {
    fn new(alive: &'a AtomicUsize) -> Self {
        alive.fetch_add(1, SeqCst);
        Self(alive, 0)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[test]
fn objects_come_back_as_they_were_left_and_are_destroyed_once() {
    let (alive, made) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (provider, ledger) = Provider::new();
    let slabs = SlabCache::<_, NoLock, 1024, _>::new_in(provider).unwrap();
    let cache = ObjectCache::new(slabs, || {
        made.fetch_add(1, SeqCst);
        Counted::new(&alive)
    });
    for round in 0..5 {
        let mut objects: Vec<_> = (0..100).map(|_| cache.get().unwrap()).collect();
        assert!(objects.iter().all(|object| object.1 == round));
        objects.iter_mut().for_each(|object| object.1 += 1);
    }
    assert_eq!((made.load(SeqCst), alive.load(SeqCst), cache.stats().live), (100, 100, 100));
    let held = cache.get().unwrap();
    cache.shrink();
    assert_eq!((alive.load(SeqCst), cache.stats().live), (1, 1));
    drop(held);
    drop(cache);
    assert_eq!((alive.load(SeqCst), ledger.balance()), (0, 0));
}

#[test]
fn without_memory_only_what_is_ready_is_handed_out() {
    let (provider, ledger) = Provider::new();
    let slabs = SlabCache::<_, NoLock, 1024, _>::new_in(provider).unwrap();
    let cache = ObjectCache::new(slabs, || 7_u64);
    ledger.set(Mood::Empty);
    let all: Vec<_> = core::iter::from_fn(|| cache.get().ok()).collect();
    assert_eq!(cache.get().err(), Some(SlabError::OutOfMemory));
    drop(all);
    assert_eq!(*cache.get().unwrap(), 7);
}

#[test]
fn threads_share_ready_objects() {
    const ROUNDS: usize = if cfg!(miri) { 10 } else { 5000 };
    let alive = AtomicUsize::new(0);
    let (provider, _) = Provider::new();
    let slabs = SlabCache::<_, SpinLock, 1024, _>::new_in(provider).unwrap();
    let cache = ObjectCache::new(slabs, || Counted::new(&alive));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let (mut one, other) = (cache.get().unwrap(), cache.get().unwrap());
                    one.1 += 1;
                    assert_ne!(&raw const *one, &raw const *other);
                }
            });
        }
    });
    assert!(alive.load(SeqCst) <= 6);
    let objects: Vec<_> = (0..alive.load(SeqCst)).map(|_| cache.get().unwrap()).collect();
    assert_eq!(objects.iter().map(|object| object.1 as usize).sum::<usize>(), 3 * ROUNDS);
}
