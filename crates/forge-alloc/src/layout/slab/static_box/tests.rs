#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use core::pin::Pin;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::boxed::Box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::String;

use super::StaticBox;
use crate::sync::SpinLock;
use crate::{ByteAllocator, FreeListHeap, Locked, Region};

crate::static_pool! {
    /// A heap of a few kilobytes, made of memory that is leaked.
    struct Few: Locked<FreeListHeap, SpinLock> = {
        let memory = Box::leak(Box::new([const { MaybeUninit::<u64>::uninit() }; 1024]));
        let heap = Locked::new(FreeListHeap::new());
        // SAFETY: the memory is the heap's from here on.
        let region = unsafe { Region::from_raw(NonNull::from(memory).cast(), 8192) };
        heap.lock().add_region(region).unwrap();
        heap
    };
}

/// Counts its ends, and panics in one if told to.
struct Ends<'a>(&'a AtomicUsize, bool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        assert!(!self.1, "this destructor panics");
    }
}

#[test]
fn a_box_is_one_pointer_that_is_not_null() {
    assert_eq!(size_of::<StaticBox<[u64; 9], Few>>(), size_of::<usize>());
    assert_eq!(size_of::<Option<StaticBox<[u64; 9], Few>>>(), size_of::<usize>());
}

#[test]
fn more_values_than_fit_at_once_come_and_go_and_each_ends_once() {
    let ends = AtomicUsize::new(0);
    for round in 1..=100 {
        let boxes =
            [false; 8].map(|panics| StaticBox::<_, Few>::new((Ends(&ends, panics), [round; 30])).unwrap());
        assert!(boxes.iter().all(|boxed| boxed.1 == [round; 30]));
        drop(boxes);
        assert_eq!(ends.load(Ordering::Relaxed), 8 * round);
    }
}

#[test]
fn a_destructor_that_panics_leaves_no_slot_taken() {
    let ends = AtomicUsize::new(0);
    for _ in 0..100 {
        let boxed = StaticBox::<_, Few>::new((Ends(&ends, true), [0_u64; 100])).unwrap();
        assert!(catch_unwind(AssertUnwindSafe(|| drop(boxed))).is_err());
    }
    assert_eq!(ends.load(Ordering::Relaxed), 100);
}

#[test]
fn what_does_not_fit_is_refused_and_ends() {
    let ends = AtomicUsize::new(0);
    assert!(StaticBox::<_, Few>::new((Ends(&ends, false), [0_u64; 2048])).is_err());
    assert!(StaticBox::<(), Few>::new(()).is_err());
    assert_eq!(ends.load(Ordering::Relaxed), 1);
}

#[test]
fn a_value_leaves_its_box_by_every_way() {
    let boxed = StaticBox::<_, Few>::new(String::from("moved")).unwrap();
    assert_eq!(StaticBox::into_inner(boxed), "moved");
    let raw = StaticBox::into_raw(StaticBox::<_, Few>::new(7_u64).unwrap());
    // SAFETY: the value was let go one line above.
    let again = unsafe { StaticBox::<_, Few>::from_raw(raw) };
    assert_eq!((*again, StaticBox::into_slot_box(again).as_ref()), (7, &7));
    let kept: &'static mut u64 = StaticBox::leak(StaticBox::<_, Few>::new(8_u64).unwrap());
    *kept += 1;
    assert_eq!(*kept, 9);
    let pinned: Pin<StaticBox<u64, Few>> = StaticBox::pin(10).unwrap();
    assert_eq!(*pinned, 10);
}

#[test]
fn a_box_goes_to_another_thread_with_its_value() {
    let boxed = StaticBox::<_, Few>::new([3_u8; 100]).unwrap();
    let sum = std::thread::spawn(move || boxed.iter().map(|&byte| u32::from(byte)).sum::<u32>());
    assert_eq!(sum.join().unwrap(), 300);
}

#[test]
fn a_box_is_what_its_value_is() {
    let [one, two] = ["one", "two"].map(|name| StaticBox::<_, Few>::new(name).unwrap());
    assert!(one < two && one != two);
    assert_eq!(std::format!("{one} {two:?}"), "one \"two\"");
}
