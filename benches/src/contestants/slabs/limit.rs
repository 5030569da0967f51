//! The limit: stacks of what is free, without a check.
//!
//! A stack of pointers has the shortest way from a free to the next allocation; a stack of 32-bit numbers takes half of
//! the cache, which counts once ten thousand slots are free.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use super::{Memory, Object, SizedSlots, Slots, read_word, write_word};
use crate::harness::Side;
use crate::rows::growing::SEGMENT;

/// A stack of free pointers.
pub struct UncheckedPointers {
    top: NonNull<NonNull<Object>>,
    stack: Box<[NonNull<Object>]>,
    memory: Memory,
}

impl Slots for UncheckedPointers {
    const NAME: &'static str = "limit, a stack of pointers";
    const SIDE: Side = Side::Limit;
    type Slot = NonNull<Object>;

    fn with_capacity(slots: usize) -> Self {
        let memory = Memory::new(slots);
        // SAFETY: the memory holds `slots` objects.
        let pointer = |number| unsafe { memory.start().add(number) };
        let mut stack: Box<[_]> = (0..slots).rev().map(pointer).collect();
        // SAFETY: one behind the last entry.
        let top = unsafe { NonNull::from(&mut *stack).cast().add(slots) };
        Self { top, stack, memory }
    }

    #[inline(always)]
    fn take(&mut self, word: u64) -> NonNull<Object> {
        debug_assert!(self.top.as_ptr().cast_const() > self.stack.as_ptr());
        // SAFETY: a slot is free, since no row takes more than it asked for.
        unsafe {
            self.top = self.top.sub(1);
            let slot = self.top.read();
            write_word(slot, word);
            slot
        }
    }

    #[inline(always)]
    unsafe fn give(&mut self, slot: NonNull<Object>) -> u64 {
        debug_assert!(slot >= self.memory.start());
        // SAFETY: the slot is live by the caller's contract, so the stack has room for it.
        unsafe {
            let word = read_word(slot);
            self.top.write(slot);
            self.top = self.top.add(1);
            word
        }
    }
}

/// A stack of the numbers of free slots.
pub struct FreeNumbers {
    top: NonNull<u32>,
    stack: Box<[u32]>,
    memory: Memory,
}

impl Slots for FreeNumbers {
    const NAME: &'static str = "limit, a stack of numbers";
    const SIDE: Side = Side::Limit;
    type Slot = NonNull<Object>;

    fn with_capacity(slots: usize) -> Self {
        let mut stack: Box<[u32]> = (0..slots as u32).rev().collect();
        // SAFETY: one behind the last entry.
        let top = unsafe { NonNull::from(&mut *stack).cast().add(slots) };
        Self { top, stack, memory: Memory::new(slots) }
    }

    #[inline(always)]
    fn take(&mut self, word: u64) -> NonNull<Object> {
        debug_assert!(self.top.as_ptr().cast_const() > self.stack.as_ptr());
        // SAFETY: a slot is free, since no row takes more than it asked for.
        unsafe {
            self.top = self.top.sub(1);
            let slot = self.memory.start().add(self.top.read() as usize);
            write_word(slot, word);
            slot
        }
    }

    #[inline(always)]
    unsafe fn give(&mut self, slot: NonNull<Object>) -> u64 {
        // SAFETY: the slot is live by the caller's contract, so the stack has room for it.
        unsafe {
            let word = read_word(slot);
            self.top.write(slot.offset_from(self.memory.start()) as u32);
            self.top = self.top.add(1);
            word
        }
    }
}

/// A vector of free pointers over a vector of segments.
pub struct SegmentedPointers {
    free: Vec<NonNull<Object>>,
    segments: Vec<Memory>,
}

impl SegmentedPointers {
    #[cold]
    #[inline(never)]
    fn grow(&mut self) -> NonNull<Object> {
        let segment = Memory::new(SEGMENT);
        let first = segment.start();
        // SAFETY: the segment holds that many objects.
        self.free.extend((1..SEGMENT).rev().map(|number| unsafe { first.add(number) }));
        self.segments.push(segment);
        first
    }
}

impl Slots for SegmentedPointers {
    const NAME: &'static str = "limit, free pointers over segments, one thread";
    const SIDE: Side = Side::Limit;
    type Slot = NonNull<Object>;

    fn with_capacity(_: usize) -> Self {
        Self { free: Vec::new(), segments: Vec::new() }
    }

    #[inline(always)]
    fn take(&mut self, word: u64) -> NonNull<Object> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => self.grow(),
        };
        // SAFETY: the slot is ours and nobody else's.
        unsafe { write_word(slot, word) };
        slot
    }

    #[inline(always)]
    unsafe fn give(&mut self, slot: NonNull<Object>) -> u64 {
        // SAFETY: the slot is live by the caller's contract.
        let word = unsafe { read_word(slot) };
        self.free.push(slot);
        word
    }
}

/// The number of classes: 8, 16, .. 1024 bytes.
const CLASSES: usize = 8;

/// Lists through free blocks, one for each power of two.
pub struct UncheckedClasses {
    tops: [NonNull<u8>; CLASSES],
    _memory: Memory,
}

impl Slots for UncheckedClasses {
    const NAME: &'static str = "limit, a list per class";
    const SIDE: Side = Side::Limit;
    type Slot = NonNull<Object>;

    fn with_capacity(slots: usize) -> Self {
        let memory = Memory::new(slots * 2048 / size_of::<Object>());
        let mut next = memory.start().cast::<u8>();
        let tops = core::array::from_fn(|class| {
            let mut top = NonNull::dangling();
            for _ in 0..slots {
                // SAFETY: the memory has room for that many blocks of each class, which are less than 2048 bytes together,
                // and every block holds a pointer.
                unsafe {
                    next.cast().write(top);
                    top = next;
                    next = next.add(8 << class);
                }
            }
            top
        });
        Self { tops, _memory: memory }
    }

    #[inline(always)]
    fn take(&mut self, word: u64) -> NonNull<Object> {
        let object = self.take_sized(size_of::<Object>()).cast();
        // SAFETY: the block has the size of an object.
        unsafe { write_word(object, word) };
        object
    }

    #[inline(always)]
    unsafe fn give(&mut self, slot: NonNull<Object>) -> u64 {
        // SAFETY: the slot is live by the caller's contract.
        unsafe {
            let word = read_word(slot);
            self.give_sized(slot.cast(), size_of::<Object>());
            word
        }
    }
}

impl UncheckedClasses {
    /// Returns the place where the list of blocks of `size` bytes starts.
    #[inline(always)]
    fn top(&mut self, size: usize) -> &mut NonNull<u8> {
        let class = ((size - 1) | 7).ilog2() as usize - 2;
        debug_assert!(class < CLASSES);
        // SAFETY: sizes are at most 1024, which is the last class.
        unsafe { self.tops.get_unchecked_mut(class) }
    }
}

impl SizedSlots for UncheckedClasses {
    type Size = usize;

    fn size(bytes: usize) -> usize {
        bytes
    }

    #[inline(always)]
    fn take_sized(&mut self, size: usize) -> NonNull<u8> {
        let top = self.top(size);
        let block = *top;
        // SAFETY: a block is free, since no row takes more than it asked for, and it holds the next of its list.
        *top = unsafe { block.cast().read() };
        block
    }

    #[inline(always)]
    unsafe fn give_sized(&mut self, block: NonNull<u8>, size: usize) {
        let top = self.top(size);
        // SAFETY: the block is free from here on, and holds a pointer.
        unsafe { block.cast().write(*top) };
        *top = block;
    }
}

/// A pointer that moves through one piece of memory. What is given back is forgotten, so it serves new pools only.
pub struct OneWay {
    next: NonNull<Object>,
    memory: Memory,
    slots: usize,
}

impl Slots for OneWay {
    const NAME: &'static str = "limit, a pointer that moves";
    const SIDE: Side = Side::Limit;
    type Slot = NonNull<Object>;

    #[inline(always)]
    fn with_capacity(slots: usize) -> Self {
        let memory = Memory::new(slots);
        Self { next: memory.start(), memory, slots }
    }

    #[inline(always)]
    fn take(&mut self, word: u64) -> NonNull<Object> {
        let slot = self.next;
        // SAFETY: a slot is left, since no row takes more than it asked for.
        unsafe {
            debug_assert!(slot.offset_from(self.memory.start()) < self.slots as isize);
            self.next = slot.add(1);
            write_word(slot, word);
        }
        slot
    }

    #[inline(always)]
    unsafe fn give(&mut self, slot: NonNull<Object>) -> u64 {
        // SAFETY: the slot is live by the caller's contract.
        unsafe { read_word(slot) }
    }
}
