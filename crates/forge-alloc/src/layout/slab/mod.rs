//! Slabs: slots of one size, each of which is either free or holds one value.
//!
//! | slab | names a value by | a stale name |
//! |---|---|---|
//! | [`typed`] over one backing | its address, or a [`slot_box`] that owns it | may be noticed (see its policies) |
//! | [`size_classed`] over one backing, slots of several sizes | its address | goes unnoticed |
//! | `extendable`, by segments, for several threads | its address, or a [`slot_box`] | as in [`typed`] |
//! | `remote`: one thread allocates, any thread frees | its address, or a [`slot_box`] | goes unnoticed |
//! | any, in a static | a [`static_box`] that owns it, one pointer wide | as in its slab |
//! | [`generational`] over one backing | a [`handle`], a slot with a generation | is refused |

#[cfg(all(feature = "std", any(unix, windows)))]
pub(crate) mod extendable;
pub(crate) mod generational;
pub(crate) mod handle;
#[cfg(all(feature = "std", target_has_atomic = "64"))]
pub(crate) mod remote;
pub(crate) mod size_classed;
pub(crate) mod slot_box;
pub(crate) mod static_box;
pub(super) mod stride;
pub(crate) mod typed;
