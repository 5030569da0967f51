#![allow(unsafe_code)]

use forge_alloc_core::{Allocator, Deallocator, FixedRange};

use super::{InlineBacked, MAX_ALIGN};
use crate::backing::testing::{a_claim_turns_the_allocator_off, layout, random_calls_match_the_model};

/// Moves the value to another address, boxed and back.
fn moved<T>(value: T) -> T {
    *std::hint::black_box(Box::new(value))
}

#[test]
fn random_calls_keep_the_contract() {
    for seed in 0..if cfg!(miri) { 1 } else { 4 } {
        random_calls_match_the_model(&mut InlineBacked::<2048>::new(), seed, MAX_ALIGN);
    }
}

#[test]
fn the_storage_has_the_promised_alignment_and_little_overhead() {
    assert_eq!(align_of::<InlineBacked<64>>(), MAX_ALIGN);
    assert_eq!(align_of::<InlineBacked<0>>(), MAX_ALIGN);
    assert!(size_of::<InlineBacked<64>>() <= 64 + 16);
    let backing = InlineBacked::<64>::new();
    assert_eq!(backing.base().addr().get() % MAX_ALIGN, 0);
    assert_eq!(backing.base().addr().get(), (&raw const backing).addr());
}

#[test]
fn an_alignment_above_the_bound_is_an_error_wherever_the_value_lies() {
    let backing = InlineBacked::<4096>::new();
    for align in [32, 64, 4096, 1 << 30] {
        assert!(backing.allocate(layout(1, align)).is_err());
    }
    assert_eq!(backing.allocated(), 0);
    assert!(backing.allocate(layout(1, 16)).is_ok());
}

#[test]
fn no_bytes_serve_no_request() {
    let mut backing = InlineBacked::<0>::default();
    assert!(backing.allocate(layout(1, 1)).is_err());
    assert!(backing.allocate_zeroed(layout(isize::MAX as usize, 1)).is_err());
    assert!(!backing.contains(backing.base()));
    assert_eq!((backing.capacity(), backing.remaining(), backing.size()), (0, 0, 0));
    backing.reset();
    assert_eq!(Allocator::reset(&mut backing), Ok(()));
}

#[test]
fn the_largest_request_is_an_error_that_changes_nothing() {
    let backing = InlineBacked::<64>::new();
    let _ = backing.allocate(layout(8, 8)).unwrap();
    assert!(backing.allocate(layout(isize::MAX as usize, 1)).is_err());
    assert!(backing.allocate(layout(isize::MAX as usize - 15, 16)).is_err());
    assert_eq!(backing.allocated(), 8);
    assert!(backing.allocate(layout(56, 8)).is_ok(), "the exact rest fits");
    assert!(backing.allocate(layout(1, 1)).is_err());
}

#[test]
fn counts_add_up_and_both_resets_empty_the_storage() {
    let mut backing = InlineBacked::<128>::new();
    let _ = backing.allocate(layout(1, 1)).unwrap();
    let _ = backing.allocate(layout(8, 8)).unwrap();
    assert_eq!((backing.allocated(), backing.remaining(), backing.capacity()), (16, 112, 128));
    assert_eq!(backing.capacity_bytes(), Some(128));
    backing.reset();
    assert_eq!(backing.allocated(), 0);
    let _ = backing.allocate(layout(64, 1)).unwrap();
    assert_eq!(Allocator::reset(&mut backing), Ok(()));
    assert_eq!(backing.allocated(), 0);
}

#[test]
fn a_claim_is_final() {
    a_claim_turns_the_allocator_off(InlineBacked::<64>::new());
    let mut backing = InlineBacked::<64>::new();
    assert_eq!(backing.claim(), Ok(()));
    backing.reset();
    assert_eq!(backing.remaining(), 0, "the inherent reset does not undo a claim");
}

#[test]
fn a_moved_value_keeps_its_offsets_and_bytes() {
    let backing = InlineBacked::<64>::new();
    let block = backing.allocate(layout(8, 8)).unwrap();
    // SAFETY: the block is live and 8 bytes long.
    unsafe { block.cast::<u8>().write_bytes(0x5A, 8) };
    let backing = moved(backing);
    assert_eq!(backing.allocated(), 8);
    // SAFETY: the bytes moved with the value and were written; the pointer comes from the value where it is now.
    assert_eq!(unsafe { backing.base().cast::<u64>().read() }, 0x5A5A_5A5A_5A5A_5A5A);
    let next = backing.allocate(layout(8, 8)).unwrap();
    assert!(backing.contains(next.cast()));
    assert_eq!(next.addr().get() - backing.base().addr().get(), 8);
}

#[test]
fn the_last_block_is_reusable_once_freed() {
    let backing = InlineBacked::<64>::new();
    for _ in 0..100 {
        let block = backing.allocate(layout(48, 16)).unwrap();
        // SAFETY: the block is live with this layout and not used again.
        unsafe { backing.deallocate(block.cast(), layout(48, 16)) };
    }
    assert_eq!(backing.allocated(), 0);
}

#[test]
fn a_value_is_made_at_compile_time_and_sent_to_another_thread() {
    let backing = const { InlineBacked::<32>::new() };
    let thread = std::thread::spawn(move || backing.allocate(layout(32, 1)).is_ok());
    assert!(thread.join().unwrap());
}
