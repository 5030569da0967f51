//! A ring that carries pointers from one thread to another: the road between the two sides of a pipeline.
//!
//! ```text
//!   | .. taken .. | sent, not taken yet | room |        taken <= sent <= taken + CAPACITY
//!                 ^ taken               ^ sent
//! ```
//!
//! It is the same for all contestants and should cost little: each side looks at the other's counter only when its own
//! copy says that there is nothing to do, and publishes its own after every [`GROUP`] pointers.
#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use crate::threads::wait_until;

/// Places in the ring.
const CAPACITY: usize = 1024;

/// Pointers between two publications, a power of two.
pub const GROUP: usize = 16;

/// A value on cache lines of its own.
#[repr(align(128))]
struct Apart<T>(T);

struct Ring<T> {
    places: [UnsafeCell<NonNull<T>>; CAPACITY],
    sent: Apart<AtomicUsize>,
    taken: Apart<AtomicUsize>,
}

// SAFETY: a place is written by the one sender before `sent` covers it, and read by the one receiver before `taken` does;
// both counters are published with Release and read with Acquire. What the pointers lead to is the callers' affair.
unsafe impl<T> Sync for Ring<T> {}
// SAFETY: as above; the pointers are carried, not followed.
unsafe impl<T> Send for Ring<T> {}

/// The end of a ring that puts pointers in.
pub struct Sender<T> {
    ring: Arc<Ring<T>>,
    sent: usize,
    taken: usize,
}

/// The end of a ring that takes pointers out.
pub struct Receiver<T> {
    ring: Arc<Ring<T>>,
    sent: usize,
    taken: usize,
}

/// Returns the two ends of an empty ring.
pub fn ring<T>() -> (Sender<T>, Receiver<T>) {
    let ring = Arc::new(Ring {
        places: [const { UnsafeCell::new(NonNull::dangling()) }; CAPACITY],
        sent: Apart(AtomicUsize::new(0)),
        taken: Apart(AtomicUsize::new(0)),
    });
    (Sender { ring: Arc::clone(&ring), sent: 0, taken: 0 }, Receiver { ring, sent: 0, taken: 0 })
}

impl<T> Sender<T> {
    /// Puts a pointer in, after a wait if the ring is full.
    #[inline(always)]
    pub fn send(&mut self, pointer: NonNull<T>) {
        if self.sent - self.taken == CAPACITY {
            // Acquire: pairs with the Release store in `receive`; the places before it may be written again.
            self.taken = other_than(self.taken, || self.ring.taken.0.load(Ordering::Acquire));
        }
        // SAFETY: the place is not covered by `sent` as published, so the receiver leaves it alone.
        unsafe { *self.ring.places[self.sent % CAPACITY].get() = pointer };
        self.sent += 1;
        if self.sent & (GROUP - 1) == 0 {
            // Release: pairs with the Acquire load in `receive`; the pointers and what was written through them are there.
            self.ring.sent.0.store(self.sent, Ordering::Release);
        }
    }
}

impl<T> Receiver<T> {
    /// Takes a pointer out, after a wait if there is none. The sender must send a multiple of [`GROUP`].
    #[inline(always)]
    pub fn receive(&mut self) -> NonNull<T> {
        if self.taken == self.sent {
            // Acquire: pairs with the Release store in `send`.
            self.sent = other_than(self.sent, || self.ring.sent.0.load(Ordering::Acquire));
        }
        // SAFETY: the place is covered by `sent`, so the sender wrote it and leaves it alone.
        let pointer = unsafe { *self.ring.places[self.taken % CAPACITY].get() };
        self.taken += 1;
        if self.taken & (GROUP - 1) == 0 {
            // Release: pairs with the Acquire load in `send`; the places before it were read.
            self.ring.taken.0.store(self.taken, Ordering::Release);
        }
        pointer
    }
}

/// Waits until the other side's counter is another than `known` and returns it.
#[inline(always)]
fn other_than(known: usize, mut counter: impl FnMut() -> usize) -> usize {
    wait_until(|| Some(counter()).filter(|&now| now != known))
}

#[cfg(test)]
mod tests;
