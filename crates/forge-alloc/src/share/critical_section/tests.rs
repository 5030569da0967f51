use core::alloc::Layout;
use core::mem::MaybeUninit;

use forge_alloc_core::sync::RawLock;
use forge_alloc_core::testing::assert_allocator_contract;
use forge_alloc_core::{Allocator, ByteAllocator, StdCompat};

use super::CriticalSection;
use crate::share::locked::Locked;
use crate::share::static_heap::StaticHeap;
use crate::share::testing::{ListHeap, region_of};

fn lock() -> CriticalSection {
    // SAFETY: the guards of each test are dropped in the reverse order.
    unsafe { CriticalSection::new() }
}

#[test]
fn a_held_lock_refuses_a_second_holder_also_within_a_critical_section() {
    let (first, second) = (lock(), lock());
    let held = first.guard();
    assert!(!first.try_lock());
    assert!(critical_section::with(|_| first.try_guard().is_none()));
    let other = second.guard();
    assert!(!second.try_lock());
    drop(other);
    drop(held);
    assert!(first.try_guard().is_some());
}

#[test]
fn the_lock_is_a_critical_section_for_other_threads() {
    let mut pool = std::vec![MaybeUninit::uninit(); 32 << 10];
    let heap = Locked::with_lock(ListHeap::new(), lock());
    heap.lock().add_region(region_of(&mut pool)).unwrap();
    if !cfg!(miri) {
        assert_allocator_contract(&heap);
    }
    std::thread::scope(|threads| {
        for tag in 0..4_u8 {
            let heap = &heap;
            threads.spawn(move || {
                for _ in 0..if cfg!(miri) { 2 } else { 500 } {
                    let mut numbers = allocator_api2::vec::Vec::new_in(StdCompat::new(heap));
                    numbers.resize(300, tag);
                    assert!(numbers.iter().all(|number| *number == tag));
                }
            });
        }
    });
    assert_eq!(heap.lock().used_bytes(), 0);
}

#[test]
fn a_static_heap_takes_the_lock() {
    static HEAP: StaticHeap<4096, ListHeap, CriticalSection> = StaticHeap::with_lock({
        // SAFETY: no guard is kept.
        unsafe { CriticalSection::new() }
    });
    let layout = Layout::new::<u64>().try_into().unwrap();
    assert!(HEAP.allocator().allocate(layout).is_ok());
}
