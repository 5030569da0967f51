//! Runs of pages and of numbers, over bitmaps.

#[cfg(any(feature = "bitmap", feature = "buddy"))]
mod addresses;
#[cfg(feature = "bitmap")]
pub(crate) mod bitmap_pages;
#[cfg(feature = "buddy")]
pub(crate) mod buddy_pages;
pub(crate) mod ids;
pub(crate) mod spans;
