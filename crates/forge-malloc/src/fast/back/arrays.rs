//! The arrays of the bins, and whatever else belongs to one thread and is no block.
//!
//! ```text
//!   by size   64 B: array -> array -> 0          those that came back, linked through their first words
//!            128 B: 0
//!             ..
//!   chunk     | next | array | array |  -  | array       |  fresh ..        mapped aside
//! ```
//!
//! # Invariants
//!
//! - (I1) An array is taken, on the list of its size, or not cut off yet; `taken` is the number of those that are taken.
//! - (I2) A chunk is on the list of chunks, and starts with the link to the next.
//!
//! # Operations
//!
//! `take`, `give`: O(1), and a mapping for each [`CHUNK`] bytes or for an array that is longer. `purge`: O(chunks).
//!
//! # Design
//!
//! Arrays hold addresses of blocks, so they lie where no block is near: [aside](super::aside). They come in powers of two, since bins
//! double them; threads come and go, and bring back what they took. Chunks stay until no array is taken.
#![allow(unsafe_code)]

use core::ptr::{self, NonNull};

use forge_alloc_core::sync::RawLock;
use forge_alloc_core::sync::cell::UnsafeCell;
use forge_os::Os;

use super::aside;
use crate::fast::glue::const_unless_loom;
use crate::fast::quiet::QuietLock;

/// The bytes of the shortest array: a line of the processor's cache.
const SHORTEST: usize = 64;

/// The bytes that are mapped at a time.
const CHUNK: usize = 64 << 10;

/// The sizes from [`SHORTEST`] to the longest that is cut from a chunk.
const SIZES: usize = (CHUNK / 2 / SHORTEST).ilog2() as usize + 1;

/// A free array, or the start of a chunk.
struct Link {
    next: *mut Link,
}

struct State {
    free: [*mut Link; SIZES],
    chunks: *mut Link,
    /// Where the latest chunk is not cut, and where it ends.
    fresh: *mut u8,
    left: usize,
    taken: usize,
    mapped: usize,
}

/// The arrays of a heap.
pub(crate) struct Arrays<O> {
    pub(crate) lock: QuietLock,
    os: O,
    state: UnsafeCell<State>,
}

impl<O: Os> Arrays<O> {
    const_unless_loom! {
        /// Returns no arrays.
        pub(crate) fn new(os: O, quiet: bool) -> Self {
            Self {
                lock: QuietLock::new(quiet),
                os,
                state: UnsafeCell::new(State {
                    free: [ptr::null_mut(); SIZES],
                    chunks: ptr::null_mut(),
                    fresh: ptr::null_mut(),
                    left: 0,
                    taken: 0,
                    mapped: 0,
                }),
            }
        }
    }

    fn locked<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let _guard = self.lock.guard();
        // SAFETY: the lock is held until the end of this function, and nothing else leads to the state.
        self.state.with_mut(|state| work(unsafe { &mut *state }))
    }

    /// Returns an array of `bytes` bytes, aligned to a line; none if there is no memory. What is in it is of no use.
    pub(crate) fn take(&self, bytes: usize) -> Option<NonNull<u8>> {
        let len = bytes.checked_next_power_of_two()?.max(SHORTEST);
        self.locked(|state| {
            let array = match size_number(len) {
                // SAFETY: the lock is held.
                Some(number) => unsafe { state.cut(&self.os, number, len)? },
                None => {
                    let array = aside::map(&self.os, len)?;
                    state.mapped += len;
                    array
                }
            };
            state.taken += 1;
            Some(array)
        })
    }

    /// Takes an array back.
    ///
    /// # Safety
    ///
    /// It was taken here with that many bytes, and nobody uses it any more.
    pub(crate) unsafe fn give(&self, array: NonNull<u8>, bytes: usize) {
        let len = bytes.next_power_of_two().max(SHORTEST);
        self.locked(|state| {
            state.taken -= 1;
            // SAFETY: the array is the caller's to give, as long as a link at least, and aligned; a long one has a mapping of its own. If the
            // system refuses that, it stays unused.
            unsafe {
                match size_number(len).and_then(|number| state.free.get_mut(number)) {
                    Some(list) => {
                        let link = array.cast::<Link>();
                        link.write(Link { next: *list });
                        *list = link.as_ptr();
                    }
                    None => {
                        state.mapped -= len;
                        let _ = self.os.unmap(array, len.next_multiple_of(self.os.page_size()));
                    }
                }
            }
        });
    }

    /// Gives all chunks back to the system if no array is taken.
    pub(crate) fn purge(&self) {
        self.locked(|state| {
            if state.taken != 0 {
                return;
            }
            state.free = [ptr::null_mut(); SIZES];
            (state.fresh, state.left) = (ptr::null_mut(), 0);
            while let Some(chunk) = NonNull::new(state.chunks) {
                // SAFETY: a chunk of the list is mapped, starts with the link, and nothing lies in it. If the system refuses, it
                // stays unused.
                unsafe {
                    state.chunks = chunk.read().next;
                    let _ = self.os.unmap(chunk.cast(), CHUNK.next_multiple_of(self.os.page_size()));
                }
                state.mapped -= CHUNK;
            }
        });
    }

    /// Returns how many bytes are mapped. Waits for the lock.
    pub(crate) fn mapped(&self) -> usize {
        self.locked(|state| state.mapped)
    }
}

impl State {
    /// Returns an array of a size that came back, or a fresh one.
    ///
    /// # Safety
    ///
    /// The lock is held, and `number` is that of `len`.
    unsafe fn cut(&mut self, os: &impl Os, number: usize, len: usize) -> Option<NonNull<u8>> {
        let list = self.free.get_mut(number)?;
        if let Some(array) = NonNull::new(*list) {
            // SAFETY: what is on the list is free and starts with the link.
            *list = unsafe { array.read() }.next;
            return Some(array.cast());
        }
        if self.left < len {
            // What is left of the latest chunk is lost until all of them go.
            let chunk = aside::map(os, CHUNK)?;
            // SAFETY: the chunk is new, and longer than a line.
            unsafe {
                chunk.cast::<Link>().write(Link { next: self.chunks });
                self.fresh = chunk.as_ptr().add(SHORTEST);
            }
            self.chunks = chunk.cast().as_ptr();
            self.left = CHUNK - SHORTEST;
            self.mapped += CHUNK;
        }
        let array = self.fresh;
        self.left -= len;
        // SAFETY: the chunk has the bytes.
        self.fresh = unsafe { array.add(len) };
        NonNull::new(array)
    }
}

/// Returns the number of the size of arrays that are `len` bytes long, a power of two; none if they have mappings of their own.
fn size_number(len: usize) -> Option<usize> {
    Some((len / SHORTEST).ilog2() as usize).filter(|&number| number < SIZES)
}

// SAFETY: the state is reached under the lock.
unsafe impl<O: Os> Sync for Arrays<O> {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl<O: Os> Send for Arrays<O> {}

#[cfg(test)]
mod tests;
