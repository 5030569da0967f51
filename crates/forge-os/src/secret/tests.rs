#![allow(unsafe_code)]

use super::map_secret;
use crate::{Native, Os, page_size};

#[test]
fn secret_memory_is_zero_and_private_or_the_error_names_the_call() {
    match map_secret(page_size()) {
        Ok(memory) => {
            // SAFETY: a fresh mapping of one page, ours alone until it is unmapped.
            unsafe {
                assert_eq!(memory.read(), 0);
                memory.write(1);
                Native.unmap(memory, page_size()).unwrap();
            }
        }
        Err(error) => assert_eq!(error.call(), "memfd_secret", "{error}"),
    }
}

#[test]
fn lengths_that_are_not_whole_pages_are_refused() {
    for len in [0, 1, page_size() + 1, isize::MAX as usize + 1, usize::MAX] {
        assert!(map_secret(len).unwrap_err().is_invalid_argument());
    }
}
