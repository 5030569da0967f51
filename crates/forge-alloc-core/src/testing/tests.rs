//! The checks accept a correct allocator and catch every planted breach.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::Deallocator;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Breach {
    None,
    RefusesAll,
    Misaligns,
    MisalignsOverEight,
    ShortSlice,
    Overlaps,
    OverlapsByOne,
    DirtyZeroed,
    LosesContentOnGrow,
    LosesContentOnShrink,
    KeepsAlignmentOnGrow,
    DirtyGrowZeroed,
    SpoilsOnRefusedGrow,
    LowUsableSize,
    HighUsableSize,
    CountsCorruption,
    AcceptsAnySize,
}

/// A bump allocator over one buffer that breaks one promise.
struct Planted {
    breach: Breach,
    /// A leaked box, freed on drop.
    memory: NonNull<[MaybeUninit<u128>]>,
    used: Cell<usize>,
    /// The offset past the last byte that is handed out.
    end: Cell<usize>,
    calls: Cell<u64>,
}

impl Planted {
    fn new(breach: Breach) -> Self {
        let memory = NonNull::from(Box::leak(Box::<[u128]>::new_uninit_slice(80 * 1024 / size_of::<u128>())));
        // SAFETY: the elements are exclusively ours. The garbage shows up where zeros are expected.
        unsafe { memory.cast::<u128>().write_bytes(0xff, memory.len()) };
        let end = Cell::new(memory.len() * size_of::<u128>());
        Self { breach, memory, used: Cell::new(0), end, calls: Cell::new(0) }
    }

    fn start(&self) -> NonNull<u8> {
        self.memory.cast()
    }

    fn bytes(&self) -> usize {
        self.memory.len() * size_of::<u128>()
    }

    /// Carves `size` bytes at the first free address that is `skew` past a multiple of `align`.
    fn carve(&self, size: usize, align: usize, skew: usize) -> Result<NonNull<[u8]>, AllocError> {
        let base = self.start();
        let first = base.addr().get().checked_add(self.used.get()).ok_or(AllocError)?;
        let offset = crate::align::checked_align_up(first, align).ok_or(AllocError)? - base.addr().get();
        let offset = offset.checked_add(skew).ok_or(AllocError)?;
        let end = offset.checked_add(size).ok_or(AllocError)?;
        if end > self.end.get() {
            return Err(AllocError);
        }
        self.used.set(end);
        // SAFETY: `offset <= end <= bytes`.
        Ok(NonNull::slice_from_raw_parts(unsafe { base.add(offset) }, size))
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        // SAFETY: the pointer is a leaked box of this type, and no block is used any more.
        drop(unsafe { Box::from_raw(self.memory.as_ptr()) });
    }
}

// SAFETY: blocks are never reused, so freeing does nothing. (A planted breach stays within the buffer.)
unsafe impl Deallocator for Planted {
    unsafe fn deallocate(&self, _: NonNull<u8>, _: NonZeroLayout) {}
}

// SAFETY: deliberately wrong where a breach is planted, yet every access stays within the buffer.
unsafe impl Allocator for Planted {
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.calls.set(self.calls.get() + 1);
        let (size, align) = (layout.size().get(), layout.align().get());
        match self.breach {
            Breach::RefusesAll => Err(AllocError),
            Breach::Misaligns => self.carve(size, align, usize::from(align > 1)),
            Breach::MisalignsOverEight => self.carve(size, align.min(8), if align > 8 { 8 } else { 0 }),
            Breach::ShortSlice => {
                self.carve(size, align, 0).map(|b| NonNull::slice_from_raw_parts(b.cast(), size - 1))
            }
            Breach::Overlaps => {
                self.used.set(0);
                self.carve(size, align, 0)
            }
            Breach::OverlapsByOne => {
                self.used.set(self.used.get().saturating_sub(1));
                self.carve(size, 1.max(align / 8), 0).and_then(|b| {
                    if b.cast::<u8>().addr().get() % align == 0 { Ok(b) } else { self.carve(size, align, 0) }
                })
            }
            Breach::AcceptsAnySize if size > isize::MAX as usize / 4 => self.carve(64, 8, 1),
            _ => self.carve(size, align, 0),
        }
    }

    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.allocate(layout)?;
        if self.breach != Breach::AcceptsAnySize {
            // SAFETY: the block is in the buffer.
            unsafe { block.cast::<u8>().write_bytes(0, block.len()) };
        }
        if self.breach == Breach::DirtyZeroed {
            // SAFETY: the block is not empty.
            unsafe { block.cast::<u8>().add(block.len() - 1).write(1) };
        }
        Ok(block)
    }

    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let copied = match self.breach {
            Breach::LosesContentOnGrow => old.size().get() - 1,
            _ => old.size().get(),
        };
        let wanted = if self.breach == Breach::KeepsAlignmentOnGrow {
            let block = self.carve(new.size().get(), old.align().get(), old.align().get())?;
            // SAFETY: the copy stays within both blocks.
            unsafe { block.cast::<u8>().copy_from_nonoverlapping(ptr, copied) };
            return Ok(block);
        } else {
            self.allocate(new)
        };
        let Ok(block) = wanted else {
            if self.breach == Breach::SpoilsOnRefusedGrow {
                // SAFETY: the old block is live.
                unsafe { ptr.write(0) };
            }
            return Err(AllocError);
        };
        // SAFETY: the copy stays within both blocks.
        unsafe { block.cast::<u8>().copy_from_nonoverlapping(ptr, copied.min(block.len())) };
        Ok(block)
    }

    unsafe fn grow_zeroed(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's.
        let block = unsafe { self.grow(ptr, old, new) }?;
        if self.breach != Breach::DirtyGrowZeroed && block.len() >= new.size().get() {
            let added = new.size().get() - old.size().get();
            // SAFETY: the bytes are within the block.
            unsafe { block.cast::<u8>().add(old.size().get()).write_bytes(0, added) };
        }
        Ok(block)
    }

    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        _: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.allocate(new)?;
        if self.breach != Breach::LosesContentOnShrink {
            // SAFETY: the copy stays within both blocks.
            unsafe { block.cast::<u8>().copy_from_nonoverlapping(ptr, new.size().get().min(block.len())) };
        }
        Ok(block)
    }

    unsafe fn usable_size(&self, _: NonNull<u8>, layout: NonZeroLayout) -> Option<usize> {
        let size = layout.size().get();
        match self.breach {
            Breach::LowUsableSize => Some(size - 1),
            // One byte too many, which is the first byte of the block that follows.
            Breach::HighUsableSize => Some(size + 1),
            _ => Some(size),
        }
    }

    fn corruption_events(&self) -> u64 {
        if self.breach == Breach::CountsCorruption { self.calls.get() } else { 0 }
    }
}

/// Returns the message with which `check` fails over a `Planted` allocator, or `None` if it passes.
fn verdict(breach: Breach, check: fn(&Planted)) -> Option<String> {
    let planted = Planted::new(breach);
    let failure = catch_unwind(AssertUnwindSafe(|| check(&planted))).err()?;
    let message = failure.downcast_ref::<&str>().map(ToString::to_string);
    Some(message.or_else(|| failure.downcast_ref::<String>().cloned()).unwrap_or_default())
}

#[test]
fn a_correct_allocator_passes_every_check() {
    assert_eq!(verdict(Breach::None, assert_allocator_contract), None);
}

#[test]
fn a_correct_allocator_passes_wherever_its_memory_lies() {
    // Each start leaves other space before the alignments that the checks ask for.
    for start in (0..1 << 15).step_by(if cfg!(miri) { 1 << 14 } else { 208 }) {
        let planted = Planted::new(Breach::None);
        let base = planted.start().addr().get();
        planted.used.set((base.next_multiple_of(1 << 15) - base + start) % (1 << 15));
        assert_allocator_contract(&planted);
    }
}

/// A correct allocator that takes back the last block, yet not the bytes that it skipped before it.
struct TakesBackTheLast(Planted);

// SAFETY: the cursor moves back over a block that its owner gives up.
unsafe impl Deallocator for TakesBackTheLast {
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        let offset = ptr.addr().get() - self.0.start().addr().get();
        if offset + layout.size().get() == self.0.used.get() {
            self.0.used.set(offset);
        }
    }
}

// SAFETY: blocks lie below the cursor, one after another.
unsafe impl Allocator for TakesBackTheLast {
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.0.allocate(layout)
    }
}

#[test]
fn skipped_bytes_may_be_lost_wherever_the_memory_ends() {
    // The last multiple of a large alignment lies this far before the end, so a block there leaves no more than that.
    for room in [1, 64, 128, 191, 192] {
        let last = TakesBackTheLast(Planted::new(Breach::None));
        let base = last.0.start().addr().get();
        let multiple = (base + (1 << 15)).next_multiple_of(1 << 15) - base;
        last.0.end.set(multiple + room);
        assert_allocator_refuses_the_impossible(&last);
    }
}

#[test]
fn every_planted_breach_is_caught_by_its_check() {
    type Case = (Breach, fn(&Planted), &'static str);
    let cases: [Case; 19] = [
        (Breach::RefusesAll, assert_allocator_basic_round_trip, "refused a block of 64 bytes"),
        (Breach::RefusesAll, assert_allocate_zeroed, "refused a block of 64 bytes"),
        (Breach::Misaligns, assert_allocator_basic_round_trip, "not aligned"),
        (Breach::Misaligns, assert_allocator_respects_alignment, "not aligned"),
        (Breach::MisalignsOverEight, assert_allocator_respects_alignment, "not aligned"),
        (Breach::ShortSlice, assert_allocator_basic_round_trip, "shorter than its layout"),
        (Breach::Overlaps, assert_allocator_basic_round_trip, "overlap"),
        (Breach::Overlaps, assert_live_blocks_stay_apart, "overlap"),
        (Breach::OverlapsByOne, assert_live_blocks_stay_apart, "overlap"),
        (Breach::DirtyZeroed, assert_allocator_basic_round_trip, "not zero"),
        (Breach::DirtyZeroed, assert_allocate_zeroed, "not zero"),
        (Breach::LosesContentOnGrow, assert_allocator_resizes, "content of a live block changed"),
        (Breach::LosesContentOnShrink, assert_allocator_resizes, "content of a live block changed"),
        (Breach::KeepsAlignmentOnGrow, assert_allocator_resizes, "not aligned"),
        (Breach::DirtyGrowZeroed, assert_allocator_resizes, "not zero"),
        (
            Breach::SpoilsOnRefusedGrow,
            assert_allocator_refuses_the_impossible,
            "content of a live block changed",
        ),
        (Breach::LowUsableSize, assert_live_blocks_stay_apart, "usable size"),
        (Breach::HighUsableSize, assert_live_blocks_stay_apart, "content of a live block changed"),
        (Breach::AcceptsAnySize, assert_allocator_refuses_the_impossible, "shorter than its layout"),
    ];
    for (breach, check, expected) in cases {
        let message = verdict(breach, check);
        assert!(message.as_ref().is_some_and(|text| text.contains(expected)), "{breach:?}: {message:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "minutes under an interpreter; the checks run one by one above")]
fn the_whole_contract_catches_every_planted_breach() {
    for breach in [
        Breach::RefusesAll,
        Breach::Misaligns,
        Breach::MisalignsOverEight,
        Breach::ShortSlice,
        Breach::Overlaps,
        Breach::OverlapsByOne,
        Breach::DirtyZeroed,
        Breach::LosesContentOnGrow,
        Breach::LosesContentOnShrink,
        Breach::KeepsAlignmentOnGrow,
        Breach::DirtyGrowZeroed,
        Breach::SpoilsOnRefusedGrow,
        Breach::LowUsableSize,
        Breach::HighUsableSize,
        Breach::CountsCorruption,
        Breach::AcceptsAnySize,
    ] {
        assert!(verdict(breach, assert_allocator_contract).is_some(), "{breach:?}");
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    None,
    Empty,
    BaseDrifts,
    SizeDrifts,
    ContainsNothing,
    ContainsAll,
    ContainsItsEnd,
    OffByOneAtTheEnd,
    Misaligned,
}

/// A range over its own buffer that lies about one thing. Nothing carves it.
struct LyingRange {
    lie: Lie,
    memory: Box<[u64; 4]>,
    calls: Cell<usize>,
}

// SAFETY: deliberately wrong where a lie is planted; only addresses are compared.
unsafe impl FixedRange for LyingRange {
    const BASE_ALIGN: usize = 8;

    fn base(&self) -> NonNull<u8> {
        let base = NonNull::from(&*self.memory).cast::<u8>();
        self.calls.set(self.calls.get() + 1);
        match self.lie {
            Lie::BaseDrifts => moved(base, self.calls.get() % 4 * 8),
            Lie::Misaligned => moved(base, 4),
            _ => base,
        }
    }

    fn size(&self) -> usize {
        self.calls.set(self.calls.get() + 1);
        match self.lie {
            Lie::Empty => 0,
            Lie::SizeDrifts => 16 + self.calls.get() % 4,
            _ => 24,
        }
    }

    fn contains(&self, ptr: NonNull<u8>) -> bool {
        let offset = ptr.addr().get().wrapping_sub(self.base().addr().get());
        match self.lie {
            Lie::ContainsNothing => false,
            Lie::ContainsAll => true,
            Lie::ContainsItsEnd => offset <= 24,
            Lie::OffByOneAtTheEnd => offset < 23,
            _ => offset < self.size(),
        }
    }
}

#[test]
fn a_lying_range_is_caught_and_an_honest_one_passes() {
    let passes = |lie| {
        let range = LyingRange { lie, memory: Box::new([0; 4]), calls: Cell::new(0) };
        catch_unwind(AssertUnwindSafe(|| assert_fixed_range_invariants(&range))).is_ok()
    };
    assert!(passes(Lie::None));
    assert!(passes(Lie::Empty));
    for lie in [
        Lie::BaseDrifts,
        Lie::SizeDrifts,
        Lie::ContainsNothing,
        Lie::ContainsAll,
        Lie::ContainsItsEnd,
        Lie::OffByOneAtTheEnd,
        Lie::Misaligned,
    ] {
        assert!(!passes(lie), "{lie:?}");
    }
}

/// An allocator that is a range, whose blocks may lie outside it.
struct Combined {
    blocks: Planted,
    base: usize,
    contains_all: bool,
}

// SAFETY: forwards to `Planted`.
unsafe impl Deallocator for Combined {
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.blocks.deallocate(ptr, layout) }
    }
}

// SAFETY: forwards to `Planted`.
unsafe impl Allocator for Combined {
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.blocks.allocate(layout)
    }
}

// SAFETY: deliberately wrong where `base` is not zero; nothing carves it.
unsafe impl FixedRange for Combined {
    fn base(&self) -> NonNull<u8> {
        moved(self.blocks.start(), self.base)
    }

    fn size(&self) -> usize {
        self.blocks.bytes()
    }

    fn contains(&self, ptr: NonNull<u8>) -> bool {
        let offset = ptr.addr().get().wrapping_sub(self.base().addr().get());
        offset < self.size() || (self.contains_all && offset != self.size())
    }
}

#[test]
fn blocks_outside_the_range_are_caught() {
    let passes = |base, contains_all| {
        let combined = Combined { blocks: Planted::new(Breach::None), base, contains_all };
        catch_unwind(AssertUnwindSafe(|| assert_combined_invariants(&combined))).is_ok()
    };
    assert!(passes(0, false));
    assert!(!passes(32, false), "a block starts before the range");
    assert!(!passes(0, true), "the range contains everything");
}

#[test]
fn a_pointer_to_an_allocator_keeps_its_contract() {
    fn check<A: Allocator>(a: A) {
        assert_allocator_basic_round_trip(&a);
        if !cfg!(miri) {
            assert_allocate_zeroed(&a);
            assert_allocator_resizes(&a);
        }
        // SAFETY: `Planted` does not look at the pointer.
        assert_eq!(unsafe { a.usable_size(NonNull::dangling(), BASIC) }, Some(64));
    }
    check(&Planted::new(Breach::None));
    check(&mut Planted::new(Breach::None));
    let erased: &dyn Allocator = &Planted::new(Breach::None);
    check(erased);
}

#[cfg(feature = "alloc")]
#[test]
fn only_a_pointer_that_owns_its_allocator_alone_resets_it() {
    /// Counts its resets and has nothing to give.
    struct Resets(usize);
    // SAFETY: no block is ever issued.
    unsafe impl Deallocator for Resets {
        unsafe fn deallocate(&self, _: NonNull<u8>, _: NonZeroLayout) {}
    }
    // SAFETY: no block is ever issued.
    unsafe impl Allocator for Resets {
        fn allocate(&self, _: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
            Err(AllocError)
        }

        fn reset(&mut self) -> Result<(), AllocError> {
            self.0 += 1;
            Ok(())
        }
    }
    let mut owned = Box::new(Resets(0));
    assert_eq!(Allocator::reset(&mut owned), Ok(()));
    assert_eq!(Allocator::reset(&mut &mut *owned), Ok(()));
    assert_eq!(Allocator::reset(&mut &*owned), Err(AllocError));
    assert_eq!(owned.0, 2);
    assert_eq!(Allocator::reset(&mut std::rc::Rc::new(Resets(0))), Err(AllocError));
    assert_eq!(Allocator::reset(&mut std::sync::Arc::new(Resets(0))), Err(AllocError));
}
