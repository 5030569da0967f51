#![allow(unsafe_code)]

use forge_alloc_core::{Allocator, FixedRange, OsBacked, ProtectFlags};
use forge_os::OsError;
use forge_os::sim::SimOs;

use super::HugePageBacked;
use crate::backing::testing::{a_claim_turns_the_allocator_off, layout, random_calls_match_the_model};

const HUGE: usize = 64 << 10;

fn system() -> SimOs {
    let os = SimOs::new(4096);
    os.offer_huge_pages(HUGE);
    os
}

#[test]
fn random_calls_keep_the_contract() {
    let os = system();
    random_calls_match_the_model(&mut HugePageBacked::map_on(os, 5000, HUGE).unwrap(), 3, 4096);
    a_claim_turns_the_allocator_off(HugePageBacked::map_on(os, 1, HUGE).unwrap());
    assert_eq!(os.live_mappings(), 0);
}

#[test]
fn the_length_and_the_base_are_multiples_of_the_huge_page() {
    let backing = HugePageBacked::map_on(system(), HUGE + 1, HUGE).unwrap();
    assert_eq!(
        (backing.capacity(), backing.huge_page_size(), backing.region_size()),
        (2 * HUGE, HUGE, 2 * HUGE)
    );
    assert_eq!(backing.base().addr().get() % HUGE, 0);
    let _ = backing.allocate(layout(1, 1)).unwrap();
    assert_eq!((backing.allocated(), backing.remaining()), (1, 2 * HUGE - 1));
    assert_eq!(backing.capacity_bytes(), Some(2 * HUGE));
}

#[test]
fn sizes_that_no_page_has_are_invalid() {
    let os = system();
    for (size, page) in
        [(0, HUGE), (1, 0), (1, 1), (1, 2048), (1, HUGE + 1), (usize::MAX, HUGE), (1, usize::MAX)]
    {
        let Err(error) = HugePageBacked::map_on(os, size, page) else { panic!("{size} {page}") };
        assert!(error.is_invalid_argument(), "{size} {page}: {error}");
        assert_eq!(error.call(), "mmap(MAP_HUGETLB)");
    }
    assert_eq!(os.live_mappings(), 0);
}

#[test]
fn a_system_without_free_huge_pages_refuses_by_name() {
    let os = system();
    os.fail_nth(None, 1, OsError::out_of_memory("").code());
    let Err(error) = HugePageBacked::map_on(os, 1, HUGE) else { panic!("a page out of nowhere") };
    assert_eq!((error.call(), error.is_out_of_memory()), ("mmap(MAP_HUGETLB)", true));
    assert!(error.to_string().contains("nr_hugepages"), "{error}");
    assert!(HugePageBacked::map_on(SimOs::new(4096), 1, HUGE).is_err());
}

#[test]
fn releasing_and_protecting_take_whole_huge_pages() {
    let os = system();
    let backing = HugePageBacked::map_on(os, 2 * HUGE, HUGE).unwrap();
    // SAFETY: no block is live and nothing accesses the pages.
    unsafe {
        assert!(backing.try_release_pages(backing.base(), 4096).is_err());
        assert!(backing.try_protect(backing.base(), 3 * HUGE, ProtectFlags::NONE).is_err());
        assert_eq!(backing.try_release_pages(backing.base(), HUGE), Ok(()));
        assert_eq!(os.resident_bytes(), HUGE);
        assert_eq!(backing.try_protect(backing.base().add(HUGE), HUGE, ProtectFlags::READ), Ok(()));
    }
}

#[cfg(not(miri))]
#[test]
fn the_native_constructors_record_their_reason() {
    use crate::{last_os_failure, mmap_clear_last_os_error};

    for (size, page) in [(0, 2 << 20), (1, 3000), (1, 1024), (usize::MAX, 2 << 20)] {
        mmap_clear_last_os_error();
        assert!(HugePageBacked::with_huge_page_size(size, page).is_err());
        assert!(last_os_failure().is_some_and(|failure| failure.is_invalid_argument()));
    }
    // Whether pages are reserved is up to the machine; either answer must be usable.
    match HugePageBacked::new(1) {
        Ok(backing) => {
            assert_eq!(backing.capacity(), 2 << 20);
            // SAFETY: the bytes are exclusively ours.
            unsafe { backing.base().write(1) };
        }
        Err(_) => assert!(last_os_failure().is_some()),
    }
}
