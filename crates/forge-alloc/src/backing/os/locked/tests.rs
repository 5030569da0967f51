#![allow(unsafe_code)]

use forge_alloc_core::{Allocator, FixedRange, OsBacked, ProtectFlags};
use forge_os::sim::{SimCall, SimOs};
use forge_os::{OsError, Protection};

use super::LockedMmapBacked;
use crate::backing::testing::{a_claim_turns_the_allocator_off, layout, random_calls_match_the_model};
use crate::last_os_failure;

const PAGE: usize = 4096;

fn locked(os: SimOs, size: usize) -> LockedMmapBacked<SimOs> {
    LockedMmapBacked::map_on(os, size).unwrap()
}

#[test]
fn random_calls_keep_the_contract() {
    let os = SimOs::new(PAGE);
    random_calls_match_the_model(&mut locked(os, 5000), 7, 4096);
    a_claim_turns_the_allocator_off(locked(os, 1));
    assert_eq!(os.live_mappings(), 0);
}

#[test]
fn every_page_is_locked_kept_from_dumps_and_wiped_in_children() {
    let os = SimOs::new(PAGE);
    let backing = locked(os, 3 * PAGE);
    assert_eq!(os.locked_bytes(), 3 * PAGE);
    for page in 0..3 {
        // SAFETY: the offset is inside the range.
        let page = os.page(unsafe { backing.base().add(page * PAGE) }).unwrap();
        assert!(page.locked && page.dont_dump && page.wipe_on_fork);
    }
    assert!(backing.is_kept_from_dumps() && backing.is_wiped_on_fork());
    let calls = os.calls();
    drop(backing);
    assert_eq!((os.calls().unlock, os.calls().unmap), (calls.unlock + 1, calls.unmap + 1));
    assert_eq!((os.locked_bytes(), os.live_mappings()), (0, 0));
}

#[test]
fn a_refused_lock_is_an_error_that_names_the_limit_and_leaves_nothing_mapped() {
    let os = SimOs::new(PAGE);
    os.limit_locked_bytes(PAGE);
    let Err(error) = LockedMmapBacked::map_on(os, 2 * PAGE) else { panic!("beyond the limit") };
    assert_eq!((error.call(), error.is_out_of_memory()), ("mlock", true));
    assert!(error.to_string().contains("RLIMIT_MEMLOCK"), "{error}");
    assert_eq!((os.live_mappings(), os.locked_bytes()), (0, 0));
    assert!(LockedMmapBacked::map_on(os, PAGE).is_ok());
}

#[test]
fn a_system_without_the_advices_still_locks_and_says_so() {
    for code in [OsError::unsupported("").code(), OsError::invalid_argument("").code()] {
        let os = SimOs::new(PAGE);
        os.fail_nth(Some(SimCall::Advise), 1, code);
        let backing = locked(os, PAGE);
        assert!(!backing.is_kept_from_dumps() && backing.is_wiped_on_fork());
        os.fail_nth(Some(SimCall::Advise), 2, code);
        let backing = locked(os, PAGE);
        assert!(backing.is_kept_from_dumps() && !backing.is_wiped_on_fork());
        assert_eq!(os.locked_bytes(), PAGE + PAGE);
    }
}

#[test]
fn whichever_call_fails_the_error_names_it_and_nothing_leaks() {
    let calls = ["mmap", "madvise(MADV_DONTDUMP)", "madvise(MADV_WIPEONFORK)", "mlock"];
    for (index, call) in calls.into_iter().enumerate() {
        let os = SimOs::new(PAGE);
        os.fail_nth(None, index + 1, 12);
        let Err(error) = LockedMmapBacked::map_on(os, PAGE) else { panic!("{call} failed silently") };
        assert_eq!((error.call(), error.code()), (call, 12));
        assert_eq!((os.live_mappings(), os.locked_bytes()), (0, 0), "{call}");
    }
}

#[test]
fn the_lock_error_is_the_one_reported_even_if_the_unmap_fails_too() {
    let os = SimOs::new(PAGE);
    os.fail_nth(Some(SimCall::Lock), 1, 12);
    os.fail_nth(Some(SimCall::Unmap), 1, 22);
    let Err(error) = LockedMmapBacked::map_on(os, PAGE) else { panic!("the lock was refused") };
    assert_eq!(error, OsError::new("mlock", 12));
}

#[test]
fn contents_survive_a_release_and_rights_may_change() {
    let os = SimOs::new(PAGE);
    let backing = locked(os, 2 * PAGE);
    // SAFETY: the bytes are exclusively ours; nothing accesses them against the rights.
    unsafe {
        backing.base().write_bytes(5, 2 * PAGE);
        crate::mmap_clear_last_os_error();
        backing.release_pages(backing.base(), PAGE);
        assert_eq!(last_os_failure(), None, "doing nothing is what is promised");
        assert!(backing.try_release_pages(backing.base(), PAGE).is_err());
        assert!(last_os_failure().is_some_and(|failure| failure.is_unsupported()));
        assert!(backing.try_release_pages(backing.base(), 1).is_err());
        assert_eq!(backing.base().read(), 5);
        assert_eq!(backing.try_protect(backing.base(), PAGE, ProtectFlags::READ), Ok(()));
        assert_eq!(os.protection_of(backing.base()), Some(Protection::READ));
        assert!(backing.try_protect(backing.base(), PAGE + 1, ProtectFlags::READ).is_err());
    }
    assert_eq!(os.locked_bytes(), 2 * PAGE);
    assert_eq!((backing.base_ptr(), backing.region_size()), (backing.base(), 2 * PAGE));
    assert_eq!(backing.capacity_bytes(), Some(2 * PAGE));
}

#[test]
fn impossible_sizes_are_errors() {
    for size in [0, usize::MAX, isize::MAX as usize] {
        assert!(LockedMmapBacked::map_on(SimOs::new(PAGE), size).is_err());
    }
    let os = SimOs::new(PAGE);
    let backing = locked(os, 1);
    assert!(backing.allocate(layout(PAGE + 1, 1)).is_err());
    assert!(backing.allocate(layout(PAGE, 1)).is_ok());
}

#[cfg(not(miri))]
#[test]
fn the_native_system_locks_or_says_why_not() {
    crate::mmap_clear_last_os_error();
    match LockedMmapBacked::new(1) {
        Ok(mut backing) => {
            assert_eq!(backing.size(), crate::page_size());
            random_calls_match_the_model(&mut backing, 1, 64);
        }
        Err(_) => assert_eq!(last_os_failure().unwrap().call(), "mlock"),
    }
    assert!(LockedMmapBacked::new(0).is_err());
    assert!(last_os_failure().is_some_and(|failure| failure.is_invalid_argument()));
}
