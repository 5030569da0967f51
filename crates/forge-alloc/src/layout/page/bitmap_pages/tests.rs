use std::sync::Mutex;
use std::vec;
use std::vec::Vec;

use forge_alloc_core::{BaseAllocator, HeapError, PageAllocator};

use super::{BitmapPageAllocator, page_words};
use crate::raw::testing::forever;

const PAGE: usize = 4096;
const MIB: usize = 1 << 20;
/// A GiB, and less for an interpreter.
const GIB: usize = if cfg!(miri) { 1 << 24 } else { 1 << 30 };

type Pages = BitmapPageAllocator<PAGE, [u64; page_words(1 << 16)]>;

fn over(start: usize, size: usize) -> Pages {
    let mut pages = Pages::new();
    pages.add_range(start, size).unwrap();
    pages
}

/// Total, used, available.
fn counts<P: PageAllocator>(pages: &P) -> (usize, usize, usize) {
    (pages.total_pages(), pages.used_pages(), pages.available_pages())
}

#[test]
fn the_largest_chosen_capacity_is_what_an_allocator_holds() {
    static PAGES: Mutex<BitmapPageAllocator<2>> = Mutex::new(BitmapPageAllocator::new());
    let chosen = [
        (cfg!(feature = "page-alloc-1t"), 28),
        (cfg!(feature = "page-alloc-64g"), 24),
        (cfg!(feature = "page-alloc-4g"), 20),
        (true, 16),
    ];
    let bits = chosen.into_iter().find_map(|(on, bits)| on.then_some(bits)).unwrap();
    let mut pages = PAGES.lock().unwrap();
    assert_eq!(pages.add_range(4096, 2 << (bits + 1)), Err(HeapError::NoMemory));
    assert_eq!(pages.add_range(4096, 2 << bits), Ok(()));
    assert_eq!(pages.available_pages(), 1 << bits);
}

#[test]
fn one_page_is_the_whole_of_a_region_of_one_page() {
    let mut pages = over(PAGE, PAGE);
    assert_eq!(counts(&pages), (1, 0, 1));
    assert_eq!(pages.alloc_pages(1, PAGE), Ok(0x1000));
    assert_eq!(counts(&pages), (1, 1, 0));
    assert_eq!(pages.alloc_pages(1, PAGE), Err(HeapError::NoMemory));
    pages.dealloc_pages(0x1000, 1);
    assert_eq!(counts(&pages), (1, 0, 1));
    assert_eq!(pages.alloc_pages(1, PAGE), Ok(0x1000));
}

#[test]
fn runs_start_where_the_region_starts() {
    let mut pages: BitmapPageAllocator<PAGE, _> =
        BitmapPageAllocator::over(forever(vec![1; page_words(1 << 19)]));
    let size = 2 * GIB - PAGE;
    assert_eq!(pages.add_range(GIB + PAGE, size), Ok(()));
    for count in [1, 10, 100, 1000] {
        assert_eq!(pages.alloc_pages(count, PAGE), Ok(GIB + PAGE));
        assert_eq!(counts(&pages), (size / PAGE, count, size / PAGE - count));
        pages.dealloc_pages(GIB + PAGE, count);
        assert_eq!(pages.used_pages(), 0);
    }
}

#[test]
fn aligned_runs_start_at_the_first_aligned_address() {
    let mut pages: BitmapPageAllocator<PAGE, _> =
        BitmapPageAllocator::over(forever(vec![0; page_words(1 << 19)]));
    assert_eq!(pages.add_range(GIB + PAGE, 2 * GIB - PAGE), Ok(()));
    let runs = [(1, PAGE, GIB + PAGE), (10, 2 * MIB, GIB + 2 * MIB), (100, GIB, 2 * GIB)];
    for (count, align, address) in runs {
        assert_eq!(pages.alloc_pages(count, align), Ok(address));
        pages.dealloc_pages(address, count);
    }
    for (count, align, address) in runs {
        assert_eq!(pages.alloc_pages(count, align), Ok(address));
    }
    assert_eq!(pages.used_pages(), 111);
    for (count, _, address) in runs {
        pages.dealloc_pages(address, count);
    }
    assert_eq!(pages.used_pages(), 0);
    for (count, align, address) in runs {
        assert_eq!(pages.alloc_pages_at(address, count, align), Ok(address));
        assert_eq!(pages.alloc_pages_at(address, count, align), Err(HeapError::NoMemory));
    }
    assert_eq!(pages.used_pages(), 111);
}

#[test]
fn arguments_are_checked_in_the_documented_order() {
    let mut pages = over(GIB, 4 * PAGE);
    for align in [0, 1, PAGE / 2, PAGE + 1, 3 * PAGE] {
        for count in [0, 1, 5] {
            assert_eq!(pages.alloc_pages(count, align), Err(HeapError::InvalidParam), "{count}, {align}");
            assert_eq!(pages.alloc_pages_at(GIB, count, align), Err(HeapError::InvalidParam));
        }
    }
    assert_eq!(pages.alloc_pages(5, PAGE), Err(HeapError::NoMemory));
    assert_eq!(pages.alloc_pages(usize::MAX, PAGE), Err(HeapError::NoMemory));
    assert_eq!(pages.alloc_pages(0, PAGE), Err(HeapError::InvalidParam));
    assert_eq!(pages.alloc_pages_at(GIB + PAGE, 1, 2 * PAGE), Err(HeapError::InvalidParam));
    assert_eq!(pages.alloc_pages_at(GIB + 1, 1, PAGE), Err(HeapError::InvalidParam));
    assert_eq!(pages.alloc_pages_at(GIB, 0, PAGE), Err(HeapError::NoMemory));
    // Below the region, past its end, and far away.
    for base in [0, GIB - PAGE, GIB + 4 * PAGE, usize::MAX - (PAGE - 1)] {
        assert_eq!(pages.alloc_pages_at(base, 1, PAGE), Err(HeapError::NoMemory));
        assert_eq!(pages.alloc_pages_at(base, usize::MAX, PAGE), Err(HeapError::NoMemory));
    }
    assert_eq!(pages.alloc_pages_at(GIB, 5, PAGE), Err(HeapError::NoMemory));
    assert_eq!(counts(&pages), (4, 0, 4));
}

#[test]
fn one_page_is_aligned_too() {
    let mut pages = over(PAGE, 4 * MIB);
    assert_eq!(pages.alloc_pages(1, 2 * MIB), Ok(2 * MIB));
    assert_eq!(pages.alloc_pages(1, 2 * MIB), Ok(4 * MIB));
    assert_eq!(pages.alloc_pages(1, 2 * MIB), Err(HeapError::NoMemory));
    assert_eq!(pages.alloc_pages(1, PAGE), Ok(PAGE));
}

#[test]
fn a_free_of_what_is_not_handed_out_is_refused_and_changes_nothing() {
    let mut pages = over(MIB, 32 * PAGE);
    assert_eq!(pages.alloc_pages(32, PAGE), Ok(MIB));
    for (address, count) in [(0x9000, 1), (MIB - PAGE, 2), (MIB + 31 * PAGE, 2), (MIB, 33), (0, usize::MAX)] {
        assert_eq!(pages.try_dealloc_pages(address, count), Err(HeapError::NotAllocated), "{address:#x}");
        pages.dealloc_pages(address, count);
        assert_eq!(counts(&pages), (32, 32, 0));
    }
    assert_eq!(pages.try_dealloc_pages(MIB + 1, 1), Err(HeapError::InvalidParam));
    assert_eq!(pages.try_dealloc_pages(MIB, 0), Ok(()));
    // One page is freed, and then all of them: nothing of the rest is lost.
    assert_eq!(pages.try_dealloc_pages(MIB + 17 * PAGE, 1), Ok(()));
    assert_eq!(pages.try_dealloc_pages(MIB + 17 * PAGE, 1), Err(HeapError::NotAllocated));
    assert_eq!(pages.try_dealloc_pages(MIB, 32), Err(HeapError::NotAllocated));
    assert_eq!(counts(&pages), (32, 31, 1));
    assert_eq!(pages.try_dealloc_pages(MIB, 17), Ok(()));
    assert_eq!(pages.try_dealloc_pages(MIB + 18 * PAGE, 14), Ok(()));
    assert_eq!(pages.alloc_pages(32, PAGE), Ok(MIB));
}

#[test]
fn a_region_may_lie_anywhere() {
    // Anywhere within a GiB, at page 0, and at the end of the address space.
    let last = usize::MAX - MIB + 1;
    for start in [0, PAGE, 0x3fff_f000, 0x8000_0000, 0x9000_0000, 0xbfff_f000, last] {
        let mut pages = over(start, MIB);
        assert_eq!(counts(&pages), (256, 0, 256));
        assert_eq!(pages.alloc_pages(256, PAGE), Ok(start));
        assert!(pages.is_allocated(start) && pages.is_allocated(start + (MIB - 1)));
        assert!(!pages.is_allocated(start.wrapping_sub(1)) && !pages.is_allocated(start.wrapping_add(MIB)));
        assert_eq!(pages.try_dealloc_pages(start, 256), Ok(()));
    }
}

#[test]
fn what_is_no_whole_page_is_trimmed_or_refused() {
    let mut pages = Pages::new();
    assert_eq!(pages.alloc_pages(1, PAGE), Err(HeapError::NoMemory));
    for (start, size) in [(0, 0), (PAGE, 0), (PAGE + 1, PAGE), (1, PAGE), (0, PAGE - 1), (usize::MAX, 2)] {
        assert_eq!(pages.add_range(start, size), Err(HeapError::InvalidParam), "{size} at {start:#x}");
        // SAFETY: pages are only counted.
        unsafe { pages.init(start, size) };
    }
    assert_eq!(counts(&pages), (0, 0, 0));
    assert_eq!(pages.add_range(PAGE - 1, 2 * PAGE), Ok(()));
    assert_eq!(pages.alloc_pages(1, PAGE), Ok(PAGE));
    assert_eq!(counts(&pages), (1, 1, 0));
}

#[test]
fn a_second_init_adds_a_region() {
    let mut pages = Pages::new();
    // SAFETY: pages are only counted.
    unsafe {
        pages.init(16 * PAGE, 16 * PAGE);
        pages.init(64 * PAGE, 16 * PAGE);
        pages.init(70 * PAGE, 16 * PAGE);
        assert_eq!(pages.add_memory(20 * PAGE, PAGE), Err(HeapError::MemoryOverlap));
        // Below the others, so its addresses come first.
        assert_eq!(pages.add_memory(4 * PAGE, 4 * PAGE), Ok(()));
    }
    assert_eq!(counts(&pages), (36, 0, 36));
    assert_eq!(pages.alloc_pages(4, PAGE), Ok(4 * PAGE));
    assert_eq!(pages.alloc_pages(1, PAGE), Ok(16 * PAGE));
    assert_eq!(pages.alloc_pages(16, PAGE), Ok(64 * PAGE));
    // No run reaches over a hole.
    assert_eq!(pages.alloc_pages_at(31 * PAGE, 34, PAGE), Err(HeapError::NoMemory));
    assert_eq!(pages.alloc_pages(16, PAGE), Err(HeapError::NoMemory));
    assert_eq!(pages.alloc_pages(15, PAGE), Ok(17 * PAGE));
    assert_eq!(counts(&pages), (36, 36, 0));
}

#[test]
fn regions_that_touch_are_one() {
    let mut pages = over(16 * PAGE, 16 * PAGE);
    assert_eq!(pages.add_range(48 * PAGE, 16 * PAGE), Ok(()));
    assert_eq!(pages.add_range(32 * PAGE, 16 * PAGE), Ok(()));
    assert_eq!(pages.alloc_pages(48, PAGE), Ok(16 * PAGE));
}

#[test]
fn the_capacity_counts_pages_and_not_addresses() {
    let mut pages = Pages::new();
    let apart = 64 * MIB;
    for region in 0..16 {
        assert_eq!(pages.add_range(apart * region + PAGE, 16 * MIB), Ok(()), "region {region}");
    }
    assert_eq!(pages.total_pages(), 1 << 16);
    assert_eq!(pages.add_range(40 * apart, PAGE), Err(HeapError::NoMemory));
    // A region that touches one needs no place of its own.
    assert_eq!(pages.add_range(0, PAGE), Ok(()));
}

#[test]
fn a_map_for_a_large_machine_is_a_static() {
    static MAP: BitmapPageAllocator<PAGE, [u64; page_words(1 << 24)]> = BitmapPageAllocator::new();
    assert_eq!(counts(&MAP), (0, 0, 0));
    // A map in a borrowed slice is small.
    assert!(size_of::<BitmapPageAllocator<PAGE, &mut [u64]>>() < 4096);
    assert!(size_of::<Pages>() < 16 * 1024);
}

#[test]
fn freeing_a_part_of_a_run_frees_that_part() {
    let mut pages = over(MIB, MIB);
    assert_eq!(pages.alloc_pages(200, PAGE), Ok(MIB));
    assert_eq!(pages.try_dealloc_pages(MIB + 70 * PAGE, 60), Ok(()));
    assert_eq!(pages.alloc_pages(60, PAGE), Ok(MIB + 70 * PAGE));
    let singles: Vec<usize> = (0..56).map(|_| pages.alloc_pages(1, PAGE).unwrap()).collect();
    assert!(singles.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(counts(&pages), (256, 256, 0));
}
