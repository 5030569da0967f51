#![allow(unsafe_code)]

use core::ptr;

use forge_os::SimOs;
use forge_os::sim::SimCall;
use std::vec::Vec;

use super::*;
use crate::fast::back::directory::LEAF;
use crate::fast::back::segment::UNITS;

fn random(state: &mut u64, below: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state % below as u64) as usize
}

/// A run that the test holds, with a mark of its own in each unit.
struct Taken {
    run: Run,
    mark: u64,
}

impl Taken {
    fn words(&self) -> impl Iterator<Item = *mut u64> {
        let (start, len) = (self.run.start(), self.run.count * UNIT);
        let step = if cfg!(miri) { 8 << 10 } else { 512 };
        (start..start + len).step_by(step).chain([start + len - 8]).map(ptr::with_exposed_provenance_mut)
    }

    fn new(run: Run, mark: u64) -> Self {
        let taken = Self { run, mark };
        for word in taken.words() {
            // SAFETY: the run is the test's alone.
            unsafe {
                assert!(!run.zero || word.read() == 0, "a run that is said to be zero is");
                word.write(mark);
            }
        }
        taken
    }

    fn check(&self) {
        // SAFETY: as above.
        self.words().for_each(|word| assert_eq!(unsafe { word.read() }, self.mark, "a run is nobody else's"));
    }
}

fn history(page: usize, seed: u64, failing: bool) {
    let os = SimOs::new(page);
    let retainable = 40 * UNIT;
    let units = Units::new(os, retainable, false, false);
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut held: Vec<Taken> = Vec::new();
    let mut used = 0;
    for step in 0..if cfg!(miri) { 40 } else { 1500 } {
        if failing && step % 5 == 0 {
            let call = [SimCall::Map, SimCall::Unmap, SimCall::Advise][random(&mut state, 3)];
            os.fail_nth(Some(call), 1, 12);
        }
        let most = if step / 300 % 2 == 0 { 60 } else { 4 };
        if held.is_empty() || random(&mut state, most + 1) > held.len() {
            let longest = [1, 2, 8, 32][random(&mut state, 4)];
            let count = 1 + random(&mut state, longest);
            let Some(run) = units.take(count) else {
                assert!(failing, "a system with memory gives some");
                continue;
            };
            assert_eq!(run.count, count);
            assert!(run.first + count <= UNITS);
            used += count;
            held.push(Taken::new(run, step + 1));
        } else {
            let taken = held.swap_remove(random(&mut state, held.len()));
            taken.check();
            used -= taken.run.count;
            // SAFETY: the run is given once, and forgotten.
            unsafe { units.give(taken.run) };
        }
        if random(&mut state, 200) == 0 {
            units.purge();
        }
        let extent = units.extent();
        assert!(extent.mapped >= used * UNIT && extent.peak >= used * UNIT);
        assert!(extent.retained <= retainable + used * UNIT / 4, "{extent:?}");
        let leaves = units.directory.leaves() * LEAF.next_multiple_of(page);
        assert_eq!(extent.mapped + leaves, os.mapped_bytes());
    }
    os.clear_failures();
    for taken in held {
        taken.check();
        // SAFETY: as above.
        unsafe { units.give(taken.run) };
    }
    units.purge();
    assert_eq!((units.extent().mapped, units.extent().retained), (0, 0));
    assert_eq!(os.live_mappings(), units.directory.leaves(), "the directory stays");
}

#[test]
fn runs_are_disjoint_and_zero_where_they_say_so_and_all_memory_goes_back() {
    for seed in 1..if cfg!(miri) { 2 } else { 5 } {
        history(4 << 10, seed, false);
        history(64 << 10, seed, false);
    }
}

#[test]
fn a_system_that_refuses_now_and_then_spoils_nothing() {
    for seed in 1..if cfg!(miri) { 2 } else { 5 } {
        history(4 << 10, seed, true);
        history(64 << 10, seed, true);
    }
}

#[test]
fn free_units_beside_live_ones_go_back_to_the_system() {
    let os = SimOs::new(4 << 10);
    let units = Units::new(os, 1 << 30, false, false);
    let runs: Vec<_> = (0..8).map(|_| units.take(8).unwrap()).collect();
    for run in runs.iter().step_by(2) {
        // SAFETY: given once.
        unsafe { units.give(*run) };
    }
    assert_eq!(units.extent().retained, 32 * UNIT);
    let resident = os.resident_bytes();
    units.purge();
    assert_eq!(units.extent().retained, 0);
    assert_eq!(resident - os.resident_bytes(), 32 * UNIT);
    assert!(units.take(8).unwrap().zero, "what went back to the system comes back as zero");
}
