use core::hint::black_box;
use core::ptr::NonNull;
use std::boxed::Box;

use super::{of, offset_within};

#[test]
fn the_place_of_a_block_inside_moves_with_its_owner_and_that_of_another_stays() {
    let owner = [0u8; 64];
    let mut elsewhere = Box::new(0u8);
    let outside = NonNull::from(&mut *elsewhere);
    let (inside_place, outside_place) =
        (of(&owner, false, NonNull::from(&owner[9])), of(&owner, false, outside));
    assert_eq!((inside_place, outside_place), (9, outside.addr().get()));
    let moved = black_box(Box::new(owner));
    assert_eq!(of(&*moved, false, NonNull::from(&moved[9])), inside_place);
    assert_eq!(of(&*moved, false, outside), outside_place);
}

#[test]
fn the_first_and_the_last_byte_lie_within_and_their_neighbours_do_not() {
    let mut bytes = [0u8; 10];
    let all = NonNull::from(&mut bytes).cast::<u8>();
    let middle = <&[u8; 8]>::try_from(&bytes[1..9]).unwrap();
    let at = |index: usize| NonNull::new(all.as_ptr().wrapping_add(index)).unwrap();
    assert_eq!(
        [0, 1, 8, 9].map(|index| offset_within(middle, false, at(index))),
        [None, Some(0), Some(7), None]
    );
}

#[test]
fn no_block_lies_within_an_owner_whose_blocks_stay() {
    let owner = [0u8; 8];
    let first = NonNull::from(&owner[0]);
    assert_eq!((offset_within(&owner, true, first), of(&owner, true, first)), (None, first.addr().get()));
}
