//! The list against a stack, over an array of slots.
#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use core::ptr::NonNull;
use std::vec::Vec;

use forge_alloc_core::FreelistCorruption;
use forge_trace::random::Random;

use super::{FreeList, GROUP, Slots};

const COUNT: usize = 200;

/// The step between the depths and victims that are tried: an interpreter gets by with few.
const STEP: usize = if cfg!(miri) { 23 } else { 1 };
const STRIDE: usize = 12;
const ZERO: usize = STRIDE.wrapping_neg();

fn number_at(offset: usize) -> u32 {
    (offset.wrapping_sub(ZERO) / STRIDE) as u32
}

/// A list over slots of its own, with room for entries behind them, beside the stack that it ought to equal.
struct Model {
    words: Vec<MaybeUninit<u64>>,
    list: FreeList,
    stack: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Linked,
    Signed,
    Beside,
}

impl Model {
    fn new(kind: Kind) -> Self {
        let list =
            if kind == Kind::Beside { FreeList::beside(COUNT * STRIDE) } else { FreeList::in_slots(ZERO) };
        let words = COUNT * STRIDE / 8 + COUNT;
        Self { words: vec![MaybeUninit::uninit(); words], list, stack: Vec::new() }
    }

    /// Returns an empty list over slots with bytes in them: what a forged word leads to is read.
    fn written() -> Self {
        let mut model = Self::new(Kind::Linked);
        model.words.fill(MaybeUninit::new(0));
        model
    }

    fn slots(&mut self) -> Slots {
        let base = NonNull::new(self.words.as_mut_ptr().cast()).unwrap();
        Slots { base, shift: base.addr().get(), zero: ZERO, stride: STRIDE, aside: base }
    }

    fn push(&mut self, kind: Kind, number: u32) {
        let slots = self.slots();
        let offset = slots.offset(number);
        if kind == Kind::Linked && self.list.is_full() {
            // SAFETY: the magazine is full, and these are its slots.
            unsafe { self.list.spill(slots, number_at) };
        }
        // SAFETY: the slot exists and is not on the list; the words behind the slots are the entries.
        unsafe {
            match kind {
                Kind::Linked => self.list.push_linked(slots, offset, number_at),
                Kind::Signed => {
                    let next = self.stack.last().copied().unwrap_or(0);
                    self.list.push_signed(slots, offset, next, next ^ number);
                }
                Kind::Beside => self.list.push_beside(slots, offset),
            }
        }
        self.stack.push(number);
    }

    fn pop(&mut self, kind: Kind) -> Result<Option<u32>, FreelistCorruption> {
        assert_eq!(self.list.len(kind == Kind::Beside), self.stack.len());
        let Some(number) = self.stack.pop() else {
            assert!(self.list.is_drained() && !self.list.has_groups());
            return Ok(None);
        };
        let slots = self.slots();
        if self.list.is_drained() {
            assert!(kind == Kind::Linked && self.list.has_groups());
            // SAFETY: these are the slots of the list.
            unsafe { self.list.refill(slots, COUNT) }?;
        }
        // SAFETY: the list is not empty, and these are its slots.
        let top = unsafe {
            match kind {
                Kind::Beside => self.list.pop_beside(slots),
                Kind::Linked => self.list.top_linked(),
                Kind::Signed => self.list.top_signed(),
            }
        };
        assert_eq!(top, slots.offset(number));
        // SAFETY: as before.
        unsafe {
            match kind {
                Kind::Linked => self.list.pop_linked(slots, number_at)?,
                Kind::Signed => self.list.pop_signed(slots, COUNT, |next, tag| {
                    if next ^ number == tag { Ok(()) } else { Err(FreelistCorruption) }
                })?,
                // It is off the list already.
                Kind::Beside => {}
            }
        }
        Ok(Some(number))
    }

    fn numbers(&mut self, kind: Kind) -> Vec<u32> {
        let slots = self.slots();
        let mut found = Vec::new();
        // SAFETY: these are the slots of the list.
        unsafe {
            if kind == Kind::Beside {
                self.list.for_each_beside(slots, |offset| found.push((offset / STRIDE) as u32 + 1));
            } else {
                let top = self.stack.last().copied().unwrap_or(0);
                if kind == Kind::Linked {
                    assert_eq!(number_at(self.list.top_linked()), top);
                }
                self.list.for_each_in_slots(slots, COUNT, top, |number| found.push(number));
                found.reverse();
            }
        }
        found
    }
}

#[test]
fn random_pushes_and_pops_match_a_stack() {
    for kind in [Kind::Linked, Kind::Signed, Kind::Beside] {
        for seed in 0..if cfg!(miri) { 2 } else { 60 } {
            let (mut model, mut random) = (Model::new(kind), Random::new(seed));
            let mut live: Vec<u32> = (1..=COUNT as u32).collect();
            for round in 0..if cfg!(miri) { 400 } else { 4000 } {
                // Runs of frees and of allocations, so that the list is often empty, often full, and turns at all depths.
                let free = random.index(if round / 100 % 2 == 0 { 3 } else { 1 }) != 0;
                if free && !live.is_empty() {
                    let number = live.swap_remove(random.index(live.len()));
                    model.push(kind, number);
                } else if let Some(number) = model.pop(kind).unwrap() {
                    live.push(number);
                }
            }
            let expected = model.stack.clone();
            assert_eq!(model.numbers(kind), expected);
            while model.pop(kind).unwrap().is_some() {}
        }
    }
}

#[test]
fn every_change_of_a_next_is_noticed_at_the_pop() {
    for depth in (1..70).step_by(STEP) {
        let mut model = Model::new(Kind::Linked);
        (1..=depth).for_each(|number| model.push(Kind::Linked, number));
        let slots = model.slots();
        // SAFETY: the slot exists.
        let next = unsafe { slots.at(slots.offset(depth)) }.cast::<u32>();
        for forged in [depth, depth + 1, depth.wrapping_sub(2), COUNT as u32 + 1, u32::MAX] {
            // SAFETY: the slot is on the list, so its first word is initialised.
            let honest = unsafe { next.replace(forged) };
            if forged == honest {
                continue;
            }
            assert_eq!(model.pop(Kind::Linked), Err(FreelistCorruption), "{depth} {forged}");
            model.list.clear(ZERO);
            assert_eq!(model.list.len(false), 0);
            model.stack.clear();
            (1..=depth).for_each(|number| model.push(Kind::Linked, number));
        }
    }
}

#[test]
fn a_forged_second_word_never_leads_to_a_slot_that_is_not_on_the_list() {
    const DEPTH: u32 = 90;
    for victim in (1..=DEPTH).step_by(STEP) {
        for forged in [0, victim, DEPTH + 5, COUNT as u32, COUNT as u32 + 1, u32::MAX] {
            let mut model = Model::written();
            (1..=DEPTH).for_each(|number| model.push(Kind::Linked, number));
            let slots = model.slots();
            // SAFETY: the slot is on the list, so its second word is initialised.
            unsafe { slots.at(slots.offset(victim)).cast::<u32>().add(1).write(forged) };
            // The model compares every popped slot with the stack before it looks at the link.
            while let Ok(Some(_)) = model.pop(Kind::Linked) {}
        }
    }
}

#[test]
fn two_words_that_are_forged_to_agree_never_lead_out_of_the_slots() {
    const DEPTH: u32 = 150;
    for forged in [0, COUNT as u32 + 1, u32::MAX] {
        for victim in (2..=DEPTH).step_by(STEP) {
            let mut model = Model::written();
            (1..=DEPTH).for_each(|number| model.push(Kind::Linked, number));
            let slots = model.slots();
            let above = (victim + GROUP as u32 - 1).min(DEPTH);
            // SAFETY: the slots are on the list, and have room for both words.
            unsafe {
                slots.at(slots.offset(victim)).cast::<u32>().write(forged);
                slots.at(slots.offset(above)).cast::<u32>().add(1).write(forged);
            }
            // The model compares every popped slot with the stack before it looks at the link.
            while let Ok(Some(_)) = model.pop(Kind::Linked) {}
        }
    }
}
