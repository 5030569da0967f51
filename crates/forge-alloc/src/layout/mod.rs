//! How the bytes of a backing are organised.

pub(crate) mod arena;
pub(crate) mod heap;
pub(crate) mod page;
pub(crate) mod quarantinable;
pub(crate) mod route;
pub(crate) mod slab;
