//! Slabs: slots of one size, each of which is either free or holds one value.
//!
//! | slab | names a value by | a stale name |
//! |---|---|---|
//! | [`typed`] over one backing | its address, or a [`slot_box`] that owns it | may be noticed (see its policies) |
//! | [`generational`] over one backing | a [`handle`], a slot with a generation | is refused |

pub(crate) mod generational;
pub(crate) mod handle;
pub(crate) mod slot_box;
pub(crate) mod typed;
