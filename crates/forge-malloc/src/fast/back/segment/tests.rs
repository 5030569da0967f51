use std::vec::Vec;

use super::*;

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Sets of all densities, and the ends.
fn sets() -> Vec<u128> {
    let mut state = 0x5eed;
    let mut sets = std::vec![0, 1, 1 << 127, ALL, u128::MAX, u128::MAX >> 1];
    for round in 0..if cfg!(miri) { 4 } else { 400 } {
        let mut wide = || u128::from(random(&mut state)) << 64 | u128::from(random(&mut state));
        let (first, second) = (wide(), wide());
        sets.push(match round % 4 {
            0 => first,
            1 => first & second,
            2 => first | second,
            _ => u128::MAX << (first % 128) & u128::MAX >> (second % 128),
        });
    }
    sets
}

/// Returns the first unit of the lowest run of `count` units, looking at one unit after another.
fn naive_run(set: u128, count: usize) -> Option<usize> {
    let mut length = 0;
    (0..UNITS).find_map(|unit| {
        length = if set >> unit & 1 == 1 { length + 1 } else { 0 };
        (length == count).then(|| unit + 1 - count)
    })
}

#[test]
fn the_lowest_run_is_found_if_there_is_one() {
    for set in sets() {
        for count in 1..=UNITS {
            let found = find_run(set, count);
            assert_eq!(found, naive_run(set, count), "{count} units in {set:#x}");
            assert!(found.is_none_or(|first| run(first, count) & !set == 0));
        }
    }
}

#[test]
fn the_reach_is_the_logarithm_of_the_longest_run() {
    for set in sets() {
        let longest = (1..=UNITS).rev().find(|&count| naive_run(set, count).is_some());
        let expected = longest.map_or(0, |units| (1 + units.ilog2() as usize).min(7));
        assert_eq!(reach(set), expected, "{set:#x}");
    }
}
