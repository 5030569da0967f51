//! What a thread does when a bin is empty or full: batches from and to what threads share.
//!
//! ```text
//!   refill:  the depot of the class -> a span of the class -> a new span        then the top of the bin
//!   spill:   a larger array -> the older half: to the depot, or into their spans     then on top of the bin
//! ```
//!
//! # Design
//!
//! The array of a bin is no block, and lies far from all of them: what a program writes past one, or at a guessed distance, never
//! reaches it. Of a full bin the blocks that were freed first leave, since those freed last are the ones that the processor
//! still has in its cache; half of the bin at a time, so that what moves the rest down is paid once for many frees.
#![allow(unsafe_code)]

use core::ptr::{self, NonNull};

use forge_os::Os;

use super::cache::{Bin, State, ThreadCache};
use super::sizes::{Class, Shape};
use crate::fast::heap::Heap;
use crate::fast::profile::Profile;

impl Bin {
    /// Returns the start of the array, of which `reserve` words are held back; null if there is none. O(1).
    #[inline(always)]
    pub(super) fn array(&self, reserve: usize) -> *mut usize {
        // A bin without an array has no reserve either; the difference is null then.
        if self.end.get().is_null() { ptr::null_mut() } else { self.low.get().wrapping_sub(reserve) }
    }

    /// Returns how many blocks the bin has room for. O(1).
    fn capacity(&self, reserve: usize) -> usize {
        (self.end.get().addr() - self.array(reserve).addr()) / size_of::<usize>()
    }

    /// Returns how many blocks are in the bin. O(1).
    fn len(&self, reserve: usize) -> usize {
        (self.top.get().addr() - self.array(reserve).addr()) / size_of::<usize>()
    }

    /// Makes `array` the array of the bin, with `len` of `capacity` words in use, of which `reserve` are held back.
    ///
    /// # Safety
    ///
    /// The array has that many words, or everything is null and zero; the words in use are as the invariants say.
    unsafe fn set(&self, array: *mut usize, len: usize, capacity: usize, reserve: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            self.low.set(array.add(reserve));
            self.top.set(array.add(len));
            self.end.set(array.add(capacity));
        }
    }
}

impl<P: Profile> ThreadCache<P> {
    /// Takes a block of a class whose bin is empty, and fills the bin by the way; 0 if there is no memory.
    ///
    /// # Safety
    ///
    /// As [`allocate`](Self::allocate). The bin is empty, and the mark was set by the caller.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn refill<O: Os>(&self, heap: &Heap<P, O>, class: Class) -> usize {
        // SAFETY: the caller's promise.
        let address = unsafe { self.refill_and_pop(heap, class) };
        self.leave();
        address
    }

    /// Does what [`refill`](Self::refill) does while the mark is set.
    ///
    /// # Safety
    ///
    /// As [`refill`](Self::refill).
    unsafe fn refill_and_pop<O: Os>(&self, heap: &Heap<P, O>, class: Class) -> usize {
        let (bin, shape) = (class.of_each(&self.bins), class.shape::<P>());
        // SAFETY: the caller's promise.
        if !unsafe { self.ready(heap, class, heap.has_batches(class)) } {
            return heap.take_one(class).0;
        }
        let (array, capacity) = (bin.array(shape.reserve), bin.capacity(shape.reserve));
        let mut len = bin.len(shape.reserve);
        // SAFETY: the array has `capacity` words, of which `len` are in use. What is taken is at most as many as are not.
        unsafe {
            while len <= shape.reserve {
                let (rest, room) = (array.add(len), capacity - len);
                let mut count = if room >= shape.batch { heap.take_batch(class, rest) } else { 0 };
                if count == 0 {
                    count = heap.take(class, rest, shape.batch.min(room.div_ceil(2))).0;
                }
                if count == 0 {
                    break;
                }
                len += count;
            }
            bin.top.set(array.add(len));
            // Without more memory, what is held back is all there is.
            if len == 0 { 0 } else { self.pop(bin, class) }
        }
    }

    /// Takes the block at an address back into a bin that is full.
    ///
    /// # Safety
    ///
    /// As [`deallocate`](Self::deallocate), for a layout of the class. The bin is full, and the mark was set by the caller.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn spill<O: Os>(&self, heap: &Heap<P, O>, class: Class, address: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.spill_and_push(heap, class, address) };
        self.leave();
    }

    /// Does what [`spill`](Self::spill) does while the mark is set.
    ///
    /// # Safety
    ///
    /// As [`spill`](Self::spill).
    unsafe fn spill_and_push<O: Os>(&self, heap: &Heap<P, O>, class: Class, address: usize) {
        let (bin, shape) = (class.of_each(&self.bins), class.shape::<P>());
        // SAFETY: the caller's promise; the words of the bin are addresses of free blocks (cache, I1).
        unsafe {
            if !self.ready(heap, class, false) {
                return heap.give(class, &raw const address, 1);
            }
            if bin.top.get() == bin.end.get() {
                let (array, len) = (bin.array(shape.reserve), bin.len(shape.reserve));
                let leaving = len.div_ceil(2);
                give_all(heap, class, shape, array, leaving);
                array.copy_from(array.add(leaving), len - leaving);
                bin.top.set(array.add(len - leaving));
            }
            bin.top.get().write(address);
            bin.top.set(bin.top.get().add(1));
        }
    }

    /// Gives every block back that the cache keeps, and keeps no more. O(blocks). A thread that a signal handler ends in the middle of a
    /// request loses what its cache keeps.
    ///
    /// # Safety
    ///
    /// Every request of this cache goes to `heap`.
    pub unsafe fn close<O: Os>(&self, heap: &Heap<P, O>) {
        if self.enter() {
            // From here on each request goes to the spans; the mark stays.
            self.state.set(State::Closed);
            // SAFETY: the words of the bins are addresses of free blocks (cache, I1), and are forgotten.
            unsafe { self.give_everything(heap) };
        }
    }

    /// Gives every block back that the cache keeps. O(blocks). Does nothing in a signal handler that interrupted a request.
    ///
    /// # Safety
    ///
    /// Every request of this cache goes to `heap`.
    pub unsafe fn empty<O: Os>(&self, heap: &Heap<P, O>) {
        if self.enter() {
            // SAFETY: as for `close`.
            unsafe { self.give_everything(heap) };
            self.leave();
        }
    }

    /// Empties every bin.
    ///
    /// # Safety
    ///
    /// Every request of this cache goes to `heap`, and the mark is set by the caller.
    unsafe fn give_everything<O: Os>(&self, heap: &Heap<P, O>) {
        for class in Class::all() {
            let (bin, reserve) = (class.of_each(&self.bins), class.shape::<P>().reserve);
            let (array, len, capacity) = (bin.array(reserve), bin.len(reserve), bin.capacity(reserve));
            if array.is_null() {
                continue;
            }
            // SAFETY: as for `close`; the array is the bin's alone.
            unsafe {
                bin.set(ptr::null_mut(), 0, 0, 0);
                give_all(heap, class, class.shape::<P>(), array, len);
                give_array(heap, array, capacity);
            }
        }
    }

    /// Calls the opener, unless it was called. The mark was set by the caller.
    pub(super) fn ask_opener<O: Os>(&self, heap: &Heap<P, O>) {
        if self.state.get() == State::New {
            // The opener may allocate, and finds a cache that keeps nothing.
            self.state.set(State::Closed);
            if P::RESERVE > 0 || P::ARMED {
                // Caches of one heap draw differently, because they lie elsewhere. The key is there from now on.
                self.random.set(heap.key() ^ (ptr::from_ref(self).addr() as u64).rotate_left(32));
            }
            (self.opener)(self);
        }
    }

    /// Returns whether the bin of a class has an array, after it was made or made larger where that is due.
    ///
    /// # Safety
    ///
    /// Every request of this cache goes to `heap`.
    unsafe fn ready<O: Os>(&self, heap: &Heap<P, O>, class: Class, for_batch: bool) -> bool {
        self.ask_opener(heap);
        let (bin, shape) = (class.of_each(&self.bins), class.shape::<P>());
        if self.state.get() != State::Open {
            return false;
        }
        let capacity = bin.capacity(shape.reserve);
        if capacity < shape.capacity {
            let larger = match for_batch {
                true => (2 * shape.batch).max(2 * capacity),
                false => (2 * capacity).max(shape.first),
            };
            // SAFETY: the caller's promise.
            unsafe { grow(heap, bin, larger.min(shape.capacity), shape.reserve) };
        }
        !bin.low.get().is_null()
    }
}

/// Gives blocks back in batches.
///
/// # Safety
///
/// `blocks` is valid for reading `count` words, each the address of a block of the class that nobody uses any more.
unsafe fn give_all<P: Profile, O: Os>(
    heap: &Heap<P, O>,
    class: Class,
    shape: &Shape,
    blocks: *const usize,
    count: usize,
) {
    let mut given = 0;
    while given < count {
        let batch = shape.batch.min(count - given);
        // SAFETY: the words from `given` on are below `count`.
        unsafe { heap.give_batch(class, blocks.add(given), batch) };
        given += batch;
    }
}

/// Gives a bin an array of `capacity` words, with what it has; nothing changes if there is no memory.
///
/// # Safety
///
/// The bin is one of a cache of `heap`, and has fewer words.
unsafe fn grow<P: Profile, O: Os>(heap: &Heap<P, O>, bin: &Bin, capacity: usize, reserve: usize) {
    let Some(array) = heap.take_aside(capacity * size_of::<usize>()) else { return };
    let array = array.cast::<usize>().as_ptr();
    let (old, len, old_capacity) = (bin.array(reserve), bin.len(reserve), bin.capacity(reserve));
    // SAFETY: the new array is longer, and the old one, if there is one, has `len` words in use.
    unsafe {
        if !old.is_null() {
            array.copy_from_nonoverlapping(old, len);
        }
        bin.set(array, len, capacity, reserve);
        if !old.is_null() {
            give_array(heap, old, old_capacity);
        }
    }
}

/// Gives the array of a bin back.
///
/// # Safety
///
/// The array was taken with this capacity, and nobody uses it any more.
unsafe fn give_array<P: Profile, O: Os>(heap: &Heap<P, O>, array: *mut usize, capacity: usize) {
    if let Some(array) = NonNull::new(array) {
        // SAFETY: the caller's promise.
        unsafe { heap.give_aside(array.cast(), capacity * size_of::<usize>()) };
    }
}
