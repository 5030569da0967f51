//! `StdCompat` as an allocator of allocator-api2 0.3.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use allocator_api2_03::alloc as mirror;

use super::{boundary, implement::implement};

implement!(mirror);
