#![allow(unsafe_code)]

use core::mem::MaybeUninit;

use forge_alloc_core::RegionSource;

use super::{HeapSource, RangeSource};
use crate::backing::testing::{layout, request};
use crate::{HeapBytes, StaticBacked};

#[test]
fn regions_of_a_pool_are_disjoint_aligned_and_stay_when_the_source_moves() {
    let mut pool = [MaybeUninit::<u8>::uninit(); 4096];
    let source = RangeSource::new(StaticBacked::uninit(&mut pool)).unwrap();
    let first = request(&source, layout(100, 1)).unwrap();
    let second = request(&source, layout(512, 256)).unwrap();
    assert_eq!(second.base().addr().get() % 256, 0);
    assert!(first.base().addr().get() + first.len() <= second.base().addr().get());
    let source = std::hint::black_box(Box::new(source));
    // SAFETY: the regions are exclusively ours, and the pool is still borrowed.
    unsafe {
        first.base().write_bytes(1, first.len());
        second.base().write_bytes(2, second.len());
        source.release(second, layout(512, 256));
        source.release(first, layout(100, 1));
    }
}

#[test]
fn the_last_region_comes_back_and_an_exhausted_pool_refuses() {
    let source = RangeSource::new(HeapBytes::new(1024).unwrap()).unwrap();
    let whole = layout(1024, 16);
    for _ in 0..3 {
        let region = request(&source, whole).unwrap();
        assert_eq!((region.len(), source.remaining()), (1024, 0));
        assert!(request(&source, layout(1, 1)).is_err());
        // SAFETY: the region came from this request and is not used again.
        unsafe { source.release(region, whole) };
    }
    assert_eq!(source.remaining(), 1024);
}

#[test]
fn the_heap_serves_aligned_regions_and_refuses_the_impossible() {
    let wanted = layout(1000, 128);
    let region = request(&HeapSource::new(), wanted).unwrap();
    assert_eq!((region.base().addr().get() % 128, region.len()), (0, 1000));
    // SAFETY: the region came from this request and is not used again.
    unsafe { HeapSource.release(region, wanted) };
    // The model checker ends the program where a system returns null.
    if !cfg!(miri) {
        let half = layout(isize::MAX as usize, 1);
        if let Ok(region) = request(&HeapSource, half) {
            assert_eq!(usize::BITS, 32, "only 32 bits of addresses leave room for half of them");
            assert!(request(&HeapSource, half).is_err(), "there is no second half");
            // SAFETY: the region came from this request and is not used again.
            unsafe { HeapSource.release(region, half) };
        }
    }
}
