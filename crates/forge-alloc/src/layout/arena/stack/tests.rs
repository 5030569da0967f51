#![allow(unsafe_code)]

use allocator_api2::boxed::Box as ApiBox;
use allocator_api2::vec::Vec as ApiVec;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use forge_alloc_core::{AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, StdCompat, testing};

use crate::{BumpArena, HeapBytes, InlineBacked, StackAlloc, StaticBacked};

const RECORD: usize = StackAlloc::<InlineBacked<8>>::RECORD_BYTES;

fn layout(size: usize, align: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, align).unwrap()
}

/// A stack whose base is aligned to 16, over 4096 bytes.
fn stack() -> StackAlloc<HeapBytes> {
    StackAlloc::new(HeapBytes::new(4096).unwrap()).unwrap()
}

fn push<B: FixedRange>(stack: &StackAlloc<B>, size: usize, align: usize) -> NonNull<u8> {
    stack.allocate(layout(size, align)).unwrap().cast()
}

fn free<B: FixedRange>(stack: &StackAlloc<B>, block: NonNull<u8>, size: usize, align: usize) {
    // SAFETY: the tests pass live blocks with their layout.
    unsafe { stack.deallocate(block, layout(size, align)) };
}

#[test]
fn keeps_the_public_invariants() {
    testing::assert_combined_invariants(&stack());
    testing::assert_allocator_respects_alignment(&stack());
    assert_eq!(stack().capacity_bytes(), Some(4096));
}

#[test]
fn first_block_is_at_the_base_and_the_next_follows() {
    let stack = stack();
    let first = push(&stack, 24, 8);
    let second = push(&stack, 3, 1);
    assert_eq!(first, stack.base());
    assert_eq!(second.addr().get(), first.addr().get() + 24);
    assert_eq!(stack.allocated(), 27);
}

#[test]
fn freeing_the_top_block_recovers_its_padding() {
    let stack = stack();
    push(&stack, 1, 1);
    let aligned = push(&stack, 8, 256);
    assert!(stack.allocated() > 9);
    free(&stack, aligned, 8, 256);
    assert_eq!(stack.allocated(), 1);
}

#[test]
fn blocks_below_the_top_come_back_with_the_blocks_above_them() {
    let stack = stack();
    let blocks: Vec<_> = (0..6).map(|_| push(&stack, 16, 8)).collect();
    for &index in &[1, 3, 4] {
        free(&stack, blocks[index], 16, 8);
        assert_eq!(stack.allocated(), 96);
    }
    free(&stack, blocks[5], 16, 8);
    assert_eq!(stack.allocated(), 48); // 5, 4 and 3
    free(&stack, blocks[0], 16, 8);
    assert_eq!(stack.allocated(), 48);
    free(&stack, blocks[2], 16, 8);
    assert_eq!(stack.allocated(), 0); // 2, 1 and 0
    assert_eq!(stack.remaining(), 4096 - RECORD);
}

#[test]
fn the_remaining_bytes_can_be_allocated_and_no_more() {
    let stack = stack();
    push(&stack, 100, 1);
    let room = stack.remaining();
    assert!(stack.allocate(layout(room + 1, 1)).is_err());
    let rest = push(&stack, room, 1);
    assert_eq!(stack.remaining(), 0);
    assert!(stack.allocate(layout(1, 1)).is_err());
    free(&stack, rest, room, 1);
    assert_eq!(stack.remaining(), room);
}

#[test]
fn ranges_too_small_for_a_record_refuse_every_request() {
    for size in 1..=RECORD {
        let mut bytes = [MaybeUninit::uninit(); RECORD];
        let stack = StackAlloc::new(StaticBacked::from(&mut bytes[..size])).unwrap();
        assert!(stack.allocate(layout(1, 1)).is_err());
        assert_eq!(stack.remaining(), 0);
    }
    let mut bytes = [MaybeUninit::uninit(); RECORD + 1];
    let stack = StackAlloc::new(StaticBacked::from(&mut bytes)).unwrap();
    let only = push(&stack, 1, 1);
    assert!(stack.allocate(layout(1, 1)).is_err());
    free(&stack, only, 1, 1);
    assert_eq!((stack.allocated(), stack.remaining()), (0, 1));
    assert!(StackAlloc::new(StaticBacked::new(&mut [])).is_err());
}

#[test]
fn hostile_requests_are_errors_and_change_nothing() {
    let stack = stack();
    push(&stack, 5, 1);
    let huge = isize::MAX as usize;
    for (size, align) in [(huge, 1), (huge - 4095, 4096), (1, 1 << 30), (1, huge / 2 + 1), (4096, 1)] {
        assert!(stack.allocate(layout(size, align)).is_err());
        assert_eq!(stack.allocated(), 5);
    }
}

#[test]
fn the_depth_is_a_hint() {
    let stack = StackAlloc::with_max_depth(InlineBacked::<64>::new(), 1).unwrap();
    push(&stack, 1, 1);
    push(&stack, 1, 1);
    assert!(StackAlloc::with_max_depth(InlineBacked::<64>::new(), 1000).is_ok());
    assert!(StackAlloc::with_max_depth(InlineBacked::<64>::new(), usize::MAX).is_err());
    assert!(StackAlloc::with_max_depth(InlineBacked::<64>::new(), isize::MAX as usize).is_err());
}

#[test]
fn the_top_block_is_resized_in_place() {
    let stack = stack();
    let below = push(&stack, 10, 1);
    let top = push(&stack, 10, 1);
    // SAFETY: `top` is live with this layout, each time.
    unsafe {
        let grown = stack.grow(top, layout(10, 1), layout(50, 1)).unwrap();
        assert_eq!((grown.cast(), grown.len(), stack.allocated()), (top, 50, 60));
        let shrunk = stack.shrink(top, layout(50, 1), layout(7, 1)).unwrap();
        assert_eq!((shrunk.cast(), shrunk.len(), stack.allocated()), (top, 7, 17));
        assert!(stack.grow(top, layout(7, 1), layout(4096, 1)).is_err());
    }
    assert_eq!(stack.allocated(), 17);
    free(&stack, top, 7, 1);
    free(&stack, below, 10, 1);
    assert_eq!(stack.allocated(), 0);
}

#[test]
fn a_block_that_becomes_the_top_grows_over_what_was_above_it() {
    let stack = stack();
    let below = push(&stack, 64, 1);
    let above = push(&stack, 64, 1);
    // SAFETY: the blocks are live with these layouts.
    unsafe {
        let below = stack.shrink(below, layout(64, 1), layout(8, 1)).unwrap();
        assert_eq!(below.len(), 8);
        free(&stack, above, 64, 1);
        let grown = stack.grow(below.cast(), layout(8, 1), layout(100, 1)).unwrap();
        assert_eq!((grown.cast::<u8>(), stack.allocated()), (below.cast(), 100));
        free(&stack, grown.cast(), 100, 1);
    }
    assert_eq!(stack.allocated(), 0);
}

#[test]
fn growing_a_lower_block_moves_it_and_loses_nothing_for_good() {
    let stack = stack();
    let below = push(&stack, 4, 1);
    let top = push(&stack, 4, 1);
    // SAFETY: `below` is live, of four bytes, and moved; the other blocks are live.
    unsafe {
        below.write_bytes(7, 4);
        let moved = stack.grow(below, layout(4, 1), layout(8, 1)).unwrap().cast::<u8>();
        assert_ne!(moved, below);
        assert_eq!(core::slice::from_raw_parts(moved.as_ptr(), 4), [7; 4]);
        free(&stack, moved, 8, 1);
        free(&stack, top, 4, 1);
    }
    assert_eq!(stack.allocated(), 0);
}

#[test]
fn a_resize_may_raise_the_alignment() {
    let stack = stack();
    push(&stack, 1, 1);
    let block = push(&stack, 8, 1);
    // SAFETY: the block is live with this layout, and moved by the calls.
    unsafe {
        let grown = stack.grow(block, layout(8, 1), layout(16, 64)).unwrap().cast::<u8>();
        assert_eq!(grown.addr().get() % 64, 0);
        let shrunk = stack.shrink(grown, layout(16, 64), layout(4, 2048)).unwrap().cast::<u8>();
        assert_eq!(shrunk.addr().get() % 2048, 0);
        free(&stack, shrunk, 4, 2048);
    }
    assert_eq!(stack.allocated(), 1);
}

#[test]
fn reset_forgets_everything() {
    let mut stack = stack();
    push(&stack, 100, 1);
    push(&stack, 100, 1);
    assert_eq!(Allocator::reset(&mut stack), Ok(()));
    assert_eq!((stack.allocated(), stack.remaining()), (0, 4096 - RECORD));
    assert_eq!(push(&stack, 1, 1), stack.base());
}

#[test]
fn survives_moves_with_inline_storage() {
    let stack = StackAlloc::new(InlineBacked::<256>::new()).unwrap();
    push(&stack, 10, 1);
    push(&stack, 20, 8);
    let mut boxed = Box::new(stack);
    assert!(boxed.contains(push(&boxed, 4, 4)));
    let top = push(&boxed, 1, 1);
    free(&boxed, top, 1, 1);
    assert_eq!(boxed.allocated(), 40);
    boxed.reset().unwrap();
    assert_eq!(boxed.allocated(), 0);
}

#[test]
fn the_backing_is_turned_off_and_so_is_a_stack_below_an_arena() {
    let stack = StackAlloc::new(InlineBacked::<256>::new()).unwrap();
    assert_eq!(stack.backing().allocate(layout(1, 1)), Err(AllocError));
    push(&stack, 1, 1);
    assert!(BumpArena::new(stack).is_err());

    let mut stack = StackAlloc::new(InlineBacked::<256>::new()).unwrap();
    assert_eq!(stack.claim(), Ok(()));
    assert_eq!(stack.claim(), Err(AllocError));
    assert_eq!(stack.reset(), Err(AllocError));
    assert_eq!(stack.allocate(layout(1, 1)), Err(AllocError));

    let arena = BumpArena::new(StackAlloc::new(InlineBacked::<256>::new()).unwrap()).unwrap();
    assert!(arena.allocate(layout(256, 1)).is_ok());
}

#[test]
fn collections_may_grow_and_drop_in_any_order() {
    let stack = StackAlloc::new(HeapBytes::new(1 << 16).unwrap()).unwrap();
    {
        let mut numbers = ApiVec::new_in(StdCompat::new(&stack));
        let mut words = ApiVec::new_in(StdCompat::new(&stack));
        for i in 0..200_u64 {
            numbers.push(i);
            words.push(ApiBox::new_in(i * 2, StdCompat::new(&stack)));
        }
        assert!(numbers.iter().copied().eq(0..200));
        assert!(words.iter().map(|word| **word).eq((0..200).map(|i| i * 2)));
        words.swap(3, 150);
        words.remove(40);
        words.truncate(100);
        numbers.shrink_to_fit();
        drop(numbers);
        assert_eq!(**words.last().unwrap(), 200);
    }
    assert_eq!(stack.allocated(), 0);
}

#[test]
fn maps_work_in_it() {
    let stack = StackAlloc::new(HeapBytes::new(1 << 16).unwrap()).unwrap();
    {
        let mut map = hashbrown::HashMap::new_in(StdCompat::new(&stack));
        for i in 0..300_u32 {
            map.insert(i, i * i);
        }
        assert!((0..300).all(|i| map.get(&i) == Some(&(i * i))));
    }
    assert_eq!(stack.allocated(), 0);
}

/// One frame of the naive model: where it starts, where it ends, where the cursor stood before, and whether it is live.
#[derive(Clone)]
struct Frame {
    origin: usize,
    start: usize,
    layout: NonZeroLayout,
    live: bool,
    fill: u8,
}

#[test]
fn random_histories_match_a_list_of_frames() {
    for seed in 0..if cfg!(miri) { 2 } else { 200 } {
        compare_with_list(seed, if cfg!(miri) { 150 } else { 2000 });
    }
}

fn compare_with_list(seed: u64, steps: usize) {
    const SIZE: usize = 3001;
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as usize % below
    };
    let stack = StackAlloc::new(HeapBytes::with_align(SIZE, 64).unwrap()).unwrap();
    let mut frames: Vec<Frame> = Vec::new();
    let at = |offset: usize| {
        // SAFETY: the model holds offsets of blocks.
        unsafe { stack.base().add(offset) }
    };
    for step in 0..steps {
        let next = frames.last().map_or(0, |_| stack.allocated());
        let live: Vec<usize> = (0..frames.len()).filter(|&index| frames[index].live).collect();
        if random(100) < 55 || live.is_empty() {
            let request = layout(1 + random(60), 1 << random(7));
            let start = next.next_multiple_of(request.align().get());
            let end = start + request.size().get();
            let fits = end + RECORD * (frames.len() + 1) <= SIZE;
            let result = stack.allocate(request);
            assert_eq!(result.is_ok(), fits);
            if let Ok(block) = result {
                assert_eq!(block.cast::<u8>(), at(start));
                let fill = step as u8;
                // SAFETY: the block is ours.
                unsafe { block.cast::<u8>().write_bytes(fill, request.size().get()) };
                frames.push(Frame { origin: next, start, layout: request, live: true, fill });
            }
        } else {
            // Mostly the top block, otherwise any.
            let index = if random(2) == 0 { *live.last().unwrap() } else { live[random(live.len())] };
            let frame = frames[index].clone();
            // SAFETY: the block is live with this layout and holds one value throughout.
            unsafe {
                let bytes = core::slice::from_raw_parts(at(frame.start).as_ptr(), frame.layout.size().get());
                assert!(bytes.iter().all(|&byte| byte == frame.fill));
                stack.deallocate(at(frame.start), frame.layout);
            }
            frames[index].live = false;
            let mut expected = next;
            while frames.last().is_some_and(|frame| !frame.live) {
                expected = frames.pop().unwrap().origin;
            }
            assert_eq!(stack.allocated(), expected);
        }
        let ceiling = SIZE.saturating_sub(RECORD * (frames.len() + 1));
        assert_eq!(stack.remaining(), ceiling.saturating_sub(stack.allocated()));
    }
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "stack is empty")]
fn a_foreign_pointer_on_an_empty_stack_is_noticed_in_debug_builds() {
    let stack = stack();
    free(&stack, stack.base(), 1, 1);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "out-of-order free")]
fn a_second_free_below_the_top_is_noticed_in_debug_builds() {
    let stack = stack();
    let below = push(&stack, 8, 8);
    push(&stack, 8, 8);
    free(&stack, below, 8, 8);
    free(&stack, below, 8, 8);
}
