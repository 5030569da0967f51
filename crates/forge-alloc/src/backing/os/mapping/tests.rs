#![allow(unsafe_code)]

use forge_alloc_core::ProtectFlags;
use forge_os::sim::SimOs;
use forge_os::{MapOptions, Os, Protection};

use super::{MIN_PAGE, Mapping, protection};

const PAGE: usize = 16 << 10;

fn mapping(os: SimOs, size: usize) -> Mapping<SimOs> {
    Mapping::new(os, size, os.page_size(), false, MapOptions::new()).unwrap()
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
        let Err(error) = Mapping::new(os, size, PAGE, false, MapOptions::new()) else { panic!("{size}") };
        assert_eq!((error.call(), error.is_invalid_argument()), ("mmap", invalid), "{size}");
        let Err(error) = Mapping::new(os, size, PAGE, true, MapOptions::new()) else { panic!("{size}") };
        assert_eq!(error.call(), "mmap");
    }
    assert_eq!(os.live_mappings(), 0);
}

#[test]
fn the_guard_lies_behind_the_usable_bytes_and_is_unmapped_with_them() {
    let os = SimOs::new(PAGE);
    let guarded = Mapping::new(os, PAGE, PAGE, true, MapOptions::new()).unwrap();
    guarded.arm_guard(false).unwrap();
    assert_eq!((guarded.size(), os.mapped_bytes()), (PAGE, 2 * PAGE));
    // SAFETY: the mapping is two pages long.
    let guard = unsafe { guarded.base().add(PAGE) };
    assert_eq!(os.protection_of(guard), Some(Protection::NONE));
    assert_eq!(os.protection_of(guarded.base()), Some(Protection::READ_WRITE));
    assert!(guarded.span("protect", guard, PAGE).is_err(), "the guard is out of reach");
    drop(guarded);
    assert_eq!(os.mapped_bytes(), 0);
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
