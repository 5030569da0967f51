#![allow(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use forge_alloc_core::{Allocator, Deallocator, NonZeroLayout};

use crate::{BumpArena, InlineBacked};

type Inline = BumpArena<InlineBacked<256>>;

fn inline() -> Inline {
    BumpArena::new(InlineBacked::new()).unwrap()
}

#[test]
fn the_end_of_a_scope_forgets_what_it_allocated() {
    let mut arena = inline();
    arena.alloc(1_u64).unwrap();
    {
        let scope = arena.scope();
        scope.alloc([2_u8; 100]).unwrap();
        assert_eq!(scope.arena_allocated(), 108);
    }
    assert_eq!(arena.allocated(), 8);
}

#[test]
fn a_nested_scope_ends_at_its_own_mark() {
    let mut arena = inline();
    let mut outer = arena.scope();
    outer.alloc(1_u32).unwrap();
    {
        let inner = outer.scope();
        inner.alloc([2_u32; 2]).unwrap();
        assert_eq!(inner.arena_allocated(), 12);
    }
    assert_eq!(outer.arena_allocated(), 4);
    drop(outer);
    assert_eq!(arena.allocated(), 0);
}

#[test]
fn raw_blocks_of_the_outer_scope_survive_a_nested_one() {
    let mut arena = inline();
    let before = arena.alloc(7_u64).unwrap();
    let mut outer = arena.scope();
    let layout = NonZeroLayout::for_type::<u64>().unwrap();
    let block = Allocator::allocate(&outer, layout).unwrap().cast::<u64>();
    // SAFETY: the blocks are live: the arena has not moved, and the outer scope has not ended.
    unsafe {
        block.write(9);
        outer.scope().alloc(1_u64).unwrap();
        assert_eq!((before.read(), block.read()), (7, 9));
    }
}

#[test]
fn a_scope_ends_on_unwinding_and_a_forgotten_one_keeps_its_bytes() {
    let mut arena = inline();
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let scope = arena.scope();
        scope.alloc([0_u8; 64]).unwrap();
        panic!("leave the scope by unwinding");
    }));
    assert!(unwound.is_err());
    assert_eq!(arena.allocated(), 0);
    let scope = arena.scope();
    scope.alloc(0_u8).unwrap();
    core::mem::forget(scope);
    assert_eq!(arena.allocated(), 1);
}

#[test]
fn raw_bytes_are_zero_even_where_the_arena_was_used_before() {
    let mut arena = inline();
    arena.scope().alloc([0xff_u8; 200]).unwrap();
    let scope = arena.scope();
    let bytes = scope.allocate(NonZeroLayout::from_size_align(200, 1).unwrap()).unwrap();
    assert!(bytes.iter().all(|&byte| byte == 0));
    bytes[0] = 1;
}

#[test]
fn a_block_from_before_that_is_freed_in_the_scope_stays_freed() {
    let mut arena = inline();
    let layout = NonZeroLayout::for_type::<u64>().unwrap();
    let block = arena.allocate(layout).unwrap();
    {
        let scope = arena.scope();
        // SAFETY: the block is live and freed once.
        unsafe { scope.deallocate(block.cast(), layout) };
        scope.alloc(1_u16).unwrap();
    }
    assert_eq!(arena.allocated(), 2);
    arena.reset();
    assert_eq!(arena.allocated(), 0);
}

#[test]
fn a_scope_may_be_used_on_another_thread() {
    let mut arena = inline();
    let scope = arena.scope();
    let sum = std::thread::scope(|threads| {
        threads
            .spawn(move || scope.alloc_slice_copy(&[1_u32, 2, 3]).map(|words| words.iter().sum::<u32>()))
            .join()
    });
    assert_eq!(sum.unwrap(), Ok(6));
}

#[test]
fn strings_boxes_and_uninitialised_values_live_in_a_scope() {
    let mut arena = inline();
    let scope = arena.scope();
    assert_eq!(scope.alloc_str("abc").unwrap(), "abc");
    assert_eq!(*scope.alloc_uninit::<u32>().unwrap().write(5), 5);
    let mut list = scope.alloc_box(vec![1]).unwrap();
    list.push(2);
    assert_eq!(*list, [1, 2]);
    assert!(scope.alloc([0_u8; 257]).is_err());
}
