//! Every message about misuse that the teaching allocator has detected. The process ends with it.
//!
//! # Design
//!
//! A heap that was told something false cannot be trusted to serve the code that would handle the error, so nothing
//! unwinds and nothing returns. `forge_os::fatal` allocates nothing and takes no lock.

/// Ends the process because a block was freed that overlaps free memory.
#[cold]
#[inline(never)]
pub(super) fn overlapping_free() -> ! {
    forge_os::fatal(&[
        "forge-malloc: double free, or free with another size: a freed block overlaps free memory",
    ])
}

/// Ends the process because a block was freed at an address where no block can be.
#[cold]
#[inline(never)]
pub(super) fn foreign_free() -> ! {
    forge_os::fatal(&["forge-malloc: free of a pointer that this allocator did not issue"])
}

/// Ends the process because a thread waits for itself.
#[cold]
#[inline(never)]
pub(super) fn guard_inside_guard() -> ! {
    forge_os::fatal(&["forge-malloc: get_raw on a thread that is inside of this allocator already"])
}
