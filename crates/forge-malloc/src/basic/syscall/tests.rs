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

/// The instruction changes registers; a caller that is inlined around it keeps its values there.
#[test]
fn a_call_in_the_middle_of_a_sum_leaves_the_numbers_alone() {
    let numbers: [u64; 12] = core::array::from_fn(|index| core::hint::black_box(index as u64 + 1));
    let [a, b, c, d, e, f, g, h, i, j, k, l] = numbers;
    // SAFETY: as above.
    unsafe {
        let page =
            mmap(ptr::null_mut(), 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, u64::MAX, 0).unwrap();
        let sum =
            a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j + 11 * k + 12 * l;
        munmap(NonNull::new(page).unwrap(), page_size()).unwrap();
        assert_eq!((sum, a + b + c + d + e + f + g + h + i + j + k + l), (650, 78));
    }
}

#[cfg(not(miri))]
#[test]
fn flags_that_make_no_sense_are_refused_with_a_positive_number() {
    // SAFETY: a mapping that is neither private nor shared is refused without any effect.
    let refused = unsafe { mmap(ptr::null_mut(), 8, PROT_READ, 0, 0, 0) };
    assert!(refused.is_err_and(|error| error.code() > 0));
}
