//! [`Faulty`]: refuses requests when a policy says so, to test what happens then.
//!
//! ```text
//!   allocate, allocate_zeroed, grow, grow_zeroed, shrink --> policy --> refused: an error, nothing else happens
//!                                                                 \---> the inner allocator
//!   everything else ------------------------------------------------->  the inner allocator
//! ```
//!
//! # Invariants
//!
//! - (I1) Every block is a block of the inner allocator, with the layout that the inner allocator knows.
//! - (I2) The policy is asked once for each request, with the layout that the block shall have, before the inner allocator is.
//!
//! # Operations
//!
//! As the inner allocator's.
//!
//! # Design
//!
//! A resize is one request, and is forwarded when it is granted: a block that can stay does. A refused one leaves the block
//! alive and unchanged, as every error does. Nobody is told that a resize would succeed
//! ([`stays_in_place`](Allocator::stays_in_place)), because the policy has not been asked.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{
    AllocError, AllocFaultPolicy, Allocator, Deallocator, FixedRange, NonZeroLayout, OsBacked, ProtectFlags,
    StableAddress,
};

use crate::forward::{
    forward_deallocator, forward_os_backed, forward_reset, forward_totals, forward_uncarvable_range,
};
use crate::layout::quarantinable::Quarantinable;

/// An allocator that fails on purpose, for tests.
///
/// # Examples
///
/// ```
/// use forge_alloc::{Allocator, BumpArena, FailAfter, Faulty, InlineBacked, NonZeroLayout};
///
/// let arena = Faulty::new(BumpArena::new(InlineBacked::<256>::new())?, FailAfter::new(1));
/// let layout = NonZeroLayout::for_type::<u64>().unwrap();
/// assert!(arena.allocate(layout).is_ok());
/// assert!(arena.allocate(layout).is_err());
/// assert_eq!(arena.inner().allocated(), 8);
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Faulty<I, P> {
    inner: I,
    policy: P,
}

impl<I, P> Faulty<I, P> {
    /// Returns `inner`, whose requests `policy` may refuse. O(1).
    #[must_use]
    pub const fn new(inner: I, policy: P) -> Self {
        Self { inner, policy }
    }

    /// Returns the policy.
    #[inline]
    #[must_use]
    pub const fn policy(&self) -> &P {
        &self.policy
    }

    /// Returns the inner allocator, which refuses nothing on purpose.
    #[inline]
    #[must_use]
    pub const fn inner(&self) -> &I {
        &self.inner
    }

    /// Returns the inner allocator and the policy. O(1).
    #[must_use]
    pub fn into_parts(self) -> (I, P) {
        (self.inner, self.policy)
    }
}

impl<I, P: AllocFaultPolicy> Faulty<I, P> {
    /// Asks the policy about a request.
    #[inline(always)]
    fn ask(&self, layout: NonZeroLayout) -> Result<(), AllocError> {
        if self.policy.should_fail(layout) { Err(AllocError) } else { Ok(()) }
    }
}

// SAFETY: every block is the inner allocator's (I1), which takes it back.
unsafe impl<I: Allocator, P: AllocFaultPolicy> Deallocator for Faulty<I, P> {
    forward_deallocator!(inner);
}

// SAFETY: a request that is granted reaches the inner allocator, which keeps the contract (I1); one that is refused changes
// nothing (I2).
unsafe impl<I: Allocator, P: AllocFaultPolicy> Allocator for Faulty<I, P> {
    #[inline]
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.ask(layout)?;
        self.inner.allocate(layout)
    }

    #[inline]
    fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        self.ask(layout)?;
        self.inner.allocate_zeroed(layout)
    }

    #[inline]
    unsafe fn grow(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        self.ask(new)?;
        // SAFETY: the caller's promises are the callee's (I1).
        unsafe { self.inner.grow(ptr, old, new) }
    }

    #[inline]
    unsafe fn grow_zeroed(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        self.ask(new)?;
        // SAFETY: the caller's promises are the callee's (I1).
        unsafe { self.inner.grow_zeroed(ptr, old, new) }
    }

    #[inline]
    unsafe fn shrink(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        self.ask(new)?;
        // SAFETY: the caller's promises are the callee's (I1).
        unsafe { self.inner.shrink(ptr, old, new) }
    }

    #[inline]
    unsafe fn usable_size(&self, ptr: NonNull<u8>, layout: NonZeroLayout) -> Option<usize> {
        // SAFETY: the caller's promises are the callee's (I1).
        unsafe { self.inner.usable_size(ptr, layout) }
    }

    forward_reset!(inner);
    forward_totals!(inner);
}

// SAFETY: the range is the inner allocator's, and blocks are its blocks (I1). Nobody carves it.
unsafe impl<I: FixedRange, P: AllocFaultPolicy> FixedRange for Faulty<I, P> {
    forward_uncarvable_range!(inner: I);
}

// SAFETY: the mapping is the inner allocator's.
unsafe impl<I: OsBacked, P: AllocFaultPolicy> OsBacked for Faulty<I, P> {
    forward_os_backed!(inner);
}

// SAFETY: every block is the inner allocator's (I1), and a move of the wrapper moves it and nothing that blocks lie in.
unsafe impl<I: StableAddress, P> StableAddress for Faulty<I, P> {}

impl<I: Allocator + Quarantinable, P: AllocFaultPolicy> Quarantinable for Faulty<I, P> {}

#[cfg(test)]
mod tests;
