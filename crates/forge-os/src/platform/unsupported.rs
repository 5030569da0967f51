//! A target without a known operating system: every call is an error, none is a silent no-op.

#![allow(unsafe_code)]

use core::ptr::NonNull;

use crate::OsError;
use crate::contract::{Advice, HugePageSizes, MapOptions, Protection};
use crate::numa::{NodeMask, NumaMode};

/// There is no mapping to commit.
pub(crate) const MUST_COMMIT: bool = false;

pub(crate) const MAP_CALL: &str = "map";
pub(crate) const MAP_HUGE_CALL: &str = "map(huge pages)";

pub(crate) fn map(_: usize, _: usize, options: MapOptions) -> Result<NonNull<u8>, OsError> {
    let call = if options.huge_page_size.is_some() { MAP_HUGE_CALL } else { MAP_CALL };
    Err(OsError::unsupported(call))
}

pub(crate) unsafe fn unmap(_: NonNull<u8>, _: usize) -> Result<(), OsError> {
    Err(OsError::unsupported("unmap"))
}

pub(crate) unsafe fn protect(_: NonNull<u8>, _: usize, _: Protection) -> Result<(), OsError> {
    Err(OsError::unsupported("protect"))
}

pub(crate) unsafe fn commit(_: NonNull<u8>, _: usize) -> Result<(), OsError> {
    Err(OsError::unsupported("commit"))
}

pub(crate) unsafe fn decommit(_: NonNull<u8>, _: usize) -> Result<(), OsError> {
    Err(OsError::unsupported("decommit"))
}

pub(crate) unsafe fn advise(_: NonNull<u8>, _: usize, advice: Advice) -> Result<(), OsError> {
    Err(OsError::unsupported(advice.call()))
}

pub(crate) unsafe fn lock(_: NonNull<u8>, _: usize) -> Result<(), OsError> {
    Err(OsError::unsupported("lock"))
}

pub(crate) unsafe fn unlock(_: NonNull<u8>, _: usize) -> Result<(), OsError> {
    Err(OsError::unsupported("unlock"))
}

pub(crate) unsafe fn remap(_: NonNull<u8>, _: usize, _: usize, _: bool) -> Result<NonNull<u8>, OsError> {
    Err(OsError::unsupported("remap"))
}

pub(crate) fn page_size() -> usize {
    0
}

pub(crate) unsafe fn resident(_: NonNull<u8>, _: usize, _: &mut [u8]) -> Result<(), OsError> {
    Err(OsError::unsupported("mincore"))
}

pub(crate) fn milliseconds() -> u64 {
    0
}

pub(crate) fn huge_page_sizes() -> HugePageSizes {
    HugePageSizes::new()
}

pub(crate) fn transparent_huge_page_size() -> Option<usize> {
    None
}

pub(crate) fn numa_node() -> Result<u32, OsError> {
    Err(OsError::unsupported("numa_node"))
}

pub(crate) unsafe fn numa_bind(_: NonNull<u8>, _: usize, _: NumaMode, _: &NodeMask) -> Result<(), OsError> {
    Err(OsError::unsupported("mbind"))
}

pub(crate) fn numa_policy(_: NonNull<u8>) -> Result<(Option<NumaMode>, NodeMask), OsError> {
    Err(OsError::unsupported("get_mempolicy"))
}

pub(crate) fn map_secret(_: usize) -> Result<NonNull<u8>, OsError> {
    Err(OsError::unsupported("map_secret"))
}

pub(crate) fn fill_random(_: &mut [u8]) -> Result<(), OsError> {
    Err(OsError::unsupported("fill_random"))
}

/// Hands the message to the panic handler, the only voice that a program without a system has.
pub(crate) fn say(_: &[&str]) {}

pub(crate) fn die(pieces: &[&str]) -> ! {
    struct Message<'a>(&'a [&'a str]);

    impl core::fmt::Display for Message<'_> {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            self.0.iter().try_for_each(|piece| f.write_str(piece))
        }
    }

    /// A panic cannot leave a function with a C interface: unwinding ends here in an abort.
    extern "C" fn panic_without_unwinding(message: &Message<'_>) -> ! {
        panic!("{message}");
    }

    panic_without_unwinding(&Message(pieces))
}
