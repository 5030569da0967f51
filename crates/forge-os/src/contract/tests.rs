use std::collections::BTreeSet;

use super::*;
use crate::sim::{SimCall, SimOs};

const PAGE: usize = 4096;

#[test]
fn options_that_contradict_each_other_are_invalid_arguments() {
    let plain = MapOptions::new();
    let invalid = [
        (0, plain),
        (1, plain),
        (PAGE + 1, plain),
        (PAGE, plain.with_alignment(0)),
        (PAGE, plain.with_alignment(24)),
        (PAGE, plain.with_huge_pages(2 << 20)),
        (2 << 20, plain.with_huge_pages(3 << 20)),
        (PAGE, plain.with_huge_pages(512)),
        (PAGE, plain.with_populate().with_protection(Protection::NONE)),
        (PAGE, plain.with_populate().with_reserve()),
        (PAGE, plain.with_reserve().with_protection(Protection::READ)),
        (2 << 20, plain.with_reserve().with_huge_pages(2 << 20)),
    ];
    for (len, options) in invalid {
        let error = options.check("mmap", len, PAGE).unwrap_err();
        assert!(error.is_invalid_argument(), "{len} {options:?}");
        assert_eq!(error.call(), "mmap");
    }
}

#[test]
fn lengths_beyond_the_address_space_are_out_of_memory() {
    let largest = isize::MAX as usize & !(PAGE - 1);
    let too_much = [
        (largest, MapOptions::new().with_alignment(2 * PAGE)),
        (1 << (usize::BITS - 1), MapOptions::new()),
        (usize::MAX & !(PAGE - 1), MapOptions::new()),
        (PAGE, MapOptions::new().with_alignment(1 << (usize::BITS - 1))),
    ];
    for (len, options) in too_much {
        assert!(options.check("mmap", len, PAGE).unwrap_err().is_out_of_memory(), "{len} {options:?}");
    }
}

#[test]
fn the_granule_is_the_size_of_the_pages_that_will_be_used() {
    assert_eq!(MapOptions::new().check("mmap", PAGE, PAGE), Ok(PAGE));
    let huge = MapOptions::new().with_huge_pages(2 << 20);
    assert_eq!(huge.check("mmap", 4 << 20, PAGE), Ok(2 << 20));
}

#[test]
fn protection_is_a_set() {
    let all = Protection::READ_WRITE | Protection::EXECUTE;
    assert!(all.contains(Protection::READ_EXECUTE));
    assert!(!Protection::READ_WRITE.contains(Protection::EXECUTE));
    assert_eq!(Protection::READ | Protection::WRITE, Protection::READ_WRITE);
    assert!(Protection::NONE.contains(Protection::NONE));
    assert_eq!(Protection::default(), Protection::NONE);
}

#[test]
fn every_advice_has_its_own_name() {
    let names: BTreeSet<_> = Advice::ALL.iter().map(|advice| advice.call()).collect();
    assert_eq!(names.len(), Advice::ALL.len());
}

#[test]
fn huge_page_sizes_stop_at_their_capacity() {
    let mut sizes = HugePageSizes::new();
    assert!(sizes.is_empty());
    for shift in 0..HugePageSizes::CAPACITY {
        assert!(sizes.push(1 << shift));
    }
    assert!(!sizes.push(1 << HugePageSizes::CAPACITY));
    assert_eq!(sizes.len(), HugePageSizes::CAPACITY);
    assert_eq!(sizes.first(), Some(&1));
}

#[test]
fn release_pages_falls_back_to_free_only_where_dont_need_is_unsupported() {
    let os = SimOs::new(PAGE);
    let memory = os.map(PAGE, MapOptions::new()).unwrap();
    // SAFETY: one live mapping whose content nobody relies on, in this test throughout.
    unsafe {
        assert_eq!(os.release_pages(memory, PAGE), Ok(Released::Zeroed));
        os.fail_nth(Some(SimCall::Advise), 1, OsError::unsupported("").code());
        assert_eq!(os.release_pages(memory, PAGE), Ok(Released::Undefined));
        os.lock(memory, PAGE).unwrap();
        let error = os.release_pages(memory, PAGE).unwrap_err();
        assert_eq!(error.call(), "madvise(MADV_DONTNEED)");
        os.unmap(memory, PAGE).unwrap();
    }
}
