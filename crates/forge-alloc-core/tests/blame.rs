//! A failing check points at the line that called it, not into the check.
#![allow(unsafe_code)]

use std::panic;
use std::ptr::NonNull;
use std::sync::Mutex;

use forge_alloc_core::testing::{
    assert_allocate_zeroed, assert_allocator_basic_round_trip, assert_allocator_contract,
    assert_allocator_refuses_the_impossible, assert_allocator_resizes, assert_allocator_respects_alignment,
    assert_live_blocks_stay_apart,
};
use forge_alloc_core::{AllocError, Allocator, Deallocator, NonZeroLayout};

/// Grants every request one byte after a multiple of 4096, which no alignment above one accepts.
struct Askew;

// SAFETY: no block of it is ever used: each is refused by the check of its alignment.
unsafe impl Deallocator for Askew {
    unsafe fn deallocate(&self, _: NonNull<u8>, _: NonZeroLayout) {}
}

// SAFETY: deliberately wrong; the blocks are never accessed.
unsafe impl Allocator for Askew {
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let address = core::num::NonZeroUsize::new(4097).ok_or(AllocError)?;
        let ptr = NonNull::<u8>::dangling().with_addr(address);
        match layout.align().get() {
            1 => Err(AllocError),
            _ => Ok(NonNull::slice_from_raw_parts(ptr, layout.size().get())),
        }
    }

    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.allocate(layout)
    }
}

#[test]
fn a_breach_is_reported_at_the_line_of_the_caller() {
    static BLAMED: Mutex<Vec<(String, u32)>> = Mutex::new(Vec::new());
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(|place| (place.file().to_owned(), place.line()));
        BLAMED.lock().unwrap().extend(place);
    }));
    let here = line!();
    let failures = [
        panic::catch_unwind(|| assert_allocator_basic_round_trip(&Askew)),
        panic::catch_unwind(|| assert_allocator_respects_alignment(&Askew)),
        panic::catch_unwind(|| assert_allocate_zeroed(&Askew)),
        panic::catch_unwind(|| assert_live_blocks_stay_apart(&Askew)),
        panic::catch_unwind(|| assert_allocator_resizes(&Askew)),
        panic::catch_unwind(|| assert_allocator_refuses_the_impossible(&Askew)),
        panic::catch_unwind(|| assert_allocator_contract(&Askew)),
    ];
    let _ = panic::take_hook();
    assert!(failures.iter().all(Result::is_err));
    let expected: Vec<_> = (here + 2..).take(failures.len()).map(|line| (file!().to_owned(), line)).collect();
    assert_eq!(*BLAMED.lock().unwrap(), expected);
}
