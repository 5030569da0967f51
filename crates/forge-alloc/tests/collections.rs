//! Standard collections over every arena, through `StdCompat`: what a program does with an allocator in safe code.
//!
//! Each collection grows, shrinks, is freed out of order and outlives a move of its allocator where it owns it.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::alloc::Layout;
use core::mem::MaybeUninit;

use allocator_api2::alloc::Allocator as StdAllocator;
use allocator_api2::boxed::Box as StdBox;
use allocator_api2::vec::Vec as StdVec;
use forge_alloc::*;
use hashbrown::{HashMap, HashSet};

/// Drives vectors, boxes, maps and sets over clones of one std allocator, freeing them out of order.
fn collections_work<A: StdAllocator + Clone>(allocator: &A) {
    let mut numbers = StdVec::new_in(allocator.clone());
    let mut words = StdVec::new_in(allocator.clone());
    let mut map = HashMap::new_in(allocator.clone());
    let mut small = HashSet::new_in(allocator.clone());
    for number in 0..200_u64 {
        numbers.push(number);
        words.push(format!("word {number}"));
        map.insert(number, number * number);
        small.insert(u16::try_from(number).unwrap());
    }
    let boxed = StdBox::new_in([1_u128; 3], allocator.clone());
    numbers.truncate(50);
    numbers.shrink_to_fit();
    small.shrink_to_fit();
    drop(words);
    map.retain(|key, _| key % 2 == 0);
    map.shrink_to_fit();
    numbers.extend(1000..1100);
    assert_eq!(numbers.iter().sum::<u64>(), (0..50).sum::<u64>() + (1000..1100).sum::<u64>());
    assert_eq!((map.len(), map.get(&14), small.len()), (100, Some(&196), 200));
    drop(numbers);
    assert_eq!(*boxed, [1; 3]);
}

const BYTES: usize = 1 << 16;

#[test]
fn over_a_borrowed_bump_arena() {
    let arena = BumpArena::new(InlineBacked::<BYTES>::new()).unwrap();
    collections_work(&StdCompat::new(&arena));
}

#[test]
fn over_a_scope_and_everything_is_forgotten_at_its_end() {
    let mut arena = BumpArena::new(InlineBacked::<BYTES>::new()).unwrap();
    {
        let scope = arena.scope();
        collections_work(&StdCompat::new(&scope));
    }
    assert_eq!(arena.allocated(), 0);
}

#[test]
fn over_a_growing_arena_and_its_scope() {
    let mut arena = Arena::new();
    collections_work(&StdCompat::new(&arena));
    collections_work(&StdCompat::new(&arena.scope()));
}

#[test]
fn over_a_shared_arena_from_several_threads() {
    let arena = SharedBumpArena::new(HeapBytes::new(8 * BYTES).unwrap()).unwrap();
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| collections_work(&StdCompat::new(&arena)));
        }
    });
}

#[test]
fn over_a_stack_in_any_order_and_it_is_empty_afterwards() {
    let stack = StackAlloc::new(HeapBytes::new(2 * BYTES).unwrap()).unwrap();
    collections_work(&StdCompat::new(&stack));
    assert_eq!(stack.allocated(), 0);
}

#[test]
fn over_an_arena_of_a_pool() {
    let mut pool = ArenaPool::new(1, || HeapBytes::new(BYTES));
    for _ in 0..3 {
        let arena = pool.checkout().unwrap();
        collections_work(&StdCompat::new(&arena));
        pool.give_back(arena);
    }
}

#[test]
fn over_shared_pointers_to_an_arena() {
    let arena = std::rc::Rc::new(BumpArena::new(InlineBacked::<BYTES>::new()).unwrap());
    collections_work(&StdCompat::new(arena));
    let arena = std::sync::Arc::new(SharedBumpArena::new(InlineBacked::<BYTES>::new()).unwrap());
    collections_work(&StdCompat::new(arena));
}

#[test]
fn over_the_global_allocator_and_a_mapping() {
    collections_work(&StdCompat::new(System::new()));
    #[cfg(not(miri))]
    collections_work(&StdCompat::new(&MmapBacked::new(BYTES).unwrap()));
}

#[test]
fn a_vector_that_owns_its_arena_moves_with_it() {
    let arena = BumpArena::new(HeapBytes::new(BYTES).unwrap()).unwrap();
    let mut numbers = StdVec::new_in(StdCompat::new(arena));
    numbers.extend(0..100_u32);
    let mut moved = Box::new(numbers);
    moved.extend(100..200);
    assert!(moved.iter().copied().eq(0..200));
}

#[test]
fn a_vector_grows_in_place_and_shrinking_gives_memory_back() {
    let mut buffer = [MaybeUninit::uninit(); 1024];
    let arena = BumpArena::new(StaticBacked::uninit(&mut buffer)).unwrap();
    let mut bytes = StdVec::with_capacity_in(1, StdCompat::new(&arena));
    let start = bytes.as_ptr();
    bytes.resize(1000, 7_u8);
    assert_eq!(bytes.as_ptr(), start);
    bytes.truncate(10);
    bytes.shrink_to_fit();
    assert_eq!((bytes.as_ptr(), arena.allocated()), (start, 10));
    drop(bytes);
    assert_eq!(arena.allocated(), 0);
}

/// Resizes blocks to other alignments through the std trait, whose contract allows that.
fn alignment_may_change<A: StdAllocator>(allocator: &A) {
    let from = Layout::from_size_align(24, 8).unwrap();
    let to = Layout::from_size_align(64, 256).unwrap();
    let block = allocator.allocate(from).unwrap();
    allocator.allocate(Layout::new::<u8>()).unwrap();
    // SAFETY: the block is live, and the layouts are those of its latest size.
    unsafe {
        block.cast::<[u8; 24]>().write([9; 24]);
        let grown = allocator.grow_zeroed(block.cast(), from, to).unwrap();
        assert_eq!((grown.cast::<u8>().addr().get() % 256, grown.len()), (0, 64));
        assert_eq!(grown.cast::<[u8; 24]>().read(), [9; 24]);
        assert_eq!(grown.cast::<u8>().add(24).cast::<[u8; 40]>().read(), [0; 40]);
        let shrunk = allocator.shrink(grown.cast(), to, from).unwrap();
        assert_eq!((shrunk.len(), shrunk.cast::<[u8; 24]>().read()), (24, [9; 24]));
        allocator.deallocate(shrunk.cast(), from);
    }
}

#[test]
fn resizes_may_change_the_alignment() {
    let bump = BumpArena::new(HeapBytes::with_align(BYTES, 256).unwrap()).unwrap();
    alignment_may_change(&StdCompat::new(&bump));
    alignment_may_change(&StdCompat::new(&Arena::new()));
    alignment_may_change(&StdCompat::new(&SharedBumpArena::new(HeapBytes::new(BYTES).unwrap()).unwrap()));
    alignment_may_change(&StdCompat::new(&StackAlloc::new(HeapBytes::new(BYTES).unwrap()).unwrap()));
}

#[test]
fn an_exhausted_arena_is_an_error_and_not_an_abort() {
    let arena = BumpArena::new(InlineBacked::<64>::new()).unwrap();
    let mut bytes = StdVec::<u8, _>::new_in(StdCompat::new(&arena));
    assert!(bytes.try_reserve_exact(64).is_ok());
    assert!(bytes.try_reserve_exact(65).is_err());
    assert!(StdBox::try_new_in(0_u8, StdCompat::new(&arena)).is_err());
    let mut map = HashMap::<u64, u64, hashbrown::DefaultHashBuilder, _>::new_in(StdCompat::new(&arena));
    assert!(map.try_reserve(100).is_err());
}
