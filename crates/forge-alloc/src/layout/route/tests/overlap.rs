//! Halves whose ranges overlap: found by arithmetic, refused when a block shows them, fatal where nothing can be undone.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout};

use super::{WithFallback, bump, layout, stack};
use crate::{BumpArena, HeapBytes};

/// A range that is whatever the test says, and an allocator without blocks.
#[derive(Debug)]
struct Span {
    base: NonNull<u8>,
    size: usize,
}

impl Span {
    fn at(address: usize, size: usize) -> Self {
        Self { base: NonNull::new(core::ptr::without_provenance_mut(address)).unwrap(), size }
    }

    fn over(range: &impl FixedRange) -> Self {
        Self { base: range.base(), size: range.size() }
    }
}

// SAFETY: none: this is the wrong implementation that the router has to survive. Nothing in these tests carves it.
unsafe impl FixedRange for Span {
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn size(&self) -> usize {
        self.size
    }
}

// SAFETY: no block is ever issued.
unsafe impl Deallocator for Span {
    unsafe fn deallocate(&self, _: NonNull<u8>, _: NonZeroLayout) {
        unreachable!("a block was routed to the half that issues none");
    }
}

// SAFETY: no block is ever issued.
unsafe impl Allocator for Span {
    fn allocate(&self, _: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        Err(AllocError)
    }
}

#[test]
fn ranges_are_disjoint_if_they_share_no_byte() {
    let top = usize::MAX;
    for ((one, one_size), (other, other_size), expected) in [
        ((4096, 64), (4160, 64), true),
        ((4096, 64), (8192, 64), true),
        ((4096, 64), (4159, 64), false),
        ((4096, 64), (4096, 64), false),
        ((4096, 64), (4100, 8), false),
        ((4096, 64), (4100, 0), true),
        ((4096, 0), (4096, 0), true),
        ((top - 64, 64), (4096, 64), true),
        ((top - 64, 65), (4096, 64), false),
        ((top, usize::MAX), (4096, 64), false),
    ] {
        let (one, other) = (|| Span::at(one, one_size), || Span::at(other, other_size));
        for (primary, secondary) in [(one(), other()), (other(), one())] {
            let router = WithFallback::new(primary, secondary);
            assert_eq!(router.ranges_disjoint(), expected, "{router:?}");
            let (primary, secondary) = router.into_parts();
            assert_eq!(WithFallback::try_new(primary, secondary).is_ok(), expected);
        }
    }
}

#[test]
fn owned_ranges_are_accepted() {
    let router = WithFallback::try_new(stack::<64>(), bump::<64>()).unwrap();
    assert!(router.ranges_disjoint());
    assert!(WithFallback::try_new(HeapBytes::new(64).unwrap(), HeapBytes::new(64).unwrap()).is_ok());
}

#[test]
fn a_block_of_the_secondary_in_the_primarys_range_is_refused() {
    let arena = BumpArena::new(HeapBytes::new(256).unwrap()).unwrap();
    let router = WithFallback::new(Span::over(&arena), &arena);
    assert_eq!(router.allocate(layout(16, 8)), Err(AllocError));
    assert_eq!(router.allocate_zeroed(layout(16, 8)), Err(AllocError));
    assert_eq!(arena.allocated(), 0);
}

#[cfg(all(feature = "std", unix, not(miri), not(loom)))]
#[test]
fn a_resize_into_the_primarys_range_ends_the_process() {
    use std::process::Command;

    use super::take;

    const CHILD: &str = "FORGE_ROUTE_DEATH";
    const TEST: &str = "layout::route::tests::overlap::a_resize_into_the_primarys_range_ends_the_process";

    if std::env::var_os(CHILD).is_some() {
        let arena = BumpArena::new(HeapBytes::new(256).unwrap()).unwrap();
        let block = take(&arena, layout(16, 8));
        take(&arena, layout(16, 8));
        // The range begins behind the block, so the block is the secondary's until it moves.
        let rest = Span { base: arena.base().map_addr(|base| base.checked_add(16).unwrap()), size: 240 };
        let router = WithFallback::new(rest, &arena);
        // SAFETY: the block is live and the layout is its own.
        let moved = unsafe { router.grow(block, layout(16, 8), layout(32, 8)) };
        panic!("the resize returned {moved:?}");
    }
    let runner = std::env::var("FORGE_TEST_RUNNER").unwrap_or_default();
    let program = std::env::current_exe().unwrap();
    let mut words: Vec<_> = runner.split_whitespace().map(Into::into).collect();
    words.push(program.into_os_string());
    let mut command = Command::new(&words[0]);
    let output = command.args(&words[1..]).args(["--exact", TEST]).env(CHILD, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("moved a block into the range of the primary"), "{said}");
    assert!(!output.status.success() && output.status.code() != Some(101), "{}", output.status);
}
