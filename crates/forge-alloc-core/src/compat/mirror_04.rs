//! `StdCompat` as an allocator of allocator-api2 0.4.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use allocator_api2_04::alloc as mirror;

use super::{boundary, implement::implement};

implement!(mirror);
