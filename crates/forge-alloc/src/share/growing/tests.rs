use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::vec::Vec;

use forge_alloc_core::sync::SpinLock;
use forge_alloc_core::testing::assert_allocator_contract;
use forge_alloc_core::{
    AllocError, Allocator, ByteAllocator, Deallocator, GrowableHeap, HeapError, NoSource, NonZeroLayout,
    Region, RegionSource,
};
use forge_trace::shadow::{Checks, Limits, Shadow, drive, random_ops};

use super::Growing;
use crate::backing::HeapSource;
use crate::layout::heap::buddy::BuddyByteAllocator;
use crate::layout::heap::free_list::{BestFit, FirstFit, FreeListHeap};
use crate::layout::heap::slab_heap::SlabByteAllocator;
use crate::layout::heap::tlsf::Tlsf;
use crate::share::locked::{Local, Locked};
use crate::share::testing::ListHeap;

/// A source that knows which regions are out, fails where it is told to, and is empty in the end.
#[derive(Default)]
struct Counted {
    out: Mutex<BTreeMap<usize, (usize, NonZeroLayout)>>,
    requests: AtomicUsize,
    releases: AtomicUsize,
    /// The number of the request that fails, counted from one.
    fails_at: usize,
    /// The longest request that succeeds, if not zero.
    longest: usize,
}

impl Counted {
    fn failing_at(fails_at: usize) -> Self {
        let mut source = Self::default();
        source.fails_at = fails_at;
        source
    }

    fn up_to(longest: usize) -> Self {
        let mut source = Self::default();
        source.longest = longest;
        source
    }

    fn counts(&self) -> (usize, usize) {
        (self.requests.load(SeqCst), self.releases.load(SeqCst))
    }
}

// SAFETY: the regions are those of the global allocator.
unsafe impl RegionSource for Counted {
    unsafe fn request(&self, layout: NonZeroLayout) -> Result<Region, AllocError> {
        let number = self.requests.fetch_add(1, SeqCst) + 1;
        if number == self.fails_at || (self.longest != 0 && layout.size().get() > self.longest) {
            return Err(AllocError);
        }
        // SAFETY: the caller's promise is the callee's.
        let region = unsafe { HeapSource.request(layout) }?;
        self.out.lock().unwrap().insert(region.base().addr().get(), (region.len(), layout));
        Ok(region)
    }

    unsafe fn release(&self, region: Region, layout: NonZeroLayout) {
        let known = self.out.lock().unwrap().remove(&region.base().addr().get());
        assert_eq!(known, Some((region.len(), layout)), "released whole, once, with its layout");
        self.releases.fetch_add(1, SeqCst);
        // SAFETY: the caller's promise is the callee's.
        unsafe { HeapSource.release(region, layout) };
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        assert!(self.out.lock().unwrap().is_empty(), "every region came back");
    }
}

fn layout(size: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, 8).unwrap()
}

fn exclusive() -> Growing<ListHeap, Counted> {
    Growing::new(ListHeap::new(), Counted::default())
}

fn shared() -> Growing<Locked<ListHeap, SpinLock>, Counted> {
    Growing::new(Locked::new(ListHeap::new()), Counted::default())
}

#[test]
fn every_composition_keeps_the_contract() {
    assert_allocator_contract(
        &Growing::new(Local::new(ListHeap::new()), Counted::default()).limited_to(8 << 20),
    );
    assert_allocator_contract(&shared().limited_to(8 << 20));
    assert_allocator_contract(&Local::new(exclusive().limited_to(8 << 20)));
}

#[test]
fn random_calls_match_the_model() {
    let limits = Limits { live_blocks: 200, size: 4096, ..Limits::default() };
    for seed in 0..if cfg!(miri) { 1 } else { 6 } {
        let ops = random_ops(seed, if cfg!(miri) { 60 } else { 2000 }, &limits.hostile(true));
        let checks = Checks { vary_alignment: true, ..Checks::default() };
        let heap = shared().limited_to(4 << 20);
        drive(&heap, &ops, checks.clone()).unwrap_or_else(|violation| panic!("{violation}"));
        let held = heap.held_bytes();
        assert_eq!((heap.release_empty(), heap.held_bytes()), (held, 0));
        let heap = Growing::new(Local::new(ListHeap::new()), Counted::default()).limited_to(4 << 20);
        let mut shadow = Shadow::with_checks(&heap, checks);
        for op in &ops {
            shadow.step(op).unwrap_or_else(|violation| panic!("{violation}"));
            heap.inner().lock().check();
        }
    }
}

#[test]
fn any_request_of_the_source_may_fail() {
    let ops =
        random_ops(5, if cfg!(miri) { 40 } else { 600 }, &Limits { live_blocks: 80, ..Limits::default() });
    for fails_at in 1.. {
        let heap = Growing::new(Local::new(ListHeap::new()), Counted::failing_at(fails_at));
        drive(&heap, &ops, Checks::default()).unwrap_or_else(|violation| panic!("{violation}"));
        heap.inner().lock().check();
        let (requests, _) = heap.source().counts();
        if requests < fails_at {
            assert!(cfg!(miri) || fails_at > 2, "the heap grew more than once");
            break;
        }
    }
}

#[test]
fn heaps_with_bookkeeping_in_their_regions_grow_and_shrink_too() {
    let ops =
        random_ops(9, if cfg!(miri) { 40 } else { 600 }, &Limits { live_blocks: 80, ..Limits::default() });
    for fails_at in 1..12 {
        let heap = Growing::new(Local::new(Tlsf::<20, 32>::new()), Counted::failing_at(fails_at));
        drive(&heap, &ops, Checks::default()).unwrap_or_else(|violation| panic!("{violation}"));
        heap.inner().lock().check_all();
        let released = heap.release_empty();
        assert!(released > 0 && heap.region_count() <= 1, "only the table of segments keeps a region");
        let total = heap.inner().lock().total_bytes();
        assert_eq!(total == 0, heap.held_bytes() == 0);
    }
}

/// Runs a history with failing requests, then gives everything back.
fn grows_and_shrinks<H: GrowableHeap + Default>() {
    let ops =
        random_ops(9, if cfg!(miri) { 40 } else { 600 }, &Limits { live_blocks: 80, ..Limits::default() });
    for fails_at in 1..if cfg!(miri) { 2 } else { 12 } {
        let heap = Growing::new(Local::new(H::default()), Counted::failing_at(fails_at));
        drive(&heap, &ops, Checks::default()).unwrap_or_else(|violation| panic!("{violation}"));
        assert!(heap.release_empty() > 0);
        assert_eq!((heap.region_count(), heap.inner().lock().total_bytes()), (0, 0));
    }
}

#[test]
fn every_heap_of_the_kernel_family_grows_and_shrinks() {
    grows_and_shrinks::<Tlsf>();
    grows_and_shrinks::<SlabByteAllocator>();
    grows_and_shrinks::<FreeListHeap<FirstFit>>();
    grows_and_shrinks::<FreeListHeap<BestFit>>();
    grows_and_shrinks::<BuddyByteAllocator<16, 32>>();
}

#[test]
fn a_source_that_refuses_leaves_everything_as_it_was() {
    let mut heap = Growing::new(ListHeap::new(), Counted::up_to(1));
    assert_eq!(heap.alloc(Layout::new::<u64>()), Err(HeapError::NoMemory));
    assert_eq!((heap.total_bytes(), heap.held_bytes(), heap.region_count()), (0, 0, 0));
    let mut fixed = Growing::new(ListHeap::new(), NoSource);
    assert_eq!(fixed.alloc(Layout::new::<u64>()), Err(HeapError::NoMemory));
    assert_eq!(fixed.alloc(Layout::from_size_align(0, 1).unwrap()), Err(HeapError::InvalidParam));
}

#[test]
fn where_there_is_no_large_region_the_least_is_asked_for() {
    let mut heap = Growing::new(ListHeap::new(), Counted::up_to(70 << 10));
    let quarter = Layout::from_size_align(16 << 10, 8).unwrap();
    for _ in 0..20 {
        heap.alloc(quarter).unwrap();
    }
    assert!(heap.region_count() >= 5);
}

#[test]
fn regions_grow_with_what_is_held_and_their_number_stays_small() {
    let mut heap = exclusive();
    let page = Layout::from_size_align(4000, 8).unwrap();
    let total = if cfg!(miri) { 1 << 20 } else { 32 << 20 };
    while heap.used_bytes() < total {
        heap.alloc(page).unwrap();
    }
    assert!(heap.held_bytes() < total * 2, "{}", heap.held_bytes());
    assert!(heap.region_count() < 32, "{}", heap.region_count());
    assert_eq!(heap.source().counts(), (heap.region_count(), 0));
}

#[test]
fn the_limit_holds_and_is_used() {
    let mut heap = exclusive().limited_to(100_000);
    let mut served = 0;
    while heap.alloc(Layout::from_size_align(1000, 8).unwrap()).is_ok() {
        served += 1;
        assert!(heap.held_bytes() <= 100_000);
    }
    assert!(served >= 80, "{served}");
    let mut heap = heap.limited_to(10);
    assert_eq!(heap.alloc(Layout::from_size_align(1000, 8).unwrap()), Err(HeapError::NoMemory));
    assert_eq!(heap.alloc(Layout::from_size_align(1 << 30, 8).unwrap()), Err(HeapError::NoMemory));
    assert_eq!(
        heap.alloc(Layout::from_size_align(isize::MAX as usize - 7, 8).unwrap()),
        Err(HeapError::NoMemory)
    );
}

#[test]
fn empty_regions_go_back_and_others_stay() {
    let mut heap = exclusive();
    let large = Layout::from_size_align(100_000, 64).unwrap();
    let blocks: Vec<_> = (0..6).map(|_| heap.alloc(large).unwrap()).collect();
    let (regions, held) = (heap.region_count(), heap.held_bytes());
    assert_eq!((heap.release_empty(), heap.region_count()), (0, regions));
    for block in &blocks[1..] {
        // SAFETY: the block is live, and this is its layout.
        unsafe { heap.dealloc(*block, large) };
    }
    let released = heap.release_empty();
    assert!(released > 0 && heap.held_bytes() == held - released && heap.region_count() == 1);
    assert_eq!(heap.source().counts(), (regions, regions - 1));
    // SAFETY: as above; the block holds what is written.
    unsafe {
        blocks[0].write_bytes(1, large.size());
        heap.dealloc(blocks[0], large);
    }
    heap.release_empty();
    assert_eq!((heap.held_bytes(), heap.total_bytes(), heap.source().counts()), (0, 0, (regions, regions)));
    assert!(heap.alloc(large).is_ok(), "it grows again");
}

#[test]
fn every_alignment_is_served_by_growth() {
    for shift in 0..=16 {
        let mut heap = exclusive();
        let layout = Layout::from_size_align(40, 1 << shift).unwrap();
        let block = heap.alloc(layout).unwrap();
        assert_eq!(block.addr().get() % layout.align(), 0);
    }
}

#[test]
fn regions_that_were_handed_over_stay() {
    let mut pool = std::vec![core::mem::MaybeUninit::uninit(); 4096];
    let mut heap = exclusive();
    heap.add_region(crate::share::testing::region_of(&mut pool)).unwrap();
    assert_eq!((heap.release_empty(), heap.total_bytes() > 4000, heap.held_bytes()), (0, true, 0));
    assert!(heap.alloc(Layout::new::<[u64; 9]>()).is_ok());
    assert_eq!(heap.source().counts(), (0, 0));
}

#[test]
fn threads_grow_and_release_one_heap() {
    let heap = shared().limited_to(2 << 20);
    std::thread::scope(|threads| {
        for tag in 1..=4_u8 {
            let heap = &heap;
            threads.spawn(move || {
                let mut live: Vec<(NonNull<u8>, NonZeroLayout)> = Vec::new();
                for round in 0..if cfg!(miri) { 20_usize } else { 4000 } {
                    let wanted = layout(1 + round * 37 % 9000);
                    if let Ok(block) = heap.allocate(wanted) {
                        // SAFETY: the block is ours and this long.
                        unsafe { block.cast::<u8>().write_bytes(tag, wanted.size().get()) };
                        live.push((block.cast(), wanted));
                    }
                    if live.len() > 12 || round % 7 == 0 {
                        for (block, layout) in live.drain(..) {
                            // SAFETY: the block is ours, filled, and freed with its layout.
                            unsafe {
                                let bytes = core::slice::from_raw_parts(block.as_ptr(), layout.size().get());
                                assert!(bytes.iter().all(|byte| *byte == tag));
                                heap.deallocate(block, layout);
                            }
                        }
                        heap.release_empty();
                    }
                    assert!(heap.held_bytes() <= 2 << 20);
                }
                for (block, layout) in live {
                    // SAFETY: the block is live, and this is its layout.
                    unsafe { heap.deallocate(block, layout) };
                }
            });
        }
    });
    heap.release_empty();
    assert_eq!(heap.held_bytes(), 0);
    let (requests, releases) = heap.source().counts();
    assert!(requests >= releases && releases > 0);
}

type Fed = Growing<Locked<ListHeap, SpinLock>, Returning>;

/// A source that allocates from what it feeds.
struct Returning {
    fed: Cell<*const Fed>,
    asked: Cell<usize>,
}

// SAFETY: the regions are those of the global allocator.
unsafe impl RegionSource for Returning {
    unsafe fn request(&self, layout: NonZeroLayout) -> Result<Region, AllocError> {
        self.asked.set(self.asked.get() + 1);
        // SAFETY: the test keeps the allocator in place.
        let fed = unsafe { &*self.fed.get() };
        assert!(fed.inner().try_lock().is_some(), "the source is asked with no lock held");
        if self.asked.get() == 2 {
            fed.allocate(super::tests::layout(64)).unwrap();
        }
        // SAFETY: the caller's promise is the callee's.
        unsafe { HeapSource.request(layout) }
    }

    unsafe fn release(&self, region: Region, layout: NonZeroLayout) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { HeapSource.release(region, layout) };
    }
}

#[test]
fn the_source_is_asked_without_the_lock_and_may_allocate() {
    let heap = Fed::new(
        Locked::new(ListHeap::new()),
        Returning { fed: Cell::new(core::ptr::null()), asked: Cell::new(0) },
    );
    heap.source().fed.set(&raw const heap);
    heap.allocate(layout(100)).unwrap();
    heap.allocate(layout(100_000)).unwrap();
    assert_eq!(heap.source().asked.get(), 2);
}

#[test]
fn the_heap_is_dropped_before_its_regions() {
    let source = Counted::default();
    let mut heap = Growing::new(ListHeap::new(), &source);
    for _ in 0..3 {
        heap.alloc(Layout::from_size_align(10_000, 8).unwrap()).unwrap();
    }
    let regions = heap.region_count();
    drop(heap);
    assert_eq!(source.counts(), (regions, regions));
}
