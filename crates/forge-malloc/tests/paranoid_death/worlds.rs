//! Systems with less: without guards that are part of a mapping, and with little address space.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::ptr::NonNull;

use forge_malloc::paranoid::{Heap, ParanoidMalloc};
use forge_os::{Advice, HugePageSizes, MapOptions, Native, Os, OsError, Protection};

use crate::child::{End, ended};
use crate::{NOT_LIVE, layout};

/// The system of this machine, which refuses marks in page tables.
#[derive(Clone, Copy)]
struct WithoutMarks;

// SAFETY: everything is passed on, and what is refused changes nothing.
unsafe impl Os for WithoutMarks {
    const MUST_COMMIT: bool = Native::MUST_COMMIT;

    fn map(&self, len: usize, options: MapOptions) -> Result<NonNull<u8>, OsError> {
        Native.map(len, options)
    }

    unsafe fn unmap(&self, ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
        // SAFETY: the caller's promise, here and below.
        unsafe { Native.unmap(ptr, len) }
    }

    unsafe fn protect(&self, ptr: NonNull<u8>, len: usize, protection: Protection) -> Result<(), OsError> {
        // SAFETY: as above.
        unsafe { Native.protect(ptr, len, protection) }
    }

    unsafe fn commit(&self, ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
        // SAFETY: as above.
        unsafe { Native.commit(ptr, len) }
    }

    unsafe fn decommit(&self, ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
        // SAFETY: as above.
        unsafe { Native.decommit(ptr, len) }
    }

    unsafe fn advise(&self, ptr: NonNull<u8>, len: usize, advice: Advice) -> Result<(), OsError> {
        match advice {
            Advice::GuardInstall | Advice::GuardRemove => Err(OsError::invalid_argument(advice.call())),
            // SAFETY: as above.
            _ => unsafe { Native.advise(ptr, len, advice) },
        }
    }

    unsafe fn lock(&self, ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
        // SAFETY: as above.
        unsafe { Native.lock(ptr, len) }
    }

    unsafe fn unlock(&self, ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
        // SAFETY: as above.
        unsafe { Native.unlock(ptr, len) }
    }

    unsafe fn remap(
        &self,
        ptr: NonNull<u8>,
        old: usize,
        new: usize,
        may_move: bool,
    ) -> Result<NonNull<u8>, OsError> {
        // SAFETY: as above.
        unsafe { Native.remap(ptr, old, new, may_move) }
    }

    fn page_size(&self) -> usize {
        Native.page_size()
    }

    fn huge_page_sizes(&self) -> HugePageSizes {
        Native.huge_page_sizes()
    }

    fn transparent_huge_page_size(&self) -> Option<usize> {
        Native.transparent_huge_page_size()
    }
}

#[test]
fn without_marks_blocks_are_guarded_all_the_same_and_the_statistics_say_how() {
    static HEAP: Heap<WithoutMarks> = Heap::new(WithoutMarks);
    let attack = |touch: fn(*mut u8, usize)| {
        ended(|| {
            let block = HEAP.allocate(layout(24));
            let stats = HEAP.stats();
            assert!(stats.guarded_by_rights > 0 && stats.guarded_by_rights == stats.mapped, "{stats:?}");
            touch(block, 24);
        })
    };
    // SAFETY: none where that is the misuse.
    unsafe {
        assert_eq!(attack(|block, size| block.add(size - 1).write_volatile(1)), End::Survives);
        assert_eq!(attack(|block, size| block.add(size).write_volatile(1)), End::Faults);
        assert_eq!(attack(|block, _| block.sub(4096).write_volatile(1)), End::Faults);
        let read_after = |block: *mut u8, _| {
            HEAP.deallocate(block, layout(24));
            block.read_volatile();
        };
        assert_eq!(attack(read_after), End::Faults);
        let free_again = |block: *mut u8, _| {
            HEAP.deallocate(block, layout(24));
            HEAP.deallocate(block, layout(24));
        };
        assert_eq!(attack(free_again), NOT_LIVE);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn without_marks_the_limit_on_mappings_is_an_error_and_ends_with_the_blocks() {
    static HEAP: Heap<WithoutMarks> = Heap::new(WithoutMarks);
    let end = ended(|| {
        let fill = || {
            let blocks: Vec<_> = (0..200_000)
                .map(|_| HEAP.allocate(layout(24)))
                .take_while(|block| !block.is_null())
                .collect();
            let count = blocks.len();
            // SAFETY: live blocks, freed once each.
            blocks.into_iter().for_each(|block| unsafe { HEAP.deallocate(block, layout(24)) });
            count
        };
        let limit: usize =
            std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap().trim().parse().unwrap();
        let (first, second) = (fill(), fill());
        if limit == 65_530 {
            assert!(first >= 20_000 && second >= 20_000, "{first} blocks, then {second}");
        }
        assert_eq!(HEAP.stats().live_blocks, 0);
    });
    assert_eq!(end, End::Survives);
}

#[test]
#[cfg(target_os = "linux")]
fn little_address_space_is_an_error_and_ends_with_the_blocks() {
    if super::child::is_emulated() {
        return;
    }
    static HEAP: Heap<Native> = Heap::new(Native);
    for size in [24, 5000, 100_000, 1 << 20, 9 << 20] {
        let end = ended(|| {
            let pages: usize = std::fs::read_to_string("/proc/self/statm")
                .unwrap()
                .split(' ')
                .next()
                .unwrap()
                .parse()
                .unwrap();
            let limit = (pages as u64 * 4096) + (64 << 20);
            let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
            // SAFETY: the limit is this child's.
            assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
            for round in 0..3 {
                let mut blocks = Vec::with_capacity(10_000);
                loop {
                    let block = HEAP.allocate(layout(size));
                    if block.is_null() {
                        break;
                    }
                    // SAFETY: a live block, written within its size.
                    unsafe { block.write_bytes(1, size) };
                    blocks.push(block);
                }
                let addresses = blocks.len() * (size.next_multiple_of(4096) + 4096);
                assert!(addresses > 24 << 20, "round {round}: {} blocks of {size}", blocks.len());
                // SAFETY: live blocks, freed once each.
                blocks.into_iter().for_each(|block| unsafe { HEAP.deallocate(block, layout(size)) });
            }
        });
        assert_eq!(end, End::Survives, "size {size}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn locked_memory_takes_no_marks_and_is_wiped() {
    let end = ended(|| {
        // SAFETY: what is mapped from now on is locked, as far as the limit goes.
        if unsafe { libc::mlockall(libc::MCL_FUTURE) } != 0 {
            return;
        }
        let layout = Layout::from_size_align(40_000, 8).unwrap();
        // SAFETY: the size is not zero; live blocks, written within their size and freed once.
        unsafe {
            for _ in 0..3 {
                let block = ParanoidMalloc::new().alloc(layout);
                if block.is_null() {
                    return;
                }
                assert!((0..40_000).all(|at| block.add(at).read() == 0));
                block.write_bytes(1, 40_000);
                ParanoidMalloc::new().dealloc(block, layout);
            }
        }
    });
    assert_eq!(end, End::Survives);
}
