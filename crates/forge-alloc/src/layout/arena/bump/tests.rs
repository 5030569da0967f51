#![allow(unsafe_code)]

use core::cell::Cell;
use core::ptr::NonNull;

use forge_alloc_core::{Allocator, Deallocator, FixedRange, NonZeroLayout};

use super::BumpArena;
use crate::{HeapBytes, InlineBacked, StaticBacked};

type Inline = BumpArena<InlineBacked<256>>;

fn layout(size: usize, align: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, align).unwrap()
}

fn inline() -> Inline {
    BumpArena::new(InlineBacked::new()).unwrap()
}

fn address(block: NonNull<[u8]>) -> usize {
    block.cast::<u8>().addr().get()
}

#[test]
fn blocks_follow_each_other_from_the_base() {
    let arena = inline();
    let base = arena.base().addr().get();
    let first = arena.allocate(layout(3, 1)).unwrap();
    let second = arena.allocate(layout(8, 8)).unwrap();
    assert_eq!((address(first), first.len()), (base, 3));
    assert_eq!((address(second), second.len()), (base + 8, 8));
    assert_eq!((arena.allocated(), arena.remaining(), arena.capacity()), (16, 240, 256));
}

#[test]
fn the_last_byte_is_served_and_the_next_is_refused() {
    let arena = inline();
    arena.allocate(layout(255, 1)).unwrap();
    assert!(arena.allocate(layout(2, 1)).is_err());
    assert!(arena.allocate(layout(1, 2)).is_err());
    arena.allocate(layout(1, 1)).unwrap();
    assert!(arena.allocate(layout(1, 1)).is_err());
    assert_eq!(arena.remaining(), 0);
}

#[test]
fn impossible_requests_fail_and_change_nothing() {
    let arena = inline();
    let largest = isize::MAX as usize;
    for (size, align) in [(257, 1), (largest, 1), (largest - 4095, 4096), (1, 1 << 30), (1, largest / 2 + 1)]
    {
        assert!(arena.allocate(layout(size, align)).is_err(), "{size} at {align}");
    }
    assert!(arena.alloc_slice_copy::<u64>(&[0; 33]).is_err());
    assert_eq!(arena.allocated(), 0);
}

#[test]
fn large_alignments_are_served_where_they_fit() {
    let arena = BumpArena::new(HeapBytes::new(1 << 16).unwrap()).unwrap();
    for shift in 0..=13 {
        let block = arena.allocate(layout(24, 1 << shift)).unwrap();
        assert_eq!(address(block) % (1 << shift), 0);
    }
}

#[test]
fn empty_backings_are_refused() {
    assert!(BumpArena::new(StaticBacked::new(&mut [])).is_err());
    assert!(BumpArena::new(InlineBacked::<0>::new()).is_err());
}

#[test]
fn the_backing_hands_out_nothing_behind_the_arena() {
    let arena = inline();
    assert!(arena.backing().allocate(layout(1, 1)).is_err());
    let used = InlineBacked::<64>::new();
    used.allocate(layout(1, 1)).unwrap();
    assert!(BumpArena::new(used).is_err());
}

#[test]
fn an_arena_over_an_arena_owns_its_bytes_alone() {
    let inner = inline();
    inner.alloc(1_u8).unwrap();
    assert!(BumpArena::new(inner).is_err());
    let outer = BumpArena::new(inline()).unwrap();
    assert!(outer.backing().alloc(1_u8).is_err());
    assert_eq!(outer.alloc_ref(9_u64), Ok(&mut 9));
}

#[test]
fn freeing_the_last_block_reclaims_it_and_freeing_another_does_not() {
    let arena = inline();
    let first = arena.allocate(layout(16, 8)).unwrap();
    let second = arena.allocate(layout(16, 8)).unwrap();
    // SAFETY: both blocks are live and freed once.
    unsafe {
        arena.deallocate(first.cast(), layout(16, 8));
        assert_eq!(arena.allocated(), 32);
        arena.deallocate(second.cast(), layout(16, 8));
    }
    assert_eq!(arena.allocated(), 16);
}

#[test]
fn the_last_block_grows_and_shrinks_in_place() {
    let arena = inline();
    let block = arena.allocate(layout(16, 8)).unwrap().cast::<u8>();
    // SAFETY: the block is live and the layouts are those of its latest size.
    unsafe {
        block.write_bytes(7, 16);
        let grown = arena.grow(block, layout(16, 8), layout(200, 8)).unwrap();
        assert_eq!((grown.cast(), grown.len(), arena.allocated()), (block, 200, 200));
        assert!(arena.grow(block, layout(200, 8), layout(257, 8)).is_err());
        let shrunk = arena.shrink(block, layout(200, 8), layout(8, 8)).unwrap();
        assert_eq!((shrunk.cast(), shrunk.len(), arena.allocated()), (block, 8, 8));
        assert_eq!(*shrunk.cast::<[u8; 8]>().as_ptr(), [7; 8]);
    }
}

#[test]
fn an_earlier_block_moves_to_grow_and_stays_to_shrink() {
    let arena = inline();
    let block = arena.allocate(layout(16, 8)).unwrap().cast::<u8>();
    arena.allocate(layout(1, 1)).unwrap();
    // SAFETY: the block is live and the layouts are those of its latest size.
    unsafe {
        block.write_bytes(5, 16);
        assert_eq!(arena.shrink(block, layout(16, 8), layout(12, 4)).unwrap().cast(), block);
        assert_eq!(arena.allocated(), 17);
        let moved = arena.grow(block, layout(12, 4), layout(32, 8)).unwrap();
        assert_ne!(moved.cast(), block);
        assert_eq!(*moved.cast::<[u8; 12]>().as_ptr(), [5; 12]);
    }
}

#[test]
fn a_raised_alignment_is_honoured_by_both_resizes() {
    let arena = BumpArena::new(HeapBytes::with_align(4096, 4096).unwrap()).unwrap();
    arena.allocate(layout(8, 8)).unwrap();
    let block = arena.allocate(layout(16, 8)).unwrap().cast::<u8>();
    // SAFETY: the block is live and the layouts are those of its latest size.
    unsafe {
        block.write_bytes(3, 16);
        let grown = arena.grow(block, layout(16, 8), layout(32, 1024)).unwrap();
        assert_eq!(address(grown) % 1024, 0);
        let shrunk = arena.shrink(grown.cast(), layout(32, 1024), layout(16, 2048)).unwrap();
        assert_eq!(address(shrunk) % 2048, 0);
        assert_eq!(*shrunk.cast::<[u8; 16]>().as_ptr(), [3; 16]);
    }
}

#[test]
fn a_mark_above_the_cursor_changes_nothing() {
    let mut arena = inline();
    arena.alloc(1_u64).unwrap();
    arena.rewind_to(1000);
    assert_eq!((arena.allocated(), arena.remaining()), (8, 248));
    arena.rewind_to(4);
    assert_eq!(arena.allocated(), 4);
    arena.reset();
    assert_eq!(arena.allocated(), 0);
    assert!(Allocator::reset(&mut arena).is_ok());
}

#[test]
fn a_moved_arena_goes_on_in_its_new_place() {
    let arena = inline();
    arena.alloc([1_u8; 40]).unwrap();
    let moved = Box::new(arena);
    assert_eq!(moved.allocated(), 40);
    let block = moved.alloc(9_u64).unwrap();
    assert!(moved.contains(block.cast()));
    assert_eq!(block.addr().get(), moved.base().addr().get() + 40);
    // SAFETY: the block was initialised by `alloc` and the arena has not moved since.
    assert_eq!(unsafe { block.read() }, 9);
}

#[test]
fn typed_values_slices_and_strings_hold_their_contents() {
    let arena = inline();
    let number = arena.alloc_ref(41_u32).unwrap();
    *number += 1;
    let words = arena.alloc_slice_copy(&[1_u16, 2, 3]).unwrap();
    let text = arena.alloc_str("h\u{e9}llo").unwrap();
    // SAFETY: the blocks were initialised above and the arena has not moved since.
    unsafe {
        assert_eq!(words.as_ref(), [1, 2, 3]);
        assert_eq!(text.as_ref(), "h\u{e9}llo");
    }
    assert_eq!(*number, 42);
}

#[test]
fn zero_sized_values_take_no_space_and_never_fail() {
    let arena = inline();
    arena.allocate(layout(256, 1)).unwrap();
    assert!(arena.alloc(()).is_ok());
    assert!(arena.alloc_uninit::<[u64; 0]>().unwrap().is_aligned());
    assert_eq!(arena.alloc_slice_copy::<u64>(&[]).unwrap().len(), 0);
    assert_eq!(arena.alloc_slice_copy(&[(); 5]).unwrap().len(), 5);
    assert!(arena.alloc_str("").is_ok());
}

struct Counted<'a>(&'a Cell<u32>);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn only_the_boxed_form_runs_destructors_and_a_refused_value_is_dropped() {
    let drops = Cell::new(0);
    let arena = inline();
    arena.alloc(Counted(&drops)).unwrap();
    assert_eq!(drops.get(), 0);
    drop(arena.alloc_box(Counted(&drops)).unwrap());
    assert_eq!(drops.get(), 1);
    arena.allocate(layout(arena.remaining(), 1)).unwrap();
    assert!(arena.alloc(Counted(&drops)).is_err());
    assert_eq!(drops.get(), 2);
}

#[test]
fn the_token_frees_nothing_and_allocates_nothing() {
    let arena = inline();
    let token = arena.deallocator();
    let block = arena.allocate(layout(8, 8)).unwrap();
    // SAFETY: the block is live and freed once.
    unsafe { token.deallocate(block.cast(), layout(8, 8)) };
    assert_eq!(arena.allocated(), 8);
    assert!(token.allocate(layout(1, 1)).is_err());
    assert_eq!(size_of_val(&token), 0);
}
