#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{
    AllocFaultPolicy, Allocator, AlwaysFail, Deallocator, FailAfter, FailEveryNth, FailOnSize, FixedRange,
    NeverFail, NonZeroLayout,
};

use super::Faulty;
use crate::observe::testing::Noting;
use crate::{BumpArena, InlineBacked};

fn layout(size: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, 8).unwrap()
}

fn faulty<P: AllocFaultPolicy>(policy: P) -> Faulty<Noting, P> {
    Faulty::new(Noting::new(), policy)
}

/// Returns which of the requests for these sizes succeed, and asserts that the refused ones do not reach the inner allocator.
fn granted<P: AllocFaultPolicy, const N: usize>(policy: P, sizes: [usize; N]) -> [bool; N] {
    let faulty = faulty(policy);
    sizes.map(|size| {
        let granted = faulty.allocate(layout(size)).is_ok();
        assert_eq!(!faulty.inner().calls().is_empty(), granted);
        granted
    })
}

#[test]
fn each_policy_refuses_what_it_says() {
    assert_eq!(granted(NeverFail, [8; 4]), [true; 4]);
    assert_eq!(granted(AlwaysFail, [8; 4]), [false; 4]);
    assert_eq!(granted(FailAfter::new(2), [8; 4]), [true, true, false, false]);
    assert_eq!(granted(FailAfter::new(0), [8; 2]), [false; 2]);
    assert_eq!(granted(FailEveryNth::new(2), [8; 5]), [true, false, true, false, true]);
    assert_eq!(granted(FailEveryNth::new(1), [8; 2]), [false; 2]);
    assert_eq!(granted(FailOnSize::new(16), [15, 16, 17, 8]), [true, false, false, true]);
}

#[test]
fn each_request_is_asked_about_once_and_then_forwarded() {
    let faulty = faulty(FailAfter::new(6));
    // SAFETY: the block is live with the layout of the latest call.
    unsafe {
        let block: NonNull<u8> = faulty.allocate(layout(8)).unwrap().cast();
        assert_eq!(faulty.grow(block, layout(8), layout(16)).unwrap().cast(), block);
        assert_eq!(faulty.grow_zeroed(block, layout(16), layout(24)).unwrap().cast(), block);
        assert_eq!(faulty.shrink(block, layout(24), layout(8)).unwrap().cast(), block);
        assert_eq!(faulty.policy().remaining(), 2);
        faulty.deallocate(block, layout(8));
        faulty.allocate_zeroed(layout(8)).unwrap();
    }
    assert_eq!(faulty.policy().remaining(), 1);
    let expected = ["allocate", "grow", "grow_zeroed", "shrink", "deallocate", "allocate_zeroed"];
    assert_eq!(faulty.inner().calls(), expected);
}

#[test]
fn a_refused_resize_leaves_the_block_alive_and_unchanged() {
    let faulty = faulty(FailAfter::new(1));
    let block: NonNull<u8> = faulty.allocate(layout(8)).unwrap().cast();
    // SAFETY: the block is live, eight bytes long, and freed at the end.
    unsafe {
        block.write_bytes(7, 8);
        assert!(faulty.grow(block, layout(8), layout(16)).is_err());
        assert!(faulty.grow_zeroed(block, layout(8), layout(16)).is_err());
        assert!(faulty.shrink(block, layout(8), layout(4)).is_err());
        assert_eq!(block.cast::<[u8; 8]>().read(), [7; 8]);
        faulty.deallocate(block, layout(8));
    }
    assert_eq!(faulty.inner().calls(), ["allocate", "deallocate"]);
}

#[test]
fn a_resize_is_asked_about_with_the_new_layout() {
    let faulty = faulty(FailOnSize::new(32));
    // SAFETY: the block is live with the layout of the latest call.
    unsafe {
        let block = faulty.allocate(layout(24)).unwrap().cast();
        assert!(faulty.grow(block, layout(24), layout(32)).is_err());
        assert!(faulty.shrink(block, layout(24), layout(8)).is_ok());
    }
}

#[test]
fn nobody_is_promised_that_a_resize_succeeds() {
    let faulty = faulty(NeverFail);
    let block = faulty.allocate(layout(8)).unwrap().cast();
    // SAFETY: the block is live with this layout.
    unsafe {
        assert!(faulty.inner().stays_in_place(block, layout(8), layout(16)));
        assert!(!faulty.stays_in_place(block, layout(8), layout(16)));
        assert_eq!(faulty.usable_size(block, layout(8)), Some(8));
    }
}

#[test]
fn the_rest_is_passed_on_whatever_the_policy_says() {
    let mut faulty = faulty(AlwaysFail);
    assert_eq!((faulty.capacity_bytes(), faulty.corruption_events()), (Some(1024), 3));
    assert!(faulty.can_reset() && faulty.is_single_threaded());
    faulty.reset().unwrap();
    assert_eq!(faulty.inner().calls(), ["reset"]);
    let (inner, AlwaysFail) = faulty.into_parts();
    assert!(inner.allocate(layout(8)).is_ok());
}

#[test]
fn nobody_carves_the_range_of_a_wrapper() {
    const { assert!(!<Faulty<BumpArena<InlineBacked<64>>, NeverFail> as FixedRange>::CARVABLE) }
    let mut arena = Faulty::new(BumpArena::new(InlineBacked::<64>::new()).unwrap(), NeverFail);
    assert!(arena.claim().is_err());
    assert_eq!((arena.size(), arena.base()), (64, arena.inner().base()));
}
