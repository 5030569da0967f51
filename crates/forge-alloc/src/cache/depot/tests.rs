use core::ptr::NonNull;
use std::vec::Vec;

use super::Depot;
use crate::cache::locks::NoLock;
use crate::layout::slab::extendable::magazine::Magazine;

/// Puts a bundle of one slot with this address, if there is a place.
fn put(depot: &Depot<NoLock>, thread: usize, address: usize) -> bool {
    let magazine = Magazine::new();
    magazine.push(NonNull::new(core::ptr::without_provenance_mut(address)).unwrap());
    depot.put(thread, |bundle| magazine.move_oldest(1, bundle))
}

/// Takes a bundle, and returns the address of its slot.
fn take(depot: &Depot<NoLock>, thread: usize) -> Option<usize> {
    let own = depot.take_own(thread, |bundle| bundle.slots().next());
    own.or_else(|| depot.take_any(|bundle| bundle.slots().next())).map(|slot| slot.addr().get())
}

#[test]
fn a_thread_gets_its_own_bundles_first_and_the_others_then() {
    let depot = Depot::new(8);
    for (thread, address) in [(0, 8), (1, 16), (0, 24), (1, 32), (0, 40)] {
        assert!(put(&depot, thread, address));
    }
    let taken: Vec<_> = core::iter::from_fn(|| take(&depot, 1)).collect();
    assert_eq!(taken, [32, 16, 40, 24, 8]);
}

#[test]
fn a_full_stack_refuses_until_there_is_room() {
    let depot = Depot::new(3);
    assert_eq!((1..100).take_while(|n| put(&depot, 0, n * 8)).count(), 3);
    assert!(put(&depot, 1, 800), "every thread has a stack of its own");
    assert_eq!(take(&depot, 0), Some(24));
    assert!(put(&depot, 0, 808) && !put(&depot, 0, 816));
    assert!(!put(&Depot::new(0), 0, 8));
}
