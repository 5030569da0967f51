//! Which allocators a quarantine belongs over.
//!
//! # Design
//!
//! A marker that is implemented or absent: the mistake of an order is a message of the compiler and no sentence in a manual.
//! Layouts that issue a freed block again have it; wrappers have it where what they wrap does and they do nothing to a freed
//! block that should not wait. Arenas, backings and wrappers that scrub have it not.

use forge_alloc_core::{Allocator, FixedRange, FreelistProtection};

#[cfg(all(feature = "std", any(unix, windows)))]
use crate::ExtendableSlab;
#[cfg(all(feature = "std", target_has_atomic = "64"))]
use crate::SlabOwner;
#[cfg(feature = "alloc")]
use crate::System;
use crate::{SizeClassed, Slab, StackAlloc, WithFallback};

/// Marks allocators that issue freed blocks again and do nothing to a freed block that should not wait.
#[diagnostic::on_unimplemented(
    message = "a quarantine over `{Self}` has no use, or the wrong effect",
    label = "does not issue freed blocks again, or scrubs them when they are freed",
    note = "an arena never issues a freed block again before it is reset, so there is nothing to hold back",
    note = "a scrubber beneath a quarantine scrubs late: put `ZeroizeOnFree` or `PoisonOnFree` around the `Quarantine`",
    note = "`Quarantine::new` takes any allocator"
)]
pub trait Quarantinable {}

impl<T, B: Allocator + FixedRange, M: FreelistProtection> Quarantinable for Slab<T, B, M> {}
impl<B: Allocator + FixedRange, const CLASSES: usize> Quarantinable for SizeClassed<B, CLASSES> {}
impl<B: FixedRange> Quarantinable for StackAlloc<B> {}
#[cfg(all(feature = "std", any(unix, windows)))]
impl<T, M: FreelistProtection, O: forge_os::Os> Quarantinable for ExtendableSlab<T, M, O> {}
#[cfg(all(feature = "std", target_has_atomic = "64"))]
impl<T, B: Allocator + FixedRange> Quarantinable for SlabOwner<T, B> {}
#[cfg(feature = "alloc")]
impl Quarantinable for System {}
impl<P: Quarantinable, S: Quarantinable> Quarantinable for WithFallback<P, S> {}
impl<A: Quarantinable + ?Sized> Quarantinable for &A {}
