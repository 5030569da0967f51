use core::cell::Cell;
use std::vec::Vec;

use forge_alloc_core::{AllocError, Allocator, FixedRange, NonZeroLayout};

use crate::{ArenaPool, BumpArena, HeapBytes, InlineBacked};

fn layout(size: usize, align: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, align).unwrap()
}

#[test]
fn the_arena_returned_last_is_handed_out_first_and_empty() {
    let mut pool = ArenaPool::new(4, || HeapBytes::new(256));
    let (first, second) = (pool.checkout().unwrap(), pool.checkout().unwrap());
    let (first_base, second_base) = (first.base(), second.base());
    assert!(second.allocate(layout(100, 1)).is_ok());
    pool.give_back(first);
    pool.give_back(second);
    assert_eq!(pool.idle_count(), 2);
    let again = pool.checkout().unwrap();
    assert_eq!((again.base(), again.allocated()), (second_base, 0));
    assert_eq!(pool.checkout().unwrap().base(), first_base);
    assert_eq!(pool.idle_count(), 0);
}

#[test]
fn no_more_than_the_capacity_is_kept() {
    let minted = Cell::new(0);
    let mut pool = ArenaPool::new(2, || {
        minted.set(minted.get() + 1);
        HeapBytes::new(64)
    });
    let arenas: Vec<_> = (0..5).map(|_| pool.checkout().unwrap()).collect();
    for arena in arenas {
        pool.give_back(arena);
    }
    assert_eq!((pool.idle_count(), pool.capacity(), minted.get()), (2, 2, 5));
    pool.clear();
    assert_eq!(pool.idle_count(), 0);
    assert!(pool.checkout().is_ok());
    assert_eq!(minted.get(), 6);
}

#[test]
fn a_pool_of_capacity_zero_keeps_nothing() {
    let mut pool = ArenaPool::new(0, || HeapBytes::new(64));
    assert_eq!(pool.prewarm(3), Ok(0));
    let arena = pool.checkout().unwrap();
    pool.give_back(arena);
    assert_eq!(pool.idle_count(), 0);
    let lease = pool.lease().unwrap();
    assert!(lease.allocate(layout(64, 1)).is_ok());
    drop(lease);
    assert_eq!(pool.idle_count(), 0);
}

#[test]
fn prewarm_adds_up_to_the_capacity() {
    let mut pool = ArenaPool::new(5, || HeapBytes::new(64));
    assert_eq!(pool.prewarm(3), Ok(3));
    assert_eq!(pool.prewarm(usize::MAX), Ok(2));
    assert_eq!(pool.prewarm(1), Ok(0));
    assert_eq!(pool.idle_count(), 5);
}

#[test]
fn failures_of_the_factory_pass_through_and_keep_what_there_is() {
    let budget = Cell::new(2);
    let mut pool = ArenaPool::new(8, || {
        budget.set(budget.get() - 1);
        if budget.get() < 0 { Err(AllocError) } else { HeapBytes::new(64) }
    });
    assert_eq!(pool.prewarm(5), Err(AllocError));
    assert_eq!(pool.idle_count(), 2);
    let arenas: Vec<_> = (0..2).map(|_| pool.checkout().unwrap()).collect();
    assert!(pool.checkout().is_err());
    assert!(pool.lease().is_err());
    for arena in arenas {
        pool.give_back(arena);
    }
    assert_eq!(pool.idle_count(), 2);
    // A backing that cannot hold an arena is a failure too.
    assert!(ArenaPool::new(1, || Ok(InlineBacked::<0>::new())).checkout().is_err());
}

#[test]
fn arenas_from_elsewhere_are_welcome() {
    let mut pool = ArenaPool::new(1, || Err::<HeapBytes, _>(AllocError));
    let arena = BumpArena::new(HeapBytes::new(128).unwrap()).unwrap();
    arena.alloc(7_u64).unwrap();
    pool.give_back(arena);
    let arena = pool.checkout().unwrap();
    assert_eq!((arena.capacity(), arena.allocated()), (128, 0));
}

#[test]
fn a_lease_gives_its_arena_back() {
    let mut pool = ArenaPool::new(2, || HeapBytes::new(256));
    let base = {
        let mut lease = pool.lease().unwrap();
        *lease.alloc_ref(1_u32).unwrap() += 1;
        lease.reset();
        lease.alloc_ref([3_u8; 100]).unwrap();
        assert_eq!(lease.allocated(), 100);
        lease.base()
    };
    assert_eq!(pool.idle_count(), 1);
    let lease = pool.lease().unwrap();
    assert_eq!((lease.base(), lease.allocated()), (base, 0));
}

#[test]
fn a_leaked_lease_leaves_an_arena_that_is_handed_out_empty() {
    let mut pool = ArenaPool::new(2, || HeapBytes::new(256));
    let lease = pool.lease().unwrap();
    lease.alloc_ref(5_u64).unwrap();
    core::mem::forget(lease);
    assert_eq!(pool.idle_count(), 1);
    assert_eq!(pool.checkout().unwrap().allocated(), 0);

    let mut none = ArenaPool::new(0, || HeapBytes::new(256));
    core::mem::forget(none.lease().unwrap());
    let arena = none.checkout().unwrap();
    none.give_back(arena);
    assert_eq!(none.idle_count(), 0);
}

#[test]
fn a_lease_may_be_exchanged_for_another_arena() {
    let mut pool = ArenaPool::new(2, || HeapBytes::new(256));
    let mut lease = pool.lease().unwrap();
    let other = BumpArena::new(HeapBytes::new(512).unwrap()).unwrap();
    let own = core::mem::replace(&mut *lease, other);
    assert_eq!(own.capacity(), 256);
    drop(lease);
    assert_eq!(pool.checkout().unwrap().capacity(), 512);
}

#[test]
fn moves_to_another_thread_with_its_parts() {
    fn sends<T: Send>(value: T) -> T {
        value
    }
    let mut pool = sends(ArenaPool::new(1, || HeapBytes::new(64)));
    drop(sends(pool.lease().unwrap()));
    let arena = std::thread::scope(|scope| scope.spawn(|| pool.checkout().unwrap()).join().unwrap());
    pool.give_back(arena);
    assert_eq!(std::format!("{pool:?}"), "ArenaPool { idle_count: 1, capacity: 1, .. }");
}
