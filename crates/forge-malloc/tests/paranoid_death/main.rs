//! Misuse of the paranoid allocator, each in a process of its own and for every size: the exact message or signal; and the
//! same misuse of an allocator without protection, which notices nothing.
#![cfg(all(unix, feature = "std", not(miri)))]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod child;
mod frees;
mod secrets;
mod touches;
mod worlds;

use std::alloc::{GlobalAlloc, Layout};
use std::borrow::Cow;
use std::cell::Cell;
use std::ptr;

use child::{End, ended};
use forge_malloc::paranoid::ParanoidMalloc;

const SIZES: [usize; 12] = [0, 1, 8, 16, 24, 128, 1024, 4096, 16 << 10, 128 << 10, 256 << 10, 4 << 20];

const FOREIGN: End = End::Aborts(Cow::Borrowed(
    "forge-malloc: free or resize of an address that this allocator never handed out",
));
const NO_START: End =
    End::Aborts(Cow::Borrowed("forge-malloc: free or resize of an address at which no block starts"));
const NOT_LIVE: End =
    End::Aborts(Cow::Borrowed("forge-malloc: free or resize of a block that was freed already"));
const LAYOUT: End = End::Aborts(Cow::Borrowed(
    "forge-malloc: free or resize of a block with another size or alignment than it has",
));
const FRONT: End = End::Aborts(Cow::Borrowed("forge-malloc: the bytes in front of a block were overwritten"));
const BEHIND: End = End::Aborts(Cow::Borrowed("forge-malloc: the bytes behind a block were overwritten"));

/// A misuse of a block of this size.
type Attack = fn(&dyn GlobalAlloc, usize);

/// Returns a layout whose size is a multiple of its alignment, as a type's is.
fn layout(size: usize) -> Layout {
    let align = if size == 0 { 16 } else { (1 << size.trailing_zeros()).min(16) };
    Layout::from_size_align(size, align).unwrap()
}

/// Takes a block.
fn take(from: &dyn GlobalAlloc, size: usize) -> *mut u8 {
    // SAFETY: the allocators of this program take requests without a byte, too.
    let block = unsafe { from.alloc(layout(size)) };
    assert!(!block.is_null());
    block
}

/// Frees a block.
fn give(to: &dyn GlobalAlloc, block: *mut u8, size: usize) {
    // SAFETY: none where that is the misuse.
    unsafe { to.dealloc(block, layout(size)) };
}

/// Asserts how the attack ends for every size, and that an allocator without protection lets it pass.
#[track_caller]
fn ends(attack: Attack, expected: fn(usize) -> End) {
    assert_eq!(ended(|| attack(&Bare::new(), 24)), End::Survives, "without protection");
    for size in SIZES {
        assert_eq!(ended(|| attack(&ParanoidMalloc::new(), size)), expected(size), "size {size}");
    }
}

/// An allocator without protection: blocks beside each other, the last freed one of any size is the next one.
struct Bare {
    next: Cell<*mut u8>,
    freed: Cell<*mut u8>,
}

impl Bare {
    const ROOM: usize = 64 << 20;

    fn new() -> Self {
        // SAFETY: the size is not zero. Children end with their blocks.
        let room =
            unsafe { std::alloc::System.alloc_zeroed(Layout::from_size_align(Self::ROOM, 4096).unwrap()) };
        assert!(!room.is_null());
        Self { next: Cell::new(room.wrapping_add(Self::ROOM / 2)), freed: Cell::new(ptr::null_mut()) }
    }
}

// SAFETY: for the attacks of this program, which stay within the room.
unsafe impl GlobalAlloc for Bare {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let freed = self.freed.replace(ptr::null_mut());
        if !freed.is_null() {
            return freed;
        }
        let next = self.next.get();
        let block = next.wrapping_add(next.align_offset(layout.align()));
        self.next.set(block.wrapping_add(layout.size()));
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        self.freed.set(block);
    }

    unsafe fn realloc(&self, block: *mut u8, _: Layout, _: usize) -> *mut u8 {
        block
    }
}
