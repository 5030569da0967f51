use core::mem::MaybeUninit;

use forge_alloc_core::sync::{RawLock, SpinLock};
use forge_alloc_core::testing::assert_allocator_contract;
use forge_alloc_core::{ByteAllocator, StdCompat};

use super::LockApi;
use crate::share::locked::Locked;
use crate::share::static_heap::StaticHeap;
use crate::share::testing::{ListHeap, region_of};

/// A lock of the kind that other crates bring.
struct Foreign(SpinLock);

// SAFETY: a spin lock excludes every other holder.
unsafe impl lock_api::RawMutex for Foreign {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: Self = Self(SpinLock::new());
    type GuardMarker = lock_api::GuardSend;

    fn lock(&self) {
        self.0.lock();
    }

    fn try_lock(&self) -> bool {
        self.0.try_lock()
    }

    unsafe fn unlock(&self) {
        // SAFETY: the caller holds the lock.
        unsafe { self.0.unlock() };
    }
}

#[test]
fn a_held_foreign_lock_refuses_a_second_holder() {
    let lock = LockApi::<Foreign>::default();
    let held = lock.guard();
    assert!(lock.try_guard().is_none());
    drop(held);
    assert!(lock.try_guard().is_some());
}

#[test]
fn heaps_are_shared_through_a_foreign_lock() {
    static HEAP: StaticHeap<32768, ListHeap, LockApi<Foreign>> = StaticHeap::new();
    let mut pool = std::vec![MaybeUninit::uninit(); 32 << 10];
    assert_allocator_contract(
        &Locked::<_, LockApi<Foreign>>::over(ListHeap::new(), region_of(&mut pool)).unwrap(),
    );
    std::thread::scope(|threads| {
        for tag in 0..4_u8 {
            threads.spawn(move || {
                for _ in 0..if cfg!(miri) { 2 } else { 500 } {
                    let mut numbers = allocator_api2::vec::Vec::new_in(StdCompat::new(HEAP.allocator()));
                    numbers.resize(300, tag);
                    assert!(numbers.iter().all(|number| *number == tag));
                }
            });
        }
    });
    assert_eq!(HEAP.lock().used_bytes(), 0);
}
