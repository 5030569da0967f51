//! Frees and resizes that are wrong: of what was freed, of what is no block, of another size or alignment.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::ptr;
use std::sync::Barrier;
use std::thread;

use forge_malloc::paranoid::{ParanoidMalloc, QUARANTINED_BLOCKS};

use crate::child::{End, ended};
use crate::{Bare, FOREIGN, LAYOUT, NO_START, NOT_LIVE, SIZES, ends, give, layout, take};

const HEAP: ParanoidMalloc = ParanoidMalloc::new();

#[test]
fn a_second_free() {
    ends(
        |from, size| {
            let block = take(from, size);
            give(from, block, size);
            give(from, block, size);
        },
        |_| NOT_LIVE,
    );
}

/// Frees a block, takes and frees so many others, and frees the block again.
fn again_after(pairs: usize, size: usize) -> End {
    ended(|| {
        let block = take(&HEAP, size);
        give(&HEAP, block, size);
        for _ in 0..pairs {
            give(&HEAP, take(&HEAP, size), size);
        }
        give(&HEAP, block, size);
    })
}

#[test]
fn a_second_free_after_others_were_taken_and_freed() {
    for size in SIZES {
        for pairs in [1, 16, if size <= 4096 { 1024 } else { 64 }] {
            assert_eq!(again_after(pairs, size), NOT_LIVE, "{pairs} of {size}");
        }
    }
}

#[test]
fn a_second_free_after_more_others_than_wait() {
    // The address may be drawn again, but is not live.
    assert_eq!(again_after(QUARANTINED_BLOCKS + 100, 24), NOT_LIVE);
}

#[test]
fn a_second_free_while_others_that_came_after_it_live() {
    let end = ended(|| {
        let block = take(&HEAP, 24);
        give(&HEAP, block, 24);
        let others: Vec<_> = (0..2000).map(|_| take(&HEAP, 24)).collect();
        assert!(!others.contains(&block));
        give(&HEAP, block, 24);
    });
    assert_eq!(end, NOT_LIVE);
}

#[test]
fn a_second_free_with_the_free_of_another_block_between() {
    ends(
        |from, size| {
            let (first, second) = (take(from, size), take(from, size));
            give(from, first, size);
            give(from, second, size);
            give(from, first, size);
        },
        |_| NOT_LIVE,
    );
}

#[test]
fn a_second_free_after_the_next_block_was_taken() {
    ends(
        |from, size| {
            let first = take(from, size);
            give(from, first, size);
            let second = take(from, size);
            give(from, first, size);
            give(from, second, size);
        },
        |_| NOT_LIVE,
    );
}

/// Frees a block on another thread.
fn give_there(block: *mut u8, size: usize) {
    let address = block.expose_provenance();
    thread::spawn(move || give(&HEAP, ptr::with_exposed_provenance_mut(address), size)).join().unwrap();
}

#[test]
fn a_second_free_on_another_thread() {
    if super::child::is_emulated() {
        return;
    }
    for size in SIZES {
        let remote_last = ended(|| {
            let block = take(&HEAP, size);
            give(&HEAP, block, size);
            give_there(block, size);
        });
        let remote_first = ended(|| {
            let block = take(&HEAP, size);
            give_there(block, size);
            give(&HEAP, block, size);
        });
        let remote_both = ended(|| {
            let block = take(&HEAP, size);
            give_there(block, size);
            give_there(block, size);
        });
        assert_eq!((remote_last, remote_first, remote_both), (NOT_LIVE, NOT_LIVE, NOT_LIVE), "size {size}");
    }
}

#[test]
fn two_frees_at_once_on_two_threads() {
    if super::child::is_emulated() {
        return;
    }
    for round in 0..24 {
        let size = SIZES[round % SIZES.len()];
        let end = ended(|| {
            let address = take(&HEAP, size).expose_provenance();
            let barrier = Barrier::new(2);
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        barrier.wait();
                        give(&HEAP, ptr::with_exposed_provenance_mut(address), size);
                    });
                }
            });
        });
        assert_eq!(end, NOT_LIVE, "round {round}");
    }
}

/// What is done with an address, given the size of a block.
type Use = fn(*mut u8, usize);

const USES: [(&str, Use); 4] = [
    ("dealloc", |address, size| give(&HEAP, address, size)),
    ("free", |address, _| {
        // SAFETY: none; that is the misuse.
        unsafe { ParanoidMalloc::free(address) }
    }),
    ("realloc", |address, size| {
        // SAFETY: none; that is the misuse.
        unsafe { HEAP.realloc(address, layout(size), 2 * size + 1) };
    }),
    ("usable size", |address, _| {
        let _ = ParanoidMalloc::size_of_block(address);
    }),
];

/// Asserts how each use of an address ends that is made from a live block.
#[track_caller]
fn uses_end(of: impl Fn(*mut u8) -> *mut u8, size: usize, expected: &[End]) {
    for (name, work) in USES {
        let end = ended(|| work(of(take(&HEAP, size)), size));
        assert!(expected.contains(&end), "{name} of an address made from a block of {size}: {end:?}");
    }
}

#[test]
fn an_address_inside_of_a_block_or_beside_it() {
    for size in [1, 24, 4096, 256 << 10] {
        for distance in [1, 8, 16, 4096, size] {
            // Further away a range may end.
            let expected = if distance <= 16 { &[NO_START][..] } else { &[NO_START, FOREIGN] };
            uses_end(|block| block.wrapping_add(distance), size, expected);
            uses_end(|block| block.wrapping_sub(distance), size, expected);
        }
    }
}

#[test]
fn an_address_of_something_else() {
    static STATIC: u64 = 1;
    let on_stack = 1_u64;
    uses_end(|block| block.wrapping_add(1 << 40), 24, &[FOREIGN]);
    uses_end(|_| ptr::without_provenance_mut(1), 24, &[FOREIGN]);
    uses_end(|_| ptr::without_provenance_mut(usize::MAX), 24, &[FOREIGN]);
    uses_end(|_| ptr::null_mut(), 24, &[FOREIGN]);
    uses_end(|_| (&raw const on_stack).cast_mut().cast(), 24, &[FOREIGN]);
    uses_end(|_| (&raw const STATIC).cast_mut().cast(), 24, &[FOREIGN]);
    uses_end(|_| ptr::without_provenance_mut(take as fn(_, _) -> _ as usize), 24, &[FOREIGN]);
    uses_end(|_| take(&Bare::new(), 24), 24, &[FOREIGN]);
    // SAFETY: a fresh mapping, and children end with theirs.
    let mapped = |_| unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANON;
        libc::mmap(ptr::null_mut(), 8 << 20, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0).cast()
    };
    uses_end(mapped, 24, &[FOREIGN]);
}

#[test]
fn an_address_of_a_slot_that_never_had_a_block() {
    // The block may be the first or the last one of its range.
    uses_end(|block| block.wrapping_add(8192), 24, &[NO_START, FOREIGN]);
    uses_end(|block| block.wrapping_sub(8192), 24, &[NO_START, FOREIGN]);
}

#[test]
fn an_address_that_was_freed() {
    for size in SIZES {
        let freed = |block| {
            give(&HEAP, block, size);
            block
        };
        uses_end(freed, size, &[NOT_LIVE]);
    }
}

#[test]
fn a_size_or_an_alignment_that_the_block_does_not_have() {
    // SAFETY: none; that is the misuse, here and below.
    let free_with =
        |from: &dyn GlobalAlloc, size, wrong: Layout| unsafe { from.dealloc(take(from, size), wrong) };
    let wrong = |size: usize, align: usize| Layout::from_size_align(size, align).unwrap();
    assert_eq!(ended(|| free_with(&Bare::new(), 24, wrong(25, 8))), End::Survives);
    for size in SIZES {
        let right = layout(size);
        let other = [size + 1, size.wrapping_sub(1), 2 * size + 64, size / 2 + 1, size + 4096];
        for wrong_size in other.into_iter().filter(|&other| other < 1 << 30 && other != size) {
            let end = ended(|| free_with(&HEAP, size, wrong(wrong_size, right.align())));
            assert_eq!(end, LAYOUT, "{wrong_size} for {size}");
        }
        for wrong_align in [right.align() * 2, 4096, 32] {
            assert_eq!(ended(|| free_with(&HEAP, size, wrong(size, wrong_align))), LAYOUT, "{wrong_align}");
        }
        // SAFETY: as above.
        let resize = || unsafe { HEAP.realloc(take(&HEAP, size), wrong(size + 1, right.align()), 7) };
        assert_eq!(ended(|| assert!(resize().is_null())), LAYOUT, "resize of {size}");
    }
}

#[test]
fn what_is_right_goes_on() {
    let end = ended(|| {
        for size in SIZES {
            let block = take(&HEAP, size);
            assert_eq!(ParanoidMalloc::size_of_block(block), size);
            // SAFETY: a live block, written within its size, resized and freed with its layout.
            unsafe {
                block.write_bytes(0xab, size);
                let moved = HEAP.realloc(block, layout(size), size + 5);
                assert!((0..size).all(|byte| moved.add(byte).read() == 0xab));
                assert!((size..size + 5).all(|byte| moved.add(byte).read() == 0));
                HEAP.dealloc(moved, Layout::from_size_align(size + 5, layout(size).align()).unwrap());
                ParanoidMalloc::free(take(&HEAP, size));
            }
        }
    });
    assert_eq!(end, End::Survives);
}
