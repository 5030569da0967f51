//! What the tests of all backings share: seeded numbers, and random calls against a naive model.
#![allow(unsafe_code)]

use core::ptr::NonNull;
use std::vec::Vec;

use forge_alloc_core::{AllocError, Allocator, FixedRange, NonZeroLayout, Region, RegionSource};

/// A seeded sequence of numbers (SplitMix64).
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) as usize % bound
    }
}

/// Returns the layout of `size` bytes at `align`.
pub(super) fn layout(size: usize, align: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, align).unwrap()
}

/// Requests a region; every test is done with its regions before it drops their source.
pub(super) fn request<S: RegionSource>(source: &S, layout: NonZeroLayout) -> Result<Region, AllocError> {
    // SAFETY: the region is out of use before the source is dropped.
    unsafe { source.request(layout) }
}

/// A live block of the model: where, how long, and the byte that fills it.
struct Block {
    ptr: NonNull<u8>,
    layout: NonZeroLayout,
    fill: u8,
}

impl Block {
    fn assert_holds(&self, len: usize, byte: u8) {
        for index in 0..len {
            // SAFETY: the block is live and at least `len` bytes long, and was filled when it was made.
            assert_eq!(unsafe { self.ptr.add(index).read() }, byte, "byte {index} of {:?}", self.layout);
        }
    }

    fn span(&self) -> core::ops::Range<usize> {
        let start = self.ptr.addr().get();
        start..start + self.layout.size().get()
    }
}

/// The live blocks of `allocator`, as they ought to be.
struct Model<'a, A> {
    allocator: &'a A,
    live: Vec<Block>,
    numbers: Numbers,
    max_align: usize,
}

impl<A: Allocator + FixedRange> Model<'_, A> {
    fn any_layout(&mut self) -> NonZeroLayout {
        let size = 1 + self.numbers.below(if cfg!(miri) { 60 } else { 300 });
        let align = 1 << self.numbers.below(self.max_align.ilog2() as usize + 1);
        layout(size, align)
    }

    /// Checks a block that the allocator returned, fills it, and counts it as live.
    fn adopt(&mut self, block: NonNull<[u8]>, layout: NonZeroLayout) {
        let fill = 1 + self.numbers.below(255) as u8;
        let adopted = Block { ptr: block.cast(), layout, fill };
        assert!(block.len() >= layout.size().get());
        assert_eq!(block.addr().get() % layout.align().get(), 0, "{layout:?}");
        let span = adopted.span();
        for other in &self.live {
            let apart = span.end <= other.span().start || other.span().end <= span.start;
            assert!(apart, "{layout:?} overlaps {:?}", other.layout);
        }
        let range = self.allocator.base().addr().get();
        assert!(range <= span.start && span.end <= range + self.allocator.size());
        // SAFETY: the block is live, ours, and at least this long.
        unsafe { adopted.ptr.write_bytes(fill, layout.size().get()) };
        self.live.push(adopted);
    }

    fn take(&mut self) -> Option<Block> {
        if self.live.is_empty() {
            return None;
        }
        // The last block is the interesting one, so it comes up half of the time.
        let last = self.live.len() - 1;
        let index = if self.numbers.below(2) == 0 { last } else { self.numbers.below(last + 1) };
        let block = self.live.swap_remove(index);
        block.assert_holds(block.layout.size().get(), block.fill);
        Some(block)
    }

    fn allocate(&mut self) {
        let wanted = self.any_layout();
        let zeroed = self.numbers.below(2) == 0;
        let result =
            if zeroed { self.allocator.allocate_zeroed(wanted) } else { self.allocator.allocate(wanted) };
        let Ok(block) = result else { return };
        if zeroed {
            Block { ptr: block.cast(), layout: wanted, fill: 0 }.assert_holds(wanted.size().get(), 0);
        }
        self.adopt(block, wanted);
    }

    fn resize(&mut self) {
        let Some(old) = self.take() else { return };
        let wanted = self.any_layout();
        let (before, after) = (old.layout.size().get(), wanted.size().get());
        let zeroed = self.numbers.below(2) == 0;
        // SAFETY: the block is live with its layout; the sizes are ordered as each call demands.
        let result = unsafe {
            match (after >= before, zeroed) {
                (true, true) => self.allocator.grow_zeroed(old.ptr, old.layout, wanted),
                (true, false) => self.allocator.grow(old.ptr, old.layout, wanted),
                (false, _) => self.allocator.shrink(old.ptr, old.layout, wanted),
            }
        };
        let Ok(block) = result else {
            // A refused resize leaves the old block live and unchanged.
            old.assert_holds(before, old.fill);
            self.live.push(old);
            return;
        };
        let resized = Block { ptr: block.cast(), layout: wanted, fill: old.fill };
        resized.assert_holds(before.min(after), old.fill);
        if zeroed && after > before {
            // SAFETY: `before < after`, inside the block.
            let added = unsafe { resized.ptr.add(before) };
            Block { ptr: added, layout: wanted, fill: 0 }.assert_holds(after - before, 0);
        }
        self.adopt(block, wanted);
    }

    fn free(&mut self) {
        let Some(block) = self.take() else { return };
        // SAFETY: the block is live with its layout and was taken out of the model.
        unsafe { self.allocator.deallocate(block.ptr, block.layout) };
    }

    fn check_everything(&mut self) {
        while self.take().is_some() {}
    }
}

/// Plays random calls on `allocator`, resetting it now and then, and checks every block against a naive model.
pub(super) fn random_calls_match_the_model<A: Allocator + FixedRange>(
    allocator: &mut A,
    seed: u64,
    max_align: usize,
) {
    let mut numbers = Numbers(seed);
    for round in 0..if cfg!(miri) { 2 } else { 40 } {
        let mut model = Model { allocator, live: Vec::new(), numbers: Numbers(seed + round), max_align };
        for _ in 0..20 + numbers.below(if cfg!(miri) { 20 } else { 100 }) {
            match model.numbers.below(5) {
                0..=1 => model.allocate(),
                2..=3 => model.resize(),
                _ => model.free(),
            }
        }
        model.check_everything();
        assert_eq!(allocator.reset(), Ok(()));
    }
}

/// Checks that a claimed `backing` refuses every request and every reset for good.
pub(super) fn a_claim_turns_the_allocator_off<B: Allocator + FixedRange>(mut backing: B) {
    let one = layout(1, 1);
    let block = backing.allocate(one).unwrap();
    assert!(backing.claim().is_err(), "a block is live");
    assert_eq!(backing.reset(), Ok(()));
    let _ = block;
    assert_eq!(backing.claim(), Ok(()));
    assert!(backing.allocate(one).is_err());
    assert!(backing.allocate_zeroed(one).is_err());
    assert!(backing.claim().is_err(), "claimed already");
    assert!(backing.reset().is_err());
    assert!(backing.allocate(one).is_err(), "a reset does not undo a claim");
}
