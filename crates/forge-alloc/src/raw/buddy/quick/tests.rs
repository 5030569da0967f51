use std::vec;
use std::vec::Vec;

use forge_trace::random::Random;

use super::{LONGEST, NONE, QuickMap, WORD};

/// A map with its words.
fn over(start: usize, end: usize) -> (QuickMap, Vec<u64>) {
    let (mut map, words) = QuickMap::over(start, end);
    let mut words = vec![0; words];
    map.free_all(&mut words);
    (map, words)
}

/// Asserts every invariant, and that the free units are those of `free`, counted from `start`.
fn check(map: &QuickMap, words: &[u64], start: usize, free: &[bool]) {
    let mut seen = free.to_vec();
    let mut marks = vec![false; map.map.chunks()];
    let short = map.short.iter().enumerate().filter(|(_, unit)| **unit != NONE);
    let large = [map.large].into_iter().filter(|large| large.1 != 0);
    for (unit, count) in short.map(|(at, unit)| (*unit, at + 1)).chain(large) {
        assert!((unit..unit + count).all(|unit| map.map.are_taken(words, unit, 1)), "(I1)");
        let units = &mut seen[unit - start..][..count];
        assert!(units.iter().all(|free| *free), "(I1): kept twice, or not given back");
        units.fill(false);
        if count <= LONGEST {
            let chunk = map.map.chunk_of(unit);
            assert_eq!(chunk, map.map.chunk_of(unit + count - 1), "(I2)");
            assert!(!core::mem::replace(&mut marks[chunk], true), "(I2)");
        } else {
            assert_eq!((unit % WORD, count % WORD), (0, 0), "(I3)");
        }
    }
    for (chunk, marked) in marks.iter().enumerate() {
        assert_eq!(map.is_marked(words, chunk), *marked, "(I2)");
    }
    for (at, free) in seen.iter().enumerate() {
        assert_eq!(map.map.are_taken(words, start + at, 1), !free, "unit {at}");
    }
    assert_eq!(map.free(), free.iter().filter(|free| **free).count());
}

#[test]
fn random_histories_with_few_lengths_are_those_of_a_list_of_units() {
    for (start, end) in [(60, 700), (0, 1024), (3, 70)].into_iter().take(if cfg!(miri) { 1 } else { 3 }) {
        let (mut map, mut words) = over(start, end);
        let (mut free, mut held) = (vec![true; end - start], Vec::new());
        let mut random = Random::new(start as u64 + 5);
        for _ in 0..if cfg!(miri) { 12 } else { 2000 } {
            let count = [1, 2, 5, 8, 33, 64, 128, 130][random.index(8)];
            match random.index(8) {
                0..=3 => {
                    let align = [1, 1, 8, 64][random.index(4)];
                    if let Some(unit) = map.take_run(&mut words, count, align) {
                        assert_eq!(unit % align, 0);
                        let units = &mut free[unit - start..][..count];
                        assert!(units.iter().all(|free| *free), "a unit is handed out twice");
                        units.fill(false);
                        held.push((unit, count));
                    } else {
                        assert_eq!(map.kept, 0, "what is kept joins the others before a request is refused");
                    }
                }
                4..=6 if !held.is_empty() => {
                    let (unit, count) = held.swap_remove(random.index(held.len()));
                    // Given back as a whole, and then not again: neither all of it, nor a part, nor with what touches it.
                    assert!(map.give_run(&mut words, unit, count));
                    free[unit - start..][..count].fill(true);
                    let part = 1 + random.index(count);
                    assert!(!map.give_run(&mut words, unit + count - part, part));
                }
                _ => {
                    let at = random.index(free.len());
                    let range = at..(at + count).min(free.len());
                    if free[range.clone()].iter().all(|free| *free) {
                        assert!(map.take_at(&mut words, start + at, range.len()));
                        held.push((start + at, range.len()));
                        free[range].fill(false);
                    } else {
                        assert!(!map.take_at(&mut words, start + at, range.len()));
                    }
                }
            }
            check(&map, &words, start, &free);
        }
    }
}

#[test]
fn a_length_that_was_given_back_is_the_next_one_and_keeps_no_greater_one_away() {
    let (mut map, mut words) = over(0, 256);
    for count in [1, 3, 32, 64, 128] {
        let unit = map.take_run(&mut words, count, 1).unwrap();
        let bits = words.clone();
        assert!(map.give_run(&mut words, unit, count));
        assert_eq!((map.kept, map.take_run(&mut words, count, 1)), (count, Some(unit)), "{count} units");
        assert_eq!(words, bits);
        assert!(map.give_run(&mut words, unit, count));
        assert_eq!(map.take_run(&mut words, 256, 256), Some(0));
        assert!(map.give_run(&mut words, 0, 256));
        map.settle(&mut words);
    }
}
