use std::vec;
use std::vec::Vec;

use super::*;

/// A map with its memory, and the naive list of blocks.
struct Naive {
    _memory: Vec<u64>,
    map: BoundaryMap,
    granules: usize,
    blocks: Vec<(usize, usize)>,
}

impl Naive {
    fn new(capacity: usize, granules: usize) -> Self {
        let mut memory = vec![!0; BoundaryMap::granules_for(capacity)];
        let place = NonNull::from(&mut *memory).cast();
        // SAFETY: the memory is as long as asked, and stays in place.
        let map = unsafe { BoundaryMap::create(place, capacity, granules) };
        Self { _memory: memory, map, granules, blocks: Vec::new() }
    }

    fn owner(&self, granule: usize) -> Option<(usize, usize)> {
        self.blocks.iter().copied().find(|(first, last)| (*first..=*last).contains(&granule))
    }

    fn check(&self) {
        for position in 0..=self.granules {
            let marked = |at: usize| {
                at == self.granules || self.blocks.iter().any(|(first, last)| *first == at || *last == at)
            };
            let after = (position..).take_while(|at| !marked(*at)).count();
            let before = (0..position).rev().take_while(|at| !marked(*at)).count();
            // SAFETY: the positions are those of the span.
            unsafe {
                assert_eq!(self.map.is_marked(position), marked(position));
                assert_eq!(self.map.next_mark(position), position + after);
                assert_eq!(self.map.gap_after(position).min(REACH), after.min(REACH));
                assert_eq!(self.map.gap_before(position).min(REACH), before.min(REACH));
                if position < self.granules {
                    let first = self.owner(position).is_some_and(|(first, _)| first == position);
                    assert_eq!(self.map.is_first(position), first, "at {position}");
                }
            }
        }
    }
}

/// Puts blocks of growing lengths next to each other and apart.
fn filled(granules: usize, step: usize) -> Naive {
    let mut naive = Naive::new(granules + 100, granules);
    let (mut first, mut length) = (step % 3, 2);
    while first + length <= granules {
        naive.blocks.push((first, first + length - 1));
        // SAFETY: the granules lie in the span and belong to no block.
        unsafe { naive.map.flip_block(first, first + length - 1) };
        first += length + if length % 3 == 0 { length % 7 } else { 0 };
        length = 2 + (length * step) % 97;
    }
    naive
}

#[test]
fn gaps_marks_and_beginnings_are_those_of_the_blocks() {
    let sizes: &[usize] = if cfg!(miri) { &[3, 66] } else { &[2, 3, 63, 64, 65, 127, 128, 129, 1000, 9001] };
    for granules in sizes {
        for step in [1, 3, 5] {
            filled(*granules, step).check();
        }
    }
}

#[test]
fn blocks_that_leave_their_group_are_told_from_gaps() {
    let granules = 3 * GROUP;
    let mut naive = Naive::new(granules, granules);
    for (first, last) in [(GROUP - 2, GROUP), (GROUP + 1, GROUP + 2), (GROUP + 3, 2 * GROUP + 5)] {
        naive.blocks.push((first, last));
        // SAFETY: the granules lie in the span and belong to no block.
        unsafe { naive.map.flip_block(first, last) };
    }
    let probe = |naive: &Naive, positions: &[usize]| {
        for position in positions {
            let first = naive.blocks.iter().any(|(first, _)| first == position);
            // SAFETY: the positions are those of the span.
            assert_eq!(unsafe { naive.map.is_first(*position) }, first, "at {position}");
        }
    };
    let positions = [GROUP - 2, GROUP, GROUP + 1, GROUP + 2, GROUP + 3, 2 * GROUP + 5, 0, granules - 1];
    probe(&naive, &positions);
    // SAFETY: this is the last block, and both ends are positions behind its beginning.
    unsafe { naive.map.move_last(GROUP + 3, 2 * GROUP + 5, GROUP + 9) };
    naive.blocks[2].1 = GROUP + 9;
    probe(&naive, &positions);
    probe(&naive, &[GROUP + 9]);
    // SAFETY: this is the first block.
    unsafe { naive.map.flip_block(GROUP - 2, GROUP) };
    naive.blocks.remove(0);
    probe(&naive, &positions);
}

#[test]
fn a_lengthened_span_ends_later() {
    let (from, to) = if cfg!(miri) { (20, 90) } else { (150, 250) };
    let mut naive = filled(from, 3);
    // SAFETY: there is room for a hundred more.
    unsafe { naive.map.lengthen(from, to) };
    naive.granules = to;
    naive.check();
}

#[test]
fn copied_blocks_keep_their_distances() {
    for offset in if cfg!(miri) { [1, 64].as_slice() } else { &[0, 1, 63, 64, 100] }.iter().copied() {
        let from = filled(if cfg!(miri) { 20 } else { 300 }, 5);
        let mut copy = Naive::new(from.granules + offset, from.granules + offset);
        // SAFETY: the positions lie in the copy, which has no blocks.
        unsafe { copy.map.copy_blocks(&from.map, from.granules, offset) };
        copy.blocks = from.blocks.iter().map(|(first, last)| (first + offset, last + offset)).collect();
        copy.check();
    }
}
