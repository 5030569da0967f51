//! Guarding the blocks of another allocator: one behaviour a wrapper, everything else passed through.
//!
//! | wrapper | what it adds to a block | what a free does | notices |
//! |---|---|---|---|
//! | [`poison`] | nothing | fills it with a pattern | nothing; reads after a free see the pattern |
//! | [`zeroize`] | nothing | wipes it | nothing; nothing is left to be read |
//! | [`canary`] | a keyed word on each side | checks both | writes beside the block, frees with another layout |
//! | [`quarantine`] | nothing | holds it back | writes after the free and second frees, if it poisons |
//! | [`cache_jitter`] | a random distance and a keyed header | checks the header | writes to the header, frees of what is no block |
//!
//! # Order
//!
//! From the outside in: what wipes, what holds back, what puts words around blocks, what lays blocks out. A wrapper that
//! wipes on free has to stand outside of one that delays frees, or the wiping is delayed too; the compiler refuses that
//! order, see [`quarantine`].
//!
//! [`affix`], [`place`], [`pattern`], [`wipe`], [`keyed`], [`uniform`] and `entropy` are what they share.

mod affix;
pub(crate) mod cache_jitter;
pub(crate) mod canary;
#[cfg(feature = "std")]
mod entropy;
#[cfg(all(feature = "std", any(unix, windows)))]
pub(crate) mod guard_page;
#[cfg(all(feature = "std", any(unix, windows)))]
pub(crate) mod guarded_slab;
mod keyed;
mod pattern;
mod place;
pub(crate) mod poison;
pub(crate) mod quarantine;
mod scrub;
#[cfg(all(feature = "std", any(unix, windows)))]
pub(crate) mod split_metadata;
mod uniform;
mod wipe;
pub(crate) mod zeroize;
