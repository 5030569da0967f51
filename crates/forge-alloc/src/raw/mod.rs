//! The modules that thread links and headers through memory, and the one bump cursor.

pub(crate) mod chunk;
pub(crate) mod copy;
pub(crate) mod cursor;
pub(crate) mod frame;
pub(crate) mod freelist;
pub(crate) mod place;
pub(crate) mod slot_link;
