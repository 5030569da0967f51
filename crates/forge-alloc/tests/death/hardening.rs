//! Attacks on blocks that are guarded: each ends the process, and each goes unnoticed where the block is bare.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc::{
    Allocator, BumpArena, CacheJitter, Canary, Deallocator, HeapBytes, NonZeroLayout, Quarantine, Slab,
    StackAlloc,
};

use super::dies;

const BEFORE: &str =
    "forge-alloc: canary corruption: the pre-canary of a block was overwritten; look for a write before it";
const BEHIND: &str = "forge-alloc: canary corruption: the post-canary of a block was overwritten; look for a write past its end";
const WRONG_LAYOUT: &str =
    "forge-alloc: a block was freed with another size or alignment than it was allocated with";
const WRITE_AFTER_FREE: &str = "forge-alloc: a block was written to after it was freed";
const DOUBLE_FREE: &str = "forge-alloc: double free of a block that is in quarantine";
const HEADER: &str = "forge-alloc: prefix header MAC failed: the bytes in front of a block were overwritten, or it was never issued";

type Slots = Slab<[u64; 16], BumpArena<HeapBytes>>;

fn slots() -> Slots {
    Slab::new(16, BumpArena::new(HeapBytes::with_align(4096, 128).unwrap()).unwrap()).unwrap()
}

fn layout(size: usize) -> NonZeroLayout {
    aligned(size, 8)
}

fn aligned(size: usize, align: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, align).unwrap()
}

fn take<A: Allocator>(from: &A, size: usize) -> NonNull<u8> {
    from.allocate(layout(size)).unwrap().cast()
}

/// An attack on an allocator whose blocks lie between other live blocks of it.
type Attack<A> = fn(&A);

/// Runs the attack against canaries, and first against bare slots, where it must not end anything.
fn canary_notices(name: &str, message: &str, bare: Attack<Slots>, guarded: fn()) {
    let slots = slots();
    bare(&slots);
    assert_eq!(slots.corruption_events(), 0, "the bare slab noticed");
    dies(name, message, guarded);
}

fn canary() -> Canary<Slots> {
    Canary::new(slots())
}

/// Flips a bit of one byte at a distance from a live block of 40 bytes, and frees the block.
fn flip<A: Allocator>(from: &A, distance: isize, bit: u8) {
    let [_, block, _] = [(); 3].map(|()| take(from, 40));
    // SAFETY: the bytes around the block belong to the allocator; the flip is the misuse under test.
    unsafe {
        let target = block.as_ptr().offset(distance);
        target.write(target.read() ^ 1 << bit);
        from.deallocate(block, layout(40));
    }
}

#[test]
fn an_overflow_by_one() {
    canary_notices(
        "hardening::an_overflow_by_one",
        BEHIND,
        |slots| flip(slots, 40, 0),
        || flip(&canary(), 40, 0),
    );
}

#[test]
fn a_zero_written_past_the_end_of_a_string() {
    fn attack<A: Allocator>(from: &A) {
        let block = take(from, 40);
        // SAFETY: none; the byte behind the block is not the caller's.
        unsafe {
            block.add(40).write(0);
            from.deallocate(block, layout(40));
        }
    }
    canary_notices(
        "hardening::a_zero_written_past_the_end_of_a_string",
        BEHIND,
        attack,
        || attack(&canary()),
    );
}

#[test]
fn an_underflow_by_one() {
    canary_notices(
        "hardening::an_underflow_by_one",
        BEFORE,
        |slots| flip(slots, -1, 7),
        || flip(&canary(), -1, 7),
    );
}

#[test]
fn an_overflow_of_the_block_in_front() {
    canary_notices(
        "hardening::an_overflow_of_the_block_in_front",
        BEFORE,
        |slots| flip(slots, -8, 0),
        || flip(&canary(), -8, 0),
    );
}

#[test]
fn an_overflow_that_is_noticed_at_a_resize() {
    fn attack<A: Allocator>(from: &A) {
        let block = take(from, 40);
        // SAFETY: none; the byte behind the block is not the caller's.
        unsafe {
            block.add(40).write(0xFF);
            block.add(40).write(0x00);
            from.grow(block, layout(40), layout(48)).unwrap();
        }
    }
    canary_notices(
        "hardening::an_overflow_that_is_noticed_at_a_resize",
        BEHIND,
        attack,
        || attack(&canary()),
    );
}

/// Copies what lies around one block over what lies around another of the same layout, and frees that.
fn copy_words<A: Allocator>(from: &A) {
    let (one, other) = (take(from, 40), take(from, 40));
    // SAFETY: the bytes around the blocks belong to the allocator; the copy is the misuse under test.
    unsafe {
        one.sub(8).copy_to_nonoverlapping(other.sub(8), 8);
        one.add(40).copy_to_nonoverlapping(other.add(40), 8);
        from.deallocate(other, layout(40));
    }
}

#[test]
fn words_copied_from_another_block() {
    fn bare(slots: &Slots) {
        take(slots, 40);
        copy_words(slots);
    }
    canary_notices("hardening::words_copied_from_another_block", BEFORE, bare, || copy_words(&canary()));
}

/// Frees a block of 40 bytes with another layout.
fn free_as<A: Allocator>(from: &A, wrong: NonZeroLayout) {
    let block = take(from, 40);
    // SAFETY: none; the layout is wrong.
    unsafe { from.deallocate(block, wrong) };
}

#[test]
fn a_free_with_a_smaller_size() {
    let bare = |slots: &Slots| free_as(slots, layout(39));
    canary_notices("hardening::a_free_with_a_smaller_size", WRONG_LAYOUT, bare, || {
        free_as(&canary(), layout(39));
    });
}

#[test]
fn a_free_with_a_larger_size() {
    let bare = |slots: &Slots| free_as(slots, layout(4000));
    canary_notices("hardening::a_free_with_a_larger_size", WRONG_LAYOUT, bare, || {
        free_as(&canary(), layout(4000));
    });
}

#[test]
fn a_free_with_another_alignment() {
    let bare = |slots: &Slots| free_as(slots, aligned(40, 4));
    canary_notices("hardening::a_free_with_another_alignment", WRONG_LAYOUT, bare, || {
        free_as(&canary(), aligned(40, 4));
    });
}

/// Frees a block, writes to one byte of it, and frees so many more that it leaves any quarantine.
fn write_after_free<A: Allocator>(to: &A, index: usize) {
    let blocks = [(); 6].map(|()| take(to, 100));
    // SAFETY: the blocks are live when they are freed; the write is the misuse under test, in memory of the allocator.
    unsafe {
        to.deallocate(blocks[0], layout(100));
        blocks[0].add(index).write(0x41);
        blocks[1..].iter().for_each(|block| to.deallocate(*block, layout(100)));
    }
}

#[test]
fn a_write_after_the_free() {
    let slots = slots();
    write_after_free(&slots, 99);
    assert_eq!(slots.corruption_events(), 0);
    let name = "hardening::a_write_after_the_free";
    dies(name, WRITE_AFTER_FREE, || {
        write_after_free(&Quarantine::<_, 4>::poisoning(self::slots(), 0xDE), 99);
    });
}

#[test]
fn a_write_after_the_free_that_is_noticed_at_the_drop() {
    let name = "hardening::a_write_after_the_free_that_is_noticed_at_the_drop";
    dies(name, WRITE_AFTER_FREE, || {
        let slots = Quarantine::<_, 16>::poisoning(slots(), 0xDE);
        write_after_free(&slots, 0);
        drop(slots);
    });
}

/// Frees a block twice, with another free in between.
fn free_twice<A: Allocator>(from: &A) {
    let blocks = [(); 2].map(|()| take(from, 100));
    // SAFETY: the last free is the misuse under test.
    unsafe {
        from.deallocate(blocks[0], layout(100));
        from.deallocate(blocks[1], layout(100));
        from.deallocate(blocks[0], layout(100));
    }
}

#[test]
fn a_second_free_in_quarantine() {
    let slots = slots();
    free_twice(&slots);
    // The block is on the bare slab's list twice.
    assert_eq!(slots.corruption_events(), 0);
    let name = "hardening::a_second_free_in_quarantine";
    dies(name, DOUBLE_FREE, || free_twice(&Quarantine::<_, 4>::poisoning(self::slots(), 0xDE)));
}

fn jitter() -> CacheJitter<StackAlloc<HeapBytes>> {
    let stack = StackAlloc::new(HeapBytes::with_align(1 << 16, 64).unwrap()).unwrap();
    CacheJitter::new(stack, 64, 8).unwrap()
}

/// Replaces the eight bytes in front of a live block and frees it.
fn forge<A: Allocator>(from: &A, header: impl Fn(u64) -> u64) {
    take(from, 64);
    let block = take(from, 64);
    // SAFETY: the bytes in front of the block belong to the allocator; the write is the misuse under test.
    unsafe {
        let place = block.sub(8).cast::<u64>();
        place.write(header(place.read()));
        from.deallocate(block, layout(64));
    }
}

#[test]
fn a_forged_header() {
    forge(&slots(), |_| 0x1234_5678_9ABC_0003);
    dies("hardening::a_forged_header", HEADER, || forge(&jitter(), |_| 0x1234_5678_9ABC_0003));
}

#[test]
fn a_header_of_zeros() {
    forge(&slots(), |_| 0);
    dies("hardening::a_header_of_zeros", HEADER, || forge(&jitter(), |_| 0));
}

#[test]
fn a_flipped_bit_of_a_distance() {
    forge(&slots(), |header| header ^ 1);
    dies("hardening::a_flipped_bit_of_a_distance", HEADER, || forge(&jitter(), |header| header ^ 1));
}

#[test]
fn a_flipped_bit_of_a_tag() {
    forge(&slots(), |header| header ^ 1 << 63);
    dies("hardening::a_flipped_bit_of_a_tag", HEADER, || forge(&jitter(), |header| header ^ 1 << 63));
}

#[test]
fn a_header_copied_from_another_block() {
    fn attack<A: Allocator>(from: &A) {
        let (one, other) = (take(from, 64), take(from, 64));
        // SAFETY: the bytes in front of the blocks belong to the allocator; the copy is the misuse under test.
        unsafe {
            one.sub(8).copy_to_nonoverlapping(other.sub(8), 8);
            from.deallocate(other, layout(64));
        }
    }
    let slots = slots();
    take(&slots, 64);
    attack(&slots);
    dies("hardening::a_header_copied_from_another_block", HEADER, || attack(&jitter()));
}

#[test]
fn a_second_free_of_a_displaced_block() {
    let name = "hardening::a_second_free_of_a_displaced_block";
    dies(name, HEADER, || {
        let jitter = jitter();
        let (block, _above) = (take(&jitter, 64), take(&jitter, 64));
        // SAFETY: the second free is the misuse under test.
        unsafe {
            jitter.deallocate(block, layout(64));
            jitter.deallocate(block, layout(64));
        }
    });
}
