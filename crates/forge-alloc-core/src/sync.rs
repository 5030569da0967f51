//! Locks, and the one door through which the toolkit reaches atomics and cells.
//!
//! ```text
//!   code of the toolkit --> sync::{atomic, cell, hint, Arc} --> core, alloc   (always)
//!                                                          \--> loom          (built with --cfg loom)
//! ```
//!
//! | lock | for | needs |
//! |---|---|---|
//! | [`SpinLock`] | short critical sections of several threads | compare-and-swap |
//! | [`NoLock`] | one thread, at the cost of a flag | nothing |
//!
//! # Design
//!
//! Models run on the shipped source: a lock-free structure imports its atomics from here, and a build with `--cfg loom`
//! puts loom's under the same names. What loom and `core` spell differently is spelled as in loom: a
//! [`cell::UnsafeCell`] is reached through `with` and `with_mut`. Loom's constructors are not `const`.
//!
//! A lock is a [`RawLock`], which holds no data, because the structures that it guards are generic over the lock and keep
//! their data beside it. It is an `unsafe` trait: unsafe code trusts its mutual exclusion.

mod no_lock;
mod raw_lock;
#[cfg(target_has_atomic = "8")]
mod spin;

#[cfg(loom)]
#[path = "sync/model.rs"]
mod primitives;
#[cfg(not(loom))]
#[path = "sync/native.rs"]
mod primitives;

pub use no_lock::NoLock;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub use primitives::Arc;
pub use primitives::{atomic, cell, hint};
pub use raw_lock::{LockGuard, RawLock};
#[cfg(target_has_atomic = "8")]
pub use spin::SpinLock;

#[cfg(all(test, not(loom)))]
mod tests;
