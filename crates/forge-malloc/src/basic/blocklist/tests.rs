#![allow(unsafe_code)]

use std::boxed::Box;
use std::collections::BTreeMap;
use std::format;
use std::string::ToString;
use std::vec::Vec;

use core::ptr::NonNull;

use super::{BlockList, GRAIN};

/// Units of the memory under test.
const UNITS: usize = if cfg!(miri) { 64 } else { 1024 };

#[repr(C, align(64))]
struct Memory([u8; UNITS * GRAIN]);

/// A list, the memory that it is about, and what it should hold: the sizes of the free runs by their first unit.
struct Pair {
    list: BlockList,
    memory: NonNull<u8>,
    model: BTreeMap<usize, usize>,
    random: u64,
}

impl Drop for Pair {
    fn drop(&mut self) {
        // SAFETY: this is the box of `new`, and the list, which is dropped next, does not touch it.
        drop(unsafe { Box::from_raw(self.memory.cast::<Memory>().as_ptr()) });
    }
}

impl Pair {
    fn new(seed: u64) -> Self {
        let memory = NonNull::from(Box::leak(Box::new(Memory([0; UNITS * GRAIN]))));
        Self { list: BlockList::new(), memory: memory.cast(), model: BTreeMap::new(), random: seed | 1 }
    }

    fn random(&mut self, below: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % below as u64) as usize
    }

    fn unit(&self, address: usize) -> usize {
        (address - self.memory.addr().get()) / GRAIN
    }

    fn add(&mut self, unit: usize, units: usize) {
        // SAFETY: a part of the memory that the model says is in use, so this test's.
        unsafe { self.list.add_block(self.memory.add(unit * GRAIN), units * GRAIN) };
        let (mut start, mut end) = (unit, unit + units);
        if let Some((&before, &size)) = self.model.range(..unit).next_back() {
            if before + size == unit {
                start = before;
            }
        }
        if let Some(size) = self.model.remove(&end) {
            end += size;
        }
        self.model.insert(start, end - start);
    }

    /// The first run of the model that fits gives its high end.
    fn pop(&mut self, units: usize) -> Option<usize> {
        let taken = self.list.pop_size(units * GRAIN).map(|range| self.unit(range.start.addr().get()));
        let first = self.model.iter().find(|(_, size)| **size >= units).map(|(start, size)| (*start, *size));
        let expected = first.map(|(start, size)| start + size - units);
        assert_eq!(taken, expected, "{units} units of {:?}", self.model);
        if let Some((start, size)) = first {
            self.model.remove(&start);
            if size > units {
                self.model.insert(start, size - units);
            }
        }
        taken
    }

    fn check(&self) {
        let blocks: Vec<_> = self
            .list
            .iter()
            .map(|block| (self.unit(block.as_range().start.addr()), block.size() / GRAIN))
            .collect();
        assert_eq!(blocks, self.model.iter().map(|(start, size)| (*start, *size)).collect::<Vec<_>>());
        let (validity, stats) = self.list.stats();
        assert!(validity.is_valid(), "{validity:?}");
        assert_eq!((stats.length, stats.size), (blocks.len(), self.model.values().sum::<usize>() * GRAIN));
    }
}

#[test]
fn every_request_is_served_as_by_a_list_in_the_order_of_addresses() {
    let (seeds, steps) = if cfg!(miri) { (2, 120) } else { (60, 3000) };
    for seed in 1..=seeds {
        let mut pair = Pair::new(seed * 0x9E37_79B9);
        pair.add(0, UNITS);
        let mut live = Vec::new();
        let largest = [2, 4, 40][seed as usize % 3];
        for step in 0..steps {
            if pair.random(2) == 0 || live.is_empty() {
                let units = 1 + pair.random(largest);
                if let Some(start) = pair.pop(units) {
                    live.push((start, units));
                }
            } else {
                let (start, units) = live.swap_remove(pair.random(live.len()));
                pair.add(start, units);
            }
            if cfg!(miri) || step % 7 == 0 {
                pair.check();
            }
        }
        for (start, units) in live {
            pair.add(start, units);
        }
        pair.check();
        assert_eq!(pair.list.len(), 1, "everything that is free is one block again");
    }
}

#[test]
fn any_order_of_frees_ends_in_one_block() {
    // All orders of seven neighbours of one unit and of different sizes.
    let sizes = [1, 1, 2, 1, 3, 1, 1];
    let starts: Vec<usize> = (0..7).map(|index| sizes[..index].iter().sum()).collect();
    let mut order = [0, 1, 2, 3, 4, 5, 6];
    let orders = if cfg!(miri) { 12 } else { 5040 };
    for number in 0..orders {
        let mut rest = if cfg!(miri) { number * 419 } else { number };
        for index in (1..order.len()).rev() {
            order.swap(index, rest % (index + 1));
            rest /= index + 1;
        }
        let mut pair = Pair::new(1);
        for index in order {
            pair.add(starts[index], sizes[index]);
            pair.check();
        }
        assert_eq!(pair.list.len(), 1);
    }
}

#[test]
fn aligned_blocks_are_aligned_and_what_is_left_stays_free() {
    for align in [32, 64, 256] {
        let mut pair = Pair::new(align as u64);
        pair.add(1, UNITS - 2);
        let before = pair.list.stats().1.size;
        let start = pair.list.take(align, align).unwrap();
        assert_eq!(start % align, 0);
        let (validity, stats) = pair.list.stats();
        assert!(validity.is_valid());
        assert_eq!(stats.size, before - align);
    }
}

#[test]
fn odd_sizes_are_rounded_and_impossible_ones_refused() {
    let mut pair = Pair::new(1);
    pair.add(0, 4);
    let taken = pair.list.pop_size(1).unwrap();
    assert_eq!(taken.end.addr().get() - taken.start.addr().get(), GRAIN);
    for size in [0, 4 * GRAIN, usize::MAX, isize::MAX as usize] {
        assert!(pair.list.pop_size(size).is_none());
    }
}

#[test]
fn it_is_printed_as_a_list() {
    let mut pair = Pair::new(1);
    assert_eq!(pair.list.to_string(), "BlockList()");
    pair.add(0, 2);
    pair.add(4, 1);
    let first = pair.memory.addr().get();
    let (a, b) = (format!("FreeBlock({first:#x}, 32)"), format!("FreeBlock({:#x}, 16)", first + 64));
    assert_eq!(pair.list.to_string(), format!("BlockList({a}, {b})"));
    assert_eq!(pair.list.stats().1.to_string(), "2 free blocks, 48 bytes");
}
