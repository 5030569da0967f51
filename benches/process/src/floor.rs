//! The floor: the least that a process allocator can do. Not an allocator to use.
//!
//! ```text
//!   thread-local   class 0 -> free -> free -> 0        a list through the blocks, for every 16 bytes up to 1 KiB
//!                  class 1 -> ..
//!   chunk          | handed out | rest |               where new blocks come from
//! ```
//!
//! # Design
//!
//! A pair is a load, a store and a comparison each way. A block that another thread frees stays with that thread, and nothing
//! is ever given back; what is larger than 1 KiB goes to the C library. So the rows of small blocks show what the hardware and the call cost, and
//! the others show nothing.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr;
use std::alloc::System;

/// The bytes between two classes, and the alignment of every block.
const STEP: usize = 16;
/// The number of classes.
const CLASSES: usize = 65;
/// The bytes that a chunk has.
const CHUNK: usize = 64 << 10;

/// A free block, and the next one.
struct Free(*mut Free);

struct Lists {
    free: [Cell<*mut Free>; CLASSES],
    rest: Cell<*mut u8>,
    left: Cell<usize>,
}

std::thread_local! {
    static LISTS: Lists = const {
        Lists { free: [const { Cell::new(ptr::null_mut()) }; CLASSES], rest: Cell::new(ptr::null_mut()), left: Cell::new(0) }
    };
}

/// A stack of free blocks for each size class and thread, and no more.
#[derive(Clone, Copy, Debug, Default)]
pub struct Floor;

/// Returns the class of a layout; none for what goes to the C library.
#[inline(always)]
fn class_of(layout: Layout) -> Option<usize> {
    (layout.size() <= STEP * (CLASSES - 1) && layout.align() <= STEP).then_some(layout.size().div_ceil(STEP))
}

impl Lists {
    /// Cuts a block off the chunk; null if there is no memory.
    #[cold]
    #[inline(never)]
    fn cut(&self, class: usize) -> *mut u8 {
        let size = class.max(1) * STEP;
        if self.left.get() < size {
            // SAFETY: the layout is not empty.
            let chunk = unsafe { System.alloc(Layout::new::<[u128; CHUNK / 16]>()) };
            if chunk.is_null() {
                return chunk;
            }
            self.rest.set(chunk);
            self.left.set(CHUNK);
        }
        let block = self.rest.get();
        // SAFETY: the chunk has `left` bytes from there on.
        self.rest.set(unsafe { block.add(size) });
        self.left.set(self.left.get() - size);
        block
    }
}

// SAFETY: a block is on one list or in use, as long as its class says, and aligned to 16 bytes; other layouts are the C library's.
unsafe impl GlobalAlloc for Floor {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class_of(layout) else {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc(layout) };
        };
        LISTS.with(|lists| {
            // SAFETY: a class is below `CLASSES`.
            let list = unsafe { lists.free.get_unchecked(class) };
            let first = list.get();
            if first.is_null() {
                return lists.cut(class);
            }
            // SAFETY: a block on a list is free, and holds the next.
            list.set(unsafe { (*first).0 });
            first.cast()
        })
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(class) = class_of(layout) else {
            // SAFETY: the caller's promise; the block came from there.
            return unsafe { System.dealloc(block, layout) };
        };
        LISTS.with(|lists| {
            // SAFETY: a class is below `CLASSES`; the block is the caller's no more, and has room for a link.
            unsafe {
                let list = lists.free.get_unchecked(class);
                let block = block.cast::<Free>();
                block.write(Free(list.get()));
                list.set(block);
            }
        });
    }
}
