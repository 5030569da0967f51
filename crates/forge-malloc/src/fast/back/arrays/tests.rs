#![allow(unsafe_code)]

use std::vec::Vec;

use forge_os::SimOs;
use forge_os::sim::SimCall;

use super::*;

#[test]
fn arrays_are_disjoint_and_all_memory_goes_back_when_none_is_taken() {
    let os = SimOs::new(4 << 10);
    let arrays = Arrays::new(os, false);
    let mut state = 0x5eed_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut taken: Vec<(NonNull<u8>, usize, u8)> = Vec::new();
    for step in 0..if cfg!(miri) { 60 } else { 3000 } {
        if random(90) == 0 {
            os.fail_nth(Some(SimCall::Map), 1, 12);
        }
        if random(2) == 0 || taken.is_empty() {
            let longest = [9, 600, 5000, 100_000][random(4)];
            let bytes = 1 + random(longest);
            let Some(array) = arrays.take(bytes) else { continue };
            assert_eq!(array.addr().get() % SHORTEST, 0);
            // SAFETY: the array is the test's, as long as that.
            unsafe { array.write_bytes(step as u8, bytes) };
            taken.push((array, bytes, step as u8));
        } else {
            let (array, bytes, mark) = taken.swap_remove(random(taken.len()));
            // SAFETY: as above; it is given once.
            unsafe {
                assert!((0..bytes).all(|at| array.add(at).read() == mark), "an array is nobody else's");
                arrays.give(array, bytes);
            }
        }
        arrays.purge();
    }
    os.clear_failures();
    // SAFETY: as above.
    taken.into_iter().for_each(|(array, bytes, _)| unsafe { arrays.give(array, bytes) });
    arrays.purge();
    assert_eq!((arrays.mapped(), os.live_mappings()), (0, 0));
}
