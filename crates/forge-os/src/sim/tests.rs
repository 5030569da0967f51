use std::thread;

use super::*;
use crate::contract::Released;

const PAGE: usize = 4096;

/// One page that was never written.
static ZEROES: [u8; 64 << 10] = [0; 64 << 10];

fn zeroed(ptr: NonNull<u8>, len: usize) -> bool {
    // SAFETY: tests call this on committed ranges of their own mappings, which nobody writes meanwhile.
    let bytes = unsafe { core::slice::from_raw_parts(ptr.as_ptr(), len) };
    bytes.chunks(ZEROES.len()).all(|chunk| *chunk == ZEROES[..chunk.len()])
}

#[test]
fn every_page_size_maps_in_its_own_unit() {
    for page_size in [4 << 10, 16 << 10, 64 << 10] {
        let os = SimOs::new(page_size);
        assert_eq!(os.page_size(), page_size);
        let error = os.map(page_size / 2, MapOptions::new()).unwrap_err();
        assert_eq!((error.call(), error.is_invalid_argument()), ("mmap", true));
        let memory = os.map(2 * page_size, MapOptions::new()).unwrap();
        assert_eq!(memory.addr().get() % page_size, 0);
        assert!(zeroed(memory, 2 * page_size));
        // SAFETY: the whole mapping, writable and ours.
        unsafe {
            memory.write_bytes(0xEE, 2 * page_size);
            assert!(os.protect(memory, page_size / 2, Protection::NONE).is_err());
            os.unmap(memory, 2 * page_size).unwrap();
        }
        assert_eq!(os.live_mappings(), 0);
    }
}

#[test]
fn the_nth_call_fails_and_changes_nothing() {
    let os = SimOs::new(PAGE);
    let memory = os.map(PAGE, MapOptions::new()).unwrap();
    os.fail_nth(Some(SimCall::Protect), 2, 13);
    os.fail_nth(None, 5, 12);
    // SAFETY: a live mapping that nobody accesses.
    unsafe {
        os.protect(memory, PAGE, Protection::READ).unwrap();
        assert_eq!(os.protect(memory, PAGE, Protection::NONE), Err(OsError::new("mprotect", 13)));
        assert_eq!(os.protection_of(memory), Some(Protection::READ));
        os.protect(memory, PAGE, Protection::NONE).unwrap();
        os.lock(memory, PAGE).unwrap();
        assert_eq!(os.unmap(memory, PAGE), Err(OsError::new("munmap", 12)));
        assert_eq!(os.live_mappings(), 1);
        os.unmap(memory, PAGE).unwrap();
    }
    let calls = os.calls();
    assert_eq!((calls.map, calls.protect, calls.lock, calls.unmap), (1, 3, 1, 2));
    assert_eq!(calls.total(), 7);
    os.fail_nth(None, 1, 1);
    os.clear_failures();
    let memory = os.map(PAGE, MapOptions::new()).unwrap();
    // SAFETY: the whole mapping.
    unsafe { os.unmap(memory, PAGE).unwrap() };
}

#[test]
fn every_kind_of_call_can_fail_under_its_name() {
    let kinds = [
        (SimCall::Map, "mmap"),
        (SimCall::Unmap, "munmap"),
        (SimCall::Protect, "mprotect"),
        (SimCall::Commit, "commit"),
        (SimCall::Decommit, "decommit"),
        (SimCall::Advise, "madvise(MADV_FREE)"),
        (SimCall::Lock, "mlock"),
        (SimCall::Unlock, "munlock"),
        (SimCall::Remap, "mremap"),
    ];
    let os = SimOs::new(PAGE);
    let memory = os.map(PAGE, MapOptions::new().with_reserve()).unwrap();
    for (kind, name) in kinds {
        let before = os.page(memory);
        os.fail_nth(Some(kind), 1, 99);
        // SAFETY: a live mapping of ours; the failing calls change nothing.
        let result = unsafe {
            match kind {
                SimCall::Map => os.map(PAGE, MapOptions::new()).map(drop),
                SimCall::Unmap => os.unmap(memory, PAGE),
                SimCall::Protect => os.protect(memory, PAGE, Protection::NONE),
                SimCall::Commit => os.commit(memory, PAGE),
                SimCall::Decommit => os.decommit(memory, PAGE),
                SimCall::Advise => os.advise(memory, PAGE, Advice::Free),
                SimCall::Lock => os.lock(memory, PAGE),
                SimCall::Unlock => os.unlock(memory, PAGE),
                SimCall::Remap => os.remap(memory, PAGE, 2 * PAGE, true).map(drop),
            }
        };
        assert_eq!(result, Err(OsError::new(name, 99)));
        assert_eq!(os.page(memory), before);
    }
    assert_eq!(os.calls().total(), kinds.len() + 1);
    // SAFETY: the whole mapping.
    unsafe { os.unmap(memory, PAGE).unwrap() };
}

#[test]
fn unmapping_what_is_not_mapped_is_an_error() {
    let os = SimOs::new(PAGE);
    let other = SimOs::new(PAGE);
    let memory = os.map(3 * PAGE, MapOptions::new()).unwrap();
    // SAFETY: whole pages of a live mapping, none of them used; the refused calls change nothing.
    unsafe {
        assert!(other.unmap(memory, PAGE).is_err(), "another system's memory");
        assert!(os.unmap(memory, 4 * PAGE).is_err(), "beyond the end");
        assert!(os.unmap(memory.add(8), PAGE).is_err(), "misaligned");
        assert!(os.unmap(memory, 0).is_err(), "empty");
        os.unmap(memory.add(PAGE), PAGE).unwrap();
        assert!(os.unmap(memory.add(PAGE), PAGE).is_err(), "twice");
        assert!(os.unmap(memory, 3 * PAGE).is_err(), "across a hole");
        assert!(os.protect(memory, 2 * PAGE, Protection::READ).is_err(), "across a hole");
        assert_eq!((os.live_mappings(), os.mapped_bytes()), (1, 2 * PAGE));
        memory.write(1);
        os.unmap(memory, PAGE).unwrap();
        os.unmap(memory.add(2 * PAGE), PAGE).unwrap();
    }
    assert_eq!((os.live_mappings(), os.mapped_bytes()), (0, 0));
}

#[test]
fn a_leak_is_visible() {
    let os = SimOs::new(PAGE);
    let memory = os.map(2 * PAGE, MapOptions::new()).unwrap();
    assert_eq!((os.live_mappings(), os.mapped_bytes(), os.resident_bytes()), (1, 2 * PAGE, 2 * PAGE));
    // SAFETY: the whole mapping.
    unsafe { os.unmap(memory, 2 * PAGE).unwrap() };
    assert_eq!((os.live_mappings(), os.mapped_bytes(), os.resident_bytes()), (0, 0, 0));
}

#[test]
fn giving_pages_back_zeroes_them_and_lowers_the_resident_size() {
    let os = SimOs::new(PAGE);
    let len = 4 * PAGE;
    let memory = os.map(len, MapOptions::new()).unwrap();
    // SAFETY: one live mapping of ours throughout.
    unsafe {
        memory.write_bytes(0xEE, len);
        let middle = memory.add(PAGE);
        assert_eq!(os.release_pages(middle, 2 * PAGE), Ok(Released::Zeroed));
        assert_eq!(os.resident_bytes(), 2 * PAGE);
        assert!(zeroed(middle, 2 * PAGE));
        assert_eq!((memory.read(), memory.add(len - 1).read()), (0xEE, 0xEE));
        assert!(os.touch(middle, PAGE));
        assert_eq!(os.resident_bytes(), 3 * PAGE);
        os.advise(memory, len, Advice::PopulateWrite).unwrap();
        assert_eq!(os.resident_bytes(), len);
        os.unmap(memory, len).unwrap();
        assert!(!os.touch(memory, PAGE));
    }
}

#[test]
fn free_keeps_some_pages_and_clears_others() {
    let os = SimOs::new(PAGE);
    let memory = os.map(2 * PAGE, MapOptions::new()).unwrap();
    // SAFETY: one live mapping of ours throughout.
    unsafe {
        memory.write_bytes(0xEE, 2 * PAGE);
        os.advise(memory, 2 * PAGE, Advice::Free).unwrap();
        assert_eq!((memory.read(), memory.add(PAGE).read()), (0, 0xEE));
        assert_eq!(os.resident_bytes(), 0);
        os.unmap(memory, 2 * PAGE).unwrap();
    }
}

#[test]
fn reserved_memory_shows_a_pattern_until_it_is_committed() {
    let os = SimOs::new(PAGE);
    let memory = os.map(2 * PAGE, MapOptions::new().with_reserve()).unwrap();
    assert_eq!((os.mapped_bytes(), os.resident_bytes()), (2 * PAGE, 0));
    // SAFETY: one live mapping of ours throughout; the simulation allows reading reserved memory.
    unsafe {
        assert_eq!(memory.read(), UNCOMMITTED_BYTE);
        assert!(os.protect(memory, PAGE, Protection::READ).is_err(), "not committed");
        assert!(os.lock(memory, PAGE).is_err(), "not committed");
        assert!(os.advise(memory, PAGE, Advice::DontNeed).is_err(), "not committed");
        os.commit(memory, PAGE).unwrap();
        assert!(zeroed(memory, PAGE));
        memory.write(7);
        os.commit(memory, 2 * PAGE).unwrap();
        assert_eq!(memory.read(), 7, "committing again keeps content");
        os.decommit(memory, PAGE).unwrap();
        assert_eq!((memory.read(), os.resident_bytes()), (UNCOMMITTED_BYTE, PAGE));
        os.commit(memory, PAGE).unwrap();
        assert!(zeroed(memory, PAGE));
        os.unmap(memory, 2 * PAGE).unwrap();
    }
    let plain = os.map(PAGE, MapOptions::new()).unwrap();
    // SAFETY: a live mapping; the refused calls change nothing.
    unsafe {
        assert!(os.commit(plain, PAGE).is_err(), "only for reserved memory");
        assert!(os.decommit(plain, PAGE).is_err(), "only for reserved memory");
        os.unmap(plain, PAGE).unwrap();
    }
}

#[test]
fn limits_refuse_and_recover() {
    let os = SimOs::new(PAGE);
    os.limit_mapped_bytes(2 * PAGE);
    os.limit_locked_bytes(PAGE);
    let memory = os.map(2 * PAGE, MapOptions::new()).unwrap();
    let error = os.map(PAGE, MapOptions::new()).unwrap_err();
    assert_eq!((error.call(), error.is_out_of_memory()), ("mmap", true));
    // SAFETY: one live mapping of ours.
    unsafe {
        let error = os.lock(memory, 2 * PAGE).unwrap_err();
        assert_eq!((error.call(), error.is_out_of_memory()), ("mlock", true));
        assert_eq!(os.locked_bytes(), 0);
        os.lock(memory, PAGE).unwrap();
        os.lock(memory, PAGE).unwrap();
        assert_eq!(os.locked_bytes(), PAGE);
        assert!(os.advise(memory, PAGE, Advice::DontNeed).is_err(), "locked");
        os.advise(memory, PAGE, Advice::DontNeedLocked).unwrap();
        os.unlock(memory, PAGE).unwrap();
        assert_eq!(os.locked_bytes(), 0);
        os.unmap(memory, 2 * PAGE).unwrap();
    }
    let memory = os.map(PAGE, MapOptions::new()).unwrap();
    // SAFETY: the whole mapping.
    unsafe { os.unmap(memory, PAGE).unwrap() };
}

#[test]
fn remap_grows_moving_and_shrinks_in_place() {
    let os = SimOs::new(PAGE);
    let memory = os.map(2 * PAGE, MapOptions::new()).unwrap();
    // SAFETY: whole mappings of ours, used through the newest pointer only.
    unsafe {
        memory.write_bytes(0xEE, 2 * PAGE);
        assert!(os.remap(memory, 2 * PAGE, 3 * PAGE, false).unwrap_err().is_out_of_memory());
        let grown = os.remap(memory, 2 * PAGE, 3 * PAGE, true).unwrap();
        assert_eq!((grown.read(), grown.add(2 * PAGE - 1).read()), (0xEE, 0xEE));
        assert!(zeroed(grown.add(2 * PAGE), PAGE));
        let shrunk = os.remap(grown, 3 * PAGE, PAGE, false).unwrap();
        assert_eq!(shrunk, grown);
        assert_eq!(os.mapped_bytes(), PAGE);
        os.unmap(shrunk, PAGE).unwrap();
    }
    assert_eq!(os.live_mappings(), 0);
}

type Shown = fn(&SimPage) -> bool;

#[test]
fn advice_is_recorded_for_each_page() {
    let os = SimOs::new(PAGE);
    let memory = os.map(2 * PAGE, MapOptions::new()).unwrap();
    let pairs: [(Advice, Advice, Shown); 5] = [
        (Advice::DontDump, Advice::DoDump, |page| page.dont_dump),
        (Advice::DontFork, Advice::DoFork, |page| page.dont_fork),
        (Advice::WipeOnFork, Advice::KeepOnFork, |page| page.wipe_on_fork),
        (Advice::HugePage, Advice::NoHugePage, |page| page.huge_page),
        (Advice::GuardInstall, Advice::GuardRemove, |page| page.guard),
    ];
    // SAFETY: one live mapping whose content nobody uses.
    unsafe {
        for (set, clear, shown) in pairs {
            os.advise(memory, PAGE, set).unwrap();
            assert!(shown(&os.page(memory).unwrap()), "{}", set.call());
            assert!(!shown(&os.page(memory.add(PAGE)).unwrap()), "{}", set.call());
            os.advise(memory, PAGE, clear).unwrap();
            assert!(!shown(&os.page(memory.add(8)).unwrap()), "{}", clear.call());
        }
        os.unmap(memory, 2 * PAGE).unwrap();
    }
    assert_eq!(os.page(memory), None);
}

#[test]
fn huge_pages_and_alignment_are_honoured() {
    let os = SimOs::new(PAGE);
    let huge = 64 << 10;
    let error = os.map(huge, MapOptions::new().with_huge_pages(huge)).unwrap_err();
    assert_eq!(error.call(), "mmap(MAP_HUGETLB)");
    os.offer_huge_pages(huge);
    assert_eq!(os.huge_page_sizes().as_slice(), [huge]);
    assert_eq!(os.transparent_huge_page_size(), Some(huge));
    let memory = os.map(huge, MapOptions::new().with_huge_pages(huge)).unwrap();
    assert_eq!(memory.addr().get() % huge, 0);
    let aligned = os.map(PAGE, MapOptions::new().with_alignment(32 << 10)).unwrap();
    assert_eq!(aligned.addr().get() % (32 << 10), 0);
    // SAFETY: whole mappings.
    unsafe {
        os.unmap(memory, huge).unwrap();
        os.unmap(aligned, PAGE).unwrap();
    }
}

#[test]
fn threads_share_one_system() {
    let os = SimOs::new(PAGE);
    thread::scope(|scope| {
        for byte in 1..=4_u8 {
            scope.spawn(move || {
                for _ in 0..8 {
                    let memory = os.map(PAGE, MapOptions::new()).unwrap();
                    // SAFETY: this thread's own mapping.
                    unsafe {
                        memory.write_bytes(byte, PAGE);
                        assert_eq!(memory.add(PAGE - 1).read(), byte);
                        os.unmap(memory, PAGE).unwrap();
                    }
                }
            });
        }
    });
    assert_eq!((os.live_mappings(), os.calls().map, os.calls().unmap), (0, 32, 32));
}

#[test]
fn a_mapping_may_be_used_under_a_failing_neighbour() {
    let os = SimOs::new(16 << 10);
    for n in 1..=3 {
        os.fail_nth(Some(SimCall::Map), n, 12);
        let mapped: Vec<_> = (0..3).filter_map(|_| os.map(16 << 10, MapOptions::new()).ok()).collect();
        assert_eq!(mapped.len(), 2, "one of three fails");
        for memory in mapped {
            // SAFETY: whole mappings.
            unsafe { os.unmap(memory, 16 << 10).unwrap() };
        }
    }
    assert_eq!(os.live_mappings(), 0);
}

#[test]
fn time_passes_when_it_is_told_to() {
    let os = SimOs::new(PAGE);
    assert_eq!((os.milliseconds(), os.milliseconds()), (0, 0));
    os.pass(5);
    assert_eq!((os.milliseconds(), SimOs::new(PAGE).milliseconds()), (5, 0));
}

#[test]
fn what_is_resident_is_told_for_each_page() {
    let os = SimOs::new(PAGE);
    let memory = os.map(3 * PAGE, MapOptions::new()).unwrap();
    // SAFETY: a mapping of the test's.
    unsafe {
        os.release_pages(memory.add(PAGE), PAGE).unwrap();
        let mut resident = [9; 3];
        os.resident(memory, 3 * PAGE, &mut resident).unwrap();
        assert_eq!(resident, [1, 0, 1]);
        assert!(os.resident(memory, 3 * PAGE, &mut [0; 2]).is_err());
        os.unmap(memory, 3 * PAGE).unwrap();
        assert!(os.resident(memory, 3 * PAGE, &mut resident).is_err());
    }
}
