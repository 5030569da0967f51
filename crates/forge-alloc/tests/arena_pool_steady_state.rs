//! In the steady state a pool of mapped arenas calls neither the system nor the heap: both are counted.
#![cfg(all(feature = "std", any(unix, windows)))]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use forge_alloc::{AllocError, Allocator, ArenaPool, BumpArena, MmapBacked, MmapFlags, NonZeroLayout};
use forge_os::sim::SimOs;

std::thread_local! {
    static HEAP_CALLS: Cell<usize> = const { Cell::new(0) };
}

/// Counts the calls of each thread to the heap.
struct Counting;

// SAFETY: every call is the system's; the counter neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the callee's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller's promises are the callee's.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the callee's.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static HEAP: Counting = Counting;

fn count() {
    let _ = HEAP_CALLS.try_with(|calls| calls.set(calls.get() + 1));
}

/// How often the calling thread has called the heap and the simulated system.
fn calls(os: SimOs) -> (usize, impl PartialEq + std::fmt::Debug) {
    // The system first: its own bookkeeping uses the heap.
    let system = os.calls();
    (HEAP_CALLS.with(Cell::get), system)
}

fn pool(os: SimOs) -> ArenaPool<MmapBacked<SimOs>, impl FnMut() -> Result<MmapBacked<SimOs>, AllocError>> {
    ArenaPool::new(4, move || MmapBacked::map_on(os, 1 << 16, MmapFlags::NONE).map_err(|_| AllocError))
}

fn fill(arena: &BumpArena<MmapBacked<SimOs>>) {
    let layout = NonZeroLayout::from_size_align(1000, 8).unwrap();
    while arena.allocate(layout).is_ok() {}
}

#[test]
fn checkout_and_give_back_call_nobody() {
    let os = SimOs::new(4096);
    let mut pool = pool(os);
    let mut round = || {
        let (one, two) = (pool.checkout().unwrap(), pool.checkout().unwrap());
        fill(&one);
        fill(&two);
        pool.give_back(one);
        pool.give_back(two);
    };
    let fresh = calls(os);
    round();
    let before = calls(os);
    assert!(fresh.0 < before.0 && fresh.1 != before.1, "the first round makes the list and maps the arenas");
    for _ in 0..100 {
        round();
    }
    assert!(before == calls(os), "the steady state called the heap or the system");
}

#[test]
fn leases_call_nobody() {
    let os = SimOs::new(4096);
    let mut pool = pool(os);
    assert_eq!(pool.prewarm(1), Ok(1));
    let before = calls(os);
    for _ in 0..100 {
        let arena = pool.lease().unwrap();
        fill(&arena);
    }
    assert!(before == calls(os), "the steady state called the heap or the system");
}

#[test]
fn idle_arenas_give_their_pages_back_and_stay() {
    let os = SimOs::new(4096);
    let mut pool = pool(os);
    assert_eq!(pool.prewarm(2), Ok(2));
    assert_eq!((os.live_mappings(), os.resident_bytes()), (2, 2 << 16));
    pool.release_idle();
    assert_eq!((os.live_mappings(), os.resident_bytes()), (2, 0));
    fill(&pool.lease().unwrap());
    pool.clear();
    assert_eq!(os.live_mappings(), 0);
}

#[test]
fn a_system_that_refuses_is_an_error_and_leaks_nothing() {
    let os = SimOs::new(4096);
    os.limit_mapped_bytes(3 << 16);
    let mut pool = pool(os);
    assert_eq!(pool.prewarm(4), Err(AllocError));
    assert_eq!((pool.idle_count(), os.live_mappings()), (3, 3));
    drop(pool);
    assert_eq!(os.live_mappings(), 0);
}
