//! Where memory comes from and goes back to: segments of units, and mappings of their own.

pub(super) mod arrays;
pub(super) mod aside;
mod decay;
pub(super) mod directory;
pub(super) mod guarded;
pub(super) mod huge;
pub(super) mod segment;
pub(super) mod sparse;
pub(super) mod units;
