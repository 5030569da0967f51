//! The contestants of the `contestants` feature: allocators of other projects, some of which need a C or C++ compiler.
//!
//! # Design
//!
//! Each peer is used as its own documentation says and with its default features, so that a row shows what a user of
//! that crate gets. Heaps that manage memory handed to them get one mapping, which stays until the process ends.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr::{self, NonNull};

use allocator_api2::alloc::Allocator as _;
use anyhow::{Context as _, Result};
use forge_alloc::{AllocError, Allocator, Deallocator, NonZeroLayout};
use forge_alloc_reference as reference;

use super::adapter::GlobalAllocAdapter;
use super::{Contestant, region};
use crate::trial::Trial;

pub(super) static CONTESTANTS: &[Contestant] = &[
    Contestant {
        name: "mimalloc",
        about: "mimalloc 3, the general allocator of Microsoft Research, through the crate mimalloc",
        note: "",
        run: |trial| trial.run(|| Ok(GlobalAllocAdapter(mimalloc::MiMalloc))),
    },
    Contestant {
        name: "jemalloc",
        about: "jemalloc 5, the general allocator of FreeBSD, through the crate tikv-jemallocator",
        note: "",
        run: |trial| trial.run(|| Ok(GlobalAllocAdapter(tikv_jemallocator::Jemalloc))),
    },
    Contestant {
        name: "snmalloc",
        about: "snmalloc, a message-passing general allocator, through the crate snmalloc-rs",
        note: "",
        run: |trial| trial.run(|| Ok(GlobalAllocAdapter(snmalloc_rs::SnMalloc))),
    },
    Contestant {
        name: "rpmalloc",
        about: "rpmalloc 1, a general allocator without locks, through the crate rpmalloc",
        note: "",
        run: |trial| trial.run(|| Ok(GlobalAllocAdapter(rpmalloc::RpMalloc))),
    },
    Contestant {
        name: "dlmalloc",
        about: "dlmalloc in Rust behind one lock, from the crate dlmalloc",
        note: "",
        run: |trial| trial.run(|| Ok(GlobalAllocAdapter(dlmalloc::GlobalDlmalloc))),
    },
    Contestant {
        name: "talc",
        about: "talc, one thread, over one mapping of twice the peak",
        note: "fixed region",
        run: |trial| trial.run(|| Ok(GlobalAllocAdapter(talc_over_mapping(trial)?))),
    },
    Contestant {
        name: "rlsf",
        about: "rlsf, a two-level segregated fit heap, one thread, over one mapping of twice the peak",
        note: "fixed region",
        run: |trial| trial.run(|| Ok(GlobalAllocAdapter(RegionTlsf::over_mapping(trial)?))),
    },
    Contestant {
        name: "bumpalo",
        about: "bumpalo, an arena over chunks of the Rust heap that double",
        note: "never reuses memory",
        run: |trial| trial.run(|| Ok(Bumpalo(bumpalo::Bump::new()))),
    },
    Contestant {
        name: "reference-bump",
        about: "BumpArena of forge-alloc 0.3.7 over one mapping; a free does nothing",
        note: "never reuses memory",
        run: |trial| trial.run(|| reference_bump(trial)),
    },
];

type TalcOverMapping = talc::TalcCell<talc::source::Manual>;

fn talc_over_mapping(trial: &Trial) -> Result<TalcOverMapping> {
    let mapping = region::lasting_mapping(region::bytes_with_reuse(trial.stats()))?;
    let heap = talc::TalcCell::new(talc::source::Manual);
    // SAFETY: the mapping is readable, writable, used by nobody else, and stays until the process ends.
    let claimed = unsafe { heap.claim(mapping.as_ptr().cast(), mapping.len()) };
    claimed.context("talc refused its mapping")?;
    Ok(heap)
}

const BITS: usize = usize::BITS as usize;

/// rlsf's heap over one mapping, for one thread.
struct RegionTlsf(UnsafeCell<rlsf::Tlsf<'static, usize, usize, BITS, BITS>>);

impl RegionTlsf {
    fn over_mapping(trial: &Trial) -> Result<Self> {
        let mapping = region::lasting_mapping(region::bytes_with_reuse(trial.stats()))?;
        let mut heap = rlsf::Tlsf::new();
        // SAFETY: the mapping is readable, writable, used by nobody else, and stays until the process ends.
        let inserted = unsafe { heap.insert_free_block_ptr(mapping) };
        inserted.context("rlsf refused its mapping")?;
        Ok(Self(UnsafeCell::new(heap)))
    }
}

// SAFETY: the heap keeps the contract; the type is not `Sync` and no call re-enters, so each borrow of the cell is the
// only one.
unsafe impl GlobalAlloc for RegionTlsf {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: this borrow of the cell is the only one.
        let heap = unsafe { &mut *self.0.get() };
        heap.allocate(layout).map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: this borrow of the cell is the only one.
        let heap = unsafe { &mut *self.0.get() };
        if let Some(block) = NonNull::new(block) {
            // SAFETY: the block is live with this alignment, by the caller's promise.
            unsafe { heap.deallocate(block, layout.align()) };
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: this borrow of the cell is the only one.
        let heap = unsafe { &mut *self.0.get() };
        let (Some(block), Ok(layout)) =
            (NonNull::new(block), Layout::from_size_align(new_size, layout.align()))
        else {
            return ptr::null_mut();
        };
        // SAFETY: the block is live with this alignment, by the caller's promise.
        unsafe { heap.reallocate(block, layout) }.map_or(ptr::null_mut(), NonNull::as_ptr)
    }
}

/// bumpalo's arena through its std-trait mirror, which grows the last block in place.
struct Bumpalo(bumpalo::Bump);

// SAFETY: the arena takes back what it issued.
unsafe impl Deallocator for Bumpalo {
    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        // SAFETY: the block is live with this layout, by the caller's promise.
        unsafe { (&self.0).deallocate(ptr, layout.to_layout()) }
    }
}

// SAFETY: the mirrored contract demands the same of a block, and lets the alignment change in a resize.
unsafe impl Allocator for Bumpalo {
    #[inline]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        (&self.0).allocate(layout.to_layout()).map_err(|_| AllocError)
    }

    #[inline]
    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        (&self.0).allocate_zeroed(layout.to_layout()).map_err(|_| AllocError)
    }

    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's.
        unsafe { (&self.0).grow(ptr, old.to_layout(), new.to_layout()) }.map_err(|_| AllocError)
    }

    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promises are the callee's.
        unsafe { (&self.0).shrink(ptr, old.to_layout(), new.to_layout()) }.map_err(|_| AllocError)
    }
}

/// The arena of the published crate, through its own traits.
struct ReferenceBump(reference::BumpArena<reference::MmapBacked>);

fn reference_bump(trial: &Trial) -> Result<ReferenceBump> {
    let bytes = region::bytes_without_reuse(trial.stats());
    let mapping =
        reference::MmapBacked::new(bytes).ok().with_context(|| format!("cannot map {bytes} bytes"))?;
    let arena = reference::BumpArena::new(mapping).ok().context("the arena refused its mapping")?;
    Ok(ReferenceBump(arena))
}

#[inline]
fn referenced(layout: NonZeroLayout) -> Result<reference::NonZeroLayout, AllocError> {
    reference::NonZeroLayout::try_from(layout.to_layout()).map_err(|_| AllocError)
}

// SAFETY: the arena takes back what it issued.
unsafe impl Deallocator for ReferenceBump {
    #[inline]
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        let Ok(layout) = referenced(layout) else { return };
        // SAFETY: the block is live with this layout, by the caller's promise.
        unsafe { reference::Deallocator::deallocate(&self.0, ptr, layout) }
    }
}

// SAFETY: the published contract demands the same of a block.
unsafe impl Allocator for ReferenceBump {
    #[inline]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        reference::Allocator::allocate(&self.0, referenced(layout)?).map_err(|_| AllocError)
    }

    #[inline]
    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        reference::Allocator::allocate_zeroed(&self.0, referenced(layout)?).map_err(|_| AllocError)
    }

    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let (old, new) = (referenced(old)?, referenced(new)?);
        // SAFETY: the caller's promises are the callee's; a replay keeps the alignment of a block.
        unsafe { reference::Allocator::grow(&self.0, ptr, old, new) }.map_err(|_| AllocError)
    }

    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let (old, new) = (referenced(old)?, referenced(new)?);
        // SAFETY: the caller's promises are the callee's; a replay keeps the alignment of a block.
        unsafe { reference::Allocator::shrink(&self.0, ptr, old, new) }.map_err(|_| AllocError)
    }
}
