//! Memory for what a heap knows about its blocks, at addresses that nobody can guess from theirs.
//!
//! ```text
//!   | segment | segment | large block | ..                                       | headers of a segment |
//!     where the system puts mappings, one beside the other          somewhere else, 26 bits of chance
//! ```
//!
//! # Operations
//!
//! A mapping, and a call for random numbers.
//!
//! # Design
//!
//! Systems put mappings one beside the other, so what is at a known distance from a block in one run of a program is there in the
//! next, whatever the randomisation of the whole. A write at such a distance is to meet nothing: headers lie at an address of their
//! own, drawn for each, with unmapped memory around it. It is in the part of the addresses that the system uses for mappings, since sanitizers
//! know of no other. Where the system does not take the hint they lie where it puts them. Each such place costs the system a few pages of tables, which is little beside a segment.

use core::ptr::NonNull;

use forge_os::{MapOptions, Os};

/// The bits of the distance from the stack.
const BITS: u32 = 38;

/// Maps zero memory for metadata; none if there is no memory.
pub(crate) fn map(os: &impl Os, bytes: usize) -> Option<NonNull<u8>> {
    os.map(bytes.checked_next_multiple_of(os.page_size())?, MapOptions::new().with_near(somewhere())).ok()
}

/// Returns a random address below the stack, or 0 where the system has no random numbers, or addresses are few.
fn somewhere() -> usize {
    let here = 0_u8;
    let mut bytes = [0; size_of::<usize>()];
    if usize::BITS <= BITS || forge_os::fill_random(&mut bytes).is_err() {
        return 0;
    }
    let distance = usize::from_ne_bytes(bytes) & ((1 << BITS) - 1);
    (&raw const here).addr().saturating_sub(distance)
}
