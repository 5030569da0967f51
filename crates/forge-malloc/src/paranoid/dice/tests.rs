use std::collections::BTreeSet;

use super::*;

#[test]
fn words_differ_and_numbers_stay_below_their_bound() {
    let mut dice = Dice::new();
    let count = if cfg!(miri) { KEPT + 1 } else { 100 * KEPT };
    let words: BTreeSet<_> = (0..count).map(|_| dice.word()).collect();
    assert_eq!(words.len(), count);
    assert_eq!((dice.below(0), dice.below(1)), (0, 0));
    let numbers: BTreeSet<_> = (0..if cfg!(miri) { 60 } else { 1000 }).map(|_| dice.below(7)).collect();
    assert!(numbers.into_iter().eq(0..7));
    assert!(!dice.guessable);
}

#[test]
fn a_word_is_forgotten_where_it_was_kept() {
    let mut dice = Dice::new();
    let word = dice.word();
    assert!(!dice.words.contains(&word));
    assert_eq!(dice.left, KEPT - 1);
    dice.forget();
    assert_eq!((dice.words, dice.left), ([0; KEPT], 0));
}
