#![allow(unsafe_code)]

use core::ptr::{self, NonNull};

use super::consts::{MAP_ANON, MAP_PRIVATE, PROT_READ, PROT_WRITE};
use super::{mmap, munmap, page_size};

#[test]
fn eight_anonymous_bytes_are_a_page_that_can_be_written() {
    // SAFETY: a new mapping at an address of the kernel's choice, given back whole.
    unsafe {
        let page =
            mmap(ptr::null_mut(), 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, u64::MAX, 0).unwrap();
        page.add(page_size() - 1).write(1);
        munmap(NonNull::new(page).unwrap(), page_size()).unwrap();
    }
}

#[cfg(not(miri))]
#[test]
fn flags_that_make_no_sense_are_refused_with_a_positive_number() {
    // SAFETY: a mapping that is neither private nor shared is refused without any effect.
    let refused = unsafe { mmap(ptr::null_mut(), 8, PROT_READ, 0, 0, 0) };
    assert!(refused.is_err_and(|error| error.code() > 0));
}
