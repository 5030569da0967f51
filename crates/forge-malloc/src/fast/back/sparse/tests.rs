use core::slice;
use std::vec;

use forge_os::{MapOptions, SimOs};

use super::*;

/// Clears memory in which every byte but those of `given_back` pages was written, and returns how often the system was called for it.
fn cleared(pages: usize, extra: usize, given_back: &[(usize, usize)]) -> usize {
    const PAGE: usize = 512;
    let os = SimOs::new(PAGE);
    let memory = os.map((pages + 1) * PAGE, MapOptions::new()).unwrap();
    let len = pages * PAGE + extra;
    // SAFETY: the mapping is the test's.
    unsafe {
        memory.write_bytes(0xFF, (pages + 1) * PAGE);
        for &(first, count) in given_back {
            os.release_pages(memory.add(first * PAGE), count * PAGE).unwrap();
        }
        let before = os.calls().advise;
        clear(&os, memory, len);
        let bytes = slice::from_raw_parts(memory.as_ptr(), (pages + 1) * PAGE);
        assert!(bytes[..len] == *vec![0; len]);
        assert!(bytes[len..] == *vec![0xFF; bytes.len() - len], "what is behind stays");
        os.calls().advise - before
    }
}

#[test]
fn all_bytes_are_zero_then_and_the_system_is_asked_where_that_is_worth_it() {
    assert_eq!(cleared(8, 100, &[]), 0);
    assert_eq!(cleared(8, 0, &[(2, 3)]), 0, "a short run");
    assert_eq!(cleared(12, 100, &[(1, 4), (7, 5)]), 2);
    assert_eq!(cleared(0, 100, &[]), 0);
    assert_eq!(cleared(MOST_PAGES + 1, 0, &[(0, 8)]), 0, "more pages than are asked about");
}
