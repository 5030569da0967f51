//! The last look at armed blocks: what was written past the end of one that is never freed.
//!
//! ```text
//!   every lock ── each span: each issued slot that is live: tail and gap ── each guarded block: slack ── every lock back ── the verdict
//! ```
//!
//! # Invariants
//!
//! - (I1) While a thread has every lock no span is made and none goes, so an issued slot stays readable.
//! - (I2) A tail that is not zero is written at once, after the gap in front of it was found zero.
//!
//! # Operations
//!
//! O(slots): a process pays a few nanoseconds for each block that it does not free.
//!
//! # Design
//!
//! A free looks at the block, so what is never freed is never looked at; here it is, when the process ends. Other
//! threads may run meanwhile: they are served by their caches, which are not locked. So what looks wrong is looked at again and again, and
//! counts if it stays as it is: a block that is being allocated has no tail yet, one that is being freed is not live, and one that was freed
//! and allocated in between has another tail or another gap at the next look. A tail that was overwritten by zeros cannot
//! be told from none.
#![allow(unsafe_code)]

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering};

use forge_os::Os;

use super::armed::{Slot, TAIL};
use super::cache::block_at;
use crate::fast::checks::{Misuse, misuse};
use crate::fast::heap::Heap;
use crate::fast::profile::Profile;

/// How often a slot is looked at before it counts as overwritten.
const LOOKS: usize = 64;

impl<P: Profile, O: Os> Heap<P, O> {
    /// Ends the process if something was written past the end of a live block, where blocks are armed. O(blocks).
    pub fn check_blocks(&self) {
        if !P::ARMED {
            return;
        }
        self.lock_all();
        let (key, mut whole) = (self.key(), true);
        // SAFETY: every lock is this thread's, and is given back once. Issued slots of spans are readable (I1).
        unsafe {
            self.units.each_span(|span| {
                let class = (*span).class();
                let mut addresses = (*span).issued(class.shape::<P>().size);
                whole = whole && addresses.all(|address| is_whole(self.slot(class, address), key));
            });
            whole = whole && self.guarded.is_whole();
            self.unlock_all();
        }
        // No lock is held any more.
        if !whole {
            misuse(Misuse::Overflow);
        }
    }
}

/// Returns whether a slot has no live block, or one that nothing was written past.
///
/// # Safety
///
/// The slot lies in a segment with states and stays readable.
unsafe fn is_whole(slot: Slot<'_>, key: u64) -> bool {
    let mut before = None;
    for _ in 0..LOOKS {
        // SAFETY: the caller's promise.
        let wrong = unsafe { wrong_tail(slot, key) };
        if wrong.is_none() || before.is_some_and(|before| wrong != Some(before)) {
            return true;
        }
        before = wrong;
        spin_loop();
    }
    false
}

/// Returns the tail of a live block that is no tail, or has something else than zeros in front of it.
///
/// # Safety
///
/// As for [`is_whole`].
unsafe fn wrong_tail(slot: Slot<'_>, key: u64) -> Option<u64> {
    // SAFETY: the caller's promise; the last word of a slot is aligned.
    unsafe {
        let place = AtomicU64::from_ptr(block_at(slot.address + slot.size - TAIL).cast());
        // Relaxed: whatever another thread does meanwhile is seen as a change by one of the looks.
        let tail = place.load(Ordering::Relaxed);
        if tail == 0 || !slot.is_live() {
            return None;
        }
        let Some(layout) = slot.told(u64::from_le(tail), key) else { return Some(tail) };
        let gap = layout.size()..slot.size - TAIL;
        let zero = gap.fold(0, |all, offset| all | block_at(slot.address + offset).read_volatile()) == 0;
        (!zero).then_some(tail)
    }
}

#[cfg(test)]
mod tests;
