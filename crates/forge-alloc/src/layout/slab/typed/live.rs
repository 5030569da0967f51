//! Iteration over the live slots of a slab.
//!
//! ```text
//!   slots   1 ................. 4096 | 4097 ............... 8192 | ..   fresh
//!           \__ a window: 4096 bits, set for each slot that is live __/
//! ```
//!
//! # Design
//!
//! A slab without a map of live slots knows only which are free. For each window of slots the iterator walks the free list
//! once and clears the bits of the free ones; the bits live in the iterator, so nothing is allocated and no slot is
//! changed. With a map the window is copied from it instead.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{Allocator, FixedRange, FreelistProtection};

use super::Slab;
use super::shape::Keeps;

/// The bits of a word of the window.
const BITS: u32 = u64::BITS;
/// The words of the window.
const WORDS: u32 = 64;
/// The slots of a window.
const WINDOW: u32 = BITS * WORDS;

/// The places of the live slots of a [`Slab`], in the order of their addresses.
pub struct LiveSlots<'a, T, B: Allocator + FixedRange, M: FreelistProtection> {
    slab: &'a Slab<T, B, M>,
    /// The slots of the window that are live and were not returned yet.
    live: [u64; WORDS as usize],
    /// How many slots lie before the window.
    before: u32,
    /// The word of the window to look at next.
    word: u32,
}

impl<'a, T, B: Allocator + FixedRange, M: FreelistProtection> LiveSlots<'a, T, B, M> {
    /// Returns the iterator in front of the first slot.
    pub(super) fn new(slab: &'a Slab<T, B, M>) -> Self {
        let mut iterator = Self { slab, live: [0; WORDS as usize], before: 0, word: 0 };
        iterator.look();
        iterator
    }

    /// Fills the window with the slots that are live now. O(free slots), or O(1) with a map.
    fn look(&mut self) {
        let Self { slab, live, before, .. } = self;
        live.fill(0);
        let Some(slots) = slab.aligned_slots() else { return };
        let fresh = slab.fresh.get();
        let issued = (fresh as u32).saturating_sub(*before).min(WINDOW);
        for index in 0..issued {
            // Without a map every issued slot counts as live until it is found on the free list.
            if !Keeps::<B, M>::TRACKS || slab.is_live(slots, *before + index + 1) {
                set(live, index, true);
            }
        }
        if Keeps::<B, M>::TRACKS {
            return;
        }
        let mut clear = |number: u32| {
            if let Some(index) = (number - 1).checked_sub(*before).filter(|index| *index < issued) {
                set(live, index, false);
            }
        };
        // SAFETY: the list is the slab's own, and so are the places and the entries; numbers up to `fresh` are slots.
        unsafe {
            if Keeps::<B, M>::OFF_SLAB {
                slab.free.for_each_beside(slots, |offset| clear(slab.number_at(offset)));
            } else {
                if Slab::<T, B, M>::UNLINKED {
                    slab.free.for_each_grouped(slots, fresh, |offset| clear(slab.number_at(offset)));
                    return;
                }
                let top = if Keeps::<B, M>::SIGNS { slab.free.top_signed() } else { slab.free.top_linked() };
                slab.free.for_each_in_slots(slots, fresh, slab.number_at(top), clear);
            }
        }
    }
}

/// Sets or clears a bit of the window.
fn set(live: &mut [u64; WORDS as usize], index: u32, value: bool) {
    if let Some(word) = live.get_mut((index / BITS) as usize) {
        let bit = 1 << (index % BITS);
        *word = if value { *word | bit } else { *word & !bit };
    }
}

impl<T, B: Allocator + FixedRange, M: FreelistProtection> Iterator for LiveSlots<'_, T, B, M> {
    type Item = NonNull<T>;

    fn next(&mut self) -> Option<NonNull<T>> {
        loop {
            if let Some(bits) = self.live.get_mut(self.word as usize) {
                if *bits != 0 {
                    let index = self.word * BITS + bits.trailing_zeros();
                    *bits &= *bits - 1;
                    return Some(self.slab.slot(self.before + index).cast());
                }
                self.word += 1;
                continue;
            }
            if (self.slab.fresh.get() as u32).saturating_sub(self.before) <= WINDOW {
                return None;
            }
            self.before += WINDOW;
            self.word = 0;
            self.look();
        }
    }
}

impl<'a, T, B: Allocator + FixedRange, M: FreelistProtection> IntoIterator for &'a Slab<T, B, M> {
    type Item = NonNull<T>;
    type IntoIter = LiveSlots<'a, T, B, M>;

    fn into_iter(self) -> LiveSlots<'a, T, B, M> {
        self.iter()
    }
}
