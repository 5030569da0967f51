//! Slabs: slots of one size, each of which is either free or holds one value.
//!
//! | slab | names a value by | a stale name |
//! |---|---|---|
//! | [`generational`] over one backing | a [`handle`], a slot with a generation | is refused |

pub(crate) mod generational;
pub(crate) mod handle;
