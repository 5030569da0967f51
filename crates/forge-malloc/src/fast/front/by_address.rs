//! Requests that know a block and not its layout, as those of C do.
//!
//! ```text
//!   block ──▶ directory ──▶ a class: its bin
//!                       └─▶ none: a mapping of its own, or no block of this heap
//! ```
//!
//! # Operations
//!
//! `free`: O(1), two loads more than [`ThreadCache::deallocate`]. `move_to`: O(size), O(1) where the block stays.
//!
//! # Design
//!
//! *Two steps.* A function of C is called, never inlined, so what it costs to save registers for a call that is rarely made is paid at
//! each request. [`ThreadCache::at_hand`] and [`ThreadCache::keep`] call nothing: whoever finds that they did not serve passes
//! the whole request on to a function that does all of it, as its last act.
//!
//! A block stays where it is while it serves the new size and at least half of it is used, so that a buffer which is
//! trimmed again and again is not copied each time.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr;

use forge_os::Os;

use super::cache::{ThreadCache, block_at};
use super::sizes::Class;
use crate::fast::checks::{self, Misuse};
use crate::fast::heap::Heap;
use crate::fast::profile::Profile;

/// The largest size that [`ThreadCache::at_hand`] looks for: below, the class is a single load away.
const SMALL: usize = 1024;

impl<P: Profile, O: Os> Heap<P, O> {
    /// Returns how many bytes may be used of the block that starts at an address: at least as many as were asked for, and
    /// as long as the block lives. None if there is no such block, as far as that can be told. O(1), waits for a lock where
    /// the block has a mapping of its own.
    #[inline]
    pub fn usable_size(&self, block: *const u8) -> Option<usize> {
        if P::ARMED {
            // What lies beyond the size belongs to the tail.
            return self.armed_layout(block.addr()).map(|layout| layout.size());
        }
        match self.class_at(block.addr()) {
            Some(class) => Some(class.shape::<P>().size),
            None => self.huge.size_at(block.addr()),
        }
    }
}

impl<P: Profile, O: Os> Heap<P, O> {
    /// Ends the process if blocks are armed and the one that starts at an address has another size than `size`, or, where one is given, another
    /// alignment: what a caller says who need not say it.
    #[inline]
    pub fn check_layout(&self, block: *const u8, size: usize, align: Option<usize>) {
        if P::ARMED {
            let layout = self.armed_layout(block.addr()).unwrap_or_else(|| checks::misuse(Misuse::NoMapping));
            if layout.size() != size || align.is_some_and(|align| layout.align() != align) {
                checks::misuse(Misuse::WrongLayout);
            }
        }
    }
}

impl<P: Profile> ThreadCache<P> {
    /// Returns a block of this layout, or null if there is no memory; for a size of zero a block of its own, too. O(1). Where blocks are
    /// armed, each touch of an empty one faults.
    ///
    /// # Safety
    ///
    /// As [`allocate`](Self::allocate).
    #[inline(always)]
    pub unsafe fn allocate_any<O: Os>(&self, heap: &Heap<P, O>, layout: Layout) -> *mut u8 {
        if layout.size() == 0 {
            // SAFETY: the caller's promise.
            return unsafe { self.allocate_empty(heap, layout) };
        }
        // SAFETY: the caller's promise.
        unsafe { self.allocate(heap, layout) }
    }

    /// Returns an empty block.
    ///
    /// # Safety
    ///
    /// As [`allocate`](Self::allocate).
    #[cold]
    #[inline(never)]
    unsafe fn allocate_empty<O: Os>(&self, heap: &Heap<P, O>, layout: Layout) -> *mut u8 {
        if P::ARMED {
            return heap.allocate_huge(layout).map_or(ptr::null_mut(), |(block, _)| block.as_ptr());
        }
        // SAFETY: the caller's promise; a byte fits at any alignment.
        unsafe { self.allocate(heap, Layout::from_size_align_unchecked(1, layout.align())) }
    }

    /// Returns a block of this layout if one of its class is at hand and the size is at most a kibibyte, or null. O(1), without a call.
    /// Blocks that are armed or drawn are never at hand.
    ///
    /// # Safety
    ///
    /// As [`allocate`](Self::allocate), for the heap that the cache is used with.
    #[inline(always)]
    pub unsafe fn at_hand(&self, layout: Layout) -> *mut u8 {
        if P::ARMED || P::RESERVE > 0 || layout.size() > SMALL {
            return ptr::null_mut();
        }
        let Some(class) = Class::of(layout) else { return ptr::null_mut() };
        if !self.enter() {
            return ptr::null_mut();
        }
        let bin = class.of_each(&self.bins);
        let top = bin.top.get();
        let mut block = ptr::null_mut();
        if top != bin.low.get() {
            // SAFETY: `low < top`, so the word below is the address of a free block (cache, I1).
            unsafe {
                let top = top.sub(1);
                bin.top.set(top);
                block = block_at(top.read());
            }
        }
        self.leave();
        block
    }

    /// Takes a block back if its bin has room and it is not armed, and returns whether it did. O(1), without a call.
    ///
    /// # Safety
    ///
    /// As [`free`](Self::free), if the result is true.
    #[inline(always)]
    pub unsafe fn keep<O: Os>(&self, heap: &Heap<P, O>, block: *mut u8) -> bool {
        if P::ARMED {
            return false;
        }
        let Some(class) = heap.class_at(block.addr()) else { return false };
        if !self.enter() {
            return false;
        }
        let bin = class.of_each(&self.bins);
        let top = bin.top.get();
        let has_room = top != bin.end.get();
        if has_room {
            // SAFETY: `top < end`, so there is room for a word (cache, I1).
            unsafe {
                top.write(block.addr());
                bin.top.set(top.add(1));
            }
        }
        self.leave();
        has_room
    }

    /// Takes a block back, whatever its layout. O(1). Ends the process if there is none in this heap.
    ///
    /// # Safety
    ///
    /// `block` is a live block of `heap`, which any thread may have allocated, and nobody uses it any more. Every request of this
    /// cache goes to `heap`.
    #[inline(always)]
    pub unsafe fn free<O: Os>(&self, heap: &Heap<P, O>, block: *mut u8) {
        if P::ARMED {
            // SAFETY: the caller's promise.
            return unsafe { self.free_armed(heap, block) };
        }
        match heap.class_at(block.addr()) {
            // SAFETY: the caller's promise; the class is that of the span that the block lies in.
            Some(class) => unsafe { self.put(heap, class, block.addr()) },
            None => heap.huge.deallocate(block.addr()),
        }
    }

    /// Moves a block, whatever its layout, to another one, and returns where it is then; null if there is no memory, and the
    /// block stays. Ends the process if there is no such block.
    ///
    /// # Safety
    ///
    /// As [`free`](Self::free), except that the block stays if null is returned; the size of `new` is not zero.
    pub unsafe fn move_to<O: Os>(&self, heap: &Heap<P, O>, block: *mut u8, new: Layout) -> *mut u8 {
        if P::ARMED {
            let layout = heap.armed_layout(block.addr()).unwrap_or_else(|| checks::misuse(Misuse::NoMapping));
            // SAFETY: the caller's promise, for the layout that the block was allocated with.
            return unsafe { self.resize_armed(heap, block, layout, new) };
        }
        let (class, wanted) = (heap.class_at(block.addr()), Class::of(new));
        let size = match class {
            Some(class) => {
                let size = class.shape::<P>().size;
                let fits = new.size() <= size && block.addr() & (new.align() - 1) == 0;
                if fits && (new.size() >= size / 2 || wanted == Some(class)) {
                    return block;
                }
                size
            }
            None if wanted.is_none() => {
                match heap.huge.reallocate(block.addr(), new.align(), new.size()) {
                    Some(moved) => return moved.as_ptr(),
                    // SAFETY: the caller's promise.
                    None => return unsafe { self.move_huge(heap, block, new) },
                }
            }
            // SAFETY: the caller's promise.
            None => return unsafe { self.move_huge(heap, block, new) },
        };
        // SAFETY: the caller's promise, and the block has the size.
        unsafe { self.copy_to(heap, block, size, new) }
    }

    /// Moves a block with a mapping of its own to another one.
    ///
    /// # Safety
    ///
    /// As [`move_to`](Self::move_to).
    unsafe fn move_huge<O: Os>(&self, heap: &Heap<P, O>, block: *mut u8, new: Layout) -> *mut u8 {
        let size = heap.huge.size_at(block.addr()).unwrap_or_else(|| checks::misuse(Misuse::NoMapping));
        // SAFETY: the caller's promise, and the block has the size.
        unsafe { self.copy_to(heap, block, size, new) }
    }

    /// Moves a block of `size` bytes to another one.
    ///
    /// # Safety
    ///
    /// As [`move_to`](Self::move_to), and the block has the size.
    unsafe fn copy_to<O: Os>(&self, heap: &Heap<P, O>, block: *mut u8, size: usize, new: Layout) -> *mut u8 {
        // SAFETY: the caller's promise; both blocks have the bytes that are copied, and one of them is new.
        unsafe {
            let moved = self.allocate(heap, new);
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(block, new.size().min(size));
                self.free(heap, block);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests;
