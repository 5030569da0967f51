#![allow(unsafe_code)]

use core::mem::MaybeUninit;

use forge_alloc_core::FixedRange;

use super::StaticBacked;

#[test]
fn the_range_is_the_buffer() {
    let mut buffer = [MaybeUninit::<u8>::uninit(); 100];
    let start = buffer.as_ptr().addr();
    let backing = StaticBacked::from(&mut buffer);
    assert_eq!((backing.base().addr().get(), backing.size(), backing.capacity()), (start, 100, 100));
    // SAFETY: the bytes are exclusively borrowed by the backing.
    unsafe { backing.base().write_bytes(9, 100) };
    let moved = std::hint::black_box(Box::new(backing));
    assert_eq!(moved.base().addr().get(), start, "the bytes stay when the value moves");
    drop(moved);
    // SAFETY: all bytes were written.
    assert!(buffer.iter().all(|byte| unsafe { byte.assume_init() } == 9), "the buffer is usable again");
}

#[test]
fn an_empty_buffer_contains_nothing() {
    let backing = StaticBacked::uninit(&mut []);
    assert_eq!(backing.size(), 0);
    assert!(!backing.contains(backing.base()));
}

#[test]
fn leaked_bytes_are_accepted_as_they_are() {
    let leaked: &'static mut [u8] = Box::leak(vec![1; 64].into_boxed_slice());
    let backing = StaticBacked::new(leaked);
    assert_eq!(backing.size(), 64);
    // SAFETY: the backing is dropped here; the slice came from a leaked box and nothing else refers to it.
    drop(unsafe { Box::from_raw(core::ptr::slice_from_raw_parts_mut(backing.base().as_ptr(), 64)) });
}

#[test]
fn initialised_bytes_may_be_lent_by_promise() {
    let mut buffer = [1_u8; 16];
    // SAFETY: the buffer is written in full before it is read again.
    let backing = unsafe { StaticBacked::from_bytes(&mut buffer) };
    assert!(backing.contains(backing.base()));
    // SAFETY: the bytes are exclusively borrowed by the backing.
    unsafe { backing.base().write_bytes(2, 16) };
    assert_eq!(buffer, [2; 16]);
}

#[test]
fn the_value_is_shared_and_sent_between_threads() {
    fn anywhere<T: Send + Sync>(_: &T) {}
    let mut buffer = [MaybeUninit::uninit(); 8];
    anywhere(&StaticBacked::uninit(&mut buffer));
}
