#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, StableAddress, StdCompat,
};

use super::WithFallback;
use crate::{BumpArena, HeapBytes, InlineBacked, NullBacked, StackAlloc, System};

mod overlap;

type Stack<const N: usize> = StackAlloc<InlineBacked<N>>;
type Bump<const N: usize> = BumpArena<InlineBacked<N>>;

fn layout(size: usize, align: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, align).unwrap()
}

fn stack<const N: usize>() -> Stack<N> {
    StackAlloc::new(InlineBacked::new()).unwrap()
}

fn bump<const N: usize>() -> Bump<N> {
    BumpArena::new(InlineBacked::new()).unwrap()
}

fn take(allocator: &impl Allocator, layout: NonZeroLayout) -> NonNull<u8> {
    allocator.allocate(layout).unwrap().cast()
}

fn free(allocator: &impl Deallocator, ptr: NonNull<u8>, layout: NonZeroLayout) {
    // SAFETY: the tests free live blocks of the allocator, once, with their layout.
    unsafe { allocator.deallocate(ptr, layout) }
}

/// Writes 1, 2, 3, ... to the first `len` bytes of a block.
fn number(ptr: NonNull<u8>, len: usize) {
    for index in 0..len {
        // SAFETY: the tests number live blocks of at least `len` bytes.
        unsafe { ptr.add(index).write(index as u8 + 1) };
    }
}

fn is_numbered(ptr: NonNull<u8>, len: usize) -> bool {
    // SAFETY: the tests ask about live blocks of at least `len` initialised bytes.
    (0..len).all(|index| unsafe { ptr.add(index).read() } == index as u8 + 1)
}

fn is_zero(ptr: NonNull<u8>, from: usize, to: usize) -> bool {
    // SAFETY: the tests ask about live blocks of at least `to` initialised bytes.
    (from..to).all(|index| unsafe { ptr.add(index).read() } == 0)
}

/// A stack that answers `usable_size` and `corruption_events` with what the test says.
struct Telling {
    stack: Stack<64>,
    usable: usize,
    events: u64,
}

impl Telling {
    fn new(usable: usize, events: u64) -> Self {
        Self { stack: stack(), usable, events }
    }
}

// SAFETY: the range is the stack's.
unsafe impl FixedRange for Telling {
    fn base(&self) -> NonNull<u8> {
        self.stack.base()
    }

    fn size(&self) -> usize {
        self.stack.size()
    }
}

// SAFETY: the blocks are the stack's.
unsafe impl Deallocator for Telling {
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.stack.deallocate(ptr, layout) }
    }
}

// SAFETY: the blocks are the stack's; nobody builds on the other answers here.
unsafe impl Allocator for Telling {
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.stack.allocate(layout)
    }

    unsafe fn usable_size(&self, _: NonNull<u8>, _: NonZeroLayout) -> Option<usize> {
        Some(self.usable)
    }

    fn corruption_events(&self) -> u64 {
        self.events
    }
}

#[test]
fn an_exhausted_primary_falls_through_and_comes_back() {
    let router = WithFallback::new(stack::<64>(), stack::<256>());
    let block = layout(40, 8);
    let first = take(&router, block);
    let second = take(&router, block);
    assert!(router.primary().contains(first));
    assert!(router.secondary().contains(second));
    free(&router, first, block);
    let third = take(&router, block);
    assert_eq!(third, first);
    free(&router, second, block);
    free(&router, third, block);
    assert_eq!((router.primary().allocated(), router.secondary().allocated()), (0, 0));
}

#[test]
fn a_request_that_neither_half_serves_fails_and_changes_nothing() {
    let router = WithFallback::new(stack::<64>(), stack::<128>());
    assert_eq!(router.allocate(layout(1000, 1)), Err(AllocError));
    assert_eq!(router.allocate_zeroed(layout(1000, 1)), Err(AllocError));
    assert_eq!((router.primary().allocated(), router.secondary().allocated()), (0, 0));
}

#[test]
fn an_empty_primary_sends_everything_to_the_secondary() {
    let router = WithFallback::new(NullBacked, stack::<128>());
    let ptr = take(&router, layout(8, 8));
    assert!(router.secondary().contains(ptr));
    free(&router, ptr, layout(8, 8));
    assert_eq!(router.secondary().allocated(), 0);
}

#[test]
fn blocks_taken_from_a_half_directly_are_freed_through_the_router() {
    let router = WithFallback::new(stack::<128>(), stack::<128>());
    let block = layout(16, 8);
    let (near, far) = (take(router.primary(), block), take(router.secondary(), block));
    free(&router, near, block);
    free(&router, far, block);
    assert_eq!((router.primary().allocated(), router.secondary().allocated()), (0, 0));
}

#[test]
fn a_block_grows_and_shrinks_in_place_in_the_primary() {
    let router = WithFallback::new(bump::<256>(), System::new());
    let ptr = take(&router, layout(16, 8));
    number(ptr, 16);
    // SAFETY: the block is live and the layouts are those of its latest size.
    unsafe {
        let grown = router.grow(ptr, layout(16, 8), layout(200, 8)).unwrap();
        assert_eq!((grown.cast(), grown.len()), (ptr, 200));
        assert!(is_numbered(ptr, 16));
        let shrunk = router.shrink(ptr, layout(200, 8), layout(8, 8)).unwrap();
        assert_eq!((shrunk.cast(), shrunk.len()), (ptr, 8));
    }
    assert!(is_numbered(ptr, 8));
    assert_eq!(router.primary().allocated(), 8);
}

#[test]
fn a_block_that_outgrows_the_primary_moves_and_gives_its_bytes_back() {
    let router = WithFallback::new(stack::<128>(), stack::<512>());
    let (old, new) = (layout(48, 8), layout(200, 32));
    let ptr = take(&router, old);
    number(ptr, 48);
    // SAFETY: the block is live and `old` is its layout.
    let grown = unsafe { router.grow(ptr, old, new) }.unwrap().cast::<u8>();
    assert!(router.secondary().contains(grown));
    assert_eq!(grown.addr().get() % new.align().get(), 0);
    assert!(is_numbered(grown, 48));
    assert_eq!(router.primary().allocated(), 0);
    free(&router, grown, new);
    assert_eq!(router.secondary().allocated(), 0);
}

#[test]
fn a_block_of_the_secondary_stays_while_the_secondary_serves_it() {
    let router = WithFallback::new(stack::<64>(), stack::<512>());
    let filler = take(&router, layout(48, 8));
    let ptr = take(&router, layout(16, 8));
    free(&router, filler, layout(48, 8));
    number(ptr, 16);
    // SAFETY: the block is live and the layouts are those of its latest size.
    unsafe {
        let grown = router.grow(ptr, layout(16, 8), layout(32, 8)).unwrap();
        assert_eq!(grown.cast(), ptr);
        let shrunk = router.shrink(ptr, layout(32, 8), layout(16, 8)).unwrap();
        assert_eq!(shrunk.cast(), ptr);
    }
    assert!(router.secondary().contains(ptr) && is_numbered(ptr, 16));
    assert_eq!(router.primary().allocated(), 0);
}

#[test]
fn a_block_that_outgrows_the_secondary_moves_to_the_primary() {
    let router = WithFallback::new(stack::<256>(), stack::<64>());
    let filler = take(&router, layout(230, 8));
    let ptr = take(&router, layout(32, 8));
    assert!(router.secondary().contains(ptr));
    free(&router, filler, layout(230, 8));
    number(ptr, 32);
    // SAFETY: the block is live and the layout is its own.
    let grown = unsafe { router.grow(ptr, layout(32, 8), layout(128, 8)) }.unwrap().cast::<u8>();
    assert!(router.primary().contains(grown) && is_numbered(grown, 32));
    assert_eq!(router.secondary().allocated(), 0);
    free(&router, grown, layout(128, 8));
    assert_eq!(router.primary().allocated(), 0);
}

#[test]
fn an_alignment_that_the_owner_refuses_moves_the_block() {
    // Inline storage refuses alignments above 16 outright.
    let router = WithFallback::new(InlineBacked::<256>::new(), System::new());
    for size in [40, 64, 100] {
        let (old, new) = (layout(64, 8), layout(size, 128));
        let ptr = take(&router, old);
        number(ptr, 64);
        // SAFETY: the block is live and `old` is its layout.
        let moved =
            unsafe { if size < 64 { router.shrink(ptr, old, new) } else { router.grow(ptr, old, new) } };
        let moved = moved.unwrap().cast::<u8>();
        assert!(!router.primary().contains(moved));
        assert_eq!(moved.addr().get() % 128, 0);
        assert!(is_numbered(moved, size.min(64)));
        assert_eq!(router.primary().allocated(), 0);
        free(&router, moved, new);
    }
}

#[test]
fn a_shrink_that_the_secondary_refuses_moves_the_block_to_the_primary() {
    let near = BumpArena::new(HeapBytes::with_align(256, 64).unwrap()).unwrap();
    let router = WithFallback::new(near, InlineBacked::<64>::new());
    let ptr = take(router.secondary(), layout(48, 16));
    number(ptr, 48);
    // SAFETY: the block is live and the layout is its own.
    let moved = unsafe { router.shrink(ptr, layout(48, 16), layout(24, 64)) }.unwrap().cast::<u8>();
    assert!(router.primary().contains(moved) && is_numbered(moved, 24));
    assert_eq!(moved.addr().get() % 64, 0);
    assert_eq!(router.secondary().allocated(), 0);
}

#[test]
fn a_resize_that_neither_half_serves_leaves_the_block_alone() {
    let router = WithFallback::new(stack::<64>(), stack::<64>());
    let old = layout(32, 8);
    for ptr in [take(router.primary(), old), take(router.secondary(), old)] {
        number(ptr, 32);
        // SAFETY: the block is live and `old` is its layout.
        unsafe {
            assert_eq!(router.grow(ptr, old, layout(1000, 8)), Err(AllocError));
            assert_eq!(router.grow_zeroed(ptr, old, layout(1000, 8)), Err(AllocError));
            assert_eq!(router.shrink(ptr, old, layout(8, 1 << 20)), Err(AllocError));
        }
        assert!(is_numbered(ptr, 32));
        free(&router, ptr, old);
    }
    assert_eq!((router.primary().allocated(), router.secondary().allocated()), (0, 0));
}

#[test]
fn zeroed_blocks_are_zero_in_both_halves() {
    let router = WithFallback::new(stack::<128>(), stack::<256>());
    let block = layout(96, 8);
    for half in [take(router.primary(), block), take(router.secondary(), block)] {
        number(half, 96);
        free(&router, half, block);
    }
    let near = router.allocate_zeroed(block).unwrap().cast::<u8>();
    let far = router.allocate_zeroed(block).unwrap().cast::<u8>();
    assert!(router.primary().contains(near) && router.secondary().contains(far));
    assert!(is_zero(near, 0, 96) && is_zero(far, 0, 96));
    free(&router, far, block);
    free(&router, near, block);
}

#[test]
fn zeroed_growth_is_zero_within_and_between_the_halves() {
    let router = WithFallback::new(stack::<256>(), stack::<512>());
    for (half, size) in
        [(take(router.primary(), layout(200, 8)), 200), (take(router.secondary(), layout(400, 8)), 400)]
    {
        // SAFETY: the block is live and `size` bytes long.
        unsafe { half.write_bytes(0xa5, size) };
        free(&router, half, layout(size, 8));
    }
    let ptr = take(&router, layout(16, 8));
    number(ptr, 16);
    // SAFETY: the block is live and the layouts are those of its latest size.
    let moved = unsafe {
        let grown = router.grow_zeroed(ptr, layout(16, 8), layout(100, 8)).unwrap();
        assert_eq!(grown.cast(), ptr);
        assert!(is_numbered(ptr, 16) && is_zero(ptr, 16, 100));
        router.grow_zeroed(ptr, layout(100, 8), layout(300, 8)).unwrap().cast::<u8>()
    };
    assert!(router.secondary().contains(moved));
    assert!(is_numbered(moved, 16) && is_zero(moved, 16, 300));
    assert_eq!(router.primary().allocated(), 0);
    free(&router, moved, layout(300, 8));

    let router = WithFallback::new(stack::<256>(), stack::<64>());
    let dirty = take(&router, layout(200, 8));
    // SAFETY: the block is live and 200 bytes long.
    unsafe { dirty.write_bytes(0xa5, 200) };
    let ptr = take(router.secondary(), layout(16, 8));
    number(ptr, 16);
    free(&router, dirty, layout(200, 8));
    // SAFETY: the block is live and the layouts are those of its latest size.
    let moved = unsafe {
        let grown = router.grow_zeroed(ptr, layout(16, 8), layout(32, 8)).unwrap();
        assert_eq!(grown.cast(), ptr);
        router.grow_zeroed(ptr, layout(32, 8), layout(150, 8)).unwrap().cast::<u8>()
    };
    assert!(router.primary().contains(moved));
    assert!(is_numbered(moved, 16) && is_zero(moved, 16, 150));
}

#[test]
fn the_usable_size_is_that_of_the_owner() {
    let router = WithFallback::new(Telling::new(56, 0), Telling::new(48, 0));
    let block = layout(40, 8);
    let (near, far) = (take(&router, block), take(&router, block));
    // SAFETY: both blocks are live and this is their layout.
    let sizes = unsafe { (router.usable_size(near, block), router.usable_size(far, block)) };
    assert_eq!(sizes, (Some(56), Some(48)));
}

#[test]
fn corruption_events_add_up_without_wrapping() {
    assert_eq!(WithFallback::new(Telling::new(0, 2), Telling::new(0, 3)).corruption_events(), 5);
    assert_eq!(
        WithFallback::new(Telling::new(0, u64::MAX), Telling::new(0, 1)).corruption_events(),
        u64::MAX
    );
}

#[test]
fn the_capacity_is_that_of_the_primary() {
    let router = WithFallback::new(InlineBacked::<256>::new(), System::new());
    assert_eq!(router.capacity_bytes(), Some(256));
    assert!(router.primary().contains(take(&router, layout(64, 8))));
    let large = take(&router, layout(1024, 8));
    assert!(!router.primary().contains(large));
    free(&router, large, layout(1024, 8));
}

#[test]
fn a_reset_is_refused_and_forgets_nothing() {
    let mut router = WithFallback::new(bump::<64>(), bump::<64>());
    take(&router, layout(64, 8));
    take(&router, layout(64, 8));
    assert_eq!(router.reset(), Err(AllocError));
    assert_eq!((router.primary().allocated(), router.secondary().allocated()), (64, 64));
}

#[test]
fn a_router_over_inline_storage_keeps_working_where_it_is_moved_to() {
    fn make() -> WithFallback<Stack<64>, Stack<128>> {
        WithFallback::new(stack(), stack())
    }
    let block = layout(40, 8);
    let works = |router: &WithFallback<Stack<64>, Stack<128>>| {
        let (near, far) = (take(router, block), take(router, block));
        assert!(router.primary().contains(near) && router.secondary().contains(far));
        free(router, far, block);
        free(router, near, block);
        assert_eq!((router.primary().allocated(), router.secondary().allocated()), (0, 0));
    };
    let router = make();
    works(&router);
    let boxed = Box::new(router);
    works(&boxed);
    let mut many = vec![*boxed];
    many.push(make());
    many.swap(0, 1);
    many.iter().for_each(works);
}

#[test]
fn blocks_outlive_a_move_and_the_parting_of_stable_halves() {
    fn stable<T: StableAddress>(_: &T) {}
    let near = StackAlloc::new(HeapBytes::new(64).unwrap()).unwrap();
    let far = StackAlloc::new(HeapBytes::new(128).unwrap()).unwrap();
    let router = WithFallback::new(near, far);
    stable(&router);
    let block = layout(40, 8);
    let (first, second) = (take(&router, block), take(&router, block));
    number(first, 40);
    number(second, 40);
    let router = *Box::new(router);
    assert!(is_numbered(first, 40) && is_numbered(second, 40));
    let (near, far) = router.into_parts();
    assert!(is_numbered(first, 40) && is_numbered(second, 40));
    free(&near, first, block);
    free(&far, second, block);
    assert_eq!((near.allocated(), far.allocated()), (0, 0));
}

#[test]
fn a_vector_outgrows_the_primary_with_its_content() {
    let near = BumpArena::new(HeapBytes::new(256).unwrap()).unwrap();
    let router = WithFallback::new(near, System::new());
    let mut numbers = allocator_api2::vec::Vec::new_in(StdCompat::new(router));
    numbers.push(0_u32);
    assert!(numbers.allocator().inner().primary().contains(NonNull::from(&numbers[0]).cast()));
    numbers.extend(1..1000);
    assert!(!numbers.allocator().inner().primary().contains(NonNull::from(&numbers[0]).cast()));
    assert!(numbers.iter().copied().eq(0..1000));
    assert_eq!(numbers.allocator().inner().primary().allocated(), 0);
}

#[test]
fn a_router_is_built_in_a_constant() {
    const ROUTER: WithFallback<NullBacked, System> = WithFallback::new(NullBacked, System::new());
    let block = layout(8, 8);
    free(&ROUTER, take(&ROUTER, block), block);
}

#[cfg(all(target_has_atomic = "ptr", not(loom)))]
#[test]
fn threads_share_a_router_of_shared_halves() {
    let rounds = if cfg!(miri) { 8 } else { 200 };
    let near = crate::SharedBumpArena::new(HeapBytes::new(1 << 10).unwrap()).unwrap();
    let router = WithFallback::new(near, System::new());
    let block = layout(64, 8);
    std::thread::scope(|scope| {
        for mark in 0..3_u8 {
            let router = &router;
            scope.spawn(move || {
                for _ in 0..rounds {
                    let (first, second) = (take(router, block), take(router, block));
                    // SAFETY: both blocks are live and 64 bytes long.
                    unsafe {
                        first.write_bytes(mark, 64);
                        second.write_bytes(!mark, 64);
                        assert_eq!((first.add(63).read(), second.read()), (mark, !mark));
                    }
                    free(router, first, block);
                    free(router, second, block);
                }
            });
        }
    });
}
