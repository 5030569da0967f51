//! The slot of an armed block: its state, its tail, and what is looked at in it.
//!
//! ```text
//!   slot     | block: size bytes | gap: zeros | tail: 8 bytes |        state: live or freed, elsewhere
//!                                               0 | slack, alignment | tag
//! ```
//!
//! Invariants are those of the [module above](super).
//!
//! # Operations
//!
//! Arm, check, disarm: O(size). Everything else is O(1).
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, Ordering};

use forge_os::Os;

use crate::fast::back::segment::GRAIN;
use crate::fast::back::sparse;
use crate::fast::checks::{Misuse, misuse};
use crate::fast::front::cache::block_at;
use crate::zeros::{are_zero, clear};

/// The state of a grain where a live block starts.
const LIVE: u8 = 1;

/// The state of a grain where a block started that was freed last.
const FREED: u8 = 2;

/// The bytes of a tail.
pub(in crate::fast::front) const TAIL: usize = 8;

/// The largest slot that is looked at before it is handed out.
pub(super) const LARGEST_CHECKED: usize = 32 << 10;

const SLACK_BITS: u32 = 20;
const SLACK_SHIFT: u32 = 8;
const ALIGN_SHIFT: u32 = SLACK_SHIFT + SLACK_BITS;
const TAG_SHIFT: u32 = 32;

/// The smallest slot of which few pages may have been touched: below, asking which costs as much as clearing all.
pub(super) const SMALLEST_SPARSE: usize = 128 << 10;

/// The largest slot that is checked and cleared without a call.
pub(super) const LARGEST_INLINE: usize = 512;

/// The bits of a gap of so many bytes in the word that it starts in, and in the word before the tail.
const GAP_BITS: [(u64, u64); GRAIN] = {
    let mut bits = [(0, 0); GRAIN];
    let mut gap = 1;
    while gap < GRAIN {
        let first = u64::MAX << (8 * (TAIL - 1 - (gap - 1) % TAIL));
        bits[gap] = (first, if gap < TAIL { first } else { u64::MAX });
        gap += 1;
    }
    bits
};

/// Returns the word behind a block with so much slack in its slot, under a key, which is odd. O(1).
#[inline(always)]
fn tail(key: u64, address: usize, slack: usize, align: usize) -> u64 {
    let said = (slack as u64) << SLACK_SHIFT | u64::from(align.trailing_zeros()) << ALIGN_SHIFT;
    // The upper half of the product depends on every bit of both, and on the key.
    let mixed = ((address as u64) << 16 ^ said ^ key).wrapping_mul(key);
    (mixed >> TAG_SHIFT << TAG_SHIFT) | said
}

/// Returns the slack and the alignment that a tail tells.
#[inline(always)]
fn told(tail: u64) -> (usize, usize) {
    let slack = (tail >> SLACK_SHIFT) as usize & ((1 << SLACK_BITS) - 1);
    (slack, 1 << (tail >> ALIGN_SHIFT & 15))
}

/// A block in its slot.
#[derive(Clone, Copy)]
pub(in crate::fast::front) struct Slot<'h> {
    pub(in crate::fast::front) address: usize,
    pub(in crate::fast::front) size: usize,
    /// That of the grain where the slot starts.
    state: &'h AtomicU8,
}

impl<'h> Slot<'h> {
    /// Returns the slot of so many bytes at an address, whose state is there. O(1).
    #[inline(always)]
    pub(super) fn new(address: usize, size: usize, state: &'h AtomicU8) -> Self {
        Self { address, size, state }
    }

    /// Returns whether a live block starts here. O(1).
    pub(in crate::fast::front) fn is_live(self) -> bool {
        self.state.load(Ordering::Relaxed) == LIVE
    }

    /// Returns the pointer to a byte of the slot.
    #[inline(always)]
    pub(super) fn at(self, offset: usize) -> *mut u8 {
        block_at(self.address + offset)
    }

    /// Puts the tail behind a block of this layout.
    ///
    /// # Safety
    ///
    /// The slot is the caller's, and the layout and a tail fit.
    #[inline(always)]
    pub(super) unsafe fn seal(self, key: u64, layout: Layout) {
        let word = tail(key, self.address, self.size - layout.size(), layout.align());
        // SAFETY: the last word of the slot, which is aligned as slots are.
        unsafe { self.at(self.size - TAIL).cast::<u64>().write(word.to_le()) };
    }

    /// Returns the tail as it is.
    ///
    /// # Safety
    ///
    /// The slot is in a mapped segment.
    #[inline(always)]
    unsafe fn tail(self) -> u64 {
        // SAFETY: as in `seal`.
        u64::from_le(unsafe { self.at(self.size - TAIL).cast::<u64>().read() })
    }

    /// Makes a zero slot a live block of this layout.
    ///
    /// # Safety
    ///
    /// As for [`seal`](Self::seal).
    #[inline(always)]
    pub(super) unsafe fn arm(self, key: u64, layout: Layout) {
        // SAFETY: the slot is the caller's, in a segment with states.
        unsafe {
            // Relaxed: whoever frees the block got its address from here.
            if self.is_live() {
                misuse(Misuse::FreedAtOnce);
            }
            self.state.store(LIVE, Ordering::Relaxed);
            if self.size <= LARGEST_CHECKED && !are_zero(self.at(0), self.size) {
                misuse(Misuse::WriteAfterFree);
            }
            self.seal(key, layout);
        }
    }

    /// The same for slots that are longer than a few lines.
    ///
    /// # Safety
    ///
    /// As for [`arm`](Self::arm).
    #[inline(never)]
    pub(super) unsafe fn arm_long(self, key: u64, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.arm(key, layout) };
        self.at(0)
    }

    /// Checks that a block of this layout is live here and nothing was written past its end.
    ///
    /// # Safety
    ///
    /// The address lies in a span of slots of this size.
    #[inline(always)]
    pub(super) unsafe fn check(self, key: u64, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe {
            self.check_live();
            if self.tail() != tail(key, self.address, self.size.wrapping_sub(layout.size()), layout.align()) {
                self.blame(key);
            }
            if !self.gap_is_zero(layout.size()) {
                misuse(Misuse::Overflow);
            }
        }
    }

    /// Returns whether the bytes between a block of `size` bytes and the tail are zero.
    ///
    /// # Safety
    ///
    /// As for [`check`](Self::check), and block and tail fit.
    #[inline(always)]
    unsafe fn gap_is_zero(self, size: usize) -> bool {
        let gap = self.size - TAIL - size;
        // SAFETY: the caller's promise; a slot has at least two words, and the word that a block ends in or before is one of them.
        unsafe {
            if gap >= GRAIN {
                return are_zero(self.at(size), gap);
            }
            // The word that the gap starts in and the one before the tail: the same one if the gap is short.
            let word = |offset| u64::from_le(self.at(offset).cast::<u64>().read());
            let (first, last) = GAP_BITS.get_unchecked(gap);
            word(size / TAIL * TAIL) & first | word(self.size - 2 * TAIL) & last == 0
        }
    }

    /// Checks that a block starts here and is live.
    ///
    /// # Safety
    ///
    /// As for [`check`](Self::check).
    #[inline(always)]
    pub(super) unsafe fn check_live(self) {
        let state = self.state.load(Ordering::Relaxed);
        if state != LIVE || self.address % GRAIN != 0 {
            let freed = state == FREED && self.address % GRAIN == 0;
            misuse(if freed { Misuse::DoubleFree } else { Misuse::NoBlock });
        }
    }

    /// Ends the process because the tail is not what it should be: it is another block's layout, or was overwritten.
    ///
    /// # Safety
    ///
    /// As for [`check`](Self::check).
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn blame(self, key: u64) -> ! {
        // SAFETY: the caller's promise.
        let genuine = unsafe { self.layout(key) }.is_some();
        misuse(if genuine { Misuse::WrongLayout } else { Misuse::Overflow })
    }

    /// Returns the layout that the tail tells, if it is a genuine one.
    ///
    /// # Safety
    ///
    /// As for [`check`](Self::check).
    pub(super) unsafe fn layout(self, key: u64) -> Option<Layout> {
        // SAFETY: the caller's promise.
        self.told(unsafe { self.tail() }, key)
    }

    /// Returns the layout that a tail of this slot tells, if it is a genuine one.
    pub(in crate::fast::front) fn told(self, word: u64, key: u64) -> Option<Layout> {
        let (slack, align) = told(word);
        let size = self.size.checked_sub(slack).filter(|&size| size > 0 && slack >= TAIL)?;
        let layout = Layout::from_size_align(size, align).ok()?;
        (word == tail(key, self.address, slack, align)).then_some(layout)
    }

    /// Makes the slot of a checked block free and zero.
    ///
    /// # Safety
    ///
    /// The block is live, of this layout, and nobody uses it any more.
    #[inline(always)]
    pub(super) unsafe fn disarm(self, os: &impl Os, layout: Layout) {
        // SAFETY: the slot is the caller's, and what lies between block and tail is zero.
        unsafe {
            self.state.store(FREED, Ordering::Relaxed);
            if self.size <= LARGEST_INLINE {
                return clear(self.at(0), self.size);
            }
            match NonNull::new(self.at(0)) {
                Some(start) if self.size >= SMALLEST_SPARSE => sparse::clear(os, start, layout.size()),
                _ => self.at(0).write_bytes(0, layout.size()),
            }
            self.at(self.size - TAIL).cast::<u64>().write(0);
        }
    }
}

#[cfg(test)]
mod tests;
