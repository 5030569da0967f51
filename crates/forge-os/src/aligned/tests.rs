use std::cell::RefCell;
use std::vec;
use std::vec::Vec;

use super::*;

const GRANULE: usize = 64;

/// Host memory whose first byte is a chosen number of granules past a multiple of 4096.
struct Ground {
    bytes: Vec<u8>,
    first: usize,
}

impl Ground {
    fn new(granules_past: usize) -> Self {
        let bytes = vec![0; 5 * 4096];
        let address = bytes.as_ptr().addr();
        let first = address.next_multiple_of(4096) - address + granules_past * GRANULE;
        Self { bytes, first }
    }

    fn start(&mut self) -> NonNull<u8> {
        NonNull::from(&mut self.bytes[self.first])
    }
}

#[test]
fn kept_and_returned_parts_tile_the_mapping_for_every_misalignment() {
    for past in 0..64 {
        for alignment in [64, 128, 1024, 4096] {
            let mut ground = Ground::new(past);
            let start = ground.start();
            let mapped = RefCell::new(0);
            let returned = RefCell::new(vec![]);
            let len = 3 * GRANULE;
            // SAFETY: the closures hand out and note parts of host memory; `len` and the alignments are as
            // required.
            let kept = unsafe {
                map_aligned(
                    len,
                    GRANULE,
                    alignment,
                    |len| {
                        *mapped.borrow_mut() = len;
                        Ok(start)
                    },
                    |ptr, len| {
                        returned.borrow_mut().push((ptr.addr().get() - start.addr().get(), len));
                        Ok(())
                    },
                )
            };
            let kept = kept.unwrap();
            assert_eq!(kept.addr().get() % alignment, 0);
            let mut parts = returned.into_inner();
            parts.push((kept.addr().get() - start.addr().get(), len));
            parts.sort_unstable();
            let mut end = 0;
            for (offset, len) in parts {
                assert_eq!(offset, end, "gap or overlap at misalignment {past}, alignment {alignment}");
                assert_eq!(len % GRANULE, 0);
                end = offset + len;
            }
            assert_eq!(end, mapped.into_inner());
        }
    }
}

#[test]
fn a_refused_trim_is_reported_and_everything_goes_back() {
    for refused in 0..2 {
        let mut ground = Ground::new(2);
        let start = ground.start();
        let attempts = RefCell::new(0);
        let returned = RefCell::new(0);
        let mapped = RefCell::new(0);
        // SAFETY: as in the test above.
        let result = unsafe {
            map_aligned(
                GRANULE,
                GRANULE,
                4096,
                |len| {
                    *mapped.borrow_mut() = len;
                    Ok(start)
                },
                |_, len| {
                    *attempts.borrow_mut() += 1;
                    if *attempts.borrow() == refused + 1 {
                        return Err(OsError::out_of_memory("munmap"));
                    }
                    *returned.borrow_mut() += len;
                    Ok(())
                },
            )
        };
        assert_eq!(result, Err(OsError::out_of_memory("munmap")));
        assert_eq!(returned.into_inner(), mapped.into_inner(), "refusing trim {refused}");
    }
}

#[test]
fn a_failed_map_is_passed_on() {
    let failure = OsError::out_of_memory("mmap");
    // SAFETY: nothing is mapped, so nothing is unmapped.
    let result = unsafe { map_aligned(64, 64, 4096, |_| Err(failure), |_, _| Ok(())) };
    assert_eq!(result, Err(failure));
}
