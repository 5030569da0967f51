use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

use forge_trace::random::Random;

use super::BuddyMap;

/// A map with its words.
fn over(start: usize, end: usize) -> (BuddyMap, Vec<u64>) {
    let (mut map, words) = BuddyMap::over(start, end);
    let mut words = vec![0; words];
    map.free_all(&mut words);
    (map, words)
}

/// Asserts that blocks fill the range, that no two free buddies are apart, and that the free ones add up.
fn check(map: &BuddyMap, words: &[u64], live: &BTreeMap<usize, usize>) {
    let (mut next, mut free, mut allocated, mut before) = (map.start, 0, BTreeMap::new(), None);
    map.for_each(words, |unit, order, is_free| {
        assert_eq!((unit, unit % (1 << order)), (next, 0));
        next = unit + (1 << order);
        if is_free {
            free += 1 << order;
            let buddy = (unit ^ 1 << order, order);
            assert_ne!(before, Some(buddy), "both halves of a block are free");
        } else {
            allocated.insert(unit, order);
        }
        before = is_free.then_some((unit, order));
    });
    assert_eq!((next, free), (map.end, map.free()));
    assert_eq!(allocated, *live);
    for order in 0..map.count {
        let some = (map.start >> order..=map.end >> order).any(|block| map.is_free(words, order, block));
        assert_eq!(map.orders >> order & 1 == 1, some, "order {order}");
    }
}

#[test]
fn random_histories_split_and_merge_as_a_model_of_blocks() {
    for (start, end) in
        [(0, 256), (1, 256), (7, 500), (129, 131), (1000, 6000), (usize::MAX - 300, usize::MAX)]
    {
        for percent in [10, 50, 90, 99] {
            let (mut map, mut words) = over(start, end);
            let mut live = BTreeMap::new();
            let mut random = Random::new(percent);
            check(&map, &words, &live);
            for _ in 0..if cfg!(miri) { 10 } else { 600 } {
                let highest = random.index(9);
                let order = random.index(1 + highest);
                let picked =
                    live.iter().nth(random.index(live.len().max(1))).map(|(unit, order)| (*unit, *order));
                let filling = (map.units() - map.free()) * 100 < map.units() * percent as usize;
                match (random.index(8), picked) {
                    (0, Some((unit, old))) if order < old => {
                        map.shrink(&mut words, unit, old, order);
                        live.insert(unit, order);
                    }
                    (0, Some((unit, old))) => {
                        let free = map.free();
                        if map.grow(&mut words, unit, old, order) {
                            live.insert(unit, order);
                        } else {
                            assert_eq!(map.free(), free);
                        }
                    }
                    (_, Some((unit, order))) if !filling => {
                        map.give(&mut words, unit, order);
                        live.remove(&unit);
                    }
                    _ => match map.take(&mut words, order) {
                        Some(unit) => assert_eq!(live.insert(unit, order), None),
                        None => assert!(map.greatest().is_none_or(|greatest| greatest < order)),
                    },
                }
                check(&map, &words, &live);
            }
            for (&unit, &order) in &live {
                map.give(&mut words, unit, order);
            }
            check(&map, &words, &BTreeMap::new());
        }
    }
}

#[test]
fn only_what_is_allocated_counts_as_allocated() {
    let (mut map, mut words) = over(3, 300);
    let mut live = BTreeMap::new();
    for order in [0, 3, 1, 5, 2, 0, 4, 6] {
        live.insert(map.take(&mut words, order).unwrap(), order);
    }
    for unit in 0..310 {
        for order in 0..70 {
            let expected = live.get(&unit) == Some(&order);
            assert_eq!(map.is_allocated(&words, unit, order), expected, "order {order} at {unit}");
        }
    }
}

#[test]
fn the_lowest_block_of_the_least_order_is_taken() {
    let (mut map, mut words) = over(0, 64);
    assert_eq!(map.take(&mut words, 0), Some(0));
    assert_eq!(map.take(&mut words, 4), Some(16));
    assert_eq!(map.take(&mut words, 0), Some(1));
    assert_eq!(map.take(&mut words, 1), Some(2));
    assert_eq!(map.take(&mut words, 5), Some(32));
    assert_eq!(map.take(&mut words, 5), None);
    assert_eq!(map.greatest(), Some(3));
}

#[test]
fn ranges_as_large_as_the_address_space_have_an_order_for_each_block() {
    // Only the shape: the words for it would be more than there are.
    let (map, _) = BuddyMap::over(1, usize::MAX / 16);
    assert_eq!(map.count, usize::BITS as usize - 5);
    assert_eq!(BuddyMap::over(5, 5).1, 0);
    assert_eq!(BuddyMap::over(0, 1).1, 1);
}
