#![allow(unsafe_code)]

use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, OsBacked, ProtectFlags,
};
use forge_os::sim::{SimCall, SimOs};
use forge_os::{OsError, Protection};

use core::ptr::NonNull;

use super::GuardPage;
use crate::{BumpArena, LockedMmapBacked, MmapBacked, MmapFlags};

const PAGE: usize = 16 << 10;

fn mapping(os: SimOs, pages: usize) -> MmapBacked<SimOs> {
    MmapBacked::map_on(os, pages * PAGE, MmapFlags::NONE).unwrap()
}

fn layout(size: usize, align: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, align).unwrap()
}

#[test]
fn both_ends_are_guards_and_the_interior_is_all_that_is_handed_out() {
    let os = SimOs::new(PAGE);
    let mut guarded = GuardPage::new(mapping(os, 5), PAGE).unwrap();
    let region = guarded.inner().base_ptr();
    assert_eq!(guarded.base().addr().get() - region.addr().get(), PAGE);
    assert_eq!(
        (guarded.size(), guarded.capacity_bytes(), guarded.page_size()),
        (3 * PAGE, Some(3 * PAGE), PAGE)
    );
    for page in 0..5 {
        // SAFETY: the offset is inside the mapping.
        let page_there = os.page(unsafe { region.add(page * PAGE) }).unwrap();
        assert_eq!(page_there.guard, page == 0 || page == 4, "{page}");
    }
    let block = guarded.allocate(layout(3 * PAGE, 64)).unwrap();
    assert_eq!((block.cast(), guarded.allocated()), (guarded.base(), 3 * PAGE));
    assert_eq!(guarded.allocate(layout(1, 1)), Err(AllocError));
    // SAFETY: the block is ours; it is freed once.
    unsafe {
        block.cast::<u8>().write_bytes(7, 3 * PAGE);
        guarded.deallocate(block.cast(), layout(3 * PAGE, 64));
        assert_eq!(guarded.allocate_zeroed(layout(PAGE, 1)).unwrap().cast::<u8>().read(), 0);
    }
    assert_eq!((guarded.can_reset(), guarded.reset(), guarded.allocated()), (true, Ok(()), 0));
    drop(guarded);
    assert_eq!((os.live_mappings(), os.mapped_bytes()), (0, 0));
}

#[test]
fn guards_of_several_pages_are_as_long_as_asked() {
    let os = SimOs::new(4096);
    // Eight pages whose first is at an odd or an even multiple of the page size.
    let guarded = (0..64)
        .map(|_| MmapBacked::map_on(os, 8 * 4096, MmapFlags::NONE).unwrap())
        .find(|mapping| mapping.base().addr().get() % 8192 == 0)
        .map(|mapping| GuardPage::new(mapping, 8192).unwrap());
    if let Some(guarded) = guarded {
        assert_eq!((guarded.size(), guarded.page_size()), (4 * 4096, 8192));
    }
}

#[test]
fn nobody_allocates_behind_its_back() {
    let arena = BumpArena::new(mapping(SimOs::new(PAGE), 4)).unwrap();
    let guarded = GuardPage::new(arena, PAGE).unwrap();
    assert_eq!(guarded.inner().allocate(layout(8, 8)), Err(AllocError));
    assert_eq!(guarded.inner().backing().allocate(layout(8, 8)), Err(AllocError));

    let used = mapping(SimOs::new(PAGE), 4);
    used.allocate(layout(8, 8)).unwrap();
    assert!(GuardPage::new(used, PAGE).is_err(), "a block is live where the guard would be");
}

#[test]
fn a_layout_may_take_the_interior_once() {
    let mut guarded = GuardPage::new(mapping(SimOs::new(PAGE), 4), PAGE).unwrap();
    assert_eq!(guarded.claim(), Ok(()));
    assert_eq!(guarded.claim(), Err(AllocError));
    assert_eq!((guarded.allocate(layout(1, 1)), guarded.can_reset()), (Err(AllocError), false));
}

#[test]
fn impossible_guards_are_errors() {
    let guard = |pages, page_size| GuardPage::new(mapping(SimOs::new(PAGE), pages), page_size).map(|_| ());
    for page_size in [0, 1, 3, 512, 4096, PAGE - 1, PAGE + 1, 3 * PAGE, usize::MAX, 1 << (usize::BITS - 1)] {
        assert_eq!(guard(12, page_size), Err(AllocError), "{page_size}");
    }
    assert_eq!(guard(2, PAGE), Err(AllocError), "no interior");
    assert_eq!(guard(1, PAGE), Err(AllocError));
    assert_eq!(guard(5, 2 * PAGE), Err(AllocError), "the region is not whole guards");
    assert_eq!(guard(3, PAGE), Ok(()));
}

#[test]
fn a_refused_guard_is_an_error_with_its_reason_and_nothing_stays_mapped() {
    for nth in [1, 2] {
        let os = SimOs::new(PAGE);
        let mapping = mapping(os, 4);
        os.fail_nth(Some(SimCall::Advise), nth, 12);
        assert!(GuardPage::new(mapping, PAGE).is_err());
        assert_eq!(crate::last_os_failure(), Some(OsError::new("madvise(MADV_GUARD_INSTALL)", 12)));
        assert_eq!(os.live_mappings(), 0);
    }
}

#[test]
fn pages_without_rights_stand_in_where_the_system_has_no_guards() {
    let os = SimOs::new(PAGE);
    let mapping = mapping(os, 4);
    os.fail_nth(Some(SimCall::Advise), 1, OsError::invalid_argument("").code());
    let guarded = GuardPage::new(mapping, PAGE).unwrap();
    let head = os.page(guarded.inner().base_ptr()).unwrap();
    assert_eq!((head.guard, head.protection), (false, Protection::NONE));
    assert_eq!(os.protection_of(guarded.base()), Some(Protection::READ_WRITE));
}

/// A mapping whose protection fails and says so nowhere but in the result.
struct Silent(MmapBacked<SimOs>);

// SAFETY: the mapping keeps the contract.
unsafe impl Deallocator for Silent {
    unsafe fn deallocate(&self, _: NonNull<u8>, _: NonZeroLayout) {}
}

// SAFETY: nothing is handed out.
unsafe impl Allocator for Silent {
    fn allocate(&self, _: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        Err(AllocError)
    }
}

// SAFETY: the range is the mapping's.
unsafe impl FixedRange for Silent {
    fn base(&self) -> NonNull<u8> {
        self.0.base()
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

// SAFETY: the mapping is described as it is; nothing is ever changed.
unsafe impl OsBacked for Silent {
    fn base_ptr(&self) -> NonNull<u8> {
        self.0.base_ptr()
    }

    fn region_size(&self) -> usize {
        self.0.region_size()
    }

    unsafe fn try_release_pages(&self, _: NonNull<u8>, _: usize) -> Result<(), AllocError> {
        Err(AllocError)
    }

    unsafe fn try_protect(&self, _: NonNull<u8>, _: usize, _: ProtectFlags) -> Result<(), AllocError> {
        Err(AllocError)
    }
}

#[test]
fn whether_a_guard_stands_is_what_its_result_says() {
    let reason = OsError::new("a call of the program", 5);
    crate::backing::record(reason);
    assert!(GuardPage::new(Silent(mapping(SimOs::new(PAGE), 4)), PAGE).is_err());
    assert_eq!(crate::last_os_failure(), Some(reason), "the caller's own reason is left alone");
}

#[test]
fn a_lazy_mapping_is_committed_behind_the_guard() {
    let os = SimOs::new(PAGE);
    let mut flags = MmapFlags::NONE;
    flags.lazy_commit = true;
    let guarded = GuardPage::new(MmapBacked::map_on(os, 64 * PAGE, flags).unwrap(), PAGE).unwrap();
    assert!(guarded.committed() <= guarded.size());
    let block = guarded.allocate(layout(guarded.size(), 1)).unwrap();
    // SAFETY: the block is ours.
    unsafe { block.cast::<u8>().write_bytes(1, guarded.size()) };
    assert_eq!(guarded.committed(), guarded.size());
    assert_eq!(guarded.commit(0, guarded.size()), Ok(()));
    assert!(guarded.commit(usize::MAX, 1).is_err());
}

#[test]
fn locked_pages_are_unlocked_before_they_are_guards() {
    let os = SimOs::new(PAGE);
    let guarded = GuardPage::new(LockedMmapBacked::map_on(os, 6 * PAGE).unwrap(), PAGE).unwrap();
    assert_eq!(os.locked_bytes(), 4 * PAGE);
    let head = os.page(guarded.inner().base_ptr()).unwrap();
    assert!(!head.locked && head.dont_dump && head.wipe_on_fork && head.protection == Protection::NONE);
    let first = os.page(guarded.base()).unwrap();
    assert!(first.locked && first.dont_dump && first.wipe_on_fork);
    drop(guarded);
    assert_eq!((os.locked_bytes(), os.live_mappings()), (0, 0));
}

#[test]
fn edges_are_never_locked_so_that_the_limit_is_for_the_data() {
    let os = SimOs::new(PAGE);
    os.limit_locked_bytes(4 * PAGE);
    assert!(LockedMmapBacked::map_on(os, 6 * PAGE).is_err(), "the guards would be locked first");
    let backing = LockedMmapBacked::map_with_edges_on(os, 4 * PAGE, PAGE).unwrap();
    assert_eq!((backing.size(), backing.region_size(), os.locked_bytes()), (4 * PAGE, 6 * PAGE, 4 * PAGE));
    assert_eq!(backing.base().addr().get() - backing.base_ptr().addr().get(), PAGE);
    let guarded = GuardPage::new(backing, PAGE).unwrap();
    assert_eq!((guarded.base(), guarded.size()), (guarded.inner().base(), 4 * PAGE));
    let block = guarded.allocate(layout(4 * PAGE, 1)).unwrap();
    // SAFETY: the block is ours.
    unsafe { block.cast::<u8>().write_bytes(1, 4 * PAGE) };
    assert_eq!(os.locked_bytes(), 4 * PAGE);
    drop(guarded);
    assert_eq!((os.locked_bytes(), os.live_mappings()), (0, 0));

    // Guards longer than the edges leave less; guards that end within an edge do not fit the range.
    let backing = LockedMmapBacked::map_with_edges_on(os, 4 * PAGE, 2 * PAGE).unwrap();
    assert!(GuardPage::new(backing, PAGE).is_err());
    assert_eq!((os.locked_bytes(), os.live_mappings()), (0, 0));
    for (size, edge) in [(0, PAGE), (PAGE, usize::MAX), (usize::MAX, PAGE), (PAGE, isize::MAX as usize)] {
        assert!(LockedMmapBacked::map_with_edges_on(os, size, edge).is_err());
    }
    assert_eq!(os.live_mappings(), 0);
}
