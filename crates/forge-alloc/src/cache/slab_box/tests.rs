use std::boxed::Box;
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::{Pin, pin};
use std::ptr::NonNull;
use std::rc::Rc;
use std::string::String;
use std::task::{Context, Poll, Waker};
use std::vec::Vec;

use super::SlabBox;
use crate::HeapSource;
use crate::cache::locks::NoLock;
use crate::cache::testing::Provider;
use crate::cache::{SlabCache, SlabError};

fn cache<T: 'static>() -> SlabCache<T, NoLock, 1024, HeapSource> {
    SlabCache::new_in(HeapSource::new()).unwrap()
}

#[test]
fn a_box_reads_as_its_value_does() {
    let names = cache::<String>();
    let boxes: Vec<_> =
        ["b", "a", "c"].into_iter().map(|name| names.alloc_value(String::from(name)).unwrap()).collect();
    assert_eq!(
        std::format!("{:?} {} {:p}", boxes[0], boxes[1], boxes[2]),
        std::format!("\"b\" a {:p}", boxes[2].as_ptr())
    );
    assert_eq!(boxes.iter().max().unwrap().as_str(), "c");
    assert_eq!(boxes[1], names.alloc_value(String::from("a")).unwrap());
    let set: BTreeSet<_> = boxes.into_iter().collect();
    assert!(set.contains(&String::from("b")), "the order is that of what is borrowed");
    let hashed: std::collections::HashSet<_> = set.into_iter().collect();
    assert!(hashed.contains(&String::from("c")));
    assert_eq!(names.stats().live, 3);
}

#[test]
fn a_box_of_an_iterator_an_error_and_a_future_is_one() {
    let mut range = cache::<core::ops::Range<u32>>().alloc_value(0..10).unwrap();
    assert_eq!((range.len(), range.next(), range.next_back(), range.nth(1)), (10, Some(0), Some(9), Some(2)));
    let error = cache::<SlabError>().alloc_value(SlabError::OutOfMemory).unwrap();
    let error: Box<dyn std::error::Error> = Box::new(error);
    assert_eq!(error.to_string(), SlabError::OutOfMemory.to_string());
    let ready = cache::<core::future::Ready<u32>>().alloc_value(core::future::ready(7)).unwrap();
    let polled = pin!(ready).poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Ready(7));
}

#[test]
fn a_pinned_box_keeps_its_value_in_place() {
    let pinned: Pin<_> =
        cache::<core::marker::PhantomPinned>().alloc_with(|| core::marker::PhantomPinned).unwrap().into();
    let place: *const _ = &raw const *pinned;
    let moved = [pinned];
    assert_eq!(&raw const *moved[0], place);
}

#[test]
fn values_leave_their_boxes_alive_and_exactly_once() {
    let counted = Rc::new(());
    let values = cache::<Rc<()>>();
    let inner = SlabBox::into_inner(values.alloc_value(Rc::clone(&counted)).unwrap());
    assert_eq!((Rc::strong_count(&counted), values.stats().live), (2, 0));
    let raw = SlabBox::into_raw(values.alloc_value(inner).unwrap());
    assert_eq!((Rc::strong_count(&counted), values.stats().live), (2, 1));
    // SAFETY: `raw` was just let go by a box of this type.
    drop(unsafe { SlabBox::<_, NoLock, 1024>::from_raw(raw) });
    assert_eq!((Rc::strong_count(&counted), values.stats().live), (1, 0));
}

#[test]
fn a_leaked_value_stays_and_keeps_its_slab() {
    let (provider, ledger) = Provider::new();
    let values = SlabCache::<u64, NoLock, 1024, _>::new_in(provider).unwrap();
    let raw = SlabBox::into_raw(values.alloc_value(5).unwrap());
    drop(values);
    // SAFETY: the value was let go by a box and is nobody else's; afterwards the box is made again.
    unsafe {
        *raw.as_ptr() += 1;
        assert_eq!((*raw.as_ptr(), ledger.balance()), (6, 1));
        drop(SlabBox::<_, NoLock, 1024>::from_raw(raw));
    }
    assert_eq!(ledger.balance(), 0);
}

#[test]
fn a_destructor_that_panics_gives_its_slot_back() {
    struct Fuse(bool);
    impl Drop for Fuse {
        fn drop(&mut self) {
            assert!(!self.0, "the fuse is lit");
        }
    }
    let (provider, ledger) = Provider::new();
    let fuses = SlabCache::<Fuse, NoLock, 1024, _>::new_in(provider).unwrap();
    let lit = fuses.alloc_value(Fuse(true)).unwrap();
    let other = fuses.alloc_value(Fuse(false)).unwrap();
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(lit))).is_err());
    assert_eq!(fuses.stats().live, 1);
    drop((other, fuses));
    assert_eq!(ledger.balance(), 0);
}

#[test]
fn a_destructor_may_use_the_cache_that_it_is_in() {
    type Next = Option<SlabBox<Chain, NoLock, 1024>>;
    struct Chain(
        #[allow(dead_code, reason = "it is there to be dropped")] Next,
        Option<SlabCache<Chain, NoLock, 1024, HeapSource>>,
    );
    impl Drop for Chain {
        fn drop(&mut self) {
            if let Some(cache) = self.1.take() {
                drop(cache.alloc_value(Chain(None, None)).unwrap());
            }
        }
    }
    let links = cache::<Chain>();
    let mut chain = None;
    for _ in 0..50 {
        chain = Some(links.alloc_value(Chain(chain, Some(links.clone()))).unwrap());
    }
    drop(links);
    drop(chain);
}

#[test]
fn a_pointer_that_is_no_slot_is_refused() {
    let values = cache::<u64>();
    let value = values.alloc_value(5).unwrap();
    let raw = SlabBox::into_raw(value);
    let slab: NonNull<u8> =
        raw.cast::<u8>().map_addr(|address| (address.get() & !1023).try_into().unwrap_or(address));
    // SAFETY: all of these lie in the one slab, with its provenance.
    unsafe {
        for wrong in [raw.cast::<u8>().add(1).cast(), slab.add(8).cast(), slab.add(1016).cast::<u64>()] {
            assert_eq!(
                SlabBox::<u64, NoLock, 1024>::try_from_raw(wrong).err(),
                Some(SlabError::InvalidPointer)
            );
        }
        assert_eq!(*SlabBox::<u64, NoLock, 1024>::try_from_raw(raw).unwrap(), 5);
    }
    #[repr(align(1024))]
    struct Zeros([u8; 1024]);
    let mut zeros = Zeros([0; 1024]);
    let whole = NonNull::from(&mut zeros.0).cast::<u8>();
    // SAFETY: the pointer has provenance over 1024 initialised bytes from a multiple of that.
    let found = unsafe { SlabBox::<u64, NoLock, 1024>::try_from_raw(whole.add(512).cast()) };
    assert_eq!(found.err(), Some(SlabError::InvalidPointer));
}
