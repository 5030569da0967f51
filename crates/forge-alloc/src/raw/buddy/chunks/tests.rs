use std::vec;
use std::vec::Vec;

use forge_trace::random::Random;

use super::{ChunkMap, SMALL, WHOLE, WORD, class_of, lowest_block};

/// A map with its words.
fn over(start: usize, end: usize) -> (ChunkMap, Vec<u64>) {
    let (mut map, words) = ChunkMap::over(start, end);
    let mut words = vec![0; words];
    map.free_all(&mut words);
    (map, words)
}

/// Asserts every invariant, and that the free units are those of `free`, counted from the start of the range.
fn check(map: &ChunkMap, words: &[u64], free: &[bool]) {
    for chunk in 0..map.tree.len {
        let bits = words[chunk];
        for bit in 0..WORD {
            let unit = (map.first + chunk) * WORD + bit;
            let is_free = unit.checked_sub(map.start).and_then(|at| free.get(at)).copied().unwrap_or(false);
            assert_eq!(bits >> bit & 1 != 0, is_free, "unit {unit}");
        }
        for class in 0..SMALL {
            let is_in = map.class(class).has(words, chunk);
            assert_eq!(is_in, class_of(bits) == Some(class), "chunk {chunk}, class {class}");
        }
    }
    for class in 0..SMALL {
        let some = words[..map.tree.len].iter().any(|bits| class_of(*bits) == Some(class));
        assert_eq!(map.classes >> class & 1 != 0, some);
    }
    let mut whole = Vec::new();
    map.whole.for_each(&words[map.whole_at..], |chunk, order, is_free| {
        if is_free {
            whole.extend(chunk - map.first..chunk - map.first + (1 << order));
        }
    });
    let full: Vec<_> = (0..map.tree.len).filter(|chunk| words[*chunk] == u64::MAX).collect();
    assert_eq!(whole, full);
    assert_eq!(map.free(), free.iter().filter(|free| **free).count());
}

#[test]
fn the_class_of_a_word_is_its_greatest_aligned_block() {
    assert_eq!((class_of(0), class_of(u64::MAX), class_of(u64::MAX << 1)), (None, Some(WHOLE), Some(5)));
    let mut random = Random::new(4);
    for _ in 0..if cfg!(miri) { 20 } else { 2000 } {
        let bits = random.bits() | random.bits() & random.bits();
        let starts = |order: usize| {
            let block = u64::MAX >> (WORD - (1 << order));
            (0..WORD).step_by(1 << order).filter(move |bit| bits >> bit & block == block)
        };
        let greatest = (0..=WHOLE).rev().find(|order| starts(*order).next().is_some());
        assert_eq!(class_of(bits), greatest);
        for order in 0..SMALL.min(greatest.map_or(0, |order| order + 1)) {
            let in_greater =
                |bit: &usize| starts(order + 1).any(|start| bit >> (order + 1) << (order + 1) == start);
            let expected = starts(order).find(|bit| !in_greater(bit)).or_else(|| starts(order).next());
            assert_eq!(Some(lowest_block(bits, order)), expected, "{bits:b}, order {order}");
        }
    }
}

#[test]
fn random_histories_are_those_of_a_list_of_units() {
    let ranges = [
        (60, 70),
        (1, 200),
        (0, 256),
        (64, 128),
        (7, 1500),
        (129, 131),
        (usize::MAX / 64 - 300, usize::MAX / 64),
    ];
    for (start, end) in ranges.into_iter().take(if cfg!(miri) { 2 } else { 7 }) {
        for percent in [10, 50, 90, 99].into_iter().take(if cfg!(miri) { 1 } else { 4 }) {
            let (mut map, mut words) = over(start, end);
            let mut free = vec![true; end - start];
            let mut random = Random::new(percent);
            check(&map, &words, &free);
            for _ in 0..if cfg!(miri) { 4 } else { 500 } {
                let longest = 1 + random.index(200);
                let (count, align) = (1 + random.index(longest), 1 << random.index(9));
                let at = random.index(free.len());
                let range = at..(at + count).min(free.len());
                let filling = (map.units() - map.free()) * 100 < map.units() * percent as usize;
                match random.index(8) {
                    0 => {
                        let expected = free[range.clone()].iter().all(|free| *free);
                        assert_eq!(map.take_at(&mut words, start + at, range.len()), expected);
                        if expected {
                            free[range].fill(false);
                        }
                    }
                    1..=5 if filling => {
                        let size = count.next_power_of_two().max(align);
                        let aligned = (start.next_multiple_of(size)..end).step_by(size);
                        let mut blocks = aligned.filter(|unit| unit + size <= end);
                        let some = blocks.any(|unit| free[unit - start..][..size].iter().all(|free| *free));
                        let taken = map.take_run(&mut words, count, align);
                        assert_eq!(taken.is_some(), some, "{count} aligned to {align}");
                        if let Some(unit) = taken {
                            assert_eq!(unit % align, 0);
                            let units = &mut free[unit - start..][..count];
                            assert!(units.iter().all(|free| *free));
                            units.fill(false);
                        }
                    }
                    _ => {
                        let expected = free[range.clone()].iter().all(|free| !free);
                        assert_eq!(map.give_run(&mut words, start + at, range.len()), expected);
                        if expected {
                            free[range].fill(true);
                        }
                    }
                }
                check(&map, &words, &free);
            }
        }
    }
}

#[test]
fn the_words_of_a_map_are_never_more_than_promised() {
    for units in (0..if cfg!(miri) { 20 } else { 700 }).chain([4096, 1 << 16, 1 << 20]) {
        let most = ChunkMap::most_words(units);
        for start in [0, 1, 31, 63, 64, 100, 4095] {
            assert!(ChunkMap::over(start, start + units).1 <= most, "{units} units from {start}");
        }
    }
}
