use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

use forge_alloc_core::HeapError;
use forge_trace::random::Random;

use super::SpanMap;
use crate::raw::bitmap::{BitStorage, words_for};
use crate::raw::testing::forever;

/// Every managed number, and whether it is free.
type Naive = BTreeMap<usize, bool>;

fn naive_add(naive: &mut Naive, start: usize, end: usize) -> bool {
    let fresh = start < end && (start..end).all(|number| !naive.contains_key(&number));
    if fresh {
        naive.extend((start..end).map(|number| (number, true)));
    }
    fresh
}

fn naive_all(naive: &Naive, start: usize, count: usize, free: bool) -> bool {
    (0..count).all(|offset| naive.get(&start.wrapping_add(offset)) == Some(&free))
}

fn naive_run(naive: &Naive, from: usize, count: usize, align: usize) -> Option<usize> {
    naive.range(from..).map(|(number, _)| *number).find(|start| {
        start % align == 0 && start.checked_add(count - 1).is_some() && naive_all(naive, *start, count, true)
    })
}

fn naive_set(naive: &mut Naive, start: usize, count: usize, free: bool) {
    (start..start + count).for_each(|number| *naive.get_mut(&number).unwrap() = free);
}

/// Asserts that both agree on every number in and around the spans.
fn compare<S: BitStorage, const SPANS: usize>(map: &SpanMap<S, SPANS>, naive: &Naive) {
    assert_eq!(map.total(), naive.len());
    assert_eq!(map.available(), naive.values().filter(|free| **free).count());
    for (&number, &free) in naive {
        assert_eq!(map.is_free(number), Some(free), "number {number}");
        for beside in [number.wrapping_sub(1), number.wrapping_add(1)] {
            assert_eq!(map.is_free(beside), naive.get(&beside).copied(), "number {beside}");
        }
    }
}

#[test]
fn spans_added_in_any_order_with_takes_in_between_merge_and_keep_their_numbers() {
    for seed in 0..if cfg!(miri) { 1 } else { 60 } {
        let mut random = Random::new(seed);
        let mut map = SpanMap::<_, 8>::new([0; words_for(64 * 40)]);
        let mut naive = Naive::new();
        for _ in 0..40 {
            let start = random.below(1200) as usize;
            let end = start + random.below(150) as usize;
            let (before, length) = (map.total(), end.saturating_sub(start));
            match map.add(start, end) {
                Ok(()) => {
                    assert!(naive_add(&mut naive, start, end));
                    assert_eq!(map.total(), before + length);
                }
                Err(HeapError::InvalidParam) => assert_eq!(start, end),
                Err(HeapError::MemoryOverlap) => assert!(!naive_add(&mut naive, start, end)),
                Err(HeapError::NoMemory) => assert!(map.count == 8 || map.total() + length > 1000),
                Err(HeapError::NotAllocated) => unreachable!("no free was asked for"),
            }
            let count = 1 + random.below(20) as usize;
            assert_eq!(map.take_run(0, count, 1), naive_run(&naive, 0, count, 1));
            if let Some(first) = naive_run(&naive, 0, count, 1) {
                naive_set(&mut naive, first, count, false);
            }
            compare(&map, &naive);
        }
    }
}

#[test]
fn random_histories_over_spans_with_holes_are_those_of_the_naive_map() {
    for percent in [10, 50, 90, 99].into_iter().take(if cfg!(miri) { 1 } else { 4 }) {
        let mut random = Random::new(percent);
        let mut map = SpanMap::<_, 4>::new(forever(vec![0; words_for(64 * 60)]));
        let mut naive = Naive::new();
        // At both ends of the numbers, at odd places, and with a hole within one word.
        let end = usize::MAX - 5;
        for (start, end) in [(end - 300, end), (70, 90), (1003, 1900), (100, 500)] {
            assert_eq!(map.add(start, end), Ok(()));
            assert!(naive_add(&mut naive, start, end));
        }
        let numbers: Vec<usize> = naive.keys().copied().collect();
        for step in 0..if cfg!(miri) { 10 } else { 3000 } {
            let count = if random.below(3) == 0 { 1 } else { 1 + random.below(100) as usize };
            let align = 1 << random.below(9);
            let start = numbers[random.below(numbers.len() as u64) as usize];
            match random.below(6) {
                0 => {
                    let possible = naive_all(&naive, start, count, true);
                    assert_eq!(map.take(start, count), possible);
                    if possible {
                        naive_set(&mut naive, start, count, false);
                    }
                }
                1..=5 if (map.total() - map.available()) * 100 < map.total() * percent as usize => {
                    let from = if random.below(2) == 0 { 0 } else { start };
                    let expected = naive_run(&naive, from, count, align);
                    let single = (count, align, from) == (1, 1, 0);
                    let got = if single { map.take_lowest() } else { map.take_run(from, count, align) };
                    assert_eq!(got, expected, "step {step}: {count} aligned to {align} from {from}");
                    if let Some(first) = expected {
                        naive_set(&mut naive, first, count, false);
                    }
                }
                _ => {
                    let taken =
                        (0..count).take_while(|offset| naive_all(&naive, start + offset, 1, false)).count();
                    let count = if random.below(8) == 0 { count } else { taken.max(1) };
                    let possible = naive_all(&naive, start, count, false);
                    assert_eq!(map.give(start, count), possible, "step {step}: {count} from {start}");
                    if possible {
                        naive_set(&mut naive, start, count, true);
                    }
                }
            }
            if step % 100 == 0 {
                compare(&map, &naive);
            }
        }
        compare(&map, &naive);
    }
}

#[test]
fn a_span_that_does_not_fit_changes_nothing() {
    let mut map = SpanMap::<_, 2>::new([0; words_for(128)]);
    assert_eq!(map.take_lowest(), None);
    assert_eq!(map.add(0, usize::MAX), Err(HeapError::NoMemory));
    assert_eq!(map.add(5, 5), Err(HeapError::InvalidParam));
    assert_eq!(map.add(6, 5), Err(HeapError::InvalidParam));
    assert_eq!(map.add(1 << 20, (1 << 20) + 64), Ok(()));
    assert_eq!(map.add(0, usize::MAX), Err(HeapError::MemoryOverlap));
    assert_eq!(map.add(0, 1 << 20), Err(HeapError::NoMemory));
    assert_eq!((map.total(), map.available()), (64, 64));
    assert_eq!(map.take_run(0, 64, 1), Some(1 << 20));
    // A guard word takes the place of 64 numbers, and the last span needs none.
    let mut tiny = SpanMap::<_, 2>::new([0; words_for(192)]);
    assert_eq!(tiny.add(0, 1), Ok(()));
    assert_eq!(tiny.add(1000, 1001), Ok(()));
    assert_eq!(tiny.add(2000, 2001), Err(HeapError::NoMemory));
}
