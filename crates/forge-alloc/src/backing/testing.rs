//! What the tests of all backings share: seeded numbers, and random calls under the shadow model.
#![allow(unsafe_code)]

use forge_alloc_core::{AllocError, Allocator, FixedRange, NonZeroLayout, Region, RegionSource};
use forge_trace::shadow::{Checks, Limits, Shadow, random_ops};

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

/// Plays random calls on `allocator`, resetting it now and then, and checks every block against the shadow model.
pub(super) fn random_calls_match_the_model<A: Allocator + FixedRange>(
    allocator: &mut A,
    seed: u64,
    max_align: usize,
) {
    let limits = Limits { size: 300, align: max_align, ..Limits::default() };
    let (rounds, calls) = if cfg!(miri) { (1, 40) } else { (40, 100) };
    for round in 0..rounds {
        let ops = random_ops(seed + round, calls, &limits);
        let checks = Checks { vary_alignment: true, ..Checks::within(allocator) };
        let mut shadow = Shadow::with_checks(&*allocator, checks);
        shadow.run(&ops).unwrap_or_else(|violation| panic!("{violation}"));
        // The blocks that are live end with the reset.
        drop(shadow);
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
