#![allow(unsafe_code)]

use super::{c_library, flags, mmap, munmap};
use core::ptr;

const RIGHTS: u64 = flags::PROT_READ | flags::PROT_WRITE;
const KIND: u64 = flags::MAP_PRIVATE | flags::MAP_ANON;

#[test]
fn both_ways_to_the_kernel_map_zeroed_pages_and_return_them() {
    let len = crate::page_size();
    // SAFETY: new mappings at addresses of the kernel's choice, used and returned whole.
    unsafe {
        for memory in [
            mmap(ptr::null_mut(), len, RIGHTS, KIND, u64::MAX, 0).unwrap(),
            c_library::mmap(ptr::null_mut(), len, RIGHTS, KIND, u64::MAX, 0).unwrap(),
        ] {
            assert_eq!(memory.read(), 0);
            memory.add(len - 1).write(7);
            munmap(memory, len).unwrap();
        }
    }
}

#[cfg(not(miri))]
#[test]
fn both_ways_report_the_number_of_the_error() {
    // SAFETY: a length of zero is refused without any effect.
    unsafe {
        let direct = mmap(ptr::null_mut(), 0, RIGHTS, KIND, u64::MAX, 0).unwrap_err();
        let library = c_library::mmap(ptr::null_mut(), 0, RIGHTS, KIND, u64::MAX, 0).unwrap_err();
        assert_eq!((direct.code(), library.code()), (22, 22));
    }
}
