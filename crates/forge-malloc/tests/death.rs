//! Misuse of the teaching allocator, each in a process of its own: the exact message, and the end by an abort.
#![cfg(all(unix, feature = "std", not(miri)))]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::alloc::{GlobalAlloc, Layout};
use std::env;

use forge_malloc::basic::{GenericAllocator, MmapHeapGrower};
use support::{only, signal_of};

type Heap = GenericAllocator<MmapHeapGrower>;

/// The variable that tells this program that it is the process that ends.
const CHILD: &str = "FORGE_DEATH";
const LAYOUT: Layout = Layout::new::<[u64; 8]>();
const OVERLAP: &str =
    "forge-malloc: double free, or free with another size: a freed block overlaps free memory";

/// Runs `misuse` in a process of its own, which runs only the test `name`, and asserts that it aborts with `message`.
fn dies(name: &str, message: &str, misuse: fn()) {
    if env::var_os(CHILD).is_some() {
        misuse();
        eprintln!("the misuse was not noticed");
        return;
    }
    let output = only(name).env(CHILD, "1").output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.lines().any(|line| line == message), "{errors}");
    assert_eq!(signal_of(output.status), Some(libc::SIGABRT), "{:?}: {errors}", output.status);
}

#[test]
fn a_block_freed_twice_whatever_lies_in_between() {
    dies("a_block_freed_twice_whatever_lies_in_between", OVERLAP, || {
        let heap = Heap::new();
        // SAFETY: right but for the last call, which is the misuse under test and does not return.
        unsafe {
            let blocks: Vec<_> = (0..100).map(|_| heap.alloc(LAYOUT)).collect();
            blocks.iter().step_by(2).for_each(|block| heap.dealloc(*block, LAYOUT));
            heap.dealloc(blocks[50], LAYOUT);
        }
    });
}

#[test]
fn a_block_freed_with_a_larger_size() {
    dies("a_block_freed_with_a_larger_size", OVERLAP, || {
        let heap = Heap::new();
        // SAFETY: right but for the last call, which is the misuse under test and does not return.
        unsafe {
            let block = heap.alloc(LAYOUT);
            heap.dealloc(block, Layout::new::<[u64; 9]>());
        }
    });
}

#[test]
fn an_address_that_is_no_block() {
    const MESSAGE: &str = "forge-malloc: free of a pointer that this allocator did not issue";
    dies("an_address_that_is_no_block", MESSAGE, || {
        let heap = Heap::new();
        // SAFETY: right but for the last call, which is the misuse under test and does not return.
        unsafe {
            let block = heap.alloc(LAYOUT);
            heap.dealloc(block.add(8), Layout::new::<u64>());
        }
    });
}

#[test]
fn a_guard_inside_a_guard() {
    const MESSAGE: &str = "forge-malloc: get_raw on a thread that is inside of this allocator already";
    dies("a_guard_inside_a_guard", MESSAGE, || {
        let heap = Heap::new();
        let _outer = heap.get_raw();
        let _inner = heap.get_raw();
    });
}
