use std::collections::BTreeSet;

use forge_alloc_core::{BaseAllocator, HeapError, IdAllocator};
use forge_trace::random::Random;

use super::{BitmapIdAllocator, IdOrder, LowestFirst, RoundRobin};

fn over<O: IdOrder>(start: usize, size: usize) -> BitmapIdAllocator<O> {
    let mut ids = BitmapIdAllocator::new();
    ids.add_range(start, size).unwrap();
    ids
}

#[test]
fn the_lowest_free_id_comes_first() {
    let mut ids = over::<LowestFirst>(1, 1000);
    assert_eq!((1..=5).map(|_| ids.alloc_id(1, 1).unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    ids.dealloc_id(4, 1);
    ids.dealloc_id(2, 1);
    assert_eq!(ids.alloc_id(1, 1), Ok(2));
    assert_eq!(ids.alloc_id(2, 1), Ok(6));
    assert_eq!(ids.alloc_id(1, 8), Ok(8));
    assert_eq!(ids.alloc_id(1, 1), Ok(4));
    assert_eq!((ids.size(), ids.used(), ids.available()), (1000, 8, 992));
}

#[test]
fn a_freed_id_is_not_given_out_again_at_once_in_turn() {
    let mut ids = over::<RoundRobin>(10, 100);
    for round in 0..300 {
        let id = ids.alloc_id(1, 1).unwrap();
        assert_eq!(id, 10 + round % 100);
        ids.dealloc_id(id, 1);
    }
    // From the cursor, and then from the start; the cursor is at 10.
    assert_eq!(ids.alloc_id(60, 1), Ok(10));
    assert_eq!(ids.try_dealloc_id(10, 60), Ok(()));
    assert_eq!(ids.alloc_id(60, 1), Ok(10));
    assert_eq!(ids.alloc_id(1, 16), Ok(80));
    assert_eq!(ids.alloc_id(40, 1), Err(HeapError::NoMemory));
    assert_eq!((ids.size(), ids.used(), ids.available()), (100, 61, 39));
}

#[test]
fn given_ids_are_taken_once() {
    let mut ids = over::<LowestFirst>(100, 50);
    for outside in [0, 99, 150, usize::MAX] {
        assert_eq!(ids.alloc_fixed_id(outside), Err(HeapError::InvalidParam));
        assert!(!ids.is_allocated(outside));
    }
    assert_eq!(ids.alloc_fixed_id(100), Ok(()));
    assert_eq!(ids.alloc_fixed_id(100), Err(HeapError::NoMemory));
    assert!(ids.is_allocated(100) && !ids.is_allocated(101));
    assert_eq!(ids.alloc_id(1, 1), Ok(101));
    assert_eq!(ids.alloc_fixed_id(101), Err(HeapError::NoMemory));
    ids.dealloc_id(100, 1);
    assert!(!ids.is_allocated(100));
    assert_eq!(ids.used(), 1);
}

#[test]
fn arguments_are_checked_and_double_frees_are_refused_whole() {
    let mut ids = over::<LowestFirst>(0, 64);
    for align in [0, 3, 6] {
        assert_eq!(ids.alloc_id(1, align), Err(HeapError::InvalidParam));
    }
    assert_eq!(ids.alloc_id(0, 1), Err(HeapError::InvalidParam));
    assert_eq!(ids.alloc_id(65, 1), Err(HeapError::NoMemory));
    assert_eq!(ids.alloc_id(usize::MAX, 1), Err(HeapError::NoMemory));
    assert_eq!(ids.alloc_id(10, 1), Ok(0));
    assert_eq!(ids.try_dealloc_id(5, 10), Err(HeapError::NotAllocated));
    assert_eq!(ids.used(), 10);
    assert_eq!(ids.try_dealloc_id(5, 5), Ok(()));
    assert_eq!(ids.try_dealloc_id(0, 10), Err(HeapError::NotAllocated));
    assert_eq!(ids.try_dealloc_id(60, usize::MAX), Err(HeapError::NotAllocated));
    assert_eq!(ids.used(), 5);
}

#[test]
fn there_are_no_ids_before_the_first_range() {
    let mut ids = BitmapIdAllocator::<RoundRobin>::default();
    assert_eq!(ids.alloc_id(1, 1), Err(HeapError::NoMemory));
    assert_eq!(ids.alloc_fixed_id(0), Err(HeapError::InvalidParam));
    assert_eq!(ids.try_dealloc_id(0, 1), Err(HeapError::NotAllocated));
    assert_eq!(ids.add_range(usize::MAX - 1, 2), Err(HeapError::InvalidParam));
    // SAFETY: ids are no memory.
    unsafe {
        ids.init(usize::MAX - 2, 2);
        assert_eq!(ids.add_memory(usize::MAX - 2, 1), Err(HeapError::MemoryOverlap));
        assert_eq!(ids.add_memory(0, 1), Ok(()));
    }
    assert_eq!(ids.alloc_id(2, 1), Ok(usize::MAX - 2));
    assert_eq!(ids.alloc_id(1, 1), Ok(0));
    assert_eq!(ids.alloc_id(1, 1), Err(HeapError::NoMemory));
}

/// Random singles against a set, in either order.
fn random_history<O: IdOrder>(in_turn: bool) {
    let mut ids = over::<O>(7, 300);
    let mut free: BTreeSet<usize> = (7..307).collect();
    let (mut taken, mut cursor, mut random) = (Vec::new(), 0, Random::new(11));
    for _ in 0..if cfg!(miri) { 50 } else { 5000 } {
        if random.percent(50) {
            let expected = free.range(cursor..).next().or(free.first()).copied();
            assert_eq!(ids.alloc_id(1, 1).ok(), expected);
            if let Some(id) = expected {
                free.remove(&id);
                taken.push(id);
                cursor = if in_turn { id + 1 } else { 0 };
            }
        } else if !taken.is_empty() {
            let id = taken.swap_remove(random.index(taken.len()));
            assert_eq!(ids.try_dealloc_id(id, 1), Ok(()));
            assert_eq!(ids.try_dealloc_id(id, 1), Err(HeapError::NotAllocated));
            free.insert(id);
        }
        assert_eq!(ids.available(), free.len());
    }
}

#[test]
fn random_histories_are_those_of_a_set() {
    random_history::<LowestFirst>(false);
    random_history::<RoundRobin>(true);
}
