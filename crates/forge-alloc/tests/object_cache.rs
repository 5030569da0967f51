//! Object caches as their documentation shows them: its quick start, its stress test, and two threads that trade boxes.
//!
//! The hooks of this program count slabs that are out. The tests run at once, so each counts for itself in its own way.
#![cfg(all(feature = "std", not(loom)))]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::alloc::{Layout, alloc, dealloc};
use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::Mutex;

use forge_alloc::cache as attachable_slab_allocator;
use forge_alloc::define_allocation_hooks;

use attachable_slab_allocator::{
    Hooks, Result, SlabBox, SlabCache, SlabError, locks::NoLock, locks::SpinLock,
};

/// Slabs that are out, by their size: each test that counts has a size of its own.
static OUT: Mutex<Option<HashMap<usize, isize>>> = Mutex::new(None);

fn count(size: usize, change: isize) -> isize {
    let mut out = OUT.lock().unwrap();
    let balance = out.get_or_insert_default().entry(size).or_default();
    *balance += change;
    *balance
}

/// The size of slabs that the hook does not take back.
const REFUSED: usize = 2048;

unsafe fn system_alloc(layout: Layout) -> Option<NonNull<u8>> {
    assert!(layout.size() == layout.align() && layout.size().is_power_of_two());
    count(layout.size(), 1);
    // SAFETY: the size is not zero.
    let ptr = unsafe { alloc(layout) };
    NonNull::new(ptr)
}

unsafe fn system_free(ptr: NonNull<u8>, layout: Layout) -> Result<()> {
    count(layout.size(), -1);
    // SAFETY: it came from the function above with this layout.
    unsafe { dealloc(ptr.as_ptr(), layout) };
    if layout.size() == REFUSED { Err(SlabError::FatalError) } else { Ok(()) }
}

define_allocation_hooks!(system_alloc, system_free);

mod quick_start {
    use super::attachable_slab_allocator::{Result, SlabCache, locks::SpinLock};

    struct MyConfig {
        id: u32,
        data: [u8; 60],
    }
    // The one line that the documented program lacks: `alloc` makes a value of zeros, so somebody has to say that they are one.
    forge_alloc::zeroable!(MyConfig { id, data });

    #[test]
    #[allow(unused_mut, reason = "the documented program says so")]
    fn the_documented_program_runs() -> Result<(), Box<dyn std::error::Error>> {
        let mut cache = SlabCache::<MyConfig, SpinLock, 4096>::new()?;
        let mut item = cache.alloc()?;
        item.id = 1;
        item.data[0] = 0xFF;
        assert_eq!((item.id, item.data[0], item.data[1]), (1, 0xFF, 0));
        Ok(())
    }
}

/// The documented stress: threads with a clone each allocate four times out of five, and drop the newest box else.
fn stress<const SLAB_SIZE: usize>(threads: u64, steps: u64) {
    let cache = SlabCache::<u128, SpinLock, SLAB_SIZE>::new().unwrap();
    let handles: Vec<_> = (0..threads)
        .map(|id| {
            let cache = cache.clone();
            std::thread::spawn(move || {
                let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(id + 1);
                let mut random = move || {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    state
                };
                let mark = |address: *mut u128, key: u64| address.addr() as u128 ^ u128::from(key + id);
                let mut boxes: Vec<(SlabBox<u128, SpinLock, SLAB_SIZE>, u64)> = Vec::new();
                for step in 0..steps {
                    if random() % 5 < 4 || boxes.is_empty() {
                        let mut value = cache.alloc_value(0).unwrap();
                        *value = mark(value.as_ptr(), step);
                        boxes.push((value, step));
                    } else if let Some((value, key)) = boxes.pop() {
                        assert_eq!(*value, mark(value.as_ptr(), key));
                    }
                }
                for last in (1..boxes.len()).rev() {
                    boxes.swap(last, random() as usize % (last + 1));
                }
                for (value, key) in boxes {
                    assert_eq!(*value, mark(value.as_ptr(), key));
                }
            })
        })
        .collect();
    handles.into_iter().for_each(|handle| handle.join().unwrap());
    drop(cache);
    assert_eq!(count(SLAB_SIZE, 0), 0, "every slab went back");
}

#[test]
fn twenty_threads_find_their_boxes_as_they_left_them() {
    if cfg!(miri) { stress::<0x200>(3, 30) } else { stress::<0x200>(20, 100_000) }
}

#[test]
fn boxes_that_outlive_every_handle_end_on_other_threads() {
    const ROUNDS: u64 = if cfg!(miri) { 4 } else { 300 };
    for round in 0..ROUNDS {
        let cache = SlabCache::<u64, SpinLock, 1024>::new().unwrap();
        let boxes: Vec<_> =
            (0..if cfg!(miri) { 130 } else { 1000 }).map(|n| cache.alloc_value(n).unwrap()).collect();
        let (mut mine, mut theirs): (Vec<_>, Vec<_>) = boxes.into_iter().partition(|value| **value % 3 == 0);
        let there = std::thread::spawn(move || {
            if round % 2 == 0 {
                theirs.reverse();
            }
            theirs.into_iter().map(|value| *value % 3).filter(|rest| *rest == 0).count()
        });
        drop(cache);
        mine.retain(|value| **value % 2 == 0);
        drop(mine);
        assert_eq!(there.join().unwrap(), 0);
        assert_eq!(count(1024, 0), 0);
    }
}

/// A page allocator of a kernel as the provider: pages of memory that it was given by address.
#[cfg(not(miri))]
mod pages {
    use std::sync::Mutex;

    use forge_alloc::cache::{SlabCache, locks::SpinLock};
    use forge_alloc::kernel::{BaseAllocator, BitmapPageAllocator, PageAllocator};
    use forge_alloc::{AllocError, NonZeroLayout, Region, RegionSource};

    const PAGE: usize = 4096;
    const PAGES: usize = 64;

    #[repr(align(4096))]
    struct Memory([u8; PAGE * PAGES]);

    struct Pages(Mutex<BitmapPageAllocator<PAGE>>);

    // SAFETY: a region is a run of pages that the allocator hands out once, in memory that is never freed.
    unsafe impl RegionSource for Pages {
        unsafe fn request(&self, layout: NonZeroLayout) -> Result<Region, AllocError> {
            let (size, align) = (layout.size().get(), layout.align().get());
            let start = self
                .0
                .lock()
                .unwrap()
                .alloc_pages(size.div_ceil(PAGE), align.max(PAGE))
                .map_err(|_| AllocError)?;
            // SAFETY: the pages are this region's alone until they are released.
            unsafe { Region::from_addresses(start, size) }.ok_or(AllocError)
        }

        unsafe fn release(&self, region: Region, layout: NonZeroLayout) {
            let pages = layout.size().get().div_ceil(PAGE);
            self.0.lock().unwrap().dealloc_pages(region.base().addr().get(), pages);
        }
    }

    #[test]
    fn slabs_are_pages_of_a_page_allocator() {
        let memory = Box::into_raw(Box::new(Memory([0; PAGE * PAGES])));
        let mut pages = BitmapPageAllocator::new();
        // SAFETY: the memory is the allocator's alone until the cache is gone.
        unsafe { pages.init((&raw mut (*memory).0).expose_provenance(), PAGE * PAGES) };
        // By reference: the provider lies in the first slab, and this one is larger than half of it.
        let owned = Box::into_raw(Box::new(Pages(Mutex::new(pages))));
        // SAFETY: it ends after the cache.
        let pages: &'static Pages = unsafe { &*owned };
        let cache = SlabCache::<[u64; 8], SpinLock, 16384, _>::new_in(pages).unwrap();
        for _ in 0..3 {
            let boxes: Vec<_> = core::iter::from_fn(|| cache.alloc_value([7; 8]).ok()).collect();
            assert!(boxes.len() > 15 * 240 && boxes.iter().all(|value| **value == [7; 8]));
        }
        assert_eq!(cache.stats().live, 0);
        drop(cache);
        // SAFETY: nobody uses them any more.
        unsafe {
            drop(Box::from_raw(owned));
            drop(Box::from_raw(memory));
        }
    }
}

#[test]
fn a_hook_that_takes_nothing_back_is_counted_and_unwinds_nowhere() {
    let before = Hooks::refused();
    let cache = SlabCache::<u64, NoLock, REFUSED>::new().unwrap();
    drop((0..1000).map(|n| cache.alloc_value(n).unwrap()).collect::<Vec<_>>());
    drop(cache);
    assert!(Hooks::refused() > before);
}
