//! Bits and lists against sets and vectors.
#![allow(unsafe_code)]

use std::collections::{BTreeSet, VecDeque};
use std::vec::Vec;

use super::*;

/// Room for a header and its words, given back at the end.
struct Room(Vec<usize>);

impl Room {
    fn new(slots: usize) -> Self {
        Self(std::vec![0; Span::<u32>::header_bytes(slots) / size_of::<usize>()])
    }

    fn span(&mut self, slots: usize) -> Span<u32> {
        // SAFETY: the room has the length and lives longer than the span.
        unsafe { Span::new(NonNull::from(self.0.as_mut_slice()).cast(), slots, 77) }
    }
}

#[test]
fn bits_agree_with_a_set_of_free_slots() {
    for slots in [1, 2, WORD - 1, WORD, WORD + 1, 3 * WORD + 5] {
        let mut room = Room::new(slots);
        let span = room.span(slots);
        let mut free: BTreeSet<usize> = (0..slots).collect();
        let mut seed = 1_usize;
        // SAFETY: the span lives in the room, and slots are taken and put back in turn.
        unsafe {
            for _ in 0..if cfg!(miri) { 200 } else { 5000 } {
                seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345) & 0x7fff_ffff;
                let slot = (seed >> 8) % slots;
                if (seed >> 4) % 2 == 0 && !free.is_empty() {
                    let lowest = free.pop_first().unwrap();
                    assert_eq!(span.take(), (lowest, free.is_empty()));
                } else if !free.contains(&slot) {
                    let full = free.is_empty();
                    free.insert(slot);
                    assert_eq!(span.put(slot), (slots - free.len(), full));
                }
                assert_eq!(span.is_free(slot), free.contains(&slot));
                assert_eq!(span.live(), slots - free.len());
                span.check(slots);
            }
            assert_eq!(span.note(), 77);
        }
    }
}

#[test]
fn lists_agree_with_a_deque() {
    let mut rooms: Vec<Room> = (0..5).map(|_| Room::new(8)).collect();
    let spans: Vec<Span<u32>> = rooms.iter_mut().map(|room| room.span(8)).collect();
    let (mut head, mut model) = (None, VecDeque::new());
    for step in 0..200_usize {
        let span = spans[step * 7 % 11 % spans.len()];
        // SAFETY: the spans live in the rooms; the model says which are in the list.
        unsafe {
            match model.iter().position(|other| *other == span) {
                Some(at) => {
                    model.remove(at);
                    span.unlink(&mut head);
                }
                None => {
                    model.push_front(span);
                    span.link(&mut head);
                }
            }
            let (mut link, mut found) = (head, VecDeque::new());
            while let Some(span) = link {
                found.push_back(span);
                link = span.next();
            }
            assert!(found == model);
        }
    }
}
