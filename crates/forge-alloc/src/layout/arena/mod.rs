//! Arenas: allocation by moving a cursor, release all at once.
//!
//! | arena | grows | frees | shared between threads |
//! |---|---|---|---|
//! | [`bump`] over one backing | no | the last block | no |
//! | [`scope`] of a bump arena | no | the last block, all at its end | no |
//! | [`chunked`] over a source of chunks | yes | the last block | no |
//! | [`shared_bump`] over one backing | no | the thread's last block | yes |
//! | [`stack`] over one backing | no | any block, once those above it are free | no |
//!
//! [`pool`] keeps bump arenas for the next use.

pub(crate) mod boxed;
pub(crate) mod bump;
pub(crate) mod chunked;
#[cfg(feature = "alloc")]
pub(crate) mod pool;
pub(crate) mod scope;
#[cfg(target_has_atomic = "ptr")]
pub(crate) mod shared_bump;
pub(crate) mod stack;
mod typed;
