//! `StdCompat` as an allocator of the standard library.
#![allow(unsafe_code)]

use core::alloc as mirror;
use core::alloc::Layout;
use core::ptr::NonNull;

use super::{boundary, implement::implement};

implement!(mirror);
