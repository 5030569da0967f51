#![allow(unsafe_code)]

use forge_alloc_core::ProtectFlags;
use forge_os::sim::{SimCall, SimOs};
use forge_os::{MapOptions, Os, OsError, Protection};

use super::{Guards, MIN_PAGE, Mapping, protection};

const PAGE: usize = 16 << 10;

fn mapping(os: SimOs, size: usize) -> Mapping<SimOs> {
    Mapping::new(os, size, os.page_size(), Guards::NONE, MapOptions::new()).unwrap()
}

#[test]
fn sizes_are_rounded_up_to_whole_pages() {
    let os = SimOs::new(PAGE);
    for (asked, got) in [(1, PAGE), (PAGE - 1, PAGE), (PAGE, PAGE), (PAGE + 1, 2 * PAGE)] {
        assert_eq!(mapping(os, asked).size(), got);
    }
    assert_eq!(os.live_mappings(), 0, "each was unmapped when dropped");
}

#[test]
fn the_base_has_the_promised_alignment_even_under_smaller_pages() {
    let os = SimOs::new(512);
    let all: Vec<_> = (0..8).map(|_| mapping(os, 512)).collect();
    assert!(all.iter().all(|mapping| mapping.base().addr().get() % MIN_PAGE == 0));
}

#[test]
fn impossible_sizes_are_errors_of_the_call() {
    let os = SimOs::new(PAGE);
    for (size, invalid) in
        [(0, true), (usize::MAX, true), (usize::MAX - PAGE + 2, true), (isize::MAX as usize, false)]
    {
        let Err(error) = Mapping::new(os, size, PAGE, Guards::NONE, MapOptions::new()) else {
            panic!("{size}")
        };
        assert_eq!((error.call(), error.is_invalid_argument()), ("mmap", invalid), "{size}");
        let Err(error) =
            Mapping::new(os, size, PAGE, Guards { in_front: false, at_end: true }, MapOptions::new())
        else {
            panic!("{size}")
        };
        assert_eq!(error.call(), "mmap");
    }
    assert_eq!(os.live_mappings(), 0);
}

#[test]
fn the_guards_lie_outside_the_usable_bytes_and_are_unmapped_with_them() {
    for (in_front, at_end) in [(false, true), (true, false), (true, true)] {
        let os = SimOs::new(PAGE);
        let guarded = Mapping::new(os, PAGE, PAGE, Guards { in_front, at_end }, MapOptions::new()).unwrap();
        guarded.arm_guards(false).unwrap();
        assert_eq!(guarded.size(), PAGE);
        assert_eq!(os.mapped_bytes(), PAGE * (1 + usize::from(in_front) + usize::from(at_end)));
        let page = |address: usize| guarded.base().with_addr(address.try_into().unwrap());
        let base = guarded.base().addr().get();
        for (there, guard) in [(in_front, page(base - PAGE)), (at_end, page(base + PAGE))] {
            assert_eq!(os.page(guard).is_some_and(|page| page.guard), there);
            assert!(guarded.span("protect", guard, PAGE).is_err(), "the guard is out of reach");
        }
        assert!(os.page(guarded.base()).is_some_and(|page| !page.guard));
        assert_eq!(os.protection_of(guarded.base()), Some(Protection::READ_WRITE));
        drop(guarded);
        assert_eq!(os.mapped_bytes(), 0);
    }
}

#[test]
fn a_guard_in_front_leaves_what_follows_as_aligned_as_it_was_asked_for() {
    let options = MapOptions::new().with_alignment(8 * PAGE);
    let guards = Guards { in_front: true, at_end: true };
    let mapping = Mapping::new(SimOs::new(PAGE), PAGE, PAGE, guards, options).unwrap();
    assert_eq!(mapping.base().addr().get() % (8 * PAGE), 0);
}

#[test]
fn pages_without_rights_stand_in_where_the_system_has_no_guards() {
    for code in [OsError::unsupported("").code(), OsError::invalid_argument("").code()] {
        let os = SimOs::new(PAGE);
        let mapping = mapping(os, 2 * PAGE);
        os.fail_nth(Some(SimCall::Advise), 1, code);
        let span = mapping.span("guard", mapping.base(), PAGE).unwrap();
        // SAFETY: nothing accesses the page.
        unsafe { mapping.guard(span).unwrap() };
        let page = os.page(mapping.base()).unwrap();
        assert!(!page.guard && page.protection == Protection::NONE);
    }
    let os = SimOs::new(PAGE);
    let mapping = mapping(os, PAGE);
    os.fail_nth(Some(SimCall::Advise), 1, 12);
    let span = mapping.span("guard", mapping.base(), PAGE).unwrap();
    // SAFETY: nothing accesses the page.
    let error = unsafe { mapping.guard(span).unwrap_err() };
    assert_eq!((error.call(), error.code()), ("madvise(MADV_GUARD_INSTALL)", 12));
}

#[test]
fn spans_outside_the_mapping_or_off_the_pages_are_refused() {
    let os = SimOs::new(PAGE);
    let mapping = mapping(os, 4 * PAGE);
    let base = mapping.base();
    let at = |offset: usize| base.map_addr(|address| address.saturating_add(offset));
    let span = |ptr, size| mapping.span("protect", ptr, size).map(|span| (span.start, span.end));
    assert_eq!(span(base, 4 * PAGE), Ok((0, 4 * PAGE)));
    assert_eq!(span(at(PAGE), 2 * PAGE), Ok((PAGE, 3 * PAGE)));
    assert_eq!(span(at(4 * PAGE), 0), Ok((4 * PAGE, 4 * PAGE)));
    let below = base.map_addr(|address| (address.get() - PAGE).try_into().unwrap());
    for (ptr, size) in [
        (base, 5 * PAGE),
        (at(4 * PAGE), PAGE),
        (at(5 * PAGE), 0),
        (below, PAGE),
        (below, 2 * PAGE),
        (at(PAGE), usize::MAX),
        (at(PAGE), usize::MAX - PAGE + 1),
        (at(1), PAGE),
        (base, PAGE - 1),
        (base, 1),
    ] {
        let error = span(ptr, size).unwrap_err();
        assert!(error.is_invalid_argument() && error.call() == "protect", "{ptr:?} {size}");
    }
}

#[test]
fn all_eight_combinations_of_rights_are_translated() {
    for bits in 0..8_u8 {
        let mut flags = ProtectFlags::NONE;
        (flags.read, flags.write, flags.exec) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
        let rights = protection(flags);
        assert_eq!(rights.contains(Protection::READ), flags.read);
        assert_eq!(rights.contains(Protection::WRITE), flags.write);
        assert_eq!(rights.contains(Protection::EXECUTE), flags.exec);
    }
}

#[test]
fn a_refused_unmap_is_recorded() {
    let os = SimOs::new(PAGE);
    let mapping = mapping(os, PAGE);
    os.fail_nth(None, 1, 12);
    drop(mapping);
    assert_eq!(crate::last_os_failure().map(|failure| failure.call()), Some("munmap"));
}
