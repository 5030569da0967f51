//! Every message about misuse or corruption that a building block has detected, and what happens then.
//!
//! | detected | what happens |
//! |---|---|
//! | a link of a free list was overwritten | debug builds panic; others count it and go on without the list |
//! | a free of what the block never issued | debug builds panic; others count it and leave everything alone |
//! | the same, or a second free, where the block keeps a map of what is live | the process ends |
//! | a block moved where it may not be | the process ends |
//!
//! # Design
//!
//! One place, so that a message is worded once, can be searched for, and is what its test expects. A panic in a debug
//! build is for the author of the mistake; a release build never unwinds out of an allocator. It ends the process where
//! the user of the block has asked for that, or where going on would corrupt memory.

/// Reports a link of a free list that was overwritten. The caller has counted it and dropped the list.
#[cold]
#[inline(never)]
pub(crate) fn freelist_corruption() {
    debug_assert!(
        release(),
        "Slab freelist corruption: a free slot was written to; look for a use after free"
    );
}

/// Reports a free of a pointer that is no slot which was issued. The caller has counted it and ignores the free.
#[cold]
#[inline(never)]
pub(crate) fn foreign_free() {
    debug_assert!(
        release(),
        "free of a pointer outside slab range, or inside of a slot, or to a slot that was never issued"
    );
}

/// Returns whether this build goes on where a debug build panics.
const fn release() -> bool {
    !cfg!(debug_assertions)
}

/// Ends the process at a free of a pointer that is no slot which was issued.
#[cold]
#[inline(never)]
pub(crate) fn fatal_foreign_free() -> ! {
    forge_os::fatal(&["forge-alloc: free of a pointer that this slab did not issue"])
}

/// Ends the process at a free of a slot that is free.
#[cold]
#[inline(never)]
pub(crate) fn fatal_double_free() -> ! {
    forge_os::fatal(&["forge-alloc: double free of a slab slot"])
}

/// Ends the process when a secondary allocator has moved a block into the range of the primary.
#[cold]
#[inline(never)]
pub(crate) fn fatal_secondary_overlap() -> ! {
    forge_os::fatal(&["forge-alloc: a secondary allocator moved a block into the range of the primary"])
}
