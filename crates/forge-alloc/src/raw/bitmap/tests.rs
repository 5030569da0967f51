use std::vec;
use std::vec::Vec;

use forge_trace::random::Random;

use super::lanes::reach;
use super::search::Wanted;
use super::shape::WORD;
use super::{BitStorage, RunMap, words_for};
use crate::raw::testing::forever;

impl<S: BitStorage> RunMap<S> {
    /// Asserts the invariants of the header.
    fn check(&self) {
        for level in 0..self.shape.levels {
            let shape = self.shape.level(level);
            assert_eq!(self.word(level, shape.count - 1), 0, "(I6)");
            let mut below = Vec::new();
            for word in 0..shape.count - 1 {
                let bits = self.word(level, word);
                if level + 1 < self.shape.levels {
                    let full = self.word(level + 1, word / WORD) >> (word % WORD) & 1;
                    assert_eq!(full == 1, bits == u64::MAX, "(I3) level {level}, word {word}");
                }
                below.push(reach_by_bits(bits, self.word(level, word + 1)));
            }
            below.push(0);
            let reaches: Vec<(u64, u64)> = (0..shape.count - 1)
                .map(|word| (self.word(level, word), self.word(level, word + 1)))
                .collect();
            for (word, (bits, next)) in reaches.into_iter().enumerate() {
                let both = u128::from(bits) | u128::from(next) << 64;
                for bit in (0..64_u32).filter(|bit| both >> bit & 1 == 1) {
                    let count = ((both >> bit).trailing_ones() as usize).min(64);
                    let align = 1 << bit.trailing_zeros().min(count.ilog2());
                    let spot = word == self.bounds(level).spot as usize;
                    for wanted in
                        [Wanted { count, align: 1, shift: 0 }, Wanted { count: align, align, shift: 0 }]
                    {
                        assert!(
                            spot || self.bounds(level).of(wanted) as usize <= word,
                            "(I5) level {level}, word {word}"
                        );
                    }
                }
            }
            for height in 0..shape.heights {
                for (index, reach) in below.iter_mut().enumerate() {
                    let at = shape.lanes[height] as usize + index / 8;
                    let lane = self.storage.words()[at] >> (index % 8 * 8) & 0xff;
                    assert!(
                        lane >= *reach,
                        "(I4) level {level}, height {height}, lane {index}: {lane} for {reach}"
                    );
                    *reach = lane;
                }
                below = below.chunks(8).map(|eight| *eight.iter().max().unwrap()).collect();
            }
            assert_eq!(below.len(), 1);
        }
        let words = self.shape.level(0).count - 1;
        let lowest = (0..words).find(|word| self.word(0, *word) != 0).unwrap_or(words);
        assert!(self.bound() <= lowest, "(I5)");
        assert!(
            self.late_bits == 0
                || self.bound() <= self.late && self.word(0, self.late) & !self.late_bits == 0
        );
        if self.front_bits != 0 {
            assert!(self.front < lowest, "(I2)");
            assert!(self.late_bits == 0 || self.front < self.late, "(I2)");
        }
        let free = (0..words).map(|word| self.word(0, word).count_ones() as usize).sum::<usize>();
        let late = self.late_bits & !self.word(0, self.late);
        assert_eq!(self.free, free + late.count_ones() as usize);
        assert_eq!(self.free(), self.free + self.front_bits.count_ones() as usize);
    }
}

/// The reach of a word, bit by bit.
fn reach_by_bits(bits: u64, next: u64) -> u64 {
    let both = u128::from(bits) | u128::from(next) << 64;
    (0..64).map(|bit| u64::from((both >> bit).trailing_ones()).min(64)).max().unwrap()
}

/// The map without any structure.
struct Naive(Vec<bool>);

impl Naive {
    fn run(&self, count: usize, align: usize, shift: usize, from: usize) -> Option<usize> {
        let fits = |start: &usize| {
            start.wrapping_add(shift) % align == 0 && self.0[*start..*start + count].iter().all(|free| *free)
        };
        (from..(self.0.len() + 1).saturating_sub(count)).find(fits)
    }

    fn set(&mut self, first: usize, count: usize, free: bool) -> bool {
        let run = &mut self.0[first..first + count];
        let possible = run.iter().all(|unit| *unit != free);
        if possible {
            run.fill(free);
        }
        possible
    }
}

#[test]
fn the_reach_of_any_word_is_that_of_its_bits() {
    let mut random = Random::new(3);
    let mut words = vec![0, 1, u64::MAX, u64::MAX - 1, 1 << 63, u64::MAX >> 1, 0x5555_5555_5555_5555];
    for _ in 0..if cfg!(miri) { 20 } else { 20_000 } {
        let word = (0..random.below(4)).fold(random.bits(), |word, _| word & random.bits());
        words.push(if random.below(2) == 0 { word } else { !word });
        words.push((word | u64::MAX << random.below(64)) & u64::MAX >> random.below(64));
    }
    for pair in words.windows(2) {
        assert_eq!(reach(pair[0], pair[1]), reach_by_bits(pair[0], pair[1]), "{:x} {:x}", pair[0], pair[1]);
    }
}

#[test]
fn the_storage_holds_what_was_asked_for_and_no_more_than_a_fifth_is_overhead() {
    for units in [0, 1, 63, 64, 65, 1000, 4096, 4097, 1 << 16, 1 << 20] {
        let words = words_for(units);
        let mut map = RunMap::new(forever(vec![7; words]));
        assert!(map.capacity() >= units, "{units} units in {words} words");
        assert!(units < 1 << 16 || words <= units / 64 * 6 / 5, "{units} units take {words} words");
    }
    assert_eq!(RunMap::new([0; 0]).capacity(), 0);
    assert_eq!(RunMap::new([0; 0]).take_lowest(), None);
}

#[test]
fn every_short_history_on_a_tiny_map_is_that_of_the_naive_one() {
    // 6 units: takes of 1, 2 and 3, and frees of each unit, pair and triple.
    fn follow(depth: usize, history: &mut Vec<(bool, usize, usize)>) {
        let mut map = RunMap::new([0; words_for(6)]);
        map.capacity();
        let mut naive = Naive(vec![false; 6]);
        for &(take, first, count) in history.iter() {
            if take {
                let expected = naive.run(count, 1, 0, 0);
                let got =
                    if count == 1 { map.take_lowest() } else { map.take_run(0, usize::MAX, count, 1, 0) };
                assert_eq!(got, expected, "{history:?}");
                expected.map(|first| naive.set(first, count, false));
            } else {
                assert_eq!(map.give(first, count), naive.set(first, count, true), "{history:?}");
            }
        }
        map.check();
        if depth == 0 {
            return;
        }
        for count in 1..=3 {
            let frees = (0..=6 - count).map(|first| (false, first, count));
            for operation in frees.chain([(true, 0, count)]) {
                history.push(operation);
                follow(depth - 1, history);
                history.pop();
            }
        }
    }
    follow(if cfg!(miri) { 1 } else { 4 }, &mut Vec::new());
}

/// Random takes and frees of all kinds, with about `percent` of the units taken.
fn random_history(units: usize, percent: usize, longest: usize, steps: usize, seed: u64) {
    let mut words = vec![0; words_for(units)];
    let mut map = RunMap::new(&mut words[..]);
    let capacity = map.capacity();
    let mut naive = Naive(vec![false; capacity]);
    let mut random = Random::new(seed);
    assert!(map.give(0, capacity) && naive.set(0, capacity, true));
    for step in 0..steps {
        let count = 1 + random.below(longest as u64) as usize;
        let count = if random.below(4) == 0 { 1 } else { count.min(capacity) };
        let first = random.below((capacity - count + 1) as u64) as usize;
        let taken = capacity - map.free();
        match random.below(8) {
            0 => assert_eq!(map.take(first, count), naive.set(first, count, false)),
            1 => assert_eq!(map.is_free(first), naive.0[first]),
            2..=7 if taken * 100 < capacity * percent => {
                let align = 1 << random.below(8) >> random.below(8);
                let shift = if random.below(2) == 0 { 0 } else { random.bits() as usize & !63 };
                let from = if random.below(3) == 0 { first } else { 0 };
                let align = if align == 0 { 1 } else { align };
                let expected = naive.run(count, align, shift, from);
                let single = count == 1 && align == 1 && from == 0;
                let got = if single {
                    map.take_lowest()
                } else {
                    map.take_run(from, usize::MAX, count, align, shift)
                };
                assert_eq!(got, expected, "step {step}: {count} aligned to {align} from {from}");
                expected.map(|first| naive.set(first, count, false));
            }
            _ => {
                // Mostly frees of what is taken: the rest of a taken run.
                let count = naive.0[first..].iter().take(count).take_while(|free| !**free).count().max(1);
                assert_eq!(map.give(first, count), naive.set(first, count, true), "step {step}");
            }
        }
        if step % (1 + capacity / 200) == 0 {
            map.check();
        }
    }
    map.check();
}

#[test]
fn random_histories_of_short_runs_are_those_of_the_naive_map() {
    for percent in [10, 50, 90, 99] {
        for units in [64, 640, 5000] {
            let steps = if cfg!(miri) { 20 } else { 4000 };
            random_history(units, percent, 24, steps, (units + percent) as u64);
        }
    }
}

#[test]
fn random_histories_of_long_runs_are_those_of_the_naive_map() {
    for percent in [10, 50, 90, 99] {
        for units in [640, 5000, 20_000] {
            let steps = if cfg!(miri) { 3 } else { 1500 };
            random_history(units, percent, units / 8, steps, (units * percent) as u64);
        }
    }
}

#[test]
fn runs_of_whole_levels_are_found_in_any_place() {
    let mut words = vec![0; words_for(if cfg!(miri) { 1 << 13 } else { 1 << 19 })];
    let mut map = RunMap::new(&mut words[..]);
    let capacity = map.capacity();
    assert!(map.give(1, capacity - 1));
    for count in [126, 127, 128, 4095, 4096, 4097, 8190, 8191, 8192, 1 << 18] {
        for align in [1, 2, 64, 128, 4096, 1 << 17] {
            let expected = if align == 1 { 1 } else { align };
            if expected + count > capacity {
                continue;
            }
            let first = map.take_run(0, usize::MAX, count, align, 0);
            assert_eq!(first, Some(expected), "{count} aligned to {align}");
            assert!(map.give(expected, count));
        }
    }
    map.check();
    assert_eq!(map.take_run(0, usize::MAX, capacity, 1, 0), None);
    assert_eq!(map.take_run(0, usize::MAX, capacity - 1, 1, 0), Some(1));
    assert_eq!(map.free(), 0);
}
