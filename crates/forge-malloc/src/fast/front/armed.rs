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
//! - (I1) Only the state of a grain where an armed block starts is [`slot::LIVE`], and it is until the block is freed.
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
use core::ptr;

use forge_os::Os;

use super::cache::{ThreadCache, allocate_huge, take_without_cache};
use super::sizes::Class;
use crate::fast::back::segment::{GRAIN, state_of};
use crate::fast::checks::{Misuse, misuse};
use crate::fast::heap::Heap;
use crate::fast::profile::Profile;

mod slot;

use slot::{LARGEST_CHECKED, LARGEST_INLINE};
pub(super) use slot::{Slot, TAIL};

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
            let slot = heap.slot(class, self.pop(bin, class));
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
            self.put_armed(heap, class, slot, layout);
        }
    }

    /// Takes a block back once it was checked and cleared.
    ///
    /// # Safety
    ///
    /// As [`deallocate`](Self::deallocate); the slot is one of the class.
    #[inline(always)]
    unsafe fn put_armed<O: Os>(&self, heap: &Heap<P, O>, class: Class, slot: Slot<'_>, layout: Layout) {
        // SAFETY: the caller's promise; what was checked is freed.
        unsafe {
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
        // SAFETY: the caller's promise.
        unsafe { self.put_armed(heap, class, heap.slot(class, address), layout) };
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
    unsafe { heap.slot(class, address).arm_long(heap.key(), layout) }
}

impl<P: Profile, O: Os> Heap<P, O> {
    /// Returns the slot of a class that starts, or would start, at an address. O(1).
    ///
    /// # Safety
    ///
    /// The address lies in a span of the class.
    #[inline(always)]
    pub(super) unsafe fn slot(&self, class: Class, address: usize) -> Slot<'_> {
        // SAFETY: the caller's promise; where blocks are armed, segments have states.
        let state = unsafe { state_of(&self.units.directory, address) };
        Slot::new(address, class.shape::<P>().size, state)
    }

    /// Returns the slot that an armed block of this layout may be in, and its class; none if the address lies in no span. Ends the process if
    /// the span is of another class.
    #[inline(always)]
    fn armed_slot(&self, address: usize, layout: Layout) -> Option<(Class, Slot<'_>)> {
        let class = self.class_at(address)?;
        // That of the layout, which may be a constant.
        let Some(expected) = class_of(layout).filter(|&expected| expected == class) else {
            self.blame_layout(class, address)
        };
        // SAFETY: the address lies in a span of the class.
        Some((expected, unsafe { self.slot(expected, address) }))
    }

    /// Ends the process because what lies at an address in a span of the class has not the class of its layout.
    #[cold]
    #[inline(never)]
    fn blame_layout(&self, class: Class, address: usize) -> ! {
        // SAFETY: the address lies in a span of the class.
        unsafe {
            let slot = self.slot(class, address);
            slot.check_live();
            slot.blame(self.key())
        }
    }

    /// Returns the layout of the armed block that starts at an address, in a span or guarded; none if it lies in no span and is none. Ends
    /// the process if no live block starts there in its span, or its tail was overwritten.
    pub(super) fn armed_layout(&self, address: usize) -> Option<Layout> {
        let Some(class) = self.class_at(address) else { return self.guarded.layout_at(address) };
        // SAFETY: the address lies in a span of the class.
        unsafe {
            let slot = self.slot(class, address);
            slot.check_live();
            Some(slot.layout(self.key()).unwrap_or_else(|| misuse(Misuse::Overflow)))
        }
    }
}

#[cfg(test)]
mod tests;
