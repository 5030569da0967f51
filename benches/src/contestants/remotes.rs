//! Pools whose slots are taken by one thread and given back by others.
//!
//! ```text
//!   ours, reference     SlabOwner and SlabRemote
//!   peers               free pointers that come home through a queue; mimalloc and the system's malloc
//!   limit               chains of 64 slots, one exchange each
//! ```
//!
//! The first word of an object is written when its slot is taken and read when it is given back, as in
//! [`slabs`](crate::contestants::slabs).
#![allow(unsafe_code)]

use core::ptr::NonNull;

use super::slabs::Object;
use crate::harness::Side;

mod limit;
mod ours;
mod peers;
mod reference;

pub use limit::Chains;
pub use ours::Ours;
pub use peers::Queue;
pub use reference::Reference;

/// The side that takes slots. It stays on one thread.
pub trait Owner: Sized + 'static {
    /// The library and its configuration.
    const NAME: &'static str;
    /// Whose code it is.
    const SIDE: Side;
    /// The other side.
    type Remote: Remote;

    /// Returns a pool that holds `slots` objects at once, wherever they are on their way.
    fn with_capacity(slots: usize) -> Self;

    /// Returns another thread's way to give slots back.
    fn remote(&self) -> Self::Remote;

    /// Takes a slot and writes `word` to its start.
    fn take(&mut self, word: u64) -> NonNull<Object>;
}

/// The side that gives slots back, on a thread of its own.
pub trait Remote: Send + 'static {
    /// Reads the word at the start of a slot and gives the slot back.
    ///
    /// # Safety
    ///
    /// `slot` was taken from the owner that this side came from and not given back since.
    unsafe fn give(&mut self, slot: NonNull<Object>) -> u64;

    /// Sends home what the side keeps for the sake of batches.
    fn flush(&mut self) {}
}
