use core::mem::MaybeUninit;
use std::boxed::Box;
use std::string::String;
use std::vec::Vec;

use super::SlabCache;
use crate::HeapSource;
use crate::cache::SlabBox;
use crate::cache::locks::{LockTrait, NoLock, SpinLock};
use crate::cache::testing::Provider;

/// Values per slab at most.
const MOST: usize = if cfg!(miri) { 5 } else { 40 };

/// Fills a cache of `T` over several slabs and checks that values neither move nor overlap.
fn holds<T: PartialEq + core::fmt::Debug + 'static, const SLAB_SIZE: usize>(make: impl Fn(usize) -> T) {
    let (provider, ledger) = Provider::new();
    let cache = SlabCache::<T, NoLock, SLAB_SIZE, _>::new_in(provider).unwrap();
    let first = cache.stats().capacity;
    assert!(first >= 2);
    let mut boxes: Vec<_> =
        (0..3 * first.min(MOST)).map(|n| Some(cache.alloc_value(make(n)).unwrap())).collect();
    assert_eq!(cache.stats().live, boxes.len());
    for pass in 0..3 {
        for n in (pass..boxes.len()).step_by(2) {
            boxes[n] = None;
        }
        for n in (pass..boxes.len()).step_by(2) {
            boxes[n] = Some(cache.alloc_value(make(n)).unwrap());
        }
        let mut addresses: Vec<usize> = boxes.iter().flatten().map(|value| value.as_ptr().addr()).collect();
        assert!(addresses.iter().all(|address| address % align_of::<T>() == 0));
        addresses.sort_unstable();
        assert!(addresses.windows(2).all(|pair| pair[1] - pair[0] >= size_of::<T>().max(1)));
        for (n, value) in boxes.iter().enumerate() {
            assert_eq!(**value.as_ref().unwrap(), make(n));
        }
    }
    drop((boxes, cache));
    assert_eq!(ledger.balance(), 0);
}

/// Makes and drops a few values in a slab whose slots are named by 32 bits.
fn holds_few<T: PartialEq + core::fmt::Debug + 'static, const SLAB_SIZE: usize>(make: impl Fn(usize) -> T) {
    let cache = SlabCache::<T, NoLock, SLAB_SIZE, _>::new_in(HeapSource::new()).unwrap();
    for _ in 0..2 {
        let boxes: Vec<_> = (0..20).map(|n| cache.alloc_value(make(n)).unwrap()).collect();
        assert!(boxes.iter().enumerate().all(|(n, value)| **value == make(n)));
    }
}

#[derive(PartialEq, Debug)]
#[repr(align(256))]
struct Wide(u16);

#[test]
fn values_of_any_size_and_alignment_are_held() {
    holds::<u8, 256>(|n| n as u8);
    holds::<(), 256>(|_| ());
    holds::<[u8; 3], 512>(|n| [n as u8; 3]);
    holds::<[u8; 64], 1024>(|n| [n as u8; 64]);
    holds::<u128, 512>(|n| n as u128);
    holds::<[u64; 8], 4096>(|n| [n as u64; 8]);
    holds::<Wide, 1024>(|n| Wide(n as u16));
    holds::<String, 512>(|n| std::format!("{n}"));
    holds::<[u32; 256], { 1 << 17 }>(|n| [n as u32; 256]);
}

#[test]
fn the_least_slab_that_is_documented_to_work_works() {
    // A slab of 128 bytes has room for the lists and two words; pointers of other sizes are not what this is about.
    #[cfg(target_pointer_width = "64")]
    assert_eq!(SlabCache::<u64, NoLock, 128, _>::new_in(HeapSource::new()).unwrap().stats().capacity, 2);
}

#[test]
fn a_slab_of_small_values_is_full_of_them() {
    // Sixteen bits would name 65,535 of them, a quarter of this slab; what counts is done at compile time.
    let shape = crate::cache::provision::Plan::<u32, NoLock, HeapSource, { 1 << 20 }>::FIRST;
    assert!(shape.capacity > 125_000);
    holds_few::<[u32; 16], { 1 << 17 }>(|n| [n as u32; 16]);
}

#[test]
fn the_slot_freed_last_is_used_first() {
    let cache = SlabCache::<u64, NoLock, 4096, _>::new_in(HeapSource::new()).unwrap();
    let kept = cache.alloc_value(1).unwrap();
    let address = cache.alloc_value(2).unwrap().as_ptr();
    assert_eq!(cache.alloc_value(3).unwrap().as_ptr(), address);
    assert_eq!(*kept, 1);
}

#[test]
fn what_is_written_to_freed_slots_reaches_nothing_else() {
    let cache = SlabCache::<u64, NoLock, 512, _>::new_in(HeapSource::new()).unwrap();
    let boxes: Vec<_> = (0..100).map(|n| cache.alloc_value(n).unwrap()).collect();
    let freed: Vec<_> = boxes.iter().step_by(2).map(SlabBox::as_ptr).collect();
    let kept: Vec<_> = boxes.into_iter().skip(1).step_by(2).collect();
    // SAFETY: the slots are in slabs, each of which has a box that lives.
    freed.iter().for_each(|slot| unsafe { slot.write(u64::MAX) });
    let again: Vec<_> = (0..100).map(|n| cache.alloc_value(1000 + n).unwrap()).collect();
    assert!(kept.iter().zip(0..).all(|(value, n)| **value == 2 * n + 1));
    assert!(again.iter().zip(1000..).all(|(value, n)| **value == n));
}

#[test]
fn every_entry_makes_the_value_that_it_says() {
    let cache = SlabCache::<[u32; 4], SpinLock, 4096, _>::new_in(HeapSource::new()).unwrap();
    // Freed slots are full of other things.
    drop((0..300).map(|_| cache.alloc_value([u32::MAX; 4]).unwrap()).collect::<Vec<_>>());
    assert_eq!(*cache.alloc().unwrap(), [0; 4]);
    assert_eq!(*cache.alloc_default().unwrap(), [0; 4]);
    assert_eq!(*cache.alloc_with(|| [3; 4]).unwrap(), [3; 4]);
    assert_eq!(*cache.try_alloc([4; 4]).unwrap(), [4; 4]);
    let mut empty = cache.alloc_uninit().unwrap();
    (*empty).write([5; 4]);
    // SAFETY: it was just written.
    assert_eq!(*unsafe { SlabBox::assume_init(empty) }, [5; 4]);
    assert_eq!(cache.stats().live, 0);
}

#[test]
fn a_constructor_that_panics_gives_its_slot_back() {
    let cache = SlabCache::<Box<u64>, NoLock, 4096, _>::new_in(HeapSource::new()).unwrap();
    let unwound =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| cache.alloc_with(|| panic!("none"))));
    assert!(unwound.is_err());
    assert_eq!(cache.stats().live, 0);
}

#[test]
fn handles_and_boxes_go_to_other_threads_exactly_if_their_lock_is_shared() {
    fn both<T: Send + Sync>() {}
    both::<SlabCache<u64, SpinLock, 4096>>();
    both::<SlabBox<u64>>();
    // A value that is `Send` and not `Sync` may be moved by its box, and handles may be shared.
    both::<SlabCache<core::cell::Cell<u64>, SpinLock, 4096>>();
}

#[test]
fn a_lock_is_dropped_with_its_root() {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    static LIVE: AtomicUsize = AtomicUsize::new(0);
    struct Counted(NoLock);
    impl Drop for Counted {
        fn drop(&mut self) {
            LIVE.fetch_sub(1, SeqCst);
        }
    }
    // SAFETY: as the lock inside, which is of one thread.
    unsafe impl LockTrait for Counted {
        type Guard<'a> = ();
        fn lock(&self) {
            self.0.lock();
        }
        fn init() -> Self {
            LIVE.fetch_add(1, SeqCst);
            Self(NoLock::init())
        }
    }
    let cache = SlabCache::<u64, Counted, 512, _>::new_in(HeapSource::new()).unwrap();
    let boxes: Vec<_> = (0..200).map(|n| cache.alloc_value(n).unwrap()).collect();
    assert_eq!(LIVE.load(SeqCst), 1, "one lock for all slabs");
    drop(cache);
    drop(boxes);
    assert_eq!(LIVE.load(SeqCst), 0);
}

#[test]
fn providers_of_one_thread_and_of_all_live_in_one_program() {
    use crate::{RangeSource, StaticBacked};
    const POOL: usize = if cfg!(miri) { 4 << 10 } else { 16 << 10 };
    #[repr(align(1024))]
    struct Pool([MaybeUninit<u8>; POOL]);
    let pool = Box::into_raw(Box::new(Pool([MaybeUninit::uninit(); POOL])));
    // SAFETY: the pool is nobody else's until the end of the test.
    let source = RangeSource::new(StaticBacked::uninit(unsafe { &mut (*pool).0 })).unwrap();
    let in_pool = SlabCache::<u64, NoLock, 1024, _>::new_local_in(source).unwrap();
    let on_heap = SlabCache::<u64, NoLock, 1024, _>::new_in(HeapSource::new()).unwrap();
    let boxes: Vec<_> = core::iter::from_fn(|| in_pool.alloc_value(7).ok()).collect();
    assert!(boxes.len() > POOL / 16);
    assert_eq!(*on_heap.alloc_value(8).unwrap(), 8);
    drop((boxes, in_pool));
    // SAFETY: the pool was leaked above, and everything in it is gone.
    drop(unsafe { Box::from_raw(pool) });
}
