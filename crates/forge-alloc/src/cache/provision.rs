//! What a cache has to do with its provider: the first slab with the root in it, further slabs, and their way back.
//!
//! ```text
//!   first slab   | header | free slots | slot .. slot | Whole: Root, provider |       the root on a line of its own
//!   other slabs  | header | free slots | slot ..                         slot |
//! ```
//!
//! # Invariants
//!
//! Those of the [root](super::root), and
//!
//! - (I6) A root of a cache is the start of a [`Whole`] with the provider `S` by whose functions here it was made.
//!
//! # Operations
//!
//! Each is a call of the provider, and O(slots) for a new slab.
//!
//! # Design
//!
//! The parameters of a cache are checked where the places in its slabs are computed, at compile time. The provider is called
//! between two critical sections, and what the first one saw is looked at again in the second.
#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::num::NonZeroUsize;
use core::ptr::NonNull;

use forge_alloc_core::{NonZeroLayout, Region, align_down};

use super::locks::LockTrait;
use super::root::Root;
use super::slab::{Home, Shape, Slab};
use super::source::SlabSource;
use super::{Result, SlabError};

/// How slots of `T` lie in slabs of `SLAB_SIZE` bytes.
pub(super) struct Plan<T, L, S, const SLAB_SIZE: usize>(PhantomData<(T, L, S)>);

impl<T, L, S, const SLAB_SIZE: usize> Plan<T, L, S, SLAB_SIZE> {
    /// Where the root lies in the first slab.
    const ROOT: usize = {
        assert!(
            SLAB_SIZE.is_power_of_two(),
            "SLAB_SIZE must be a power of two: a box finds its slab by a mask"
        );
        assert!(SLAB_SIZE <= 1 << 30, "SLAB_SIZE must be at most 1 GiB: a slot is named by 32 bits");
        assert!(
            cfg!(loom) || size_of::<L>() <= 16,
            "a lock must be at most 16 bytes: it lies in the first slab"
        );
        assert!(
            size_of::<Slab>() + size_of::<Whole<L, S>>() <= SLAB_SIZE
                && align_of::<Whole<L, S>>() <= SLAB_SIZE,
            "SLAB_SIZE is too small for the lock, the lists and the provider"
        );
        let align = align_of::<Whole<L, S>>();
        // A line of its own, so that threads at the lock do not slow down those at the last slot.
        let align = if SLAB_SIZE >= 1024 && align < 64 { 64 } else { align };
        align_down(SLAB_SIZE - size_of::<Whole<L, S>>(), align)
    };

    /// The slots of the first slab.
    pub(super) const FIRST: Shape =
        Self::enough(Shape::new(size_of::<T>(), align_of::<T>(), SLAB_SIZE, Self::ROOT));
    /// The slots of every other slab.
    pub(super) const OTHER: Shape =
        Self::enough(Shape::new(size_of::<T>(), align_of::<T>(), SLAB_SIZE, SLAB_SIZE));

    const LAYOUT: Option<NonZeroLayout> = match NonZeroUsize::new(SLAB_SIZE) {
        Some(size) => match NonZeroLayout::new(size, size) {
            Ok(layout) => Some(layout),
            Err(_) => None,
        },
        None => None,
    };

    const fn enough(shape: Shape) -> Shape {
        assert!(
            shape.capacity >= 2,
            "SLAB_SIZE is too small: a slab must have room for at least two values of the type"
        );
        shape
    }
}

/// A root and the provider of its slabs.
#[repr(C)]
struct Whole<L, S> {
    root: Root<L>,
    source: S,
}

/// Returns a region for a slab of `source`.
///
/// # Safety
///
/// As [`SlabSource::supply`].
unsafe fn supply<T, L, S: SlabSource, const SLAB_SIZE: usize>(source: &S) -> Result<Region> {
    let layout = Plan::<T, L, S, SLAB_SIZE>::LAYOUT.ok_or(SlabError::OutOfMemory)?;
    // SAFETY: the caller's promise.
    let region = unsafe { source.supply(layout) }?;
    let (address, len) = (region.base().addr().get(), region.len());
    let error = if address % SLAB_SIZE != 0 {
        SlabError::AlignmentMismatch
    } else if len < SLAB_SIZE || u32::try_from(len - SLAB_SIZE).is_err() {
        SlabError::FatalError
    } else {
        return Ok(region);
    };
    // SAFETY: the region was just supplied for this layout and nobody has used it.
    unsafe { source.take_back(region, layout) };
    Err(error)
}

/// Makes a cache with one slab and one owner, and returns its root. O(slots).
pub(super) fn create<T, L: LockTrait, S: SlabSource, const SLAB_SIZE: usize>(
    source: S,
) -> Result<NonNull<Root<L>>> {
    // SAFETY: the source is dropped with the root, after all of its regions were taken back.
    let region = unsafe { supply::<T, L, S, SLAB_SIZE>(&source) }?;
    // SAFETY: the slab is as large as that (see `Plan::ROOT`).
    let whole = unsafe { region.base().add(Plan::<T, L, S, SLAB_SIZE>::ROOT) }.cast::<Whole<L, S>>();
    let root = whole.cast::<Root<L>>();
    // SAFETY: the region was checked, and is used for nothing but the slab, and the root behind the last slot (I5).
    let slab =
        unsafe { Home::<SLAB_SIZE>::prepare(region, Plan::<T, L, S, SLAB_SIZE>::FIRST, 0, root.cast()) };
    let value = Whole { root: Root::new(slab, dispose::<T, L, S, SLAB_SIZE>), source };
    // SAFETY: the place is inside of the region, behind the slots, and aligned.
    unsafe { whole.write(value) };
    Ok(root)
}

/// Takes a slot, of a new slab if need be. O(1), and a call of the provider with no lock held.
///
/// # Safety
///
/// The root is that of a cache of these types, and one of its owners is the caller's.
#[cold]
#[inline(never)]
pub(super) unsafe fn grow<T, L: LockTrait, S: SlabSource, const SLAB_SIZE: usize>(
    root: NonNull<Root<L>>,
) -> Result<NonNull<u8>> {
    loop {
        // SAFETY: the caller's promises.
        let (grown, slot) = unsafe {
            let grown = add_slab::<T, L, S, SLAB_SIZE>(root);
            // Others may have given slots back, or taken the new slab, while the lock was free.
            (grown, root.as_ref().take::<SLAB_SIZE>())
        };
        match slot {
            Some(slot) => return Ok(slot),
            None => grown?,
        }
    }
}

/// Adds a spare. O(slots), and a call of the provider with no lock held.
///
/// # Safety
///
/// As [`grow`].
pub(super) unsafe fn add_slab<T, L: LockTrait, S: SlabSource, const SLAB_SIZE: usize>(
    root: NonNull<Root<L>>,
) -> Result<()> {
    // SAFETY: the root is the start of a whole one of these types, by the caller's promise, and an owner keeps it. The region
    // was checked, and is used for nothing but the slab.
    unsafe {
        let number = root.as_ref().announce();
        let region = supply::<T, L, S, SLAB_SIZE>(&(*root.cast::<Whole<L, S>>().as_ptr()).source)?;
        let slab = Home::<SLAB_SIZE>::prepare(region, Plan::<T, L, S, SLAB_SIZE>::OTHER, number, root.cast());
        root.as_ref().add(slab);
        Ok(())
    }
}

/// Gives `slab` back to the provider, or all of the cache if it is null.
///
/// # Safety
///
/// `root` is that of a cache of these types, and exists. The slab is not the first, and in no list; for all of the cache, all
/// slabs but `current`, which is null, are in `empties`. Nobody else uses the slab, or the cache.
unsafe fn dispose<T, L: LockTrait, S: SlabSource, const SLAB_SIZE: usize>(
    root: NonNull<u8>,
    slab: *mut Slab,
) {
    let whole = root.cast::<Whole<L, S>>();
    let Some(layout) = Plan::<T, L, S, SLAB_SIZE>::LAYOUT else { return };
    // SAFETY: regions are given back whole and once, after their slabs were dismantled, which nobody uses. The provider and
    // the lock are moved out or dropped once, with the first slab, and the provider goes after all of its regions.
    unsafe {
        if let Some(slab) = Home::<SLAB_SIZE>::at(slab) {
            return (*whole.as_ptr()).source.take_back(slab.dismantle(), layout);
        }
        let first = Home::<SLAB_SIZE>::around(root);
        let mut next = (*whole.as_ptr()).root.first_empty::<SLAB_SIZE>();
        while let Some(slab) = next {
            next = slab.next();
            if slab.as_ptr() != first.as_ptr() {
                (*whole.as_ptr()).source.take_back(slab.dismantle(), layout);
            }
        }
        let source = (&raw const (*whole.as_ptr()).source).read();
        (&raw mut (*whole.as_ptr()).root).drop_in_place();
        source.take_back(first.dismantle(), layout);
    }
}
