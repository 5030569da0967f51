//! Object caches: boxes made twice of one value, and of what is no value.
#![allow(unsafe_code)]

use forge_alloc::HeapSource;
use forge_alloc::cache::locks::SpinLock;
use forge_alloc::cache::{SlabBox, SlabCache};

use super::dies;

type Cache = SlabCache<u64, SpinLock, 4096, HeapSource>;
type Boxed = SlabBox<u64, SpinLock, 4096>;

#[test]
fn a_box_made_of_an_address_inside_of_a_value() {
    const MESSAGE: &str = "forge-alloc: free of a pointer that this slab did not issue";
    dies("cache::a_box_made_of_an_address_inside_of_a_value", MESSAGE, || {
        let cache = Cache::new_in(HeapSource::new()).unwrap();
        let value = SlabBox::into_raw(cache.alloc_value(1).unwrap());
        // SAFETY: none; the misuse under test does not return.
        drop(unsafe { Boxed::from_raw(value.cast::<u8>().add(4).cast()) });
    });
}

#[test]
fn two_boxes_of_one_value() {
    const MESSAGE: &str = "forge-alloc: double free of a slab slot";
    dies("cache::two_boxes_of_one_value", MESSAGE, || {
        let cache = Cache::new_in(HeapSource::new()).unwrap();
        let value = SlabBox::into_raw(cache.alloc_value(1).unwrap());
        for _ in 0..2 {
            // SAFETY: right the first time; the second one is the misuse under test, which does not return.
            drop(unsafe { Boxed::from_raw(value) });
        }
    });
}

#[test]
fn two_boxes_of_the_value_freed_last_among_others() {
    const MESSAGE: &str = "forge-alloc: double free of a slab slot";
    dies("cache::two_boxes_of_the_value_freed_last_among_others", MESSAGE, || {
        let cache = Cache::new_in(HeapSource::new()).unwrap();
        let mut others: Vec<Boxed> = (0..10).map(|n| cache.alloc_value(n).unwrap()).collect();
        let value = SlabBox::into_raw(cache.alloc_value(1).unwrap());
        others.truncate(5);
        for _ in 0..2 {
            // SAFETY: right the first time; the second one is the misuse under test, which does not return.
            drop(unsafe { Boxed::from_raw(value) });
        }
    });
}
