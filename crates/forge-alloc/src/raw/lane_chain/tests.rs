//! Chains against a plain vector, with both ends in one thread, and with forged links.
#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::ptr::NonNull;
use std::boxed::Box;
use std::collections::BTreeSet;
use std::vec::Vec;

use forge_trace::random::Random;

use super::{AHEAD, Chain, next_of, write};

const SLOTS: u32 = 200;

/// Memory for slots of eight bytes, aligned to four.
struct Memory {
    words: Box<UnsafeCell<[[u32; 2]; SLOTS as usize]>>,
}

impl Memory {
    fn new() -> Self {
        Self { words: Box::new(UnsafeCell::new([[0; 2]; SLOTS as usize])) }
    }

    fn slot(&self, number: u32) -> NonNull<u8> {
        assert!(number < SLOTS, "a number out of bounds is followed");
        let first = NonNull::new(self.words.get().cast::<u8>()).unwrap();
        // SAFETY: inside the array.
        unsafe { first.add(number as usize * 8) }
    }
}

/// The freeing end, as a lane does it.
#[derive(Default)]
struct Producer {
    head: u32,
    count: usize,
    recent: [u32; AHEAD],
}

impl Producer {
    fn free(&mut self, memory: &Memory, number: u32) {
        let oldest = &mut self.recent[self.count % AHEAD];
        // SAFETY: the slot is in the memory, and nobody uses it.
        unsafe { write(memory.slot(number), self.head, *oldest) };
        *oldest = number;
        self.head = number;
        self.count += 1;
    }
}

fn push(chain: &Chain, memory: &Memory, number: u32) {
    // SAFETY: the slot is in the memory, and nobody uses it.
    unsafe { chain.push(memory.slot(number), number) };
}

fn pop(chain: &Chain, memory: &Memory) -> Option<u32> {
    let top = chain.top();
    // SAFETY: the chain is not empty, and these are its slots.
    unsafe { chain.pop(memory.slot(top), SLOTS, |number| memory.slot(number)) }.ok().map(|()| top)
}

fn adopt(chain: &Chain, memory: &Memory, producer: &Producer, count: u32) -> bool {
    // SAFETY: the producer has freed this many.
    unsafe { chain.adopt(producer.head, count, SLOTS, |number| memory.slot(number)) }.is_ok()
}

#[test]
fn random_histories_agree_with_a_vector() {
    for seed in 0..if cfg!(miri) { 4 } else { 200 } {
        let (memory, chain) = (Memory::new(), Chain::new());
        let (mut producer, mut waiting) = (Producer::default(), Vec::new());
        let (mut expected, mut live) = (Vec::new(), (0..SLOTS).collect::<Vec<_>>());
        let mut random = Random::new(seed);
        for _ in 0..if cfg!(miri) { 60 } else { 2000 } {
            match random.below(4) {
                0 => {
                    for _ in 0..random.below(40) {
                        if let Some(number) = live.pop() {
                            producer.free(&memory, number);
                            waiting.push(number);
                        }
                    }
                }
                1 if expected.is_empty() && !waiting.is_empty() => {
                    assert!(adopt(&chain, &memory, &producer, waiting.len() as u32));
                    expected.append(&mut waiting);
                }
                2 => {
                    for _ in 0..random.below(20) {
                        if live.is_empty() {
                            break;
                        }
                        let number = live.swap_remove(random.below(live.len() as u64) as usize);
                        push(&chain, &memory, number);
                        expected.push(number);
                    }
                }
                _ => {
                    for _ in 0..random.below(60) {
                        let Some(number) = expected.pop() else { break };
                        assert_eq!(pop(&chain, &memory), Some(number));
                        live.push(number);
                    }
                }
            }
            assert_eq!(chain.depth() as usize, expected.len());
        }
    }
}

#[test]
fn a_link_names_the_slot_freed_before() {
    let (memory, mut producer) = (Memory::new(), Producer::default());
    for number in [5, 9, 7] {
        producer.free(&memory, number);
    }
    // SAFETY: both were written above.
    unsafe {
        assert_eq!(next_of(memory.slot(7)), 9);
        assert_eq!(next_of(memory.slot(9)), 5);
    }
}

#[test]
fn a_chain_that_changes_hands_keeps_its_order() {
    let (memory, chain, other) = (Memory::new(), Chain::new(), Chain::new());
    (0..50).for_each(|number| push(&chain, &memory, number));
    chain.exchange(&other);
    assert_eq!((chain.depth(), other.depth()), (0, 50));
    for number in (0..50).rev() {
        assert_eq!(pop(&other, &memory), Some(number));
    }
}

#[test]
fn a_forged_link_is_noticed_before_it_has_misled_a_whole_ring() {
    for seed in 0..if cfg!(miri) { 10 } else { 2000 } {
        let (memory, chain, mut producer) = (Memory::new(), Chain::new(), Producer::default());
        let mut random = Random::new(seed);
        let count = 1 + random.below(60) as u32;
        // Freed before, and issued again: not part of the chain.
        (100..130).for_each(|number| producer.free(&memory, number));
        (0..count).for_each(|number| producer.free(&memory, number));
        let victim = random.below(u64::from(count)) as u32;
        let forged = [random.bits() as u32, random.below(u64::from(SLOTS)) as u32];
        let pick = random.below(4) as usize;
        // SAFETY: inside the memory.
        unsafe { memory.slot(victim).cast::<u32>().add(pick & 1).write(forged[pick >> 1]) };
        if !adopt(&chain, &memory, &producer, count) {
            assert_eq!(chain.depth(), 0);
            continue;
        }
        let mut popped = BTreeSet::new();
        while chain.depth() > 0 {
            let Some(number) = pop(&chain, &memory) else { break };
            assert!(number < SLOTS);
            popped.insert(number);
        }
        let wrong = popped.iter().filter(|number| **number >= count).count();
        assert!(wrong < AHEAD, "{seed}: {popped:?}");
    }
}
