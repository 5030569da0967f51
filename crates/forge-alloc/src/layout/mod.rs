//! How the bytes of a backing are organised.

pub(crate) mod arena;
