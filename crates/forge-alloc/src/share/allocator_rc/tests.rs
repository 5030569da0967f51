use core::alloc::Layout;
use core::mem::MaybeUninit;
use std::boxed::Box;
use std::format;
use std::string::String;
use std::vec::Vec;

use allocator_api2::alloc::Allocator as StdAllocator;
use allocator_api2::vec::Vec as StdVec;
use forge_alloc_core::testing::assert_allocator_contract;
use forge_alloc_core::{Allocator, ByteAllocator, HeapError, NonZeroLayout, StdCompat};
use hashbrown::HashMap;

use super::AllocatorRc;
use crate::backing::StaticBacked;
use crate::share::testing::{GRANULE, ListHeap};

fn bytes(len: usize) -> Box<[MaybeUninit<u8>]> {
    Box::new_uninit_slice(len)
}

#[test]
fn keeps_the_contract() {
    let mut pool = bytes(64 << 10);
    assert_allocator_contract(&AllocatorRc::new(ListHeap::new(), &mut *pool));
}

#[test]
fn pools_of_every_kind_are_taken() {
    let layout = NonZeroLayout::from_size_align(64, 8).unwrap();
    let base = Box::into_raw(std::vec![0_u8; 4096].into_boxed_slice());
    // SAFETY: the bytes are leaked until the allocator is gone.
    let leaked: &'static mut [u8] = unsafe { &mut *base };
    let over_static = AllocatorRc::new(ListHeap::new(), leaked);
    assert!(over_static.allocate(layout).is_ok());
    drop(over_static);
    // SAFETY: the allocator, which had the bytes to itself, is gone.
    drop(unsafe { Box::from_raw(base) });

    let mut array = [MaybeUninit::uninit(); 4096];
    assert!(AllocatorRc::new(ListHeap::new(), &mut array).allocate(layout).is_ok());
    let mut initialised = [0_u8; 4096];
    // SAFETY: the bytes are not read again.
    let lent = unsafe { StaticBacked::from_bytes(&mut initialised) };
    assert!(AllocatorRc::try_new(ListHeap::new(), lent).unwrap().allocate(layout).is_ok());
}

#[test]
fn a_pool_that_cannot_be_used_is_no_memory() {
    let layout = NonZeroLayout::from_size_align(1, 1).unwrap();
    let mut pool = bytes(GRANULE - 1);
    assert!(AllocatorRc::new(ListHeap::new(), &mut *pool).allocate(layout).is_err());
    let rejected = AllocatorRc::try_new(ListHeap::new(), &mut *pool).unwrap_err();
    assert_eq!((rejected.error, rejected.region.len()), (HeapError::InvalidParam, GRANULE - 1));
}

#[test]
fn clones_share_one_heap_which_outlives_any_of_them() {
    let mut pool = bytes(4096);
    let first = AllocatorRc::new(ListHeap::new(), &mut *pool);
    let mut numbers = StdVec::new_in(StdCompat::new(first.clone()));
    numbers.extend(0..20_u64);
    assert!(first.heap().used_bytes() >= 160);
    drop(first);
    numbers.extend(20..40);
    assert!(numbers.iter().copied().eq(0..40));
    let last = numbers.allocator().inner().clone();
    drop(numbers);
    assert_eq!(last.heap().used_bytes(), 0);
}

#[test]
fn an_empty_layout_is_aligned_and_never_reaches_the_heap() {
    let mut pool = bytes(4096);
    let allocator = AllocatorRc::new(ListHeap::new(), &mut *pool);
    let bridge = StdCompat::new(allocator.clone());
    let empty = Layout::from_size_align(0, 64).unwrap();
    let block = bridge.allocate(empty).unwrap();
    assert_eq!((block.len(), block.cast::<u8>().addr().get() % 64), (0, 0));
    // SAFETY: the block is live, and this is its layout.
    unsafe { StdAllocator::deallocate(&bridge, block.cast(), empty) };
    assert_eq!(allocator.heap().used_bytes(), 0);
    allocator.heap().check();
}

/// The workloads of the documented tests of this adapter: alignments, vectors, many vectors, and a map of strings.
#[test]
fn collections_work_over_a_pool() {
    let scale = if cfg!(miri) { 50 } else { 1 };
    let mut pool = bytes(8 << 20);
    let allocator = AllocatorRc::new(ListHeap::new(), &mut *pool);
    let bridge = || StdCompat::new(allocator.clone());

    let mut sorted = StdVec::with_capacity_in(30_000 / scale, bridge());
    sorted.extend((0..30_000_u32 / scale as u32).map(|number| number.wrapping_mul(2_654_435_761)));
    sorted.sort_unstable();
    assert!(sorted.is_sorted());
    drop(sorted);

    let mut vectors: Vec<_> = (0..300 / scale)
        .map(|number| {
            let mut vector = StdVec::with_capacity_in(64, bridge());
            vector.resize(64, number as u64);
            vector
        })
        .collect();
    while !vectors.is_empty() {
        let vector = vectors.swap_remove(vectors.len() * 7 % 11 % vectors.len());
        assert!(vector.iter().all(|number| *number == vector[0]));
    }

    let mut map: HashMap<u64, StdVec<u8, _>, hashbrown::DefaultHashBuilder, _> = HashMap::new_in(bridge());
    for key in 0..1000 / scale as u64 {
        let mut text = StdVec::new_in(bridge());
        text.extend_from_slice(format!("key_{key}").as_bytes());
        map.insert(key, text);
        if key % 5 == 0 {
            map.remove(&(key / 2));
        }
    }
    for (key, text) in &map {
        assert_eq!(String::from_utf8_lossy(text), format!("key_{key}"));
    }
    drop(map);
    assert_eq!(allocator.heap().used_bytes(), 0);
}
