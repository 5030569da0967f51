//! Armed blocks: what a profile that checks puts around each block, and looks at when it is freed.
//!
//! ```text
//!   slot of a class                                         segment
//!   | block: size bytes | gap: zeros | tail: 8 bytes |       | states: .. live .. freed .. |
//!                                      0 | slack, alignment | tag
//!
//!   allocate:  the slot is zero?   state: live     tail
//!   free:      class and state?    tail, gap?      state: freed     the slot is zero again
//! ```
//!
//! # Invariants
//!
//! - (I1) Only the state of a grain where an armed block starts is [`LIVE`], and it is until the block is freed.
//! - (I2) A slot that no block is in is zero, unless somebody wrote to it who must not.
//! - (I3) The last word of a live block's slot is [`tail`] of its address, slack and alignment, and the bytes between are zero,
//!   unless somebody wrote past its end.
//!
//! # Operations
//!
//! Allocate, free: O(size), since blocks are cleared when they are freed and looked at when they are handed out. Everything else is
//! a dozen instructions.
//!
//! # Design
//!
//! *States beside the blocks*, a byte for every sixteen, so that a second free and a free of an inner address are seen at the call, by
//! whichever thread, until the slot is handed out again; a byte is written by plain stores. Two threads that free one block within a
//! few instructions may both pass; then the block is twice among the free ones, and whoever is given it second finds it live.
//!
//! *The tail* tells the exact size and alignment, so a free with another layout is seen, and a free that knows none can still check
//! everything. Its tag is keyed and depends on the address, so the tail of one block cannot be put behind another one. Its lowest byte
//! is zero: a string that lacks its end ends there, as in the canaries of glibc.
//!
//! *Zero while free*: nothing that was in a block can be read after the free or from the next block, and whatever is not zero when the
//! block is handed out was written in between. So a zeroed block is one that is checked, and costs nothing more.
//! Slots above [`LARGEST_CHECKED`] are cleared and not checked, since looking at memory that was never touched would touch it.
//! Of those from [`SMALLEST_SPARSE`] on, pages that were never touched are left [alone](sparse).
//!
//! The idea of a reserve from which blocks are drawn at random, and of clearing on free and checking on reuse, is
//! hardened_malloc's (Micay); tags that depend on the address are in Scudo.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering;

use forge_os::Os;

use super::cache::{ThreadCache, allocate_huge, block_at, take_without_cache};
use super::sizes::Class;
use crate::fast::back::segment::{GRAIN, state_of};
use crate::fast::back::sparse;
use crate::fast::checks::{Misuse, misuse};
use crate::fast::heap::Heap;
use crate::fast::profile::Profile;
use crate::zeros::{are_zero, clear};

/// The state of a grain where a live block starts.
const LIVE: u8 = 1;

/// The state of a grain where a block started that was freed last.
const FREED: u8 = 2;

/// The bytes of a tail.
pub(super) const TAIL: usize = 8;

/// The largest slot that is looked at before it is handed out.
const LARGEST_CHECKED: usize = 32 << 10;

const SLACK_BITS: u32 = 20;
const SLACK_SHIFT: u32 = 8;
const ALIGN_SHIFT: u32 = SLACK_SHIFT + SLACK_BITS;
const TAG_SHIFT: u32 = 32;

/// The smallest slot of which few pages may have been touched: below, asking which costs as much as clearing all.
const SMALLEST_SPARSE: usize = 128 << 10;

/// The largest slot that is checked and cleared without a call.
const LARGEST_INLINE: usize = 512;

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

/// Returns the class that serves a layout with a tail behind it; none for a layout that gets a mapping of its own, and for an empty one.
#[inline(always)]
fn class_of(layout: Layout) -> Option<Class> {
    if layout.size() == 0 {
        return None;
    }
    // The number below the size with a tail, once that is rounded up to grains and to the alignment. No sum wraps: the size of
    // a layout is at most `isize::MAX`.
    Class::above((layout.size() + TAIL - 1) | (GRAIN - 1) | (layout.align() - 1), layout.align())
}

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
pub(super) struct Slot {
    pub(super) address: usize,
    pub(super) size: usize,
}

/// Returns whether a live block starts at an address. O(1).
///
/// # Safety
///
/// The address lies in a segment with states.
pub(super) unsafe fn is_live(address: usize) -> bool {
    // SAFETY: the caller's promise.
    unsafe { state_of(address) }.load(Ordering::Relaxed) == LIVE
}

impl Slot {
    /// Returns the pointer to a byte of the slot.
    #[inline(always)]
    fn at(self, offset: usize) -> *mut u8 {
        block_at(self.address + offset)
    }

    /// Puts the tail behind a block of this layout.
    ///
    /// # Safety
    ///
    /// The slot is the caller's, and the layout and a tail fit.
    #[inline(always)]
    unsafe fn seal(self, key: u64, layout: Layout) {
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
    unsafe fn arm(self, key: u64, layout: Layout) {
        // SAFETY: the slot is the caller's, in a segment with states.
        unsafe {
            let state = state_of(self.address);
            // Relaxed: whoever frees the block got its address from here.
            if state.load(Ordering::Relaxed) == LIVE {
                misuse(Misuse::FreedAtOnce);
            }
            state.store(LIVE, Ordering::Relaxed);
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
    unsafe fn arm_long(self, key: u64, layout: Layout) -> *mut u8 {
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
    unsafe fn check(self, key: u64, layout: Layout) {
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
    unsafe fn check_live(self) {
        // SAFETY: the caller's promise.
        let state = unsafe { state_of(self.address) }.load(Ordering::Relaxed);
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
    unsafe fn blame(self, key: u64) -> ! {
        // SAFETY: the caller's promise.
        let genuine = unsafe { self.layout(key) }.is_some();
        misuse(if genuine { Misuse::WrongLayout } else { Misuse::Overflow })
    }

    /// Returns the layout that the tail tells, if it is a genuine one.
    ///
    /// # Safety
    ///
    /// As for [`check`](Self::check).
    unsafe fn layout(self, key: u64) -> Option<Layout> {
        // SAFETY: the caller's promise.
        self.told(unsafe { self.tail() }, key)
    }

    /// Returns the layout that a tail of this slot tells, if it is a genuine one.
    pub(super) fn told(self, word: u64, key: u64) -> Option<Layout> {
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
    unsafe fn disarm(self, os: &impl Os, layout: Layout) {
        // SAFETY: the slot is the caller's, and what lies between block and tail is zero.
        unsafe {
            state_of(self.address).store(FREED, Ordering::Relaxed);
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

/// The requests of a profile that arms its blocks. What they promise is what those without the suffix do.
impl<P: Profile> ThreadCache<P> {
    /// # Safety
    ///
    /// As [`allocate`](Self::allocate).
    #[inline(always)]
    pub(super) unsafe fn allocate_armed<O: Os>(&self, heap: &Heap<P, O>, layout: Layout) -> *mut u8 {
        let Some(class) = class_of(layout) else { return self.allocate_guarded(heap, layout) };
        if !self.enter() {
            // SAFETY: the caller's promise; the layout has the class.
            return unsafe { arm_taken(heap, take_without_cache(heap, class), class, layout) };
        }
        let bin = class.of_each(&self.bins);
        // Every call here is the last thing that is done, so that no register has to be saved for it.
        // SAFETY: the caller's promise; the slot is this thread's, and the layout has the class. A bin with blocks is one of an open cache.
        unsafe {
            if bin.top.get() <= bin.low.get() {
                return self.refill_armed(heap, class, layout);
            }
            let slot = Slot { address: self.pop(bin, class), size: class.shape::<P>().size };
            self.leave();
            if slot.size > LARGEST_INLINE {
                return slot.arm_long(heap.key_in_use(), layout);
            }
            slot.arm(heap.key_in_use(), layout);
            slot.at(0)
        }
    }

    /// Returns a block of a class whose bin is empty.
    ///
    /// # Safety
    ///
    /// As [`allocate`](Self::allocate); the layout has the class, the bin is empty, and the mark was set by the caller.
    #[cold]
    #[inline(never)]
    unsafe fn refill_armed<O: Os>(&self, heap: &Heap<P, O>, class: Class, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { arm_taken(heap, self.refill(heap, class), class, layout) }
    }

    /// Returns a block with a mapping of its own, which is zero.
    #[cold]
    fn allocate_guarded<O: Os>(&self, heap: &Heap<P, O>, layout: Layout) -> *mut u8 {
        // A process that has no other blocks wants its last look, too, for which the opener asks.
        if self.enter() {
            self.ask_opener(heap);
            self.leave();
        }
        allocate_huge(heap, layout)
    }

    /// # Safety
    ///
    /// As [`allocate`](Self::allocate).
    #[inline]
    pub(super) unsafe fn allocate_armed_zeroed<O: Os>(&self, heap: &Heap<P, O>, layout: Layout) -> *mut u8 {
        let Some(class) = class_of(layout) else { return self.allocate_guarded(heap, layout) };
        // SAFETY: the caller's promise; the block has the size.
        unsafe {
            let block = self.allocate_armed(heap, layout);
            // Smaller slots were found zero.
            if !block.is_null() && class.shape::<P>().size > LARGEST_CHECKED {
                block.write_bytes(0, layout.size());
            }
            block
        }
    }

    /// # Safety
    ///
    /// As [`deallocate`](Self::deallocate), where what is wrong with a block may be found.
    #[inline(always)]
    pub(super) unsafe fn deallocate_armed<O: Os>(&self, heap: &Heap<P, O>, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise; what was checked is freed.
        unsafe {
            let Some((class, slot)) = heap.armed_slot(block.addr(), layout) else {
                return heap.guarded.deallocate(block.addr(), Some(layout));
            };
            if slot.size > LARGEST_INLINE {
                return self.put_long(heap, class, slot.address, layout);
            }
            slot.check(heap.key_in_use(), layout);
            slot.disarm(&heap.os, layout);
            self.put(heap, class, slot.address);
        }
    }

    /// Takes a block back whose slot is longer than a few lines.
    ///
    /// # Safety
    ///
    /// As [`deallocate`](Self::deallocate); the address lies in a span of the class.
    #[inline(never)]
    unsafe fn put_long<O: Os>(&self, heap: &Heap<P, O>, class: Class, address: usize, layout: Layout) {
        let slot = Slot { address, size: class.shape::<P>().size };
        // SAFETY: the caller's promise; what was checked is freed.
        unsafe {
            slot.check(heap.key_in_use(), layout);
            slot.disarm(&heap.os, layout);
            self.put(heap, class, slot.address);
        }
    }

    /// # Safety
    ///
    /// As [`resize`](Self::resize), where what is wrong with a block may be found.
    pub(super) unsafe fn resize_armed<O: Os>(
        &self,
        heap: &Heap<P, O>,
        block: *mut u8,
        layout: Layout,
        new: Layout,
    ) -> *mut u8 {
        // SAFETY: the caller's promise; a block that stays has a slot of the class of both layouts, and one that moves was checked.
        unsafe {
            let slot = heap.armed_slot(block.addr(), layout);
            let kept = new.size().min(layout.size());
            match slot {
                Some((class, slot)) => {
                    slot.check(heap.key_in_use(), layout);
                    if class_of(new) == Some(class) && slot.address & (new.align() - 1) == 0 {
                        if kept < layout.size() {
                            slot.at(kept).write_bytes(0, layout.size() - kept);
                        }
                        slot.seal(heap.key_in_use(), new);
                        return block;
                    }
                }
                None if class_of(new).is_none() => {
                    if let Some(moved) = heap.guarded.reallocate(block.addr(), layout, new) {
                        return moved.as_ptr();
                    }
                }
                None => match heap.guarded.layout_at(block.addr()) {
                    Some(real) if real == layout => {}
                    Some(_) => misuse(Misuse::WrongLayout),
                    None => misuse(Misuse::NoMapping),
                },
            }
            let moved = self.allocate_armed(heap, new);
            if moved.is_null() {
                return moved;
            }
            moved.copy_from_nonoverlapping(block, kept);
            match slot {
                Some((class, slot)) => {
                    slot.disarm(&heap.os, layout);
                    self.put(heap, class, slot.address);
                }
                None => heap.guarded.deallocate(block.addr(), Some(layout)),
            }
            moved
        }
    }

    /// Frees a block whatever its layout, after checking all that can be checked.
    ///
    /// # Safety
    ///
    /// As [`free`](Self::free).
    pub(super) unsafe fn free_armed<O: Os>(&self, heap: &Heap<P, O>, block: *mut u8) {
        let layout = heap.armed_layout(block.addr()).unwrap_or_else(|| misuse(Misuse::NoMapping));
        // SAFETY: the caller's promise, for the layout that the block was allocated with.
        unsafe { self.deallocate_armed(heap, block, layout) };
    }
}

/// Makes the slot at an address a live block of this layout; null if there is none.
///
/// # Safety
///
/// The address is 0, or that of a slot of the class that is the caller's; the layout has the class.
#[cold]
#[inline(never)]
unsafe fn arm_taken<P: Profile, O: Os>(
    heap: &Heap<P, O>,
    address: usize,
    class: Class,
    layout: Layout,
) -> *mut u8 {
    if address == 0 {
        return ptr::null_mut();
    }
    // SAFETY: the caller's promise.
    unsafe { Slot { address, size: class.shape::<P>().size }.arm_long(heap.key(), layout) }
}

impl<P: Profile, O: Os> Heap<P, O> {
    /// Returns the slot that an armed block of this layout may be in, and its class; none if the address lies in no span. Ends the process if
    /// the span is of another class.
    #[inline(always)]
    fn armed_slot(&self, address: usize, layout: Layout) -> Option<(Class, Slot)> {
        let class = self.class_at(address)?;
        // That of the layout, which may be a constant.
        let Some(expected) = class_of(layout).filter(|&expected| expected == class) else {
            self.blame_layout(class, address)
        };
        Some((expected, Slot { address, size: expected.shape::<P>().size }))
    }

    /// Ends the process because what lies at an address in a span of the class has not the class of its layout.
    #[cold]
    #[inline(never)]
    fn blame_layout(&self, class: Class, address: usize) -> ! {
        let slot = Slot { address, size: class.shape::<P>().size };
        // SAFETY: the address lies in a span of the class.
        unsafe {
            slot.check_live();
            slot.blame(self.key())
        }
    }

    /// Returns the layout of the armed block that starts at an address, in a span or guarded; none if it lies in no span and is none. Ends
    /// the process if no live block starts there in its span, or its tail was overwritten.
    pub(super) fn armed_layout(&self, address: usize) -> Option<Layout> {
        let Some(class) = self.class_at(address) else { return self.guarded.layout_at(address) };
        let slot = Slot { address, size: class.shape::<P>().size };
        // SAFETY: the address lies in a span of the class.
        unsafe {
            slot.check_live();
            Some(slot.layout(self.key()).unwrap_or_else(|| misuse(Misuse::Overflow)))
        }
    }
}

#[cfg(test)]
mod tests;
