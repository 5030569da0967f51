//! A segment: a slab in a mapping of its own, which starts at a multiple of a power of two that is no less than its slots.
//!
//! ```text
//!   |<------------ granule ------------>|<------------ granule ------------>|
//!   | slots | entries | map |  unmapped, or mapped by somebody else         | next segment ..
//! ```
//!
//! # Invariants
//!
//! - (I1) The mapping is live, owned, `region.len()` bytes long and zero at the start; it starts at a multiple of the
//!   granule.
//!
//! # Operations
//!
//! Mapping takes one system call where the system happens to place it right, which is usual for segments that fill their
//! granule, and up to five otherwise; unmapping takes one.
//!
//! # Design
//!
//! An address then names the granule of its segment by a shift, and no two segments share one, which is what makes the
//! lookup of a freed block one cell long. A segment that fills its granule is first asked for without the wish, since the
//! system places mappings of one size side by side and merges them into one; a mapping that was cut out of a longer one has
//! gaps around it.
#![allow(unsafe_code)]

use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use forge_alloc_core::align::checked_align_up;
use forge_alloc_core::{
    AllocError, FixedRange, FreelistProtection, NonZeroLayout, Region, RegionSource, StableAddress,
    is_aligned,
};
use forge_os::Os;

use crate::backing::{MmapBacked, MmapSource};
use crate::layout::arena::bump::BumpArena;
use crate::layout::slab::typed::Slab;
use crate::layout::slab::typed::shape::Plan;

/// The alignment in bytes that every mapping has.
const MAPPING_ALIGN: usize = <MmapBacked as FixedRange>::BASE_ALIGN;

/// A segment.
pub(super) type SegmentSlab<T, M, O> = Slab<T, BumpArena<SegmentMapping<O>>, M>;

/// What all segments of a slab have in common.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// How many slots a segment has.
    capacity: usize,
    /// How long and how aligned its mapping is.
    layout: NonZeroLayout,
}

impl Shape {
    /// Returns the shape of segments of `capacity` slots for values of type `T`; `None` if there are none. O(1).
    pub(super) fn new<T, M: FreelistProtection, O: Os>(capacity: usize) -> Option<Self> {
        let plan = Plan::new::<T, BumpArena<SegmentMapping<O>>, M>(u32::try_from(capacity).ok()?, None)?;
        let slab = plan.block;
        let bytes = slab.size().get();
        let granule = bytes.checked_next_power_of_two()?.max(MAPPING_ALIGN).max(slab.align().get());
        let layout = NonZeroLayout::from_size_align(bytes, granule).ok()?;
        Some(Self { capacity, layout })
    }

    /// Returns the base-two logarithm of the alignment of a segment in bytes. O(1).
    pub(super) const fn granule_bits(&self) -> u32 {
        self.layout.align().get().trailing_zeros()
    }
}

/// The memory of a segment, unmapped when dropped.
pub(super) struct SegmentMapping<O: Os> {
    source: MmapSource<O>,
    layout: NonZeroLayout,
    region: ManuallyDrop<Region>,
}

// SAFETY: base and length are those of an owned mapping, live and writable all over (I1), and never change; nothing else
// hands the bytes out.
unsafe impl<O: Os> FixedRange for SegmentMapping<O> {
    const BASE_ALIGN: usize = MAPPING_ALIGN;
    const STAYS: bool = true;

    #[inline(always)]
    fn base(&self) -> NonNull<u8> {
        self.region.base()
    }

    #[inline(always)]
    fn size(&self) -> usize {
        self.region.len()
    }
}

// SAFETY: the mapping stays where it is when the value moves.
unsafe impl<O: Os> StableAddress for SegmentMapping<O> {}

impl<O: Os> SegmentMapping<O> {
    /// Maps the memory of a segment.
    fn new(os: O, layout: NonZeroLayout) -> Result<Self, AllocError> {
        let source = MmapSource::on(os);
        let fills_granule =
            checked_align_up(layout.size().get(), os.page_size()) == Some(layout.align().get());
        let relaxed =
            NonZeroLayout::from_size_align(layout.size().get(), MAPPING_ALIGN).map_err(|_| AllocError)?;
        let lucky = Self::request(source, if fills_granule { relaxed } else { layout })?;
        if is_aligned(lucky.base().addr().get(), layout.align().get()) {
            return Ok(lucky);
        }
        drop(lucky);
        Self::request(source, layout)
    }

    /// Maps memory as `layout` says.
    fn request(source: MmapSource<O>, layout: NonZeroLayout) -> Result<Self, AllocError> {
        // SAFETY: the mapping keeps the region and releases it when it is dropped, through the same source.
        let region = unsafe { source.request(layout) }?;
        Ok(Self { source, layout, region: ManuallyDrop::new(region) })
    }
}

impl<O: Os> Drop for SegmentMapping<O> {
    fn drop(&mut self) {
        // SAFETY: the region is taken out once, came from this source for this layout, and is not used any more.
        unsafe { self.source.release(ManuallyDrop::take(&mut self.region), self.layout) };
    }
}

/// Maps a segment.
///
/// # Errors
///
/// [`AllocError`] if the system refuses the memory; nothing stays mapped.
pub(super) fn map<T, M: FreelistProtection, O: Os>(
    os: O,
    shape: Shape,
    policy: M,
) -> Result<SegmentSlab<T, M, O>, AllocError> {
    let arena = BumpArena::new(SegmentMapping::new(os, shape.layout)?)?;
    Slab::with_protection(shape.capacity, arena, policy)
}
