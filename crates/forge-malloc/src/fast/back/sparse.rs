//! Clearing memory of which few pages may have been touched: those alone, and whatever is elsewhere is dropped.
//!
//! ```text
//!   pages     | touched | never | never | never | never | touched |
//!             | cleared |   the system has nothing, or drops it | cleared |
//! ```
//!
//! # Operations
//!
//! [`clear`]: O(touched bytes + pages), and a call to the system, with one more for each long run of pages that are not in memory.
//!
//! # Design
//!
//! Writing zeros into a page that was never touched costs a fault and memory, and giving a page back that will be touched again costs a fault as
//! well. The system knows which is which. A page that is not in memory may be swapped out, so it is given back all the same.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_os::{Os, Released};

/// The most pages that are asked about.
const MOST_PAGES: usize = 256;

/// The fewest pages for whose sake the system is called again.
const WORTH_A_CALL: usize = 4;

/// Makes `len` bytes zero. O(`len`).
///
/// # Safety
///
/// The bytes lie in one live mapping of the system, and nobody else uses them.
pub(crate) unsafe fn clear(os: &impl Os, start: NonNull<u8>, len: usize) {
    let page = os.page_size();
    let mut places = [0; MOST_PAGES];
    // SAFETY: the caller's promise; each part lies within the bytes.
    unsafe {
        let Some(known) = ask(os, start, len / page, &mut places) else { return start.write_bytes(0, len) };
        let mut first = 0;
        for run in known.chunk_by(|one, other| one == other) {
            let (part, bytes) = (start.add(first * page), run.len() * page);
            let absent = run.first() == Some(&0) && run.len() >= WORTH_A_CALL;
            if !absent || !matches!(os.release_pages(part, bytes), Ok(Released::Zeroed)) {
                part.write_bytes(0, bytes);
            }
            first += run.len();
        }
        start.add(first * page).write_bytes(0, len - first * page);
    }
}

/// Asks the system which of so many pages are in memory; none if it does not tell.
///
/// # Safety
///
/// The pages lie in one live mapping of the system.
unsafe fn ask<'a>(os: &impl Os, start: NonNull<u8>, pages: usize, places: &'a mut [u8]) -> Option<&'a [u8]> {
    let page = os.page_size();
    let resident = places.get_mut(..pages)?;
    let whole = start.addr().get() % page == 0;
    // SAFETY: the caller's promise, for whole pages.
    (whole && unsafe { os.resident(start, pages * page, resident) }.is_ok()).then_some(resident)
}

#[cfg(test)]
mod tests;
