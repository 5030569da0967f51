//! What a thread does without looking at any other: size classes and the thread cache.

mod armed;
pub(super) mod busy;
mod by_address;
pub(super) mod cache;
mod exchange;
pub(super) mod sizes;
mod sweep;
