//! The modules that thread links and headers through memory, and the one bump cursor.

pub(crate) mod bitmap;
pub(crate) mod boundary;
#[cfg(feature = "buddy")]
pub(crate) mod buddy;
pub(crate) mod chunk;
pub(crate) mod copy;
pub(crate) mod cursor;
pub(crate) mod frame;
pub(crate) mod freelist;
#[cfg(all(feature = "std", target_has_atomic = "64"))]
pub(crate) mod lane_chain;
pub(crate) mod place;
pub(crate) mod prefetch;
pub(crate) mod run;
pub(crate) mod slot_link;
#[cfg(feature = "slab")]
pub(crate) mod span;
#[cfg(feature = "slab")]
pub(crate) mod span_map;
#[cfg(test)]
pub(crate) mod testing;
