//! Handles and the pool behind them, as a user sees them: on every backing, across moves, pools and threads.
#![cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::mem::MaybeUninit;
use std::rc::Rc;

use forge_alloc::{
    AllocError, Allocator, Brand, BrandedHandle, BrandedSlab, BumpArena, FixedRange, GenerationInt,
    GenerationalSlab, Handle, HeapBytes, InlineBacked, NonZeroLayout, NullBacked, SharedBumpArena,
    StaticBacked,
};

fn shared(bytes: usize) -> SharedBumpArena<HeapBytes> {
    SharedBumpArena::new(HeapBytes::new(bytes).unwrap()).unwrap()
}

fn heap(bytes: usize) -> BumpArena<HeapBytes> {
    BumpArena::new(HeapBytes::new(bytes).unwrap()).unwrap()
}

#[test]
fn handles_are_plain_data_for_every_value_type() {
    fn plain<H: Copy + Send + Sync + std::hash::Hash + Eq + Ord + std::fmt::Debug + Unpin + 'static>() {}
    plain::<Handle<String>>();
    plain::<Handle<Rc<Cell<u8>>, u8>>();
    plain::<Handle<*mut u8, u64>>();
    plain::<BrandedHandle<'static, RefCell<Rc<u8>>>>();
    assert_eq!(size_of::<Handle<[u8; 100], u8>>(), 8);
    assert_eq!(size_of::<Handle<String, u16>>(), 8);
    assert_eq!((size_of::<Handle<String>>(), size_of::<Option<Handle<String>>>()), (8, 8));
    assert_eq!((size_of::<Handle<u8, u64>>(), size_of::<Option<Handle<u8, u64>>>()), (16, 16));
    assert_eq!(size_of::<BrandedHandle<'static, String>>(), 8);
}

#[test]
fn a_handle_to_a_string_serves_for_looking_and_then_for_taking() {
    let mut pool = GenerationalSlab::new(4, InlineBacked::<256>::new()).unwrap();
    let handle = pool.insert(String::from("text")).unwrap();
    assert_eq!(pool.get(handle).map(String::as_str), Some("text"));
    pool.get_mut(handle).unwrap().push('!');
    assert!(pool.contains(handle));
    assert_eq!(pool.remove(handle).as_deref(), Some("text!"));
    assert!(!pool.contains(handle));
    assert_eq!(pool.get(handle), None);
    assert_eq!(pool.get_mut(handle), None);
    assert_eq!(pool.remove(handle), None);
}

#[test]
fn handles_are_keys_of_maps_in_the_order_of_slots() {
    let mut pool = GenerationalSlab::new(16, heap(1024)).unwrap();
    let handles: Vec<_> = (0..16).map(|value| pool.insert(value).unwrap()).collect();
    let hashed: HashMap<_, _> = handles.iter().copied().zip(0..).collect();
    let sorted: BTreeMap<_, _> = handles.iter().copied().zip(0..).collect();
    assert_eq!((hashed.len(), sorted.len()), (16, 16));
    assert!(sorted.values().copied().eq(0..16));
    for (handle, value) in &pool {
        assert_eq!(hashed[&handle], *value);
    }
    let positions: Vec<_> = handles.iter().map(|&handle| pool.position(handle)).collect();
    assert!(positions.iter().copied().eq((0..16).map(Some)));
    pool.remove(handles[3]);
    assert_eq!(pool.position(handles[3]), None);
}

fn a_foreign_handle_is_refused<G: GenerationInt>() {
    let mut mine = GenerationalSlab::<u64, _, G>::with_generation(8, heap(1024)).unwrap();
    let mut other = GenerationalSlab::<u64, _, G>::with_generation(8, heap(1024)).unwrap();
    let foreign: Vec<_> = (0..8).map(|value| other.insert(value).unwrap()).collect();
    let own: Vec<_> = (100..108).map(|value| mine.insert(value).unwrap()).collect();
    let freed = mine.remove(own[5]);
    assert_eq!(freed, Some(105));
    for &handle in &foreign {
        assert!(!mine.contains(handle));
        assert_eq!(mine.get(handle), None);
        assert_eq!(mine.remove(handle), None);
        assert_eq!(mine.position(handle), None);
    }
    // The pool is as it was: two insertions are two slots, or one and a refusal.
    let again = mine.insert(1).unwrap();
    assert!(!own.contains(&again));
    assert_eq!(mine.insert(2), Err(AllocError));
    assert_eq!(mine.len(), 8);
    assert_eq!(other.len(), 8);
}

#[test]
fn a_handle_of_another_pool_reaches_nothing_and_changes_nothing() {
    a_foreign_handle_is_refused::<u8>();
    a_foreign_handle_is_refused::<u16>();
    a_foreign_handle_is_refused::<u32>();
    a_foreign_handle_is_refused::<u64>();
}

#[test]
fn a_handle_outlives_its_pool_and_reaches_nothing_in_the_next_one() {
    let dead = {
        let mut pool = GenerationalSlab::new(4, InlineBacked::<128>::new()).unwrap();
        pool.insert(7_u64).unwrap()
    };
    let mut pool = GenerationalSlab::new(4, InlineBacked::<128>::new()).unwrap();
    pool.insert(8_u64).unwrap();
    assert_eq!(pool.get(dead), None);
}

#[test]
fn a_slot_whose_generation_wraps_stays_retired_whatever_is_presented() {
    let mut pool = GenerationalSlab::<String, _, u8>::with_generation(1, InlineBacked::<64>::new()).unwrap();
    let mut stale = Vec::new();
    // Twice as often as a byte has values: no insertion succeeds once the one slot is used up.
    for round in 0..512 {
        match pool.insert(round.to_string()) {
            Ok(handle) => {
                assert!(!stale.contains(&handle), "a handle was issued twice");
                assert_eq!(pool.remove(handle), Some(round.to_string()));
                stale.push(handle);
            }
            Err(AllocError) => assert_eq!((pool.retired(), stale.len()), (1, 128)),
        }
        for &handle in &stale {
            assert_eq!(pool.remove(handle), None);
            assert_eq!(pool.get(handle), None);
        }
    }
    assert_eq!((stale.len(), pool.len(), pool.retired()), (128, 0, 1));
}

/// A pool by value, returned by value.
fn pass_through<P>(pool: P) -> P {
    std::hint::black_box(pool)
}

#[test]
fn a_pool_in_inline_storage_moves_between_calls() {
    let mut pool = GenerationalSlab::new(8, InlineBacked::<512>::new()).unwrap();
    let first = pool.insert(String::from("first")).unwrap();
    let mut pool = Box::new(pass_through(pool));
    let second = pool.insert(String::from("second")).unwrap();
    assert_eq!(pool.remove(first).as_deref(), Some("first"));
    let mut pools = vec![pass_through(*pool)];
    let third = pools[0].insert(String::from("third")).unwrap();
    pools.reserve(64);
    let pool = pools.pop().unwrap();
    assert_eq!(pool.get(first), None);
    assert_eq!(pool.get(second).map(String::as_str), Some("second"));
    assert_eq!(pool.get(third).map(String::as_str), Some("third"));
    let values: Vec<_> = pool.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(values, ["third", "second"]);
}

fn fills_and_empties<B: Allocator + FixedRange>(backing: B, slots: usize) {
    let mut pool = GenerationalSlab::new(slots, backing).unwrap();
    let handles: Vec<_> = (0..slots).map(|value| pool.insert(Box::new(value)).unwrap()).collect();
    assert_eq!(pool.insert(Box::new(0)), Err(AllocError));
    assert_eq!(pool.try_insert(Box::new(9)), Err(Box::new(9)));
    for (value, &handle) in handles.iter().enumerate().rev() {
        assert_eq!(pool.remove(handle), Some(Box::new(value)));
    }
    // The slot freed last comes back first.
    let again = pool.insert(Box::new(1)).unwrap();
    assert_eq!(pool.position(again), Some(0));
    assert_ne!(again, handles[0]);
    assert_eq!((pool.len(), pool.capacity()), (1, slots));
}

#[test]
fn pools_fill_and_empty_on_every_kind_of_backing() {
    fills_and_empties(InlineBacked::<256>::new(), 10);
    fills_and_empties(heap(256), 10);
    let mut bytes = [MaybeUninit::uninit(); 256];
    // A range at an odd address: the arena aligns the block itself.
    fills_and_empties(BumpArena::new(StaticBacked::uninit(&mut bytes[1..])).unwrap(), 10);
    #[cfg(all(feature = "std", any(unix, windows), not(miri)))]
    fills_and_empties(forge_alloc::MmapBacked::new(1 << 16).unwrap(), 1000);
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    fn refused<T, B: Allocator + FixedRange>(capacity: usize, backing: B) {
        assert_eq!(GenerationalSlab::<T, B>::new(capacity, backing).err(), Some(AllocError));
    }
    refused::<u64, _>(0, InlineBacked::<64>::new());
    refused::<u64, _>(usize::MAX, InlineBacked::<64>::new());
    refused::<u8, _>(u32::MAX as usize, InlineBacked::<64>::new());
    // A type that the compiler accepts, of which 2^30 values exceed the address space.
    const WIDE: usize = if usize::BITS == 64 { 1 << 33 } else { 1 << 25 };
    refused::<[u8; WIDE], _>(1 << 30, InlineBacked::<64>::new());
    refused::<u64, _>(1, NullBacked);
    refused::<u64, _>(1, InlineBacked::<8>::new());
    // Six slots of a `u64` and a `u32` fit into 72 bytes, a seventh does not.
    refused::<u64, _>(7, InlineBacked::<72>::new());
    assert!(GenerationalSlab::<u64, _>::new(6, InlineBacked::<72>::new()).is_ok());
    #[cfg(target_pointer_width = "64")]
    refused::<(), _>(u32::MAX as usize + 1, InlineBacked::<64>::new());
}

#[test]
fn a_pool_takes_what_its_backing_has_left() {
    let backing = InlineBacked::<128>::new();
    let block = backing.allocate(NonZeroLayout::from_size_align(40, 8).unwrap()).unwrap();
    assert_eq!(block.len(), 40);
    // 88 bytes are left: room for seven slots of 12 bytes, not for eight.
    let mut pool = GenerationalSlab::<u64, _>::new(7, backing).unwrap();
    let handles: Vec<_> = (0..7).map(|value| pool.insert(value).unwrap()).collect();
    assert!(handles.iter().zip(0..).all(|(&handle, value)| pool.get(handle) == Some(&value)));
    let backing = InlineBacked::<128>::new();
    assert!(backing.allocate(NonZeroLayout::from_size_align(40, 8).unwrap()).is_ok());
    assert!(GenerationalSlab::<u64, _>::new(8, backing).is_err());
}

#[test]
fn construction_touches_no_slot() {
    let mut bytes = vec![MaybeUninit::new(0xA5_u8); 4096];
    {
        let mut pool =
            GenerationalSlab::<u64, _>::new(300, BumpArena::new(StaticBacked::uninit(&mut bytes)).unwrap())
                .unwrap();
        assert_eq!(pool.iter().next(), None);
        pool.clear();
    }
    // SAFETY: all bytes were initialised above, and nothing makes them less so.
    assert!(bytes.iter().all(|byte| unsafe { byte.assume_init() } == 0xA5));
}

#[test]
fn values_of_no_size_are_counted_and_told_apart() {
    struct Nothing<'a>(&'a Cell<u32>);
    impl Drop for Nothing<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let mut units = GenerationalSlab::<(), _>::new(3, InlineBacked::<64>::new()).unwrap();
    let (one, two) = (units.insert(()).unwrap(), units.insert(()).unwrap());
    assert_ne!(one, two);
    assert_eq!((units.remove(one), units.remove(one)), (Some(()), None));
    assert_eq!(units.get(two), Some(&()));
    let drops = Cell::new(0);
    let mut pool = GenerationalSlab::new(3, InlineBacked::<64>::new()).unwrap();
    for _ in 0..3 {
        assert!(pool.insert(Nothing(&drops)).is_ok());
    }
    assert_eq!(pool.insert(Nothing(&drops)).err(), Some(AllocError));
    assert_eq!(drops.get(), 1, "the value that found no slot");
    drop(pool);
    assert_eq!(drops.get(), 4);
}

#[test]
fn a_pool_is_read_by_many_threads_and_sent_to_one() {
    let mut pool = GenerationalSlab::new(4, shared(256)).unwrap();
    let handle = pool.insert(5_u64).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert_eq!(pool.get(handle), Some(&5)));
        }
    });
    let mut pool = std::thread::spawn(move || {
        *pool.get_mut(handle).unwrap() += 1;
        pool
    })
    .join()
    .unwrap();
    assert_eq!(pool.remove(handle), Some(6));
}

#[test]
fn a_branded_pool_serves_its_handles() {
    Brand::with(|brand| {
        let mut pool = BrandedSlab::<String, _, u8>::new(brand, 4, InlineBacked::<256>::new()).unwrap();
        assert!(pool.is_empty());
        let first = pool.insert("first".into()).unwrap();
        let second = pool.insert("second".into()).unwrap();
        let mut pool = Box::new(pass_through(pool));
        pool.get_mut(first).unwrap().push('!');
        assert_eq!(pool.get(first).map(String::as_str), Some("first!"));
        assert_eq!(pool.iter().map(|(handle, _)| handle).collect::<Vec<_>>(), [first, second]);
        pool.retain(|handle, value| handle == second && value.len() == 6);
        assert_eq!((pool.len(), pool.capacity()), (1, 4));
        assert!(!pool.contains(first));
        assert_eq!(pool.remove(first), None);
        assert_eq!(pool.get(first), None);
        let third = pool.insert("third".into()).unwrap();
        assert!(third != first && pool.get(first).is_none());
        assert_eq!(HashMap::from([(second, 2), (third, 3)])[&third], 3);
        pool.clear();
        assert_eq!((pool.remove(second), pool.len()), (None, 0));
        for _ in 0..1000 {
            let Ok(handle) = pool.insert(String::new()) else { break };
            assert_eq!(pool.remove(handle), Some(String::new()));
            assert_eq!(pool.remove(handle), None);
        }
    });
}

#[test]
fn only_handles_cross_threads() {
    let mut pool = GenerationalSlab::new(2, InlineBacked::<64>::new()).unwrap();
    let handle = pool.insert(Rc::new(3)).unwrap();
    let back = std::thread::spawn(move || handle).join().unwrap();
    assert_eq!(pool.get(back).map(|value| **value), Some(3));
}
