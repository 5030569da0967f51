//! Values that exist before the program runs: what a `static` of a generic adapter is made of.
//!
//! # Design
//!
//! `Default::default` cannot be called in a `static`, and a constant of a trait can be named there. Each use of the
//! constant is a value of its own.

use forge_alloc_core::sync::NoLock;
#[cfg(target_has_atomic = "8")]
use forge_alloc_core::sync::SpinLock;

use crate::layout::heap::free_list::{Fit, FreeListHeap};
#[cfg(feature = "slab")]
use crate::layout::heap::slab_heap::SlabHeap;
#[cfg(feature = "tlsf")]
use crate::layout::heap::tlsf::Tlsf;

/// A type with a first value that is a constant: an empty heap, a free lock.
pub trait ConstInit {
    /// The first value.
    const INIT: Self;
}

#[allow(clippy::declare_interior_mutable_const, reason = "each use of the constant is a lock of its own")]
impl ConstInit for NoLock {
    const INIT: Self = Self::new();
}

#[cfg(all(target_has_atomic = "8", not(loom)))]
#[allow(clippy::declare_interior_mutable_const, reason = "each use of the constant is a lock of its own")]
impl ConstInit for SpinLock {
    const INIT: Self = Self::new();
}

#[cfg(feature = "tlsf")]
impl<const FIRST: usize, const SECOND: usize> ConstInit for Tlsf<FIRST, SECOND> {
    const INIT: Self = Self::new();
}

#[cfg(feature = "slab")]
impl<const SPAN: usize> ConstInit for SlabHeap<Tlsf, SPAN> {
    const INIT: Self = Self::new();
}

impl<F: Fit> ConstInit for FreeListHeap<F> {
    const INIT: Self = Self::new();
}

/// The lock between threads where there is compare-and-swap, and the one of a single thread elsewhere.
#[cfg(target_has_atomic = "8")]
pub type DefaultLock = SpinLock;
/// The lock between threads where there is compare-and-swap, and the one of a single thread elsewhere.
#[cfg(not(target_has_atomic = "8"))]
pub type DefaultLock = NoLock;
