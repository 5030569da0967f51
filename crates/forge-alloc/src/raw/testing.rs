//! Memory of tests that lives as long as the process.
#![allow(unsafe_code)]

use std::boxed::Box;
use std::sync::Mutex;
use std::sync::atomic::AtomicPtr;
use std::vec::Vec;

/// What was given out, so that a search for leaks finds it.
static KEPT: Mutex<Vec<AtomicPtr<()>>> = Mutex::new(Vec::new());

/// Returns the values for ever.
pub(crate) fn forever<T>(values: impl Into<Box<[T]>>) -> &'static mut [T] {
    let values = Box::into_raw(values.into());
    KEPT.lock().unwrap().push(AtomicPtr::new(values.cast()));
    // SAFETY: the values were a box, which nobody gives back or uses otherwise.
    unsafe { &mut *values }
}
