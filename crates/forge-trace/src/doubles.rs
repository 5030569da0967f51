//! Allocators for the tests of this crate: two that keep their word, and one that breaks it on demand.
#![allow(unsafe_code)]

use alloc::alloc::{alloc, alloc_zeroed, dealloc};
use core::cell::{Cell, UnsafeCell};
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use forge_alloc_core::align::checked_align_up;
use forge_alloc_core::{AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, StableAddress};

/// The host's allocator, with a bound so that absurd requests fail the same everywhere, and a count of live blocks.
#[derive(Debug, Default)]
pub(crate) struct Host {
    pub(crate) live: Cell<isize>,
    /// How many calls to `allocate` succeed before all others fail, if set.
    pub(crate) allowance: Cell<Option<usize>>,
}

const HOST_BOUND: usize = 1 << 20;

impl Host {
    fn issue(
        &self,
        layout: NonZeroLayout,
        get: unsafe fn(core::alloc::Layout) -> *mut u8,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size().get() > HOST_BOUND || layout.align().get() > HOST_BOUND {
            return Err(AllocError);
        }
        if let Some(left) = self.allowance.get() {
            self.allowance.set(Some(left.checked_sub(1).ok_or(AllocError)?));
        }
        // SAFETY: the size of the layout is not zero.
        let ptr = NonNull::new(unsafe { get(layout.to_layout()) }).ok_or(AllocError)?;
        self.live.set(self.live.get() + 1);
        Ok(NonNull::slice_from_raw_parts(ptr, layout.size().get()))
    }
}

// SAFETY: every block came from the host's allocator with the same layout.
unsafe impl Deallocator for Host {
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        self.live.set(self.live.get() - 1);
        // SAFETY: the caller's promises are the callee's.
        unsafe { dealloc(ptr.as_ptr(), layout.to_layout()) };
    }
}

// SAFETY: the host's allocator keeps the contract; resizing is the default, which moves the block.
unsafe impl Allocator for Host {
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.issue(layout, alloc)
    }

    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.issue(layout, alloc_zeroed)
    }
}

// SAFETY: the host's blocks stay where they are; the type is not `Clone`.
unsafe impl StableAddress for Host {}

/// A bump allocator over bytes inside itself, which takes the room of the youngest block back.
#[repr(C, align(64))]
pub(crate) struct Inline<const N: usize> {
    bytes: UnsafeCell<[MaybeUninit<u8>; N]>,
    used: Cell<usize>,
}

impl<const N: usize> Inline<N> {
    pub(crate) const fn new() -> Self {
        Self { bytes: UnsafeCell::new([MaybeUninit::uninit(); N]), used: Cell::new(0) }
    }
}

// SAFETY: the bytes are inside the value, nobody else's, and the value is not `Sync`; the type has an allocator of its
// own and its tests do not carve it.
unsafe impl<const N: usize> FixedRange for Inline<N> {
    fn base(&self) -> NonNull<u8> {
        NonNull::from(&self.bytes).cast()
    }

    fn size(&self) -> usize {
        N
    }
}

// SAFETY: a block that is not the youngest keeps its room until the reset.
unsafe impl<const N: usize> Deallocator for Inline<N> {
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        let offset = ptr.addr().get() - self.base().addr().get();
        if offset + layout.size().get() == self.used.get() {
            self.used.set(offset);
        }
    }
}

// SAFETY: each block lies between the old and the new mark, both inside the bytes.
unsafe impl<const N: usize> Allocator for Inline<N> {
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let base = self.base();
        let free = base.addr().get() + self.used.get();
        let start = checked_align_up(free, layout.align().get()).ok_or(AllocError)? - base.addr().get();
        let end = start.checked_add(layout.size().get()).filter(|end| *end <= N).ok_or(AllocError)?;
        self.used.set(end);
        // SAFETY: `start <= end <= N`.
        let ptr = unsafe { base.add(start) };
        Ok(NonNull::slice_from_raw_parts(ptr, layout.size().get()))
    }

    fn reset(&mut self) -> Result<(), AllocError> {
        self.used.set(0);
        Ok(())
    }

    fn capacity_bytes(&self) -> Option<usize> {
        Some(N)
    }
}

/// The ways in which [`Broken`] breaks its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    None,
    /// A block starts 8 bytes inside the one before.
    Overlaps,
    /// The usable size reaches into the next block.
    ClaimsTooMuch,
    /// The usable size is smaller than the size.
    ClaimsTooLittle,
    /// A block is one byte off its alignment.
    Misaligns,
    /// A slice lacks its last byte.
    Shortens,
    /// Zeroed blocks are not.
    ForgetsZeroing,
    /// Zeroed tails are not.
    ForgetsZeroingTheTail,
    /// A grow changes the last byte that it should keep.
    CorruptsOnGrow,
    /// A shrink copies nothing.
    LosesOnShrink,
    /// A grow fails and changes the block.
    CorruptsOnFailure,
    /// A free writes into the block that was allocated first.
    CorruptsOthers,
    /// The capacity is smaller than what is handed out.
    ExceedsCapacity,
    /// A block lies outside of the range.
    LeavesRange,
    /// Frees count as corruption.
    ReportsCorruption,
    /// A resize that was promised to stay in place moves the block.
    MovesDespitePromise,
}

/// A bump allocator that never reuses memory and has one defect.
pub(crate) struct Broken {
    pub(crate) defect: Defect,
    inner: Inline<8192>,
    first: Cell<Option<NonNull<u8>>>,
    events: Cell<u64>,
}

impl Broken {
    pub(crate) fn new(defect: Defect) -> Self {
        Self { defect, inner: Inline::new(), first: Cell::new(None), events: Cell::new(0) }
    }

    /// Returns the addresses that it claims to be bound to.
    pub(crate) fn range(&self) -> core::ops::Range<usize> {
        let base = self.inner.base().addr().get();
        base..base + if self.defect == Defect::LeavesRange { 40 } else { self.inner.size() }
    }

    fn dirty(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.allocate(layout)?;
        // SAFETY: the block is fresh and this long.
        unsafe { block.cast::<u8>().write_bytes(0xFF, layout.size().get()) };
        Ok(block)
    }
}

// SAFETY: it does not keep the contract; that is its purpose. No memory outside of its own bytes is touched.
unsafe impl Deallocator for Broken {
    unsafe fn deallocate(&self, _: NonNull<u8>, _: NonZeroLayout) {
        match (self.defect, self.first.get()) {
            // SAFETY: the first block is inside the bytes, which live as long as the allocator.
            (Defect::CorruptsOthers, Some(first)) => unsafe { first.write(!first.read()) },
            (Defect::ReportsCorruption, _) => self.events.set(self.events.get() + 1),
            _ => {}
        }
    }
}

// SAFETY: as for `Deallocator`.
unsafe impl Allocator for Broken {
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let used = self.inner.used.get();
        if self.defect == Defect::Overlaps && used >= 8 {
            self.inner.used.set(used - 8);
        }
        let block = self.inner.allocate(layout)?;
        let size = layout.size().get();
        if self.first.get().is_none() {
            self.first.set(Some(block.cast()));
        }
        match self.defect {
            Defect::Misaligns => {
                self.inner.used.set(self.inner.used.get() + 1);
                // SAFETY: one more byte has just been taken behind the block.
                Ok(NonNull::slice_from_raw_parts(unsafe { block.cast::<u8>().add(1) }, size))
            }
            Defect::Shortens => Ok(NonNull::slice_from_raw_parts(block.cast(), size - 1)),
            _ => Ok(block),
        }
    }

    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.dirty(layout)?;
        let zeros = layout.size().get() - usize::from(self.defect == Defect::ForgetsZeroing);
        // SAFETY: the block is fresh and at least this long.
        unsafe { block.cast::<u8>().write_bytes(0, zeros) };
        Ok(block)
    }

    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the last byte of a live block.
        let last = unsafe { ptr.add(old.size().get() - 1) };
        if self.defect == Defect::CorruptsOnFailure {
            // SAFETY: as above; the shadow model has initialised it.
            unsafe { last.write(!last.read()) };
            return Err(AllocError);
        }
        let block = self.dirty(new)?;
        // SAFETY: both blocks are this long and distinct, because a grown block is always a fresh one.
        unsafe { block.cast::<u8>().copy_from_nonoverlapping(ptr, old.size().get()) };
        if self.defect == Defect::CorruptsOnGrow {
            // SAFETY: the new block is longer than this.
            unsafe { block.cast::<u8>().add(old.size().get() - 1).write(last.read().wrapping_add(1)) };
        }
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
        let skipped = usize::from(self.defect == Defect::ForgetsZeroingTheTail);
        let from = (old.size().get() + skipped).min(new.size().get());
        // SAFETY: the block has `new.size()` bytes.
        unsafe { block.cast::<u8>().add(from).write_bytes(0, new.size().get() - from) };
        Ok(block)
    }

    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        _: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        if self.defect == Defect::LosesOnShrink {
            return self.dirty(new);
        }
        Ok(NonNull::slice_from_raw_parts(ptr, new.size().get()))
    }

    unsafe fn stays_in_place(&self, _: NonNull<u8>, _: NonZeroLayout, _: NonZeroLayout) -> bool {
        self.defect == Defect::MovesDespitePromise
    }

    unsafe fn usable_size(&self, _: NonNull<u8>, layout: NonZeroLayout) -> Option<usize> {
        let size = layout.size().get();
        match self.defect {
            Defect::ClaimsTooMuch => Some(size + 1),
            Defect::ClaimsTooLittle => Some(size - 1),
            _ => Some(size),
        }
    }

    fn capacity_bytes(&self) -> Option<usize> {
        Some(if self.defect == Defect::ExceedsCapacity { 100 } else { 8192 })
    }

    fn corruption_events(&self) -> u64 {
        self.events.get()
    }
}
