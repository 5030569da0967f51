#![allow(unsafe_code)]

use forge_alloc_core::{Allocator, Deallocator, FixedRange, OsBacked};
use forge_os::sim::SimOs;
use forge_os::{Advice, OsError};

use super::HugePageAligned;
use crate::{BumpArena, MmapBacked, MmapFlags, NonZeroLayout, last_os_failure};

const PAGE: usize = 4096;

/// A huge page of the tests, in bytes.
const HUGE: usize = 4 * PAGE;

fn sim_mmap(os: SimOs, pages: usize) -> MmapBacked<SimOs> {
    MmapBacked::map_on(os, pages * PAGE, MmapFlags::NONE).unwrap()
}

/// Returns the wrapper without asking a system.
fn unasked<I: OsBacked>(inner: I) -> HugePageAligned<I> {
    HugePageAligned { inner, huge_page_size: HUGE }
}

fn layout(size: usize, align: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, align).unwrap()
}

#[test]
fn sizes_that_are_no_page_sizes_are_refused() {
    for size in [0, 1, 2048, PAGE + 1, 3 * PAGE, usize::MAX] {
        assert!(HugePageAligned::with_huge_page_size(sim_mmap(SimOs::new(PAGE), 1), size).is_none());
        assert_eq!(last_os_failure(), Some(OsError::invalid_argument(Advice::HugePage.call())));
    }
}

#[test]
fn mappings_of_another_system_are_refused_and_the_reason_names_the_advice() {
    let os = SimOs::new(PAGE);
    assert!(HugePageAligned::new(sim_mmap(os, 1)).is_none());
    let refused = last_os_failure().unwrap();
    assert_eq!(refused, OsError::unsupported("madvise(MADV_HUGEPAGE)"));
    assert!(refused.to_string().contains("transparent huge pages need Linux"), "{refused}");
    assert_eq!(os.live_mappings(), 0);
}

#[test]
fn blocks_start_on_a_huge_page_and_have_the_size_that_was_asked_for() {
    let huge = unasked(sim_mmap(SimOs::new(PAGE), 64));
    for align in [1, 8, PAGE, HUGE, 2 * HUGE] {
        let block = huge.allocate(layout(10, align)).unwrap();
        assert_eq!(block.len(), 10);
        assert_eq!(block.cast::<u8>().addr().get() % HUGE.max(align), 0);
        // SAFETY: the block is live with this layout.
        let usable = unsafe { huge.usable_size(block.cast(), layout(10, align)) };
        assert!(usable.is_none_or(|usable| usable >= 10));
    }
    assert!(huge.allocate(layout(isize::MAX as usize - HUGE, 1)).is_err());
    assert!(
        huge.allocate_zeroed(layout(isize::MAX as usize - 10, 1)).is_err(),
        "no layout has this size and alignment"
    );
}

#[test]
fn the_inner_allocator_resizes_and_takes_back_what_it_knows() {
    let mut huge = unasked(sim_mmap(SimOs::new(PAGE), 64));
    let first = huge.allocate_zeroed(layout(10, 1)).unwrap().cast::<u8>();
    let start = huge.inner().allocated();
    // SAFETY: the block is live with the layout of each step, and not used after it was freed.
    unsafe {
        assert!(huge.stays_in_place(first, layout(10, 1), layout(1000, 8)));
        assert!(!huge.stays_in_place(first, layout(10, 1), layout(isize::MAX as usize, 1)));
        assert_eq!(huge.grow(first, layout(10, 1), layout(1000, 8)).unwrap().cast(), first);
        assert_eq!(huge.grow_zeroed(first, layout(1000, 8), layout(2000, 8)).unwrap().cast(), first);
        assert_eq!(first.add(1999).read(), 0);
        assert_eq!(huge.shrink(first, layout(2000, 8), layout(10, 1)).unwrap().cast(), first);
        assert_eq!(huge.inner().allocated(), start);
        huge.deallocate(first, layout(10, 1));
    }
    assert_eq!(huge.inner().allocated(), start - 10, "the last block came back");
    assert_eq!((huge.huge_page_size(), huge.min_purge_size()), (HUGE, HUGE));
    assert!(huge.can_reset() && huge.reset().is_ok());
    assert_eq!(huge.into_inner().allocated(), 0);
}

#[test]
fn a_release_gives_whole_huge_pages_back_and_nothing_else() {
    let os = SimOs::new(PAGE);
    let huge = unasked(sim_mmap(os, 64));
    let base = huge.base_ptr();
    // The first page of the mapping that starts a huge page.
    let first = base.addr().get().wrapping_neg() % HUGE / PAGE;
    for from in 0..20 {
        for pages in 0..20 {
            // SAFETY: the range is writable, and nothing else uses it.
            unsafe { base.write_bytes(1, huge.region_size()) };
            // SAFETY: the offset is inside the mapping, and no block is live.
            unsafe { huge.release_pages(base.add(from * PAGE), pages * PAGE) };
            for page in 0..64 {
                let whole = page >= first
                    && (page - first) / 4 * 4 + first >= from
                    && (page - first) / 4 * 4 + first + 4 <= from + pages;
                // SAFETY: the byte is inside the mapping.
                let byte = unsafe { base.add(page * PAGE).read() };
                assert_eq!(byte == 0, whole, "page {page} of a release of {pages} at {from}");
            }
        }
    }
}

#[test]
fn spans_outside_the_mapping_are_refused_even_if_rounding_would_bring_them_in() {
    let huge = unasked(sim_mmap(SimOs::new(PAGE), 64));
    let base = huge.base_ptr();
    let outside = [
        (base.as_ptr().wrapping_sub(PAGE), 64 * PAGE),
        (base.as_ptr(), 65 * PAGE),
        (base.as_ptr(), usize::MAX),
        (base.as_ptr().wrapping_add(63 * PAGE), usize::MAX - PAGE),
    ];
    // SAFETY: the range is writable, and nothing else uses it.
    unsafe { base.write_bytes(1, huge.region_size()) };
    for (start, size) in outside {
        let start = core::ptr::NonNull::new(start).unwrap();
        // SAFETY: no block is live.
        assert!(unsafe { huge.try_release_pages(start, size) }.is_err());
        // SAFETY: no block is live.
        unsafe { huge.release_pages(start, size) };
    }
    // SAFETY: the bytes are inside the mapping.
    assert!((0..64).all(|page| unsafe { base.add(page * PAGE).read() } == 1));
    // SAFETY: no block is live.
    assert_eq!(unsafe { huge.try_release_pages(base, 1) }, Ok(()), "no whole huge page, nothing to do");
}

#[test]
fn an_arena_may_carve_the_range() {
    const { assert!(HugePageAligned::<MmapBacked>::CARVABLE) };
    let arena = BumpArena::new(unasked(sim_mmap(SimOs::new(PAGE), 4))).unwrap();
    assert!(arena.alloc(7_u64).is_ok());
    assert!(arena.backing().allocate(layout(1, 1)).is_err(), "claimed");
}
