//! Decisions that an allocator takes from outside: how its free links are protected, and when a request must fail.
//!
//! Each is a trait with a null implementation ([`NoProtection`], [`NeverFail`]) that compiles to nothing.

mod counter;
mod fault;
mod freelist;
#[cfg(feature = "siphasher")]
mod siphash;

pub use fault::{AllocFaultPolicy, AlwaysFail, FailAfter, FailEveryNth, FailOnSize, NeverFail};
pub use freelist::{Fatal, FreelistCorruption, FreelistProtection, NoProtection, OffSlab, Tracked, Trusting};
#[cfg(feature = "siphasher")]
pub use siphash::SipHashMAC;

#[cfg(test)]
mod tests;
