use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

use forge_alloc_core::{BaseAllocator, HeapError, PageAllocator};
use forge_trace::random::Random;

use super::{BuddyPageAllocator, buddy_words};
use crate::raw::testing::forever;

const PAGE: usize = 4096;

type Pages = BuddyPageAllocator<PAGE, &'static mut [u64], 4>;

fn with_room_for(pages: usize) -> Pages {
    Pages::over(forever(vec![7; buddy_words(pages)]))
}

/// Every managed page, and whether it is free.
type Naive = BTreeMap<usize, bool>;

fn all(naive: &Naive, page: usize, count: usize, free: bool) -> bool {
    (page..page + count).all(|page| naive.get(&page) == Some(&free))
}

fn set(naive: &mut Naive, page: usize, count: usize, free: bool) {
    (page..page + count).for_each(|page| *naive.get_mut(&page).unwrap() = free);
}

#[test]
fn random_histories_over_regions_with_holes_are_those_of_the_naive_map() {
    for percent in [10, 50, 90, 99].into_iter().take(if cfg!(miri) { 1 } else { 4 }) {
        let (mut pages, mut naive, mut random) = (with_room_for(4000), Naive::new(), Random::new(percent));
        for (start, end) in [(0, 64), (100, 333), (1025, 1600), (400, 403)] {
            assert_eq!(pages.add_range(start * PAGE, (end - start) * PAGE), Ok(()));
            naive.extend((start..end).map(|page| (page, true)));
        }
        let numbers: Vec<usize> = naive.keys().copied().collect();
        for step in 0..if cfg!(miri) { 4 } else { 4000 } {
            let longest = 1 + random.index(60);
            let (count, align) = (1 + random.index(longest), 1 << random.index(6));
            let page = numbers[random.index(numbers.len())];
            match random.index(8) {
                0 => {
                    let taken = pages.alloc_pages_at(page * PAGE, count, PAGE);
                    assert_eq!(taken.is_ok(), all(&naive, page, count, true), "step {step}");
                    if taken.is_ok() {
                        set(&mut naive, page, count, false);
                    }
                }
                1..=5 if pages.used_pages() * 100 < pages.total_pages() * percent as usize => {
                    let size = count.next_power_of_two().max(align);
                    let block = numbers.iter().any(|page| page % size == 0 && all(&naive, *page, size, true));
                    let taken = pages.alloc_pages(count, align * PAGE);
                    // A run that was kept may lie where no whole block is free.
                    assert!(taken.is_ok() || !block, "step {step}: {count} aligned to {align}");
                    if let Ok(address) = taken {
                        assert_eq!(address % (align * PAGE), 0);
                        assert!(all(&naive, address / PAGE, count, true));
                        set(&mut naive, address / PAGE, count, false);
                    }
                }
                _ => {
                    let given = pages.try_dealloc_pages(page * PAGE, count);
                    assert_eq!(
                        given.is_ok(),
                        all(&naive, page, count, false),
                        "step {step}: {count} from {page}"
                    );
                    if given.is_ok() {
                        set(&mut naive, page, count, true);
                    }
                }
            }
            let free = naive.values().filter(|free| **free).count();
            assert_eq!((pages.available_pages(), pages.used_pages()), (free, naive.len() - free));
        }
    }
}

#[test]
fn wrong_arguments_regions_and_frees_are_refused() {
    let mut pages = with_room_for(256);
    assert_eq!(pages.alloc_pages(1, PAGE), Err(HeapError::NoMemory));
    for (start, size) in [(0, 0), (PAGE + 1, PAGE), (0, PAGE - 1), (usize::MAX, 2)] {
        assert_eq!(pages.add_range(start, size), Err(HeapError::InvalidParam));
    }
    assert_eq!(pages.add_range(0, usize::MAX), Err(HeapError::NoMemory));
    let last = usize::MAX - 16 * PAGE + 1;
    // SAFETY: pages are only counted.
    unsafe {
        pages.init(last, 16 * PAGE);
        assert_eq!(pages.add_memory(last + PAGE, PAGE), Err(HeapError::MemoryOverlap));
        assert_eq!(pages.add_memory(0, 16 * PAGE), Ok(()));
    }
    for align in [0, 1, PAGE / 2, 3 * PAGE] {
        assert_eq!(pages.alloc_pages(1, align), Err(HeapError::InvalidParam));
        assert_eq!(pages.alloc_pages_at(0, 1, align), Err(HeapError::InvalidParam));
    }
    assert_eq!(pages.alloc_pages(0, PAGE), Err(HeapError::InvalidParam));
    assert_eq!(pages.alloc_pages(usize::MAX, PAGE), Err(HeapError::NoMemory));
    assert_eq!(pages.alloc_pages_at(0, 0, PAGE), Err(HeapError::NoMemory));
    assert_eq!(pages.alloc_pages_at(0, 17, PAGE), Err(HeapError::NoMemory));
    assert_eq!(pages.alloc_pages_at(PAGE, 1, 2 * PAGE), Err(HeapError::InvalidParam));
    assert_eq!(pages.alloc_pages(16, PAGE), Ok(last));
    assert_eq!(pages.alloc_pages(16, PAGE), Ok(0));
    for (page, count) in [(0, 17), (16, 1), (15, 2)] {
        assert_eq!(pages.try_dealloc_pages(page * PAGE, count), Err(HeapError::NotAllocated));
    }
    assert_eq!(pages.try_dealloc_pages(1, 1), Err(HeapError::InvalidParam));
    pages.dealloc_pages(3 * PAGE, 2);
    pages.dealloc_pages(3 * PAGE, 2);
    assert_eq!(pages.try_dealloc_pages(0, 16), Err(HeapError::NotAllocated));
    assert_eq!((pages.total_pages(), pages.used_pages(), pages.available_pages()), (32, 30, 2));
}
