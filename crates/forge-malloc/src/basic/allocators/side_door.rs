//! The side door: how a request is served while its own thread is in the middle of another one.
//!
//! ```text
//!   thread:   alloc ... holds the lock ... [signal] handler: alloc  -->  new pages, the rest of them is left at the door
//!                                          [signal] handler: free   -->  left at the door
//!             next operation under the lock: everything at the door goes into the list
//!
//!   door  -->  | next | size | ... |  -->  | next | size | ... |  -->  nothing
//! ```
//!
//! # Invariants
//!
//! - (I1) Memory at the door belongs to the door alone. Each piece has the address of the next one and its own size in its
//!   first 16 bytes.
//!
//! # Design
//!
//! The list of free blocks may be half changed at that moment, so it is not touched. A stack that is pushed to with one
//! compare-and-swap and taken as a whole (Treiber 1986) is whole at every instruction.
#![allow(unsafe_code)]

use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::grower::HeapGrower;
use super::raw_alloc::Piece;

/// The beginning of a piece of memory at the door.
#[repr(C)]
struct Left {
    next: usize,
    size: usize,
}

/// Memory that waits for the lock.
#[derive(Debug)]
pub(super) struct SideDoor {
    top: AtomicUsize,
    /// Bytes obtained from growers at the door that the heap has not counted yet.
    obtained: AtomicUsize,
}

impl SideDoor {
    pub(super) const fn new() -> Self {
        Self { top: AtomicUsize::new(0), obtained: AtomicUsize::new(0) }
    }

    /// Returns a block of new memory, or null.
    ///
    /// # Safety
    ///
    /// As for [`RawAlloc::alloc`](super::RawAlloc::alloc).
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn alloc<G: HeapGrower>(&self, size: usize, align: usize) -> *mut u8 {
        if size == 0 {
            return ptr::without_provenance_mut(align);
        }
        let (Some(mut grower), Some(need)) = (G::side_door(), Piece::need(size, align)) else {
            return ptr::null_mut();
        };
        // SAFETY: the caller's promise; what a grower of the side door has returned outlives it.
        let memory = unsafe { Piece::obtain(&mut grower, need, need) };
        let Some(piece) = memory.and_then(|memory| Piece::carve(memory, size, align)) else {
            return ptr::null_mut();
        };
        // Relaxed: a count, read under the lock after the pieces.
        self.obtained.fetch_add(piece.len, Ordering::Relaxed);
        for rest in [&piece.front, &piece.tail] {
            if !rest.is_empty() {
                // SAFETY: new memory that nobody else knows, in multiples of 16.
                unsafe { self.leave(rest.start, rest.len()) };
            }
        }
        ptr::with_exposed_provenance_mut(piece.front.end)
    }

    /// Leaves memory at the door. O(1).
    ///
    /// # Safety
    ///
    /// The memory is given up, its provenance exposed, address and size are multiples of 16 and the size is not zero.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn leave(&self, address: usize, size: usize) {
        let left = ptr::with_exposed_provenance_mut::<Left>(address);
        // Relaxed: the exchange below tells whether it is still the top.
        let mut next = self.top.load(Ordering::Relaxed);
        loop {
            // SAFETY: the memory is ours and has room for two words.
            unsafe { left.write(Left { next, size }) };
            // Release: pairs with the Acquire swap in `take_all`, so that it reads what was written.
            match self.top.compare_exchange_weak(next, address, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(top) => next = top,
            }
        }
    }

    /// Returns whether nothing waits. O(1).
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        // Relaxed: what is missed now is taken the next time.
        self.top.load(Ordering::Relaxed) == 0 && self.obtained.load(Ordering::Relaxed) == 0
    }

    /// Takes everything, and returns how much was obtained. O(pieces).
    pub(super) fn take_all(&self, mut take: impl FnMut(usize, usize)) -> usize {
        // Acquire: pairs with the Release exchange in `leave`.
        let mut top = self.top.swap(0, Ordering::Acquire);
        while top != 0 {
            // SAFETY: a piece that was at the door and is ours now (I1).
            let Left { next, size } = unsafe { ptr::with_exposed_provenance::<Left>(top).read() };
            take(top, size);
            top = next;
        }
        // Relaxed: a count.
        self.obtained.swap(0, Ordering::Relaxed)
    }
}
