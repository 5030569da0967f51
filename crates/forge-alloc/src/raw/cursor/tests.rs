#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use core::num::NonZeroUsize;
use core::ptr::{NonNull, without_provenance_mut};

use forge_alloc_core::{AllocError, FixedRange, NonZeroLayout};

use super::BumpCursor;
use crate::raw::place::place_below;

/// A range that is placed, never touched: any address, any size.
struct Anywhere<const BASE_ALIGN: usize> {
    base: NonZeroUsize,
    size: usize,
}

// SAFETY: these tests only place blocks in the range; nothing derives a pointer from the base or dereferences it.
unsafe impl<const BASE_ALIGN: usize> FixedRange for Anywhere<BASE_ALIGN> {
    const BASE_ALIGN: usize = BASE_ALIGN;

    fn base(&self) -> NonNull<u8> {
        NonNull::new(without_provenance_mut(self.base.get())).unwrap()
    }

    fn size(&self) -> usize {
        self.size
    }
}

/// Real bytes, some of which the "system" refuses to commit.
struct Buffer {
    bytes: NonNull<[MaybeUninit<u128>]>,
    committable: usize,
}

impl Buffer {
    fn new(size: usize, committable: usize) -> Self {
        let bytes = Box::leak(vec![MaybeUninit::<u128>::uninit(); size.div_ceil(16)].into_boxed_slice());
        Self { bytes: NonNull::from(bytes), committable }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the slice came from a leaked box.
        drop(unsafe { Box::from_raw(self.bytes.as_ptr()) });
    }
}

// SAFETY: the leaked box is owned, aligned to 16 and freed on drop only.
unsafe impl FixedRange for Buffer {
    const BASE_ALIGN: usize = 16;
    const MUST_COMMIT: bool = true;

    fn base(&self) -> NonNull<u8> {
        self.bytes.cast()
    }

    fn size(&self) -> usize {
        self.bytes.len() * 16
    }

    fn committed(&self) -> usize {
        0
    }

    fn commit(&self, offset: usize, len: usize) -> Result<(), AllocError> {
        if offset + len <= self.committable { Ok(()) } else { Err(AllocError) }
    }
}

/// A seeded sequence of numbers (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) as usize
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next() % bound
    }

    /// A number whose magnitude is uniform, not its value.
    fn magnitude(&mut self) -> usize {
        let shift = self.below(usize::BITS as usize);
        self.next() >> shift
    }
}

fn layout(size: usize, align: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, align).unwrap()
}

/// The documented rule in arithmetic that cannot overflow: round the address up, then add.
fn oracle(base: usize, size: usize, next: usize, layout: NonZeroLayout) -> Option<(usize, usize)> {
    let align = layout.align().get() as u128;
    let start = (base as u128 + next as u128).div_ceil(align) * align - base as u128;
    let end = start + layout.size().get() as u128;
    (end <= size as u128).then_some((start as usize, end as usize))
}

fn placements_match_the_oracle<const BASE_ALIGN: usize>(seed: u64) {
    let mut numbers = Numbers(seed);
    let steps = if cfg!(miri) { 500 } else { 200_000 };
    let (mut served, mut refused) = (0, 0);
    for _ in 0..steps {
        let top = numbers.below(3) == 0;
        let size = numbers.magnitude().min(isize::MAX as usize);
        let highest = usize::MAX - size;
        let base =
            if top { highest - numbers.below(64).min(highest) } else { numbers.magnitude().min(highest) };
        let Some(base) = NonZeroUsize::new(base & !(BASE_ALIGN - 1)) else { continue };
        let range = Anywhere::<BASE_ALIGN> { base, size };
        let cursor = BumpCursor::new();
        let next = if numbers.below(4) == 0 { size } else { numbers.magnitude().min(size) };
        // SAFETY: the offset is inside the range, which has no blocks.
        unsafe { cursor.set_offset(next) };
        let align = 1_usize << numbers.below(usize::BITS as usize - 1);
        let Ok(wanted) = NonZeroLayout::from_size_align(numbers.magnitude(), align) else { continue };
        let placed =
            place_below(&range, cursor.offset(), range.size(), wanted).map(|span| (span.start, span.end));
        assert_eq!(placed, oracle(base.get(), size, next, wanted), "{base:#x}+{next}/{size} {wanted:?}");
        assert_eq!(cursor.offset(), next, "placing changes nothing");
        if placed.is_some() { served += 1 } else { refused += 1 }
    }
    assert!(
        served > steps / 20 && refused > steps / 20,
        "both answers occur: {served}, {refused} of {steps}"
    );
}

#[test]
fn random_placements_match_the_oracle() {
    placements_match_the_oracle::<1>(1);
    placements_match_the_oracle::<16>(2);
    placements_match_the_oracle::<4096>(3);
    placements_match_the_oracle::<{ 1 << 21 }>(4);
}

#[test]
fn extreme_requests_at_the_top_of_the_address_space_are_refused() {
    let size = 4096;
    let base = NonZeroUsize::new(usize::MAX - size + 1 - 4096).unwrap();
    let range = Anywhere::<4096> { base, size };
    let cursor = BumpCursor::new();
    let largest = isize::MAX as usize;
    for align in (0..usize::BITS - 1).map(|bit| 1_usize << bit) {
        for size in [1, 4096, 4097, largest / 2, largest - (align - 1), largest] {
            let Ok(wanted) = NonZeroLayout::from_size_align(size, align) else { continue };
            let placed =
                place_below(&range, cursor.offset(), range.size(), wanted).map(|span| (span.start, span.end));
            assert_eq!(placed, oracle(base.get(), 4096, 0, wanted), "{wanted:?}");
        }
    }
}

#[test]
fn an_empty_range_places_nothing() {
    let range = Anywhere::<1> { base: NonZeroUsize::MIN, size: 0 };
    assert!(place_below(&range, 0, range.size(), layout(1, 1)).is_none());
}

#[test]
fn blocks_lie_one_behind_the_other_at_their_alignment() {
    let range = Buffer::new(256, 256);
    let cursor = BumpCursor::new();
    let base = range.base().addr().get();
    for (size, align, start) in [(1, 1, 0), (8, 8, 8), (3, 2, 16), (16, 16, 32)] {
        let block = cursor.allocate(&range, layout(size, align)).unwrap();
        assert_eq!((block.addr().get() - base, block.len()), (start, size));
        assert_eq!(cursor.offset(), start + size);
    }
}

#[test]
fn a_refused_commit_changes_nothing() {
    let range = Buffer::new(256, 100);
    let cursor = BumpCursor::new();
    let first = cursor.allocate(&range, layout(64, 1)).unwrap();
    assert!(cursor.allocate(&range, layout(64, 1)).is_err());
    // SAFETY: the block is live with this layout.
    let grown = unsafe { cursor.grow_in_place(&range, first.cast(), layout(64, 1), layout(128, 1)) };
    assert!(grown.is_none());
    assert_eq!(cursor.offset(), 64);
}

#[test]
fn only_the_last_block_grows_in_place_and_only_while_it_fits() {
    let range = Buffer::new(256, 256);
    let cursor = BumpCursor::new();
    let first = cursor.allocate(&range, layout(16, 16)).unwrap();
    let last = cursor.allocate(&range, layout(16, 8)).unwrap();
    // SAFETY: both blocks are live with these layouts.
    unsafe {
        assert!(cursor.grow_in_place(&range, first.cast(), layout(16, 16), layout(17, 16)).is_none());
        assert!(cursor.grow_in_place(&range, last.cast(), layout(16, 8), layout(241, 8)).is_none());
        let grown = cursor.grow_in_place(&range, last.cast(), layout(16, 8), layout(240, 8)).unwrap();
        assert_eq!((grown.cast(), grown.len()), (last.cast::<u8>(), 240));
        assert_eq!(cursor.offset(), 256);
        // The longer block may be written to its end.
        grown.cast::<u8>().write_bytes(7, 240);
    }
}

#[test]
fn a_resize_to_an_alignment_that_the_address_lacks_is_refused() {
    let range = Buffer::new(256, 256);
    let cursor = BumpCursor::new();
    let _ = cursor.allocate(&range, layout(8, 8)).unwrap();
    let block = cursor.allocate(&range, layout(16, 8)).unwrap();
    assert_eq!(block.addr().get() - range.base().addr().get(), 8);
    // SAFETY: the block is live with this layout.
    unsafe {
        assert!(cursor.grow_in_place(&range, block.cast(), layout(16, 8), layout(32, 16)).is_none());
        assert!(cursor.shrink_in_place(&range, block.cast(), layout(16, 8), layout(8, 16)).is_none());
        assert!(cursor.grow_in_place(&range, block.cast(), layout(16, 8), layout(32, 4)).is_some());
    }
}

#[test]
fn shortening_and_freeing_give_back_only_the_tail_of_the_last_block() {
    let range = Buffer::new(256, 256);
    let cursor = BumpCursor::new();
    let first = cursor.allocate(&range, layout(32, 1)).unwrap();
    let last = cursor.allocate(&range, layout(32, 1)).unwrap();
    // SAFETY: every block is live with the layout given, and not used after it is freed.
    unsafe {
        let short = cursor.shrink_in_place(&range, first.cast(), layout(32, 1), layout(8, 1)).unwrap();
        assert_eq!((short.len(), cursor.offset()), (8, 64));
        let short = cursor.shrink_in_place(&range, last.cast(), layout(32, 1), layout(8, 1)).unwrap();
        assert_eq!((short.len(), cursor.offset()), (8, 40));
        cursor.free_last(&range, first.cast(), layout(8, 1));
        assert_eq!(cursor.offset(), 40, "a block below the last one waits");
        cursor.free_last(&range, last.cast(), layout(8, 1));
        assert_eq!(cursor.offset(), 32);
    }
}

#[test]
fn a_rewind_never_moves_forward() {
    let range = Buffer::new(256, 256);
    let mut cursor = BumpCursor::new();
    let _ = cursor.allocate(&range, layout(100, 1)).unwrap();
    cursor.rewind_to(200);
    assert_eq!(cursor.offset(), 100);
    cursor.rewind_to(usize::MAX);
    assert_eq!(cursor.offset(), 100);
    cursor.rewind_to(40);
    assert_eq!(cursor.offset(), 40);
}

#[test]
fn a_claim_takes_everything_once_and_only_from_an_unused_cursor() {
    let range = Buffer::new(256, 256);
    let mut used = BumpCursor::new();
    let _ = used.allocate(&range, layout(1, 1)).unwrap();
    assert_eq!(used.claim(256), Err(AllocError));
    assert_eq!(used.offset(), 1);

    let mut cursor = BumpCursor::new();
    assert_eq!(cursor.claim(256), Ok(()));
    assert_eq!(cursor.claim(256), Err(AllocError));
    assert!(cursor.allocate(&range, layout(1, 1)).is_err());
}
