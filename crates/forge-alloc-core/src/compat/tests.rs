//! The table of zero sizes, fitting and alignment changes, against an allocator that checks every call it gets.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::cell::{Cell, RefCell};
use core::ptr::NonNull;

use super::{StdCompat, boundary};
use crate::{AllocError, Allocator, Deallocator, NonZeroLayout, StableAddress};

/// The heap of the standard library with slack after every block, which insists on exact layouts.
#[derive(Default)]
struct Strict {
    live: RefCell<Vec<(usize, NonZeroLayout)>>,
    refuses: Cell<bool>,
    resizes_in_place: Cell<usize>,
}

const SLACK: usize = 24;

impl Strict {
    fn roomy(layout: NonZeroLayout) -> Layout {
        Layout::from_size_align(layout.size().get() + SLACK, layout.align().get()).unwrap()
    }

    fn live(&self) -> usize {
        self.live.borrow().len()
    }
}

impl Drop for Strict {
    fn drop(&mut self) {
        assert!(std::thread::panicking() || self.live() == 0, "blocks are left");
    }
}

// SAFETY: every block comes from the std heap with the layout `roomy`.
unsafe impl Deallocator for Strict {
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        let mut live = self.live.borrow_mut();
        let index = live.iter().position(|&(address, _)| address == ptr.addr().get()).unwrap();
        assert_eq!(live.swap_remove(index).1, layout, "a block is freed with a layout that is not its own");
        // SAFETY: the block is live and came from the std heap with this layout.
        unsafe { std::alloc::dealloc(ptr.as_ptr(), Self::roomy(layout)) };
    }
}

// SAFETY: blocks are exclusive std heap blocks; a resize within the slack moves nothing.
unsafe impl Allocator for Strict {
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        if self.refuses.get() {
            return Err(AllocError);
        }
        // SAFETY: the size is not zero.
        let ptr = unsafe { std::alloc::alloc(Self::roomy(layout)) };
        let ptr = NonNull::new(ptr).ok_or(AllocError)?;
        self.live.borrow_mut().push((ptr.addr().get(), layout));
        // SAFETY: the block is this long. The garbage shows up where zeros are expected.
        unsafe { ptr.write_bytes(0xee, Self::roomy(layout).size()) };
        Ok(NonNull::slice_from_raw_parts(ptr, layout.size().get() + SLACK))
    }

    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        assert_eq!(old.align(), new.align(), "the boundary handles a changed alignment");
        self.resizes_in_place.set(self.resizes_in_place.get() + 1);
        // SAFETY: the caller's promises are the callee's.
        unsafe { crate::relocate(self, ptr, old, new) }
    }
}

// SAFETY: the blocks are on the std heap, and the type is not `Clone`.
unsafe impl StableAddress for Strict {}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn is_no_memory(block: Result<NonNull<[u8]>, AllocError>, align: usize) -> bool {
    block.is_ok_and(|block| block.is_empty() && block.cast::<u8>().addr().get() == align)
}

fn bytes(block: NonNull<[u8]>) -> Vec<u8> {
    // SAFETY: the callers pass live blocks whose bytes are written.
    unsafe { block.as_ref() }.to_vec()
}

#[test]
fn the_allocator_is_reached_and_taken_back() {
    const BRIDGE: StdCompat<u8> = StdCompat::new(3);
    assert_eq!(*BRIDGE.inner(), 3);
    assert_eq!(BRIDGE.into_inner(), 3);
}

#[test]
fn zero_sizes_never_reach_the_allocator() {
    let strict = Strict::default();
    strict.refuses.set(true);
    for align in [1, 8, 4096] {
        let (empty, wide) = (layout(0, align), layout(0, align * 2));
        assert!(is_no_memory(boundary::allocate(&strict, empty), align));
        assert!(is_no_memory(boundary::allocate_zeroed(&strict, empty), align));
        // SAFETY: the block of no size is what `allocate` gave above.
        unsafe {
            let ptr = boundary::allocate(&strict, empty).unwrap().cast();
            assert!(is_no_memory(boundary::grow(&strict, ptr, empty, wide), align * 2));
            assert!(is_no_memory(boundary::grow_zeroed(&strict, ptr, empty, wide), align * 2));
            assert!(is_no_memory(boundary::shrink(&strict, ptr, wide, empty), align));
            assert_eq!(boundary::shrink(&strict, ptr, empty, layout(8, align)), Err(AllocError));
            boundary::deallocate(&strict, ptr, empty);
        }
    }
}

#[test]
fn growing_from_and_shrinking_to_zero_allocate_and_free() {
    let strict = Strict::default();
    let (empty, eight) = (layout(0, 8), layout(8, 8));
    // SAFETY: every block is passed on with the layout that it has.
    unsafe {
        let none = boundary::allocate(&strict, empty).unwrap();
        let block = boundary::grow(&strict, none.cast(), empty, eight).unwrap();
        assert_eq!((block.len(), strict.live()), (8, 1));
        assert_eq!(boundary::grow(&strict, block.cast(), eight, empty), Err(AllocError));
        assert_eq!(strict.live(), 1);
        assert!(is_no_memory(boundary::shrink(&strict, block.cast(), eight, layout(0, 32)), 32));
        assert_eq!(strict.live(), 0);
        let zeroed = boundary::grow_zeroed(&strict, none.cast(), empty, eight).unwrap();
        assert_eq!(bytes(zeroed), [0; 8]);
        boundary::deallocate(&strict, zeroed.cast(), eight);
    }
}

#[test]
fn every_block_is_exactly_as_long_as_its_layout() {
    let strict = Strict::default();
    let (small, large, wide) = (layout(5, 4), layout(50, 4), layout(50, 64));
    // SAFETY: every block is passed on with the layout that it has.
    unsafe {
        let block = boundary::allocate(&strict, small).unwrap();
        assert_eq!(block.len(), 5);
        block.cast::<u8>().write_bytes(7, 5);
        let block = boundary::grow(&strict, block.cast(), small, large).unwrap();
        assert_eq!((block.len(), strict.resizes_in_place.get()), (50, 1));
        let block = boundary::grow(&strict, block.cast(), large, wide).unwrap();
        assert_eq!((block.len(), strict.resizes_in_place.get()), (50, 1));
        assert_eq!(block.cast::<u8>().addr().get() % 64, 0);
        let block = boundary::shrink(&strict, block.cast(), wide, small).unwrap();
        assert_eq!(bytes(block), [7; 5]);
        let block = boundary::grow_zeroed(&strict, block.cast(), small, wide).unwrap();
        assert_eq!(bytes(block), [&[7; 5][..], &[0; 45]].concat());
        let block = boundary::shrink(&strict, block.cast(), wide, layout(9, 64)).unwrap();
        let block = boundary::grow_zeroed(&strict, block.cast(), layout(9, 64), wide).unwrap();
        assert_eq!(bytes(block), [&[7; 5][..], &[0; 45]].concat());
        boundary::deallocate(&strict, block.cast(), wide);
        let zeroed = boundary::allocate_zeroed(&strict, large).unwrap();
        assert_eq!(bytes(zeroed), [0; 50]);
        boundary::deallocate(&strict, zeroed.cast(), large);
    }
}

#[test]
fn a_refused_resize_leaves_the_block() {
    let strict = Strict::default();
    let (old, wide) = (layout(8, 8), layout(16, 64));
    // SAFETY: the block is passed on with the layout that it has.
    unsafe {
        let block = boundary::allocate_zeroed(&strict, old).unwrap();
        strict.refuses.set(true);
        for new in [layout(16, 8), wide] {
            assert_eq!(boundary::grow(&strict, block.cast(), old, new), Err(AllocError));
            assert_eq!(boundary::grow_zeroed(&strict, block.cast(), old, new), Err(AllocError));
        }
        for new in [layout(4, 8), layout(4, 64)] {
            assert_eq!(boundary::shrink(&strict, block.cast(), old, new), Err(AllocError));
        }
        assert_eq!(bytes(block), [0; 8]);
        boundary::deallocate(&strict, block.cast(), old);
    }
}
