#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::vec::Vec;

use forge_os::SimOs;

use super::*;
use crate::fast::back::segment::{UNIT, span_of};
use crate::fast::back::units::Units;
use crate::fast::front::sizes::CLASSES;
use crate::fast::profile::Fast;

fn random(state: &mut u64, below: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state % below as u64) as usize
}

/// Gives one slot back.
fn give_one(span: &mut Span, class: Class, shape: &Shape, address: usize) -> Result<usize, Misfit> {
    // SAFETY: one word is one word. The address may be any: it is looked at, and nothing is read there.
    unsafe { span.give(class, shape, &raw const address, 1) }
}

/// Takes and gives slots of a span of a class in a random order, beside a set of those that are issued.
fn history(units: &Units<SimOs>, class: Class, steps: usize) {
    let shape = class.shape::<Fast>();
    let run = units.take(shape.units).unwrap();
    // SAFETY: the run is the test's, and so is the span that it becomes, until the end.
    let span = unsafe { &mut *Span::make(run, class, shape) };
    let mut state = 77 + class.index() as u64;
    let mut issued = BTreeSet::new();
    let mut out = [0; 64];
    for _ in 0..steps {
        if random(&mut state, 2) == 0 {
            let wanted = 1 + random(&mut state, 64);
            let zero = span.is_zero();
            // SAFETY: there is room for 64 words.
            let count = unsafe { span.take(shape, out.as_mut_ptr(), wanted) };
            assert_eq!(count, wanted.min(shape.slots - issued.len()));
            for &address in &out[..count] {
                let offset = address - run.start();
                assert!(offset % shape.size == 0 && offset + shape.size <= shape.units * UNIT);
                assert!(issued.insert(address), "a slot is issued once");
                // SAFETY: the address lies in a mapped segment, and the slot is issued to the test.
                unsafe {
                    assert!(
                        [0, shape.size - 1]
                            .iter()
                            .all(|offset| ptr::eq(span_of(&units.directory, address + offset), span))
                    );
                    let word = ptr::with_exposed_provenance_mut::<u64>(address);
                    assert!(!zero || word.read() == 0);
                    word.write(1);
                }
            }
        } else {
            for _ in 0..random(&mut state, 64) {
                let address = run.start() + random(&mut state, shape.slots) * shape.size;
                assert_eq!(give_one(span, class, shape, address).is_ok(), issued.remove(&address));
            }
        }
        assert_eq!(span.is_empty(), issued.is_empty());
        assert_eq!(span.is_full(shape), issued.len() == shape.slots);
    }
    // SAFETY: nothing uses the run any more.
    unsafe { units.give(run) };
}

#[test]
fn slots_are_issued_once_and_taken_back_once() {
    let units = Units::new(SimOs::new(4 << 10), 0, false, false);
    let (step, steps) = if cfg!(miri) { (20, 6) } else { (1, 300) };
    Class::all().step_by(step).for_each(|class| history(&units, class, steps));
}

#[test]
fn what_is_no_issued_slot_of_the_class_is_refused() {
    let units = Units::new(SimOs::new(4 << 10), 0, false, false);
    let classes: Vec<_> = Class::all().collect();
    assert_eq!(classes.len(), CLASSES);
    let (class, other) = (classes[4], classes[5]);
    let shape = class.shape::<Fast>();
    let run = units.take(shape.units).unwrap();
    // SAFETY: as above.
    let span = unsafe { &mut *Span::make(run, class, shape) };
    let mut out = [0; 3];
    // SAFETY: there is room for three words.
    assert_eq!(unsafe { span.take(shape, out.as_mut_ptr(), 3) }, 3);
    assert_eq!(out, [2, 1, 0].map(|slot| run.start() + slot * shape.size), "the lowest last");
    let before = run.start().wrapping_sub(shape.size);
    assert_eq!(give_one(span, class, shape, out[0] + 1), Err(Misfit), "the inside of a block");
    assert_eq!(give_one(span, class, shape, out[0] + shape.size), Err(Misfit), "a slot that is fresh");
    assert_eq!(give_one(span, class, shape, before), Ok(0), "before the span");
    assert_eq!(give_one(span, other, other.shape::<Fast>(), out[2]), Err(Misfit), "another class");
    assert_eq!(give_one(span, class, shape, out[1]), Ok(1));
    assert_eq!(give_one(span, class, shape, out[1]), Err(Misfit), "twice");
    // SAFETY: there are two words.
    let given = unsafe { span.give(class, shape, [out[0], before].as_ptr(), 2) };
    assert_eq!(given, Ok(1), "up to the first that lies elsewhere");
}
