//! `FreeListHeap`: a heap with one list of its free runs, in the order of their addresses.
//!
//! ```text
//!   memory   | block |  run  | block | run | block | block |   run   |
//!                     ^ |             ^ |                   ^
//!   head -------------+ +--> next ----+ +--> next ----------+
//! ```
//!
//! # Invariants
//!
//! - (I1) The list holds every run, in ascending order of addresses; links to the next and to the previous run agree.
//! - (I2) A run has its length at its beginning.
//! - (I3) `near` is a run of the list, unless the list is empty.
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | allocate | O(runs): first fit up to the first run that fits, best fit all of them unless one fits exactly |
//! | free | O(1) next to a run; otherwise O(runs), from the place of the last change on |
//! | resize in place | O(1) |
//!
//! # Design
//!
//! The oldest general heap, as in Knuth, "The Art of Computer Programming", volume 1, section 2.5, algorithm A with the
//! boundary tags of algorithm C. Order by address packs blocks at the low end, which Wilson, Johnstone, Neely and Boles,
//! in their survey of dynamic storage allocation of 1995, found to fragment as little as best fit.
//! Marks tell whether the neighbours of a block are free, so only a run between two blocks is searched its place in
//! the list, from where the list changed last: frees tend to come in runs of neighbours.
#![allow(unsafe_code)]

use core::fmt::Debug;
use core::marker::PhantomData;
use core::ptr::NonNull;

use super::run_heap::RunHeap;
use super::run_index::{Need, RunIndex};
use crate::raw::run::{Link, length, next, prev, set_length, set_next, set_prev};

/// Which of the runs that fit is taken.
pub trait Fit: private::Sealed + Debug {
    /// Whether a run of this length ends the search, where `need` granules are needed at least.
    #[doc(hidden)]
    fn ends_search(granules: usize, need: usize) -> bool;
}

/// The run at the lowest address.
#[derive(Clone, Copy, Debug, Default)]
pub struct FirstFit;

/// The shortest run, and of equally short ones that at the lowest address.
#[derive(Clone, Copy, Debug, Default)]
pub struct BestFit;

impl Fit for FirstFit {
    #[inline]
    fn ends_search(_: usize, _: usize) -> bool {
        true
    }
}

impl Fit for BestFit {
    #[inline]
    fn ends_search(granules: usize, need: usize) -> bool {
        granules == need
    }
}

mod private {
    pub trait Sealed {}
    impl Sealed for super::FirstFit {}
    impl Sealed for super::BestFit {}
}

/// A heap with one list of its free runs in the order of their addresses, in any number of regions.
///
/// # Examples
///
/// ```
/// use core::alloc::Layout;
/// use core::mem::MaybeUninit;
/// use forge_alloc::{BestFit, ByteAllocator, FreeListHeap, Region};
///
/// let memory: &'static mut [MaybeUninit<u8>] = Box::leak(Box::new([const { MaybeUninit::uninit() }; 4096]));
/// let mut heap = FreeListHeap::<BestFit>::new();
/// heap.add_region(Region::from(memory)).map_err(|rejected| rejected.error)?;
///
/// let layout = Layout::new::<[u64; 4]>();
/// let block = heap.alloc(layout)?;
/// // Sound: the block is live, and this is its layout.
/// unsafe { heap.dealloc(block, layout) };
/// assert_eq!(heap.iter_blocks().filter(|block| block.free).count(), 1);
/// # Ok::<(), forge_alloc::HeapError>(())
/// ```
#[derive(Debug)]
pub struct FreeListHeap<F: Fit = FirstFit> {
    heap: RunHeap<Ordered<F>>,
}

impl<F: Fit> FreeListHeap<F> {
    /// Returns a heap without memory: every request is `NoMemory` until a region is handed over. O(1).
    #[must_use]
    pub const fn new() -> Self {
        Self { heap: RunHeap::new(Ordered { head: None, near: None, fit: PhantomData }) }
    }
}

super::byte_heap!([F: Fit] FreeListHeap<F>);

/// The runs by address.
#[derive(Debug)]
struct Ordered<F> {
    head: Link,
    near: Link,
    fit: PhantomData<F>,
}

// SAFETY: the links name memory that the heap owns alone; the fit is a marker.
unsafe impl<F> Send for Ordered<F> {}
// SAFETY: through a shared reference they are only read.
unsafe impl<F> Sync for Ordered<F> {}

impl<F> Ordered<F> {
    /// Returns the last run below `run` and the first one above. O(runs) from the place of the last change.
    ///
    /// # Safety
    ///
    /// `run` is not in the list.
    unsafe fn neighbours(&self, run: NonNull<u8>) -> (Link, Link) {
        let (mut below, mut above) = (None, self.near);
        // SAFETY: all of these are runs of the list (I1, I3).
        unsafe {
            while let Some(other) = above.filter(|other| other.addr() > run.addr()) {
                above = prev(other);
                below = Some(other);
            }
            // Now `above` lies below the run, or there is none such, and `below` is what comes after it.
            (below, above) = (above, below);
            if let Some(mut other) = below {
                loop {
                    above = next(other);
                    match above {
                        Some(after) if after.addr() < run.addr() => other = after,
                        _ => return (Some(other), above),
                    }
                }
            }
        }
        (below, above)
    }
}

// SAFETY: a run that leaves is in the list, with the length at its beginning (I2), and was seen to fit.
unsafe impl<F: Fit> RunIndex for Ordered<F> {
    const SHORTEST: usize = crate::raw::run::SHORTEST + 1;
    // Which of the runs that fit is taken is a promise, wherever they lie.
    const LEAVES_LAST: bool = false;

    #[inline]
    unsafe fn insert(&mut self, run: NonNull<u8>, granules: usize) {
        // SAFETY: the run is not in the list and long enough; its neighbours there are.
        unsafe {
            let (below, above) = self.neighbours(run);
            set_length(run, granules);
            set_next(run, above);
            set_prev(run, below);
            match below {
                Some(below) => set_next(below, Some(run)),
                None => self.head = Some(run),
            }
            if let Some(above) = above {
                set_prev(above, Some(run));
            }
        }
        self.near = Some(run);
    }

    #[inline]
    unsafe fn remove(&mut self, run: NonNull<u8>, _granules: usize) {
        // SAFETY: the run is in the list, and so are its neighbours there.
        unsafe {
            let (below, above) = (prev(run), next(run));
            match below {
                Some(below) => set_next(below, above),
                None => self.head = above,
            }
            if let Some(above) = above {
                set_prev(above, below);
            }
            self.near = below.or(above);
        }
    }

    #[inline]
    fn take(&mut self, need: Need) -> Option<(NonNull<u8>, usize)> {
        let mut best: Option<(NonNull<u8>, usize)> = None;
        let mut link = self.head;
        while let Some(run) = link {
            // SAFETY: the run is in the list (I1, I2).
            let granules = unsafe { length(run) };
            if need.fits(run.addr().get(), granules, Self::SHORTEST)
                && best.is_none_or(|(_, shortest)| granules < shortest)
            {
                best = Some((run, granules));
                if F::ends_search(granules, need.granules) {
                    break;
                }
            }
            // SAFETY: as above.
            link = unsafe { next(run) };
        }
        let (run, granules) = best?;
        // SAFETY: the run was found in the list.
        unsafe { self.remove(run, granules) };
        Some((run, granules))
    }

    fn largest(&self) -> usize {
        let (mut link, mut largest) = (self.head, 0);
        while let Some(run) = link {
            // SAFETY: the run is in the list (I1, I2).
            unsafe {
                largest = largest.max(length(run));
                link = next(run);
            }
        }
        largest
    }

    #[cfg(any(test, debug_assertions))]
    fn check(&self, visit: &mut dyn FnMut(NonNull<u8>, usize)) {
        let (mut link, mut before) = (self.head, None);
        let mut near = self.near.is_none();
        while let Some(run) = link {
            // SAFETY: the run is in the list.
            unsafe {
                assert_eq!(prev(run), before);
                assert!(before.is_none_or(|before| before.addr() < run.addr()));
                near |= self.near == Some(run);
                visit(run, length(run));
                before = Some(run);
                link = next(run);
            }
        }
        assert!(near && self.near.is_some() == self.head.is_some());
    }
}

#[cfg(test)]
mod tests;
