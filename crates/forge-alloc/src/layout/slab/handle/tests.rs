//! Generations count, keys come back, and handles compare by both.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use super::generation::{Generation, Key};
use super::{GenerationInt, Handle};

/// Counts from zero until the generation wraps and returns how many values a slot has served by then.
fn served<G: GenerationInt>() -> u32 {
    let (mut generation, mut served) = (G::ZERO, 0);
    loop {
        assert!(!generation.is_occupied());
        let occupied = G::number(generation.occupied());
        assert!(occupied.is_occupied());
        assert!(occupied == generation.wrapping_inc());
        assert!(G::number(occupied.occupied()) == occupied);
        served += 1;
        generation = occupied.wrapping_inc();
        if generation == G::ZERO {
            return served;
        }
    }
}

#[test]
fn a_slot_serves_half_as_many_values_as_there_are_generations() {
    assert_eq!(served::<u8>(), 1 << 7);
    if !cfg!(miri) {
        assert_eq!(served::<u16>(), 1 << 15);
    }
    assert_eq!(u32::MAX.wrapping_inc(), u32::ZERO);
    assert_eq!(u64::MAX.wrapping_inc(), u64::ZERO);
}

#[test]
fn a_key_keeps_the_high_bits_of_its_origin() {
    let wide = u64::drawn((7 << 32) + 100);
    assert_eq!(wide.with_number(105), (7 << 32) + 105);
    assert_eq!((wide.with_number(105).number(), wide.with_number(105).position(wide.negated())), (105, 5));
    assert!(
        u64::drawn(105).position(wide.negated()) > u64::from(u32::MAX),
        "another pool with the same low bits"
    );
    let narrow = u32::drawn((7 << 32) + 100);
    assert_eq!(
        (narrow.number(), narrow.with_number(105), narrow.with_number(105).position(narrow.negated())),
        (100, 105, 5)
    );
    assert_eq!(99_u32.position(narrow.negated()), u64::from(u32::MAX));
}

#[test]
fn handles_are_equal_exactly_if_slot_and_generation_are() {
    let handle = |number: u32, generation: u32| Handle::<String>::new(10, number, generation.occupied());
    let (one, later, other) = (handle(12, 1), handle(12, 3), handle(13, 1));
    assert_eq!(one, handle(12, 1));
    assert!(one != later && one != other && later != other);
    assert!(one < later && later < other, "by slot, then by generation");
    let state = RandomState::new();
    assert_eq!(state.hash_one(one), state.hash_one(handle(12, 1)));
    assert_ne!(state.hash_one(one), state.hash_one(later));
    assert_ne!(state.hash_one(one), state.hash_one(other));
    assert_eq!(format!("{one:?}"), "Handle(12:1)");
}
