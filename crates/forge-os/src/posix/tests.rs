#![allow(unsafe_code)]

use super::{c_library, environment, flags, mmap, munmap, set_errno, symbol};
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

#[test]
fn the_error_number_is_that_of_the_calling_thread() {
    set_errno(12);
    std::thread::spawn(|| set_errno(22)).join().unwrap();
    assert_eq!(crate::OsError::last("none").code(), 12);
}

#[cfg(not(miri))]
#[test]
fn a_symbol_is_found_exactly_if_something_defines_it() {
    assert!(symbol(c"getenv").is_some());
    assert_eq!(symbol(c"forge_os_defines_no_such_thing"), None);
}

#[test]
fn a_variable_of_the_environment_is_copied_as_far_as_it_fits() {
    let expected = std::env::var("PATH").unwrap();
    let mut place = [0; 3];
    assert_eq!(environment(c"PATH", &mut place), Some(expected.len()));
    assert_eq!(place.as_slice(), &expected.as_bytes()[..3]);
    assert_eq!(environment(c"FORGE_OS_SETS_NO_SUCH_VARIABLE", &mut place), None);
}
