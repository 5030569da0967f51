use core::alloc::{GlobalAlloc, Layout};

use forge_alloc_core::testing::assert_allocator_contract;
use forge_alloc_core::{Allocator, ByteAllocator, NonZeroLayout, StdCompat};
use forge_trace::shadow::{Checks, Limits, drive, random_ops};

use super::StaticHeap;
use crate::share::testing::{GRANULE, ListHeap};

#[test]
fn a_static_heap_sets_itself_up_and_keeps_the_contract() {
    static HEAP: StaticHeap<65536, ListHeap> = StaticHeap::new();
    assert_allocator_contract(HEAP.allocator());
    let ops = random_ops(3, if cfg!(miri) { 60 } else { 2000 }, &Limits::default().hostile(true));
    let checks = Checks { vary_alignment: true, ..Checks::default() };
    drive(HEAP.allocator(), &ops, checks).unwrap_or_else(|violation| panic!("{violation}"));
    let heap = HEAP.lock();
    assert_eq!((heap.used_bytes(), heap.total_bytes()), (0, 65536));
    heap.get().unwrap().check();
}

#[test]
fn the_first_call_may_come_from_any_side() {
    static HEAP: StaticHeap<4096, ListHeap> = StaticHeap::new();
    let layout = Layout::new::<[u64; 4]>();
    // SAFETY: the heap is a static, and the block is passed on with the layout that it has.
    unsafe {
        let block = HEAP.alloc_zeroed(layout);
        assert_eq!(block.cast::<[u64; 4]>().read(), [0; 4]);
        assert_eq!(HEAP.realloc(block, layout, 64), block);
        assert!(HEAP.alloc(Layout::new::<[u64; 1024]>()).is_null());
        HEAP.dealloc(block, Layout::from_size_align(64, 8).unwrap());
    }
    assert_eq!(HEAP.lock().used_bytes(), 0);
}

#[test]
fn threads_that_come_first_together_set_one_heap_up() {
    static HEAP: StaticHeap<16384, ListHeap> = StaticHeap::new();
    std::thread::scope(|threads| {
        for tag in 0..4_u8 {
            threads.spawn(move || {
                for _ in 0..if cfg!(miri) { 5 } else { 500 } {
                    let mut numbers = allocator_api2::vec::Vec::new_in(StdCompat::new(HEAP.allocator()));
                    numbers.resize(200, tag);
                    assert!(numbers.iter().all(|number| *number == tag));
                }
            });
        }
    });
    let heap = HEAP.lock();
    assert_eq!((heap.used_bytes(), heap.total_bytes()), (0, 16384));
}

#[test]
fn a_heap_without_room_for_a_block_refuses_everything() {
    static HEAP: StaticHeap<{ GRANULE - 1 }, ListHeap> = StaticHeap::new();
    assert!(HEAP.allocator().allocate(NonZeroLayout::for_type::<u8>().unwrap()).is_err());
    assert_eq!(HEAP.lock().total_bytes(), 0);
}
