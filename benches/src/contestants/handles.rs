//! Pools whose values are named by handles: what each library calls inserting, removing and looking up.
//!
//! ```text
//!   ours, slotmap, thunderdome, the reference    a handle of a removed value reaches nothing
//!   slab                                         names are reused: context, not compared
//!   limit                                        a generation is compared, and nothing else
//! ```

use crate::contestants::Wide;
use crate::harness::Side;

mod limit;
mod ours;
mod peers;
mod reference;

pub use limit::Limit;
pub use ours::Ours;
pub use peers::{Dense, SlotMap, Thunderdome, Unguarded};
pub use reference::Reference;

/// A pool of 32-byte values.
pub trait Pool: Sized + 'static {
    /// The library and its configuration.
    const NAME: &'static str;
    /// Whose code it is.
    const SIDE: Side;
    /// What names a value.
    type Handle: Copy + 'static;

    /// Returns a pool with room for `capacity` values.
    fn with_capacity(capacity: usize) -> Self;

    /// Puts a value in and returns its name.
    fn insert(&mut self, value: Wide) -> Self::Handle;

    /// Takes a value out, if it is there.
    fn remove(&mut self, handle: Self::Handle) -> Option<Wide>;

    /// Returns a value, if it is there.
    fn get(&self, handle: Self::Handle) -> Option<&Wide>;
}
