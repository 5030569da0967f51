#![allow(unsafe_code)]

use forge_alloc_core::{AllocError, Allocator, Deallocator, FixedRange, OsBacked, ProtectFlags};
use forge_os::sim::{SimCall, SimOs};
use forge_os::{OsError, Protection};

use super::{COMMIT_STEP, MmapBacked, MmapFlags};
use crate::backing::testing::{a_claim_turns_the_allocator_off, layout, random_calls_match_the_model};
use crate::{last_os_failure, mmap_clear_last_os_error};

const PAGE_SIZES: [usize; 4] = [512, 4 << 10, 16 << 10, 64 << 10];

fn flags(set: impl FnOnce(&mut MmapFlags)) -> MmapFlags {
    let mut flags = MmapFlags::NONE;
    set(&mut flags);
    flags
}

fn lazy() -> MmapFlags {
    flags(|flags| flags.lazy_commit = true)
}

fn map(os: SimOs, size: usize, flags: MmapFlags) -> MmapBacked<SimOs> {
    MmapBacked::map_on(os, size, flags).unwrap()
}

fn refusal(os: SimOs, size: usize, flags: MmapFlags) -> OsError {
    match MmapBacked::map_on(os, size, flags) {
        Ok(_) => panic!("{flags:?} was accepted"),
        Err(error) => error,
    }
}

#[test]
fn random_calls_keep_the_contract_at_every_page_size() {
    for page_size in PAGE_SIZES {
        let os = SimOs::new(page_size);
        random_calls_match_the_model(&mut map(os, 20_000, MmapFlags::NONE), page_size as u64, 4096);
        random_calls_match_the_model(&mut map(os, 20_000, lazy()), page_size as u64 + 1, 4096);
        assert_eq!(os.live_mappings(), 0);
    }
}

#[test]
fn allocating_resetting_and_freeing_make_no_system_call() {
    let os = SimOs::new(4096);
    let mut backing = map(os, 1 << 16, MmapFlags::NONE);
    let calls = os.calls().total();
    for _ in 0..100 {
        let block = backing.allocate_zeroed(layout(500, 64)).unwrap();
        // SAFETY: the block is live with this layout and not used again.
        unsafe { backing.deallocate(block.cast(), layout(500, 64)) };
        let _ = backing.allocate(layout(100, 8)).unwrap();
        assert_eq!(backing.reset(), Ok(()));
    }
    assert_eq!(os.calls().total(), calls);
    drop(backing);
    assert_eq!(os.calls().total(), calls + 1, "one unmap");
}

#[test]
fn counts_and_the_last_byte_are_exact() {
    let os = SimOs::new(4096);
    let backing = map(os, 5000, MmapFlags::NONE);
    assert_eq!((backing.capacity(), backing.size(), backing.region_size()), (8192, 8192, 8192));
    assert_eq!(backing.capacity_bytes(), Some(8192));
    assert_eq!(backing.base_ptr(), backing.base());
    let _ = backing.allocate(layout(8191, 1)).unwrap();
    assert_eq!((backing.allocated(), backing.remaining()), (8191, 1));
    let _ = backing.allocate(layout(1, 1)).unwrap();
    assert!(backing.allocate(layout(1, 1)).is_err());
    assert!(backing.allocate(layout(isize::MAX as usize, 1)).is_err());
}

#[test]
fn alignments_above_a_page_are_served_by_padding_and_refused_where_they_do_not_fit() {
    let os = SimOs::new(4096);
    let backing = map(os, 1 << 20, MmapFlags::NONE);
    let block = backing.allocate(layout(10, 1 << 16)).unwrap();
    assert_eq!(block.addr().get() % (1 << 16), 0);
    let before = backing.allocated();
    let _ = backing.allocate(layout(1, 1 << 30)).is_ok_and(|block| block.addr().get() % (1 << 30) == 0);
    assert!(backing.allocate(layout(1, 1 << (usize::BITS - 2))).is_err());
    assert!(backing.allocated() >= before);
}

#[test]
fn a_claim_is_final() {
    a_claim_turns_the_allocator_off(map(SimOs::new(4096), 4096, MmapFlags::NONE));
    a_claim_turns_the_allocator_off(map(SimOs::new(4096), 4096, lazy()));
}

#[test]
fn the_mapping_stays_when_the_value_moves_to_another_thread() {
    let backing = map(SimOs::new(4096), 4096, MmapFlags::NONE);
    let block = backing.allocate(layout(8, 8)).unwrap();
    // SAFETY: the block is live and this long.
    unsafe { block.cast::<u64>().write(77) };
    let address = block.addr();
    let thread = std::thread::spawn(move || {
        assert_eq!(backing.base().addr(), address);
        // SAFETY: the first block starts at the base and was written.
        unsafe { backing.base().cast::<u64>().read() }
    });
    assert_eq!(thread.join().unwrap(), 77);
}

#[test]
fn a_lazy_mapping_commits_a_growing_prefix_in_steps() {
    let os = SimOs::new(4096);
    let backing = map(os, 4 * COMMIT_STEP, lazy());
    assert_eq!(os.resident_bytes(), 0);
    let block = backing.allocate_zeroed(layout(100, 1)).unwrap();
    assert_eq!(os.resident_bytes(), COMMIT_STEP);
    // SAFETY: the block is live and came zeroed.
    assert!(unsafe { block.as_ref() }.iter().all(|&byte| byte == 0), "committed bytes, not reserved ones");
    let calls = os.calls().commit;
    for _ in 0..100 {
        let _ = backing.allocate(layout(100, 1)).unwrap();
    }
    assert_eq!(os.calls().commit, calls, "the step is used up first");
    let _ = backing.allocate(layout(2 * COMMIT_STEP, 1)).unwrap();
    assert_eq!((os.resident_bytes(), os.calls().commit), (3 * COMMIT_STEP, calls + 1));
    assert_eq!(backing.commit(0, 4 * COMMIT_STEP), Ok(()));
    assert_eq!(os.resident_bytes(), 4 * COMMIT_STEP);
    assert_eq!(backing.commit(0, 4 * COMMIT_STEP), Ok(()), "idempotent");
    assert_eq!(os.calls().commit, calls + 2);
}

#[test]
fn a_refused_step_falls_back_to_the_pages_needed_and_then_to_an_error() {
    let os = SimOs::new(4096);
    let backing = map(os, 4 * COMMIT_STEP, lazy());
    os.fail_nth(Some(SimCall::Commit), 1, 12);
    assert!(backing.allocate(layout(100, 1)).is_ok());
    assert_eq!(os.resident_bytes(), 4096);

    os.fail_nth(Some(SimCall::Commit), 1, 12);
    os.fail_nth(Some(SimCall::Commit), 2, 12);
    let allocated = backing.allocated();
    assert!(backing.allocate(layout(8000, 1)).is_err());
    assert_eq!(backing.allocated(), allocated);
    assert_eq!(last_os_failure(), Some(OsError::new("commit", 12)));
    assert!(backing.allocate(layout(8000, 1)).is_ok(), "a later attempt may succeed");
}

#[test]
fn commits_outside_the_range_are_refused() {
    for flags in [MmapFlags::NONE, lazy()] {
        let os = SimOs::new(4096);
        let backing = map(os, 8192, flags);
        for (offset, len) in [(0, 8193), (8192, 1), (usize::MAX, 1), (1, usize::MAX), (9000, 0)] {
            mmap_clear_last_os_error();
            assert_eq!(backing.commit(offset, len), Err(AllocError), "{offset} {len}");
            assert!(last_os_failure().is_some_and(|failure| failure.is_invalid_argument()));
        }
        assert_eq!(os.calls().commit, 0);
        assert_eq!(backing.commit(8192, 0), Ok(()));
    }
}

#[test]
fn threads_may_commit_at_once() {
    struct Shared(MmapBacked<SimOs>);
    impl Shared {
        fn commit(&self, offset: usize, len: usize) -> Result<(), AllocError> {
            self.0.commit(offset, len)
        }
    }
    // SAFETY: the threads below call `commit` only, which `FixedRange` allows from several threads.
    unsafe impl Sync for Shared {}

    let os = SimOs::new(4096);
    let shared = Shared(map(os, 8 * COMMIT_STEP, lazy()));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let shared = &shared;
            scope.spawn(move || {
                for step in 0..8 {
                    assert_eq!(shared.commit(step * COMMIT_STEP, thread * 4096), Ok(()));
                }
            });
        }
    });
    assert_eq!(os.resident_bytes(), 8 * COMMIT_STEP);
}

#[test]
fn huge_pages_align_the_mapping_and_advise_it() {
    let os = SimOs::new(4096);
    os.offer_huge_pages(2 << 20);
    let backing = map(os, 100_000, flags(|flags| flags.huge_pages = true));
    assert_eq!(backing.base().addr().get() % (2 << 20), 0);
    assert!(os.page(backing.base()).unwrap().huge_page);
    let error = refusal(SimOs::new(4096), 100_000, flags(|flags| flags.huge_pages = true));
    assert!(error.is_unsupported());
    assert_eq!(error.call(), "madvise(MADV_HUGEPAGE)");
}

#[test]
fn populate_is_one_option_of_the_mapping_or_a_later_step() {
    let os = SimOs::new(4096);
    let backing = map(os, 8192, flags(|flags| flags.populate = true));
    assert_eq!(os.calls().total(), 1);
    drop(backing);
    os.offer_huge_pages(2 << 20);
    let both = flags(|flags| (flags.populate, flags.huge_pages) = (true, true));
    let backing = map(os, 8192, both);
    assert_eq!(os.calls().advise, 2, "huge pages first, then the pages");
    drop(backing);
    // A kernel without the advice: the pages are touched instead.
    os.fail_nth(Some(SimCall::Advise), 2, OsError::invalid_argument("").code());
    drop(map(os, 8192, both));
    assert_eq!(os.live_mappings(), 0);
    assert!(MmapFlags::populate_supported());
}

#[test]
fn contradicting_flags_are_refused() {
    let os = SimOs::new(4096);
    let error = refusal(os, 8192, flags(|flags| (flags.populate, flags.lazy_commit) = (true, true)));
    assert!(error.is_invalid_argument());
    assert_eq!(os.live_mappings(), 0);
}

#[test]
fn a_node_of_a_simulated_system_is_unsupported() {
    let os = SimOs::new(4096);
    let error = refusal(os, 8192, flags(|flags| flags.numa_node = Some(0)));
    assert_eq!((error.call(), error.is_unsupported()), ("mbind", true));
    assert_eq!(os.live_mappings(), 0);
}

#[test]
fn the_guard_page_is_outside_the_range_and_out_of_reach() {
    for mut wanted in [MmapFlags::NONE, lazy()] {
        wanted.guard_at_end = true;
        let os = SimOs::new(4096);
        let backing = map(os, 10_000, wanted);
        assert_eq!(backing.size(), 12_288);
        let guard = backing.base().map_addr(|address| address.saturating_add(12_288));
        assert!(!backing.contains(guard));
        assert!(os.page(guard).is_some_and(|page| page.guard));
        // SAFETY: the call is refused.
        assert!(unsafe { backing.try_protect(guard, 4096, ProtectFlags::RW) }.is_err());
        let _ = backing.allocate(layout(12_288, 1)).unwrap();
        assert!(backing.allocate(layout(1, 1)).is_err());
    }
}

#[test]
fn released_pages_leave_memory_and_stay_usable() {
    let os = SimOs::new(4096);
    let backing = map(os, 4 * 4096, MmapFlags::NONE);
    // SAFETY: no block is live.
    unsafe {
        backing.base().write_bytes(1, 4 * 4096);
        assert_eq!(backing.try_release_pages(backing.base(), 2 * 4096), Ok(()));
        assert_eq!(os.resident_bytes(), 2 * 4096);
        assert_eq!(backing.base().read(), 0);
        backing.release_pages(backing.base().add(2 * 4096), 2 * 4096);
        assert_eq!(os.resident_bytes(), 0);
        let calls = os.calls().total();
        assert_eq!(backing.try_release_pages(backing.base(), 0), Ok(()));
        assert_eq!(os.calls().total(), calls, "nothing to do");
    }
    assert!(backing.allocate(layout(4 * 4096, 1)).is_ok());
}

#[test]
fn a_lazy_mapping_releases_only_what_is_committed() {
    let os = SimOs::new(4096);
    let backing = map(os, 4 * COMMIT_STEP, lazy());
    // SAFETY: no block is live.
    unsafe {
        assert_eq!(backing.try_release_pages(backing.base(), 4 * COMMIT_STEP), Ok(()));
        assert_eq!(os.calls().advise, 0);
        assert_eq!(backing.commit(0, 1), Ok(()));
        assert_eq!(backing.try_release_pages(backing.base(), 4 * COMMIT_STEP), Ok(()));
        assert_eq!((os.calls().advise, os.resident_bytes()), (1, 0));
    }
}

#[test]
fn protecting_changes_whole_pages_and_commits_lazy_ones_first() {
    for wanted in [MmapFlags::NONE, lazy()] {
        let os = SimOs::new(4096);
        let backing = map(os, 4 * 4096, wanted);
        // SAFETY: nothing accesses the pages.
        unsafe {
            let second = backing.base().add(4096);
            assert_eq!(backing.try_protect(second, 4096, ProtectFlags::NONE), Ok(()));
            assert_eq!(os.protection_of(second), Some(Protection::NONE));
            assert_eq!(os.protection_of(backing.base()), Some(Protection::READ_WRITE));
            backing.protect(second, 4096, ProtectFlags::READ);
            assert_eq!(os.protection_of(second), Some(Protection::READ));
        }
    }
}

#[test]
fn spans_that_are_not_whole_pages_of_the_range_are_errors_without_a_call() {
    let os = SimOs::new(4096);
    let backing = map(os, 2 * 4096, MmapFlags::NONE);
    let calls = os.calls().total();
    let inside = backing.base().map_addr(|address| address.saturating_add(100));
    let behind = backing.base().map_addr(|address| address.saturating_add(2 * 4096));
    for (ptr, size) in [(inside, 4096), (backing.base(), 100), (behind, 4096), (backing.base(), 3 * 4096)] {
        mmap_clear_last_os_error();
        // SAFETY: the calls are refused.
        unsafe {
            assert!(backing.try_release_pages(ptr, size).is_err());
            assert_eq!(last_os_failure(), Some(OsError::invalid_argument("release_pages")));
            assert!(backing.try_protect(ptr, size, ProtectFlags::NONE).is_err());
            assert_eq!(last_os_failure(), Some(OsError::invalid_argument("protect")));
        }
    }
    assert_eq!(os.calls().total(), calls);
}

#[test]
fn refused_calls_are_recorded_under_their_name() {
    let os = SimOs::new(4096);
    let backing = map(os, 4096, MmapFlags::NONE);
    // SAFETY: the calls are refused.
    unsafe {
        os.fail_nth(Some(SimCall::Advise), 1, 12);
        assert!(backing.try_release_pages(backing.base(), 4096).is_err());
        assert_eq!(last_os_failure(), Some(OsError::new("madvise(MADV_DONTNEED)", 12)));
        os.fail_nth(Some(SimCall::Protect), 1, 13);
        assert!(backing.try_protect(backing.base(), 4096, ProtectFlags::NONE).is_err());
        assert_eq!(last_os_failure(), Some(OsError::new("mprotect", 13)));
    }
}

/// Builds with every combination of flags, failing one call after the other until none is left to fail.
#[test]
fn whichever_call_fails_the_error_names_it_and_nothing_leaks() {
    const CODE: i32 = 12;
    let mut failures = 0;
    for bits in 0..16 {
        let wanted = flags(|flags| {
            flags.huge_pages = bits & 1 != 0;
            flags.populate = bits & 2 != 0;
            flags.guard_at_end = bits & 4 != 0;
            flags.lazy_commit = bits & 8 != 0;
        });
        // Advice about pages that are not committed, and populating them, are refused in any case.
        if wanted.lazy_commit && (wanted.populate || wanted.huge_pages) {
            continue;
        }
        for nth in 1.. {
            let os = SimOs::new(4096);
            os.offer_huge_pages(2 << 20);
            os.fail_nth(None, nth, CODE);
            match MmapBacked::map_on(os, 10_000, wanted) {
                Ok(backing) => {
                    os.clear_failures();
                    drop(backing);
                    assert_eq!(os.live_mappings(), 0);
                    break;
                }
                Err(error) => {
                    let calls = [
                        "mmap",
                        "commit",
                        "mprotect",
                        "madvise(MADV_HUGEPAGE)",
                        "madvise(MADV_GUARD_INSTALL)",
                        "madvise(MADV_POPULATE_WRITE)",
                    ];
                    assert!(calls.contains(&error.call()) && error.code() == CODE, "{error}");
                    assert_eq!(os.live_mappings(), 0, "{wanted:?}, call {nth}");
                    failures += 1;
                }
            }
        }
    }
    assert_eq!(failures, 22, "the number of calls of all combinations");
}

#[cfg(not(miri))]
mod native {
    use super::*;

    #[test]
    fn sizes_without_a_mapping_are_errors_in_the_slot() {
        for (size, invalid) in [(0, true), (usize::MAX, true), (isize::MAX as usize, false)] {
            mmap_clear_last_os_error();
            assert!(MmapBacked::new(size).is_err());
            assert!(
                last_os_failure().is_some_and(|failure| failure.is_invalid_argument() == invalid),
                "{size}"
            );
            assert!(MmapBacked::new_lazy(size).is_err());
            assert!(MmapBacked::with_huge_pages(size).is_err());
        }
        assert_eq!(MmapBacked::new(1).map(|backing| backing.size()), Ok(crate::page_size()));
    }

    #[test]
    fn a_refusal_with_its_reason_leaves_the_slot_alone() {
        mmap_clear_last_os_error();
        assert!(MmapBacked::map(0, MmapFlags::NONE).is_err_and(|error| error.is_invalid_argument()));
        assert_eq!(last_os_failure(), None);
    }

    #[test]
    fn random_calls_keep_the_contract() {
        for wanted in [MmapFlags::NONE, lazy(), flags(|flags| flags.populate = true)] {
            random_calls_match_the_model(&mut MmapBacked::map(100_000, wanted).unwrap(), 9, 8192);
        }
    }

    #[test]
    fn released_pages_of_the_system_read_as_zero_or_as_before() {
        let page = crate::page_size();
        let backing = MmapBacked::new(4 * page).unwrap();
        // SAFETY: no block is live, and the bytes are exclusively ours.
        unsafe {
            backing.base().write_bytes(6, 4 * page);
            assert_eq!(backing.try_release_pages(backing.base(), 4 * page), Ok(()));
            assert!([0, 6].contains(&backing.base().read()));
            backing.base().write(1);
        }
    }

    #[test]
    fn a_vast_alignment_is_met_in_a_large_lazy_mapping() {
        const VAST: usize = if usize::BITS > 32 { 1 << 30 } else { 1 << 28 };
        let backing = MmapBacked::new_lazy(3 * VAST).unwrap();
        let block = backing.allocate(layout(100, VAST)).unwrap();
        assert_eq!(block.addr().get() % VAST, 0);
    }
}
