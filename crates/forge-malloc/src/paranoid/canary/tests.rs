#![allow(unsafe_code)]

use super::*;

const TAG: u64 = 0x0123_4567_89ab_cdef;

/// Two pages with room for a block, and the place of the block of this size behind so many bytes.
#[repr(align(512))]
struct Pages([u8; 1024]);

fn place(lead: usize, size: usize, slack: usize) -> Place {
    Place { start: lead, first: 0, open: lead + size + slack, lead, slack }
}

/// Marks a block, lets it be spoiled, and checks it.
fn spoilt(place: &Place, spoil: impl FnOnce(&mut [u8])) -> Result<(), Misuse> {
    let mut pages = Pages([0; 1024]);
    let first = pages.0.as_mut_ptr();
    // SAFETY: the place lies in the pages, which are this function's.
    unsafe {
        mark(first.add(place.lead), place, TAG);
        let bytes = slice::from_raw_parts_mut(first, pages.0.len());
        spoil(bytes);
        check(first.add(place.lead), place, TAG)
    }
}

#[test]
fn every_byte_beside_a_block_is_watched_and_none_of_its_own() {
    let places = [place(500, 12, 0), place(496, 13, 3), place(5, 500, 7), place(0, 512, 0), place(0, 1, 511)];
    let places = if cfg!(miri) { &[place(40, 12, 0), place(40, 13, 3)][..] } else { &places };
    for place in places {
        assert_eq!(spoilt(place, |_| ()), Ok(()));
        let step = if cfg!(miri) { 13 } else { 1 };
        for at in (0..place.open).step_by(step) {
            let expected = match at {
                at if at < place.lead => Err(Misuse::Front),
                at if at < place.open - place.slack => Ok(()),
                _ => Err(Misuse::Behind),
            };
            assert_eq!(spoilt(place, |bytes| bytes[at] ^= 4), expected, "{at} of {place:?}");
        }
    }
}

#[test]
fn a_string_that_fills_its_block_ends_with_it() {
    let place = place(496, 13, 3);
    spoilt(&place, |bytes| {
        bytes[496..509].fill(b'x');
        assert_eq!(bytes[509], 0);
    })
    .unwrap();
}
