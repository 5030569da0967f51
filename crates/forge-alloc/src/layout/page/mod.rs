//! Runs of pages and of numbers, over bitmaps.

pub(crate) mod bitmap_pages;
pub(crate) mod buddy_pages;
pub(crate) mod ids;
mod spans;
