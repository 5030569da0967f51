//! Conformance checks for implementations of the contract: one call in a test, a panic at the caller's line on a breach.
//!
//! | check | promise |
//! |---|---|
//! | [`assert_allocator_basic_round_trip`] | blocks are aligned, long enough, disjoint, writable, and zero where asked |
//! | [`assert_allocator_respects_alignment`] | every block that is granted has its alignment |
//! | [`assert_allocate_zeroed`] | zeroed blocks are zero over memory that was dirty |
//! | [`assert_live_blocks_stay_apart`] | no write to one block, its usable slack included, reaches another |
//! | [`assert_allocator_resizes`] | resizing keeps the content, with equal and with changed alignments; an error keeps all |
//! | [`assert_allocator_refuses_the_impossible`] | absurd sizes and alignments give an error or a correct block |
//! | [`assert_fixed_range_invariants`] | a range is stable, aligned as declared, and knows its ends |
//! | [`assert_combined_invariants`] | the blocks of an allocator that is a range lie in the range |
//! | [`assert_allocator_contract`] | all that concern an allocator |
//!
//! # Design
//!
//! The checks need no heap, so that they run on the target itself. An allocator may refuse a request: beyond the 64 bytes
//! at alignment 8 that every check needs, a refusal passes, but it has to leave everything as it was.
//! All blocks are freed at the end, in the order in which they were obtained.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use crate::{AllocError, Allocator, FixedRange, NonZeroLayout};

/// The layout that every check expects an allocator to serve.
const BASIC: NonZeroLayout = layout(64, 8);

/// Checks that a range keeps the promises of [`FixedRange`] that can be seen from outside.
///
/// # Panics
///
/// On a breach.
#[track_caller]
pub fn assert_fixed_range_invariants<R: FixedRange>(r: &R) {
    let (base, size) = (r.base(), r.size());
    assert!(r.base() == base, "the base of the range changed between two calls");
    assert!(r.size() == size, "the size of the range changed between two calls");
    assert!(R::BASE_ALIGN.is_power_of_two(), "BASE_ALIGN is not a power of two");
    assert!(base.addr().get() % R::BASE_ALIGN == 0, "the base of the range is not aligned to BASE_ALIGN");
    if size > 0 {
        assert!(r.contains(base), "the range does not contain its first byte");
        assert!(r.contains(moved(base, size - 1)), "the range does not contain its last byte");
    }
    if base.addr().get().wrapping_add(size) != 0 {
        assert!(!r.contains(moved(base, size)), "the range contains the byte past its end");
    }
}

/// Checks two blocks and a zeroed one of 64 bytes at alignment 8, freed in the order in which they came.
///
/// # Panics
///
/// On a breach, or if the allocator cannot serve three such blocks.
#[track_caller]
pub fn assert_allocator_basic_round_trip<A: Allocator>(a: &A) {
    let first = granted(Block::new(a, BASIC));
    let second = granted(Block::new(a, BASIC));
    assert!(first.is_apart_from(&second), "two live blocks overlap");
    first.fill(1);
    second.fill(2);
    first.check(1);
    second.check(2);
    let third = granted(Block::zeroed(a, BASIC));
    third.check_zero(0);
    first.check(1);
    second.check(2);
    first.free(a);
    second.free(a);
    third.free(a);
}

/// Checks the alignment of 64-byte blocks for every power of two up to 512; a refusal passes.
///
/// # Panics
///
/// On a breach.
#[track_caller]
pub fn assert_allocator_respects_alignment<A: Allocator>(a: &A) {
    for shift in 0..=9 {
        if let Ok(block) = Block::new(a, layout(64, 1 << shift)) {
            block.fill(3);
            block.check(3);
            block.free(a);
        }
    }
}

/// Checks an allocator that is a range: the range itself, that blocks lie in it, and the basic round trip.
///
/// # Panics
///
/// On a breach, or if the allocator cannot serve the round trip.
#[track_caller]
pub fn assert_combined_invariants<A: Allocator + FixedRange>(a: &A) {
    assert_fixed_range_invariants(a);
    let block = granted(Block::new(a, BASIC));
    let start = block.bytes.cast::<u8>();
    assert!(a.contains(start), "the range does not contain a block of its allocator");
    assert!(a.contains(moved(start, BASIC.size().get() - 1)), "a block leaves the range of its allocator");
    let far = start.as_ptr().wrapping_add(usize::MAX / 2 + 1);
    if let Some(far) = NonNull::new(far) {
        assert!(!a.contains(far), "the range contains an address half the address space away");
    }
    block.free(a);
    assert_allocator_basic_round_trip(a);
}

/// Checks that `allocate_zeroed` gives zeros over memory that was written before.
///
/// # Panics
///
/// On a breach, or if the allocator cannot serve one block of 64 bytes.
#[track_caller]
pub fn assert_allocate_zeroed<A: Allocator>(a: &A) {
    granted(Block::zeroed(a, BASIC)).free(a);
    for (size, align) in [(1, 1), (7, 2), (64, 8), (64, 64), (200, 16)] {
        let layout = layout(size, align);
        let mut blocks = [const { None }; 4];
        for place in &mut blocks {
            *place = Block::new(a, layout).ok();
        }
        for place in &mut blocks {
            if let Some(dirty) = place.take() {
                dirty.fill(0xa5);
                dirty.free(a);
            }
        }
        for place in &mut blocks {
            *place = Block::zeroed(a, layout).ok();
        }
        for block in blocks.iter().flatten() {
            block.check_zero(0);
            block.fill(0x5a);
        }
        for block in blocks.into_iter().flatten() {
            block.free(a);
        }
    }
}

/// Checks that many live blocks of mixed layouts keep their contents while others come, are filled to their usable
/// size, and go; a refusal passes.
///
/// # Panics
///
/// On a breach, or if the allocator cannot serve one block of 64 bytes.
#[track_caller]
pub fn assert_live_blocks_stay_apart<A: Allocator>(a: &A) {
    granted(Block::new(a, BASIC)).free(a);
    let mut live: [Option<Block>; 16] = [const { None }; 16];
    let slots = live.len();
    for step in 0..64 {
        // A walk over all slots in a scattered order: 5 is coprime to their number.
        let (chosen, refilled) = (step * 5 % slots, (step * 5 + 7) % slots);
        let mut fresh = Block::new(a, layout([1, 8, 24, 40, 64][step % 5], [1, 8, 4, 16][step % 4])).ok();
        for (slot, place) in live.iter().enumerate() {
            if let Some(block) = place {
                block.check(slot as u8);
                assert!(
                    fresh.as_ref().is_none_or(|fresh| fresh.is_apart_from(block)),
                    "two live blocks overlap"
                );
            }
        }
        if let Some(Some(block)) = live.get(refilled) {
            block.fill_usable(a, refilled as u8);
        }
        if let Some(block) = &fresh {
            block.fill_usable(a, chosen as u8);
        }
        if let Some(place) = live.get_mut(chosen) {
            core::mem::swap(place, &mut fresh);
        }
        // What the swap took out of its slot.
        if let Some(block) = fresh {
            block.free(a);
        }
    }
    for (slot, place) in live.into_iter().enumerate() {
        if let Some(block) = place {
            block.check(slot as u8);
            block.free(a);
        }
    }
}

/// Checks that `grow`, `grow_zeroed` and `shrink` keep the content, with equal and with changed alignments, and that
/// a refusal keeps the block.
///
/// # Panics
///
/// On a breach, or if the allocator cannot serve one block of 64 bytes.
#[track_caller]
pub fn assert_allocator_resizes<A: Allocator>(a: &A) {
    granted(Block::new(a, BASIC)).free(a);
    for (old, smaller, larger) in [
        (layout(24, 8), layout(16, 8), layout(64, 8)),
        (layout(40, 8), layout(1, 8), layout(1000, 8)),
        (layout(32, 4), layout(32, 64), layout(48, 64)),
        (layout(64, 64), layout(33, 1), layout(64, 1)),
        (layout(64, 8), layout(64, 8), layout(64, 8)),
        (layout(64, 16), layout(48, 256), layout(5000, 512)),
    ] {
        // A neighbour on each side, so that a resize that spills over is seen.
        let before = Block::new(a, BASIC);
        let middle = Block::new(a, old);
        let after = Block::new(a, BASIC);
        for (block, seed) in [(&before, 11), (&middle, 12), (&after, 13)] {
            if let Ok(block) = block {
                block.fill(seed);
            }
        }
        if let Ok(block) = middle {
            let block = block.resized(a, larger, Resize::Grow, 12);
            let block = block.resized(a, old, Resize::Shrink, 12);
            let block = block.resized(a, larger, Resize::GrowZeroed, 12);
            let block = block.resized(a, smaller, Resize::Shrink, 12);
            block.free(a);
        }
        // The last block of a bump allocator is the one that grows in place.
        if let Ok(block) = Block::new(a, old) {
            block.fill(14);
            let block = block.resized(a, larger, Resize::GrowZeroed, 14);
            let block = block.resized(a, smaller, Resize::Shrink, 14);
            block.resized(a, old, Resize::Grow, 14).free(a);
        }
        for (block, seed) in [(before, 11), (after, 13)] {
            if let Ok(block) = block {
                block.check(seed);
                block.free(a);
            }
        }
    }
}

/// Checks that requests that no machine can serve, and odd ones that few can, give an error or a correct block, and
/// that the allocator works afterwards.
///
/// The last is asked only of an allocator that issues freed bytes again at once, what it skipped for an alignment
/// included: the odd requests that another one grants may use up all that it has, depending on where its memory lies.
///
/// # Panics
///
/// On a breach, or if the allocator cannot serve the basic round trip.
#[track_caller]
pub fn assert_allocator_refuses_the_impossible<A: Allocator>(a: &A) {
    const HUGE: usize = isize::MAX as usize;
    let reuses = reuses_at_once(a);
    let kept = granted(Block::new(a, BASIC));
    kept.fill(21);
    for shift in 0..=30 {
        let align = 1usize << shift;
        for size in [1, 64, HUGE / 2, HUGE - (align - 1)] {
            let layout = layout(size, align);
            if let Ok(block) = Block::new(a, layout) {
                assert!(block.is_apart_from(&kept), "two live blocks overlap");
                block.free(a);
            }
        }
        // Where 32 bits of addresses leave room for half of them, the zeroed twin would only write that half.
        let half = layout(HUGE - (align - 1), align);
        match Block::new(a, half) {
            Ok(block) => block.free(a),
            Err(_) => {
                if let Ok(block) = Block::zeroed(a, half) {
                    block.free(a);
                }
            }
        }
    }
    kept.check(21);
    let kept = kept.resized(a, layout(HUGE - 7, 8), Resize::Grow, 21);
    let kept = kept.resized(a, BASIC, Resize::Shrink, 21);
    let kept = kept.resized(a, layout(HUGE, 1), Resize::Grow, 21);
    kept.free(a);
    if reuses {
        assert_allocator_basic_round_trip(a);
    }
}

/// Returns whether the allocator issues freed bytes again at once, those that it skipped for an alignment included.
#[track_caller]
fn reuses_at_once<A: Allocator>(a: &A) -> bool {
    let first = granted(Block::new(a, BASIC));
    let place = first.bytes.cast::<u8>().addr();
    first.free(a);
    // Where blocks lie one after another, the second of these skips bytes, which its own free may not give back.
    let odd = Block::new(a, layout(1, 1));
    let aligned = Block::new(a, layout(64, 64));
    for block in [aligned, odd].into_iter().flatten() {
        block.free(a);
    }
    let again = granted(Block::new(a, BASIC));
    let same = again.bytes.cast::<u8>().addr() == place;
    again.free(a);
    same
}

/// Checks everything that this module knows about an allocator.
///
/// It has to serve three blocks of 64 bytes at a time; one that never reuses memory needs 80 KiB for all the checks.
///
/// # Panics
///
/// On a breach.
#[track_caller]
pub fn assert_allocator_contract<A: Allocator>(a: &A) {
    let events = a.corruption_events();
    assert_allocator_basic_round_trip(a);
    assert_allocator_respects_alignment(a);
    assert_allocate_zeroed(a);
    assert_live_blocks_stay_apart(a);
    assert_allocator_resizes(a);
    assert_allocator_refuses_the_impossible(a);
    assert!(a.corruption_events() == events, "the allocator reports corruption after correct use");
}

/// Which way to resize.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Resize {
    Grow,
    GrowZeroed,
    Shrink,
}

/// A live block under test. Its content is a pattern made from a seed.
struct Block {
    bytes: NonNull<[u8]>,
    layout: NonZeroLayout,
}

impl Block {
    #[track_caller]
    fn new<A: Allocator>(a: &A, layout: NonZeroLayout) -> Result<Self, AllocError> {
        let bytes = a.allocate(layout)?;
        Ok(Self::shaped(bytes, layout))
    }

    #[track_caller]
    fn zeroed<A: Allocator>(a: &A, layout: NonZeroLayout) -> Result<Self, AllocError> {
        let bytes = a.allocate_zeroed(layout)?;
        Ok(Self::shaped(bytes, layout))
    }

    #[track_caller]
    fn shaped(bytes: NonNull<[u8]>, layout: NonZeroLayout) -> Self {
        let address = bytes.cast::<u8>().addr().get();
        assert!(bytes.len() >= layout.size().get(), "a block is shorter than its layout");
        assert!(address % layout.align().get() == 0, "a block is not aligned to its layout");
        assert!(address.checked_add(bytes.len() - 1).is_some(), "a block leaves the address space");
        Self { bytes, layout }
    }

    fn size(&self) -> usize {
        self.layout.size().get()
    }

    fn is_apart_from(&self, other: &Self) -> bool {
        let [mine, theirs] = [self, other].map(|block| block.bytes.cast::<u8>().addr().get());
        mine.abs_diff(theirs) >= if mine < theirs { self.bytes.len() } else { other.bytes.len() }
    }

    fn write(&self, index: usize, byte: u8) {
        // SAFETY: the callers stay within the block's size, or within the usable size that its allocator reports.
        unsafe { self.bytes.cast::<u8>().add(index).write(byte) };
    }

    fn read(&self, index: usize) -> u8 {
        // SAFETY: the callers stay within the block's size and read what `fill` or a zeroed allocation wrote.
        unsafe { self.bytes.cast::<u8>().add(index).read() }
    }

    /// Returns how many bytes of the block are written and checked; a block that covers half of memory is sampled.
    fn checked(&self) -> usize {
        self.size().min(1 << 16)
    }

    fn fill(&self, seed: u8) {
        for index in 0..self.checked() {
            self.write(index, pattern(seed, index));
        }
    }

    /// Fills the block up to what its allocator calls usable.
    #[track_caller]
    fn fill_usable<A: Allocator>(&self, a: &A, seed: u8) {
        // SAFETY: the block is live and this is its layout.
        let usable = unsafe { a.usable_size(self.bytes.cast(), self.layout) };
        let usable = usable.unwrap_or(self.size());
        assert!(usable >= self.size(), "the usable size of a block is below its size");
        for index in 0..usable.max(self.bytes.len()) {
            self.write(index, pattern(seed, index));
        }
    }

    #[track_caller]
    fn check(&self, seed: u8) {
        self.check_up_to(self.checked(), seed);
    }

    #[track_caller]
    fn check_up_to(&self, len: usize, seed: u8) {
        assert!(
            (0..len).all(|index| self.read(index) == pattern(seed, index)),
            "the content of a live block changed"
        );
    }

    #[track_caller]
    fn check_zero(&self, from: usize) {
        assert!((from..self.checked()).all(|index| self.read(index) == 0), "a zeroed block is not zero");
    }

    /// Resizes the block, or leaves it where the allocator refuses, and checks the content either way.
    ///
    /// A block that is already larger than `to` because an earlier step was refused, or smaller, is left alone.
    #[track_caller]
    fn resized<A: Allocator>(self, a: &A, to: NonZeroLayout, how: Resize, seed: u8) -> Self {
        let (ptr, old) = (self.bytes.cast(), self.layout);
        let kept = self.checked().min(to.size().get());
        let grows = how != Resize::Shrink;
        if (grows && to.size() < old.size()) || (!grows && to.size() > old.size()) {
            return self;
        }
        // SAFETY: the block is live, this is its layout, and the sizes are ordered as the method asks.
        let resized = unsafe {
            match how {
                Resize::Grow => a.grow(ptr, old, to),
                Resize::GrowZeroed => a.grow_zeroed(ptr, old, to),
                Resize::Shrink => a.shrink(ptr, old, to),
            }
        };
        let Ok(bytes) = resized else {
            self.check(seed);
            return self;
        };
        let block = Self::shaped(bytes, to);
        block.check_up_to(kept, seed);
        if how == Resize::GrowZeroed {
            block.check_zero(old.size().get());
        }
        block.fill(seed);
        block
    }

    fn free<A: Allocator>(self, a: &A) {
        // SAFETY: the block is live, this is its layout, and it is given up here.
        unsafe { a.deallocate(self.bytes.cast(), self.layout) };
    }
}

/// Returns the byte at `index` of the pattern `seed`; never zero.
fn pattern(seed: u8, index: usize) -> u8 {
    (seed.wrapping_mul(37) ^ (index as u8).wrapping_mul(11) ^ (index >> 8) as u8) | 1
}

/// Returns the address `offset` bytes on, for comparisons; it may lie outside any allocation.
fn moved(ptr: NonNull<u8>, offset: usize) -> NonNull<u8> {
    NonNull::new(ptr.as_ptr().wrapping_add(offset)).unwrap_or(ptr)
}

#[track_caller]
fn granted(block: Result<Block, AllocError>) -> Block {
    match block {
        Ok(block) => block,
        Err(_) => panic!("the allocator refused a block of 64 bytes at alignment 8"),
    }
}

#[track_caller]
const fn layout(size: usize, align: usize) -> NonZeroLayout {
    match NonZeroLayout::from_size_align(size, align) {
        Ok(layout) => layout,
        Err(_) => panic!("the checks ask for possible layouts only"),
    }
}

#[cfg(test)]
mod tests;
