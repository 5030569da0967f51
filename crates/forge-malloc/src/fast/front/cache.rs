//! The cache of a thread: a stack of free blocks for each class, and the path that nearly every request takes.
//!
//! ```text
//!   bin of a class     low            top                 end
//!                       v              v                   v
//!     addresses       | block | block |   -   |   -   |   -   |      an array beside the blocks
//!                       freed first   ^ freed last
//!
//!     with a reserve  | block | block | block | block |   -   |      low is so many blocks behind the start of the array
//!                                       ^ low         ^ top
//!
//!   allocate:  top <= low ? refill : top -= 1, the block there, or any one before it if there is a reserve
//!   free:      top == end ? spill  : the block there, top += 1
//! ```
//!
//! # Invariants
//!
//! - (I1) `array <= top <= end`, all null, or in one array of the thread, of which `low` is the word behind the reserve; the words
//!   before `top` are addresses of free blocks of the class, each in no other place.
//! - (I2) A bin has an array only while the cache is open.
//! - (I3) Only its thread touches a cache, and between [`ThreadCache::enter`] and [`ThreadCache::leave`] no handler does that
//!   interrupts it.
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | allocate, free | O(1): six instructions each beyond finding the class, ten where handlers may allocate; no atomic, no lock, no look at the block |
//! | refill, spill | O(batch), an exchange with the depot or the lock of the class |
//!
//! # Design
//!
//! *Any block.* A bin takes blocks of its class whoever allocated them, so a free looks nothing up: neither the owner nor the
//! class, which the layout says.
//!
//! *Addresses beside the blocks.* A list through the blocks makes each allocation wait for the line of the block that the
//! one before returned, and each free write a line that nobody needs any more. Here the words are consecutive, an allocation returns the
//! block that was freed last, which is likely in the processor's cache, and nothing that a program writes into a
//! free block leads anywhere.
//!
//! *Empty and full are comparisons with words beside `top`*, so a bin without an array is both, and a thread's first request
//! and last free need no test of their own.
//!
//! *Growth.* Arrays start small and double when they are exhausted, so a thread that allocates little keeps little.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr;

use forge_os::Os;

use super::busy::Busy;
use super::sizes::{CLASSES, Class};
use crate::fast::heap::Heap;
use crate::fast::profile::Profile;

/// The class below which a zeroed block is cleared without asking whether it is zero.
const WORTH_ASKING: usize = 8 << 10;

/// The free blocks of one class that a thread has at hand.
#[repr(C)]
pub(super) struct Bin {
    pub(super) top: Cell<*mut usize>,
    pub(super) low: Cell<*mut usize>,
    pub(super) end: Cell<*mut usize>,
}

/// Whether a cache keeps blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It was never asked.
    New,
    /// It keeps blocks.
    Open,
    /// It keeps none: each request goes to the spans.
    Closed,
}

/// The free blocks that one thread has at hand, and its way to a [`Heap`].
///
/// All requests of one cache go to one heap. A cache that is dropped without [`close`](Self::close) loses the blocks that it
/// keeps, and nothing else.
///
/// # Examples
///
/// ```
/// use std::alloc::Layout;
/// use forge_malloc::fast::{Fast, Heap, ThreadCache};
///
/// static HEAP: Heap<Fast, forge_os::Native> = Heap::new(forge_os::Native);
///
/// let cache = ThreadCache::new();
/// let layout = Layout::new::<[u64; 8]>();
/// // Sound: one heap, and the block is freed once, with its layout.
/// unsafe {
///     let block = cache.allocate(&HEAP, layout);
///     assert!(!block.is_null() && block.is_aligned());
///     cache.deallocate(&HEAP, block, layout);
///     cache.close(&HEAP);
/// }
/// ```
// The bins are at the start, so that the address of one is one sum.
#[repr(C)]
pub struct ThreadCache<P: Profile> {
    pub(super) bins: [Bin; CLASSES],
    /// Set while the thread touches the bins, and for ever where there will be none.
    pub(super) busy: Busy,
    pub(super) state: Cell<State>,
    pub(super) random: Cell<u64>,
    pub(super) opener: fn(&Self),
    profile: PhantomData<fn() -> P>,
}

impl<P: Profile> Default for ThreadCache<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Profile> ThreadCache<P> {
    /// Returns an empty cache. O(classes).
    #[must_use]
    pub const fn new() -> Self {
        Self::with_opener(Self::open)
    }

    /// Returns an empty cache that calls `opener` once, before it would keep a block; it keeps blocks if that
    /// [opens](Self::open) it. O(classes).
    #[must_use]
    pub const fn with_opener(opener: fn(&Self)) -> Self {
        Self {
            bins: [const { BIN }; CLASSES],
            busy: Busy::new(false),
            state: Cell::new(State::New),
            random: Cell::new(0),
            opener,
            profile: PhantomData,
        }
    }

    /// Returns a cache that keeps nothing, ever: each request goes to the spans of the heap, and no request changes the cache. O(classes).
    #[must_use]
    pub const fn closed() -> Self {
        Self { state: Cell::new(State::Closed), busy: Busy::new(true), ..Self::new() }
    }

    /// Lets the cache keep blocks. O(1).
    pub fn open(&self) {
        self.state.set(State::Open);
    }

    /// Sets the mark, and returns whether the bins may be touched: not by a handler that interrupts who touches them, and not in a cache
    /// that keeps nothing. O(1), and nothing where handlers may not allocate.
    #[inline(always)]
    pub(super) fn enter(&self) -> bool {
        if P::INTERRUPTIBLE {
            if self.busy.is_set() {
                return false;
            }
            self.busy.set();
        }
        true
    }

    /// Clears the mark, after [`enter`](Self::enter) returned true. O(1).
    #[inline(always)]
    pub(super) fn leave(&self) {
        if P::INTERRUPTIBLE {
            self.busy.clear();
        }
    }

    /// Returns a block of this layout, or null if there is no memory or the size is zero. O(1).
    ///
    /// # Safety
    ///
    /// Every request of this cache goes to `heap`, which outlives the block.
    #[inline(always)]
    pub unsafe fn allocate<O: Os>(&self, heap: &Heap<P, O>, layout: Layout) -> *mut u8 {
        if P::ARMED {
            // SAFETY: the caller's promise.
            return unsafe { self.allocate_armed(heap, layout) };
        }
        let Some(class) = Class::of(layout) else { return allocate_huge(heap, layout) };
        // SAFETY: the caller's promise.
        block_at(unsafe { self.take(heap, class) })
    }

    /// Returns a block of this layout in which every byte is zero; null as for [`allocate`](Self::allocate). O(size).
    ///
    /// # Safety
    ///
    /// As [`allocate`](Self::allocate).
    #[inline]
    pub unsafe fn allocate_zeroed<O: Os>(&self, heap: &Heap<P, O>, layout: Layout) -> *mut u8 {
        if P::ARMED {
            // SAFETY: the caller's promise.
            return unsafe { self.allocate_armed_zeroed(heap, layout) };
        }
        let Some(class) = Class::of(layout) else { return allocate_huge_zeroed(heap, layout) };
        if layout.size() >= WORTH_ASKING {
            // SAFETY: the caller's promise.
            return unsafe { self.allocate_known(heap, class, layout.size()) };
        }
        // SAFETY: the caller's promise; the block has the size.
        unsafe {
            let block = block_at(self.take(heap, class));
            if !block.is_null() {
                block.write_bytes(0, layout.size());
            }
            block
        }
    }

    /// Takes a block back. O(1).
    ///
    /// # Safety
    ///
    /// `block` is a live block of `heap` of this layout, which any thread may have allocated, and nobody uses it any more.
    /// Every request of this cache goes to `heap`.
    #[inline(always)]
    pub unsafe fn deallocate<O: Os>(&self, heap: &Heap<P, O>, block: *mut u8, layout: Layout) {
        if P::ARMED {
            // SAFETY: the caller's promise.
            return unsafe { self.deallocate_armed(heap, block, layout) };
        }
        match Class::of(layout) {
            // SAFETY: the caller's promise; the class is that of the layout (sizes, I2).
            Some(class) => unsafe { self.put(heap, class, block.addr()) },
            None => heap.huge.deallocate(block.addr()),
        }
    }

    /// Moves a block to `size` bytes, and returns where it is then; null if there is no memory, and the block stays. O(size),
    /// O(1) within a class or where a mapping can grow.
    ///
    /// # Safety
    ///
    /// As [`deallocate`](Self::deallocate), except that the block stays if null is returned; `size` is not zero, and rounded
    /// up to the alignment at most `isize::MAX`.
    #[inline]
    pub unsafe fn reallocate<O: Os>(
        &self,
        heap: &Heap<P, O>,
        block: *mut u8,
        layout: Layout,
        size: usize,
    ) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.resize(heap, block, layout, Layout::from_size_align_unchecked(size, layout.align())) }
    }

    /// Moves a block to another layout, as [`reallocate`](Self::reallocate) does to another size.
    ///
    /// # Safety
    ///
    /// As [`deallocate`](Self::deallocate) for `layout`, except that the block stays if null is returned; the size of `new` is
    /// not zero.
    #[inline]
    pub unsafe fn resize<O: Os>(
        &self,
        heap: &Heap<P, O>,
        block: *mut u8,
        layout: Layout,
        new: Layout,
    ) -> *mut u8 {
        if P::ARMED {
            // SAFETY: the caller's promise.
            return unsafe { self.resize_armed(heap, block, layout, new) };
        }
        let (from, to) = (Class::of(layout), Class::of(new));
        if from == to {
            if from.is_some() {
                return block;
            }
            if let Some(moved) = heap.huge.reallocate(block.addr(), new.align(), new.size()) {
                return moved.as_ptr();
            }
        }
        // SAFETY: the caller's promise; both blocks have the bytes that are copied, and one of them is new.
        unsafe {
            let moved = self.allocate(heap, new);
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(block, new.size().min(layout.size()));
                self.deallocate(heap, block, layout);
            }
            moved
        }
    }

    /// Takes a block of a class; 0 if there is no memory.
    ///
    /// # Safety
    ///
    /// As [`allocate`](Self::allocate).
    #[inline(always)]
    pub(super) unsafe fn take<O: Os>(&self, heap: &Heap<P, O>, class: Class) -> usize {
        if !self.enter() {
            return take_without_cache(heap, class);
        }
        let bin = class.of_each(&self.bins);
        // SAFETY: the caller's promise; if `low < top` there is a block (I1).
        let address = unsafe {
            if bin.top.get() <= bin.low.get() {
                return self.refill(heap, class);
            }
            self.pop(bin, class)
        };
        self.leave();
        address
    }

    /// Takes the block on top of a bin, or any of the bin where the profile says so.
    ///
    /// # Safety
    ///
    /// The bin is that of the class, and has a block.
    #[inline(always)]
    pub(super) unsafe fn pop(&self, bin: &Bin, class: Class) -> usize {
        // SAFETY: the caller's promise: the word below `top` is the address of a free block, and so are those from the
        // array's start on (I1).
        unsafe {
            let top = bin.top.get().sub(1);
            bin.top.set(top);
            if P::RESERVE == 0 {
                return top.read();
            }
            let array = bin.array(class.shape::<P>().reserve);
            let below = (top.addr() - array.addr()) / size_of::<usize>();
            let drawn = array.add(self.draw(below + 1));
            let address = drawn.read();
            drawn.write(top.read());
            address
        }
    }

    /// Returns a random number below `count`, which is not zero.
    #[inline(always)]
    fn draw(&self, count: usize) -> usize {
        // A linear congruential generator whose upper half is used (Knuth, The Art of Computer Programming 3.3.4).
        let next = self.random.get().wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        self.random.set(next);
        (((next >> 32) * count as u64) >> 32) as usize
    }

    /// Takes the block of a class at an address back.
    ///
    /// # Safety
    ///
    /// As [`deallocate`](Self::deallocate), for a layout of the class.
    #[inline(always)]
    pub(super) unsafe fn put<O: Os>(&self, heap: &Heap<P, O>, class: Class, address: usize) {
        if !self.enter() {
            // SAFETY: the caller's promise.
            return unsafe { put_without_cache(heap, class, address) };
        }
        let bin = class.of_each(&self.bins);
        let top = bin.top.get();
        // SAFETY: the caller's promise; if `top < end` there is room for a word (I1).
        unsafe {
            if top == bin.end.get() {
                return self.spill(heap, class, address);
            }
            top.write(address);
            bin.top.set(top.add(1));
        }
        self.leave();
    }

    /// Returns a block that is zero, clearing it only if that is not known.
    ///
    /// # Safety
    ///
    /// As [`allocate`](Self::allocate), for a layout of the class and `size` bytes.
    #[cold]
    unsafe fn allocate_known<O: Os>(&self, heap: &Heap<P, O>, class: Class, size: usize) -> *mut u8 {
        let bin = class.of_each(&self.bins);
        let (address, zero) = match bin.top.get() == bin.low.get() {
            true => heap.take_one(class),
            // SAFETY: the caller's promise.
            false => (unsafe { self.take(heap, class) }, false),
        };
        let block = block_at(address);
        if !zero && !block.is_null() {
            // SAFETY: a new block of at least that size.
            unsafe { block.write_bytes(0, size) };
        }
        block
    }
}

/// A bin without an array.
#[allow(clippy::declare_interior_mutable_const, reason = "each use of the constant is a bin of its own")]
const BIN: Bin =
    Bin { top: Cell::new(ptr::null_mut()), low: Cell::new(ptr::null_mut()), end: Cell::new(ptr::null_mut()) };

/// Returns the pointer to the block at an address: all of it, whatever the pointer could reach with which it was freed.
#[inline(always)]
pub(super) fn block_at(address: usize) -> *mut u8 {
    // The memory of segments was exposed when it was mapped.
    ptr::with_exposed_provenance_mut(address)
}

/// Takes a block of a class out of its span: for a handler that interrupted its thread in the cache, and where there is none.
#[cold]
#[inline(never)]
pub(super) fn take_without_cache<P: Profile, O: Os>(heap: &Heap<P, O>, class: Class) -> usize {
    heap.take_one(class).0
}

/// Takes a block back into its span, as [`take_without_cache`] takes it out.
///
/// # Safety
///
/// As [`ThreadCache::put`].
#[cold]
#[inline(never)]
pub(super) unsafe fn put_without_cache<P: Profile, O: Os>(heap: &Heap<P, O>, class: Class, address: usize) {
    // SAFETY: the caller's promise.
    unsafe { heap.give(class, &raw const address, 1) };
}

#[cold]
#[inline(never)]
pub(super) fn allocate_huge<P: Profile, O: Os>(heap: &Heap<P, O>, layout: Layout) -> *mut u8 {
    if layout.size() == 0 {
        return ptr::null_mut();
    }
    heap.allocate_huge(layout).map_or(ptr::null_mut(), |(block, _)| block.as_ptr())
}

#[cold]
#[inline(never)]
pub(super) fn allocate_huge_zeroed<P: Profile, O: Os>(heap: &Heap<P, O>, layout: Layout) -> *mut u8 {
    if layout.size() == 0 {
        return ptr::null_mut();
    }
    let Some((block, dirty)) = heap.allocate_huge(layout) else { return ptr::null_mut() };
    // SAFETY: the bytes that may not be zero lie in the new block.
    unsafe { block.write_bytes(0, dirty) };
    block.as_ptr()
}

impl<P: Profile> core::fmt::Debug for ThreadCache<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ThreadCache").field("state", &self.state.get()).finish_non_exhaustive()
    }
}
