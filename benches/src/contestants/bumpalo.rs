//! bumpalo: chunks, downwards; with its default minimum alignment, and with one of eight.

#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use bumpalo::Bump;

use super::{Arena, Blocks, Copies, Fresh, Put, PutWide, Shared, SharedBatch, Wide};
use crate::harness::Side;
use crate::vectors;

/// bumpalo with a minimum alignment.
pub struct Bumpalo<const MIN_ALIGN: usize>(Bump<MIN_ALIGN>);

impl<const MIN_ALIGN: usize> Arena for Bumpalo<MIN_ALIGN> {
    const NAME: &'static str = if MIN_ALIGN == 1 { "bumpalo" } else { "bumpalo, MIN_ALIGN 8" };
    const SIDE: Side = Side::Peer;

    fn with_capacity(bytes: usize) -> Self {
        Self(Bump::with_min_align_and_capacity(bytes))
    }

    #[inline(always)]
    fn reset(&mut self) {
        self.0.reset();
    }
}

impl<const MIN_ALIGN: usize, T: Copy> Put<T> for Bumpalo<MIN_ALIGN> {
    #[inline(always)]
    fn put(&self, value: T) -> &T {
        self.0.alloc(value)
    }
}

impl<const MIN_ALIGN: usize> Blocks for Bumpalo<MIN_ALIGN> {
    type Layout = Layout;

    fn layout(layout: Layout) -> Layout {
        layout
    }

    #[inline(always)]
    fn block(&self, layout: Layout) -> NonNull<u8> {
        self.0.alloc_layout(layout)
    }
}

impl<const MIN_ALIGN: usize> Copies for Bumpalo<MIN_ALIGN> {
    #[inline(always)]
    fn copy_slice(&self, source: &[u8]) -> &[u8] {
        self.0.alloc_slice_copy(source)
    }

    #[inline(always)]
    fn copy_str(&self, source: &str) -> &str {
        self.0.alloc_str(source)
    }
}

impl<const MIN_ALIGN: usize, T: Copy> Fresh<T> for Bumpalo<MIN_ALIGN> {
    #[inline(always)]
    fn fresh() -> Self {
        Self(Bump::with_min_align())
    }
}

vectors!(Bumpalo<1>, arena => allocator_api2_02::vec::Vec::new_in(&arena.0));
vectors!(Bumpalo<8>, arena => allocator_api2_02::vec::Vec::new_in(&arena.0));

/// bumpalo behind the standard mutex.
pub struct LockedBumpalo(Mutex<Bump>);

impl Shared for LockedBumpalo {
    const NAME: &'static str = "bumpalo in a Mutex";
    const SIDE: Side = Side::Peer;
    type Batch<'b> = &'b Self;

    fn with_capacity(bytes: usize) -> Self {
        Self(Mutex::new(Bump::with_capacity(bytes)))
    }

    fn open(&mut self) -> &Self {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).reset();
        self
    }
}

impl SharedBatch for &LockedBumpalo {
    type Handle<'h>
        = LockedHandle<'h>
    where
        Self: 'h;

    fn handle(&self) -> LockedHandle<'_> {
        LockedHandle(self)
    }
}

/// A thread's reference to a [`LockedBumpalo`].
pub struct LockedHandle<'h>(&'h LockedBumpalo);

impl PutWide for LockedHandle<'_> {
    #[inline(always)]
    fn put_wide(&self, value: Wide) -> &Wide {
        let arena = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let block = NonNull::from(arena.alloc(value));
        drop(arena);
        // SAFETY: the arena is reset only through `&mut LockedBumpalo`, so the block outlives this handle's borrow.
        unsafe { block.as_ref() }
    }
}
