//! What else brings slots home: a queue of pointers, and the allocators of a whole process.
#![allow(unsafe_code)]

use core::ptr::NonNull;
use std::sync::Arc;

use crossbeam_queue::ArrayQueue;

use super::{Owner, Remote};
#[cfg(feature = "snmalloc")]
use crate::contestants::slabs::Snmalloc;
use crate::contestants::slabs::{FreePointers, Mimalloc, Object, Slots, SystemMalloc, read_word, write_word};
use crate::harness::Side;
use crate::sink::exhausted;

/// A vector of free pointers, and crossbeam's bounded queue by which pointers come back: the vector is refilled from it
/// when it is empty.
pub struct Queue {
    free: Vec<NonNull<Object>>,
    fresh: FreePointers,
    unused: usize,
    returned: Arc<ArrayQueue<Sent>>,
}

/// A pointer on its way to the owner.
struct Sent(NonNull<Object>);

// SAFETY: the pointer names a slot that the sender gives up and the receiver, who owns the memory, takes.
unsafe impl Send for Sent {}

impl Queue {
    /// Takes what came back, or else a slot that was never used.
    #[cold]
    #[inline(never)]
    fn refill(&mut self) -> NonNull<Object> {
        while let Some(Sent(slot)) = self.returned.pop() {
            self.free.push(slot);
        }
        if let Some(slot) = self.free.pop() {
            return slot;
        }
        self.unused = self.unused.checked_sub(1).unwrap_or_else(|| exhausted());
        self.fresh.take(0)
    }
}

impl Owner for Queue {
    const NAME: &'static str = "free pointers, crossbeam ArrayQueue";
    const SIDE: Side = Side::Peer;
    type Remote = QueueRemote;

    fn with_capacity(slots: usize) -> Self {
        let returned = Arc::new(ArrayQueue::new(slots));
        Self {
            free: Vec::with_capacity(slots),
            fresh: FreePointers::with_capacity(slots),
            unused: slots,
            returned,
        }
    }

    fn remote(&self) -> QueueRemote {
        QueueRemote(Arc::clone(&self.returned))
    }

    #[inline(always)]
    fn take(&mut self, word: u64) -> NonNull<Object> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => self.refill(),
        };
        // SAFETY: the slot is ours and nobody else's.
        unsafe { write_word(slot, word) };
        slot
    }
}

/// The end of the queue that slots are put in.
pub struct QueueRemote(Arc<ArrayQueue<Sent>>);

impl Remote for QueueRemote {
    #[inline(always)]
    unsafe fn give(&mut self, slot: NonNull<Object>) -> u64 {
        // SAFETY: the slot is live by the caller's contract.
        let word = unsafe { read_word(slot) };
        match self.0.push(Sent(slot)) {
            Ok(()) => word,
            Err(Sent(_)) => exhausted(),
        }
    }
}

/// Makes both sides of a process's allocator: its blocks may be freed by any thread.
macro_rules! process_allocator {
    ($contestant:ident) => {
        impl Owner for $contestant {
            const NAME: &'static str = <Self as Slots>::NAME;
            const SIDE: Side = <Self as Slots>::SIDE;
            type Remote = Self;

            fn with_capacity(slots: usize) -> Self {
                Slots::with_capacity(slots)
            }

            fn remote(&self) -> Self {
                Self
            }

            #[inline(always)]
            fn take(&mut self, word: u64) -> NonNull<Object> {
                Slots::take(self, word)
            }
        }

        impl Remote for $contestant {
            #[inline(always)]
            unsafe fn give(&mut self, slot: NonNull<Object>) -> u64 {
                // SAFETY: the slot is live by the caller's contract, and any thread may free it.
                unsafe { Slots::give(self, slot) }
            }
        }
    };
}

process_allocator!(Mimalloc);
process_allocator!(SystemMalloc);
#[cfg(feature = "snmalloc")]
process_allocator!(Snmalloc);
