//! The traits and their companions under one path, for code that imports the contract as a whole.

pub use crate::allocator::{Allocator, Deallocator};
pub use crate::compat::StdCompat;
pub use crate::error::{AllocError, LayoutError};
pub use crate::layout::NonZeroLayout;
pub use crate::os_backed::{OsBacked, ProtectFlags};
#[cfg(feature = "siphasher")]
pub use crate::policy::SipHashMAC;
pub use crate::policy::{
    AllocFaultPolicy, AlwaysFail, FailAfter, FailEveryNth, FailOnSize, Fatal, FreelistCorruption,
    FreelistProtection, NeverFail, NoProtection, OffSlab, Tracked, Trusting,
};
pub use crate::range::FixedRange;
