#![allow(unsafe_code)]

use core::cell::Cell;
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::String;

use super::SlotBox;
use crate::{InlineBacked, Slab};

/// Counts its drops, and panics in one if told to.
struct Counted<'a> {
    drops: &'a Cell<u32>,
    panics: bool,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.drops.set(self.drops.get() + 1);
        assert!(!self.panics, "this destructor panics");
    }
}

#[test]
fn the_end_of_a_box_drops_the_value_once_and_frees_the_slot() {
    let drops = Cell::new(0);
    let slab = Slab::<Counted<'_>, _>::new(1, InlineBacked::<64>::new()).unwrap();
    for round in 1..=3 {
        let boxed = slab.insert(Counted { drops: &drops, panics: false }).unwrap();
        assert!(slab.try_insert(Counted { drops: &drops, panics: false }).is_err());
        drop(boxed);
        // The refused value was dropped as well.
        assert_eq!((drops.get(), slab.len()), (2 * round, 0));
    }
}

#[test]
fn a_panicking_destructor_frees_the_slot_too() {
    let drops = Cell::new(0);
    let slab = Slab::<Counted<'_>, _>::new(1, InlineBacked::<64>::new()).unwrap();
    let boxed = slab.insert(Counted { drops: &drops, panics: true }).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(boxed))).is_err());
    assert_eq!((drops.get(), slab.len()), (1, 0));
    assert!(slab.insert(Counted { drops: &drops, panics: false }).is_ok());
}

#[test]
fn a_value_that_leaves_is_not_dropped_and_its_slot_is_free() {
    let drops = Cell::new(0);
    let slab = Slab::<Counted<'_>, _>::new(1, InlineBacked::<64>::new()).unwrap();
    let value = SlotBox::into_inner(slab.insert(Counted { drops: &drops, panics: false }).unwrap());
    assert_eq!((drops.get(), slab.len()), (0, 0));
    drop(value);
    assert_eq!(drops.get(), 1);
}

#[test]
fn a_leaked_value_keeps_its_slot_and_the_slab_ends_quietly() {
    let slab = Slab::<Box<u64>, _>::new(2, InlineBacked::<64>::new()).unwrap();
    let value = SlotBox::leak(slab.insert(Box::new(7)).unwrap());
    **value += 1;
    assert_eq!((**value, slab.len()), (8, 1));
    // SAFETY: the value is live, and its box is given up here.
    drop(unsafe { core::ptr::from_mut(value).read() });
    // Leaks the slot of a value without a destructor of its own.
    let numbers = Slab::<u64, _>::new(2, InlineBacked::<64>::new()).unwrap();
    core::mem::forget(numbers.insert(1).unwrap());
    assert_eq!(numbers.len(), 1);
}

#[test]
fn a_box_is_what_its_value_is() {
    let slab = Slab::<String, _>::new(4, InlineBacked::<256>::new()).unwrap();
    let (one, two) = (slab.insert("one".into()).unwrap(), slab.insert("two".into()).unwrap());
    assert!(one < two && one != two && *one == "one");
    assert_eq!(std::format!("{one} {two:?}"), "one \"two\"");
}
