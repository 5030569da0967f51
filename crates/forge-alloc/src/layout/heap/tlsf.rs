//! `Tlsf`: a heap whose every operation takes constant time, whatever it holds.
//!
//! ```text
//!   first level: powers of two                second level: SECOND ranges of equal width
//!   0   runs of 2, 3, .. SECOND - 1 granules  [ |2|3|4| ..                  |SECOND - 1]   one length each
//!   1   SECOND .. 2 SECOND - 1                [ | | | ..                              ]   one length each
//!   2   2 SECOND .. 4 SECOND - 1              [ | | | ..                              ]   two lengths each
//!   ..
//!
//!   nonempty: a bit for each first level, and in each of them a bit for each class
//!   heads:    the first run of each class --next--> run --next--> run
//! ```
//!
//! # Invariants
//!
//! - (I1) Every run is in the list of the class of its length; the last class also has all longer runs.
//! - (I2) The bit of a class is set exactly if its list is not empty, and the bit of a first level exactly if one of its
//!   classes is not empty.
//! - (I3) The link to the previous run is that of the list in all runs but the head of a list, where it is any.
//! - (I4) A run of `2 * SECOND` granules or more has its length at its beginning. The heap sees to it for runs of [`REACH`]
//!   granules and more.
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | allocate, at any alignment | O(1): the first run of three classes, and if none of them fits, at most [`TRIES`] each of two |
//! | free, resize in place | O(1): at most two runs leave their lists and one enters one |
//! | largest free | O(1) |
//!
//! # Design
//!
//! Two-level segregated fit, after Masmano, Ripoll, Crespo and Real, "TLSF: a New Dynamic Memory Allocator for Real-Time
//! Systems", 2004. As in `rlsf`, the parameters are constants of the type; the second is a count and not its logarithm,
//! since the length of an array cannot be computed from a parameter.
//!
//! *Good fit.* A size is rounded up to the next class, so that the first run there fits without a search. That alone
//! refuses a request that a run of its own class could hold, which is what makes heaps of this kind full early: here the first
//! run of the class itself is looked at before, and [`TRIES`] of them before a request is refused. Classes below `2 * SECOND` granules have one length each, so
//! small blocks always get the best fit there is. Above, the run that is taken is longer than the best one by less than the
//! width of its class, `1 / SECOND` of its length. What is left over stays free.
//!
//! *Alignment.* Runs that could hold the block where they happen to lie are taken as they are: the first of the class, and
//! of the next class that is not empty. If neither does, the size is lengthened by the worst padding, so that the first run
//! fits again; before a request is refused, [`TRIES`] runs of the class of that length are looked at as well.
//!
//! *Lists* are last in, first out: memory that was freed last is in the cache. A head has no valid link to what is before it,
//! which saves a store to a cold line with every run that is taken; whoever removes a run compares it with the head.
//!
//! Blocks have no header, and the neighbours of a block are found by marks apart from them: see `RunHeap`.
#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use core::ptr::NonNull;

use forge_alloc_core::is_aligned;

use super::run_heap::RunHeap;
use super::run_index::{Need, RunIndex};
use crate::raw::boundary::REACH;
use crate::raw::run::{Link, length, next, prev, set_length, set_next, set_prev};

/// How many runs of the class of a size are looked at before a request is refused.
pub(crate) const TRIES: usize = 16;

/// A two-level segregated fit heap: constant time for every operation, in any number of regions.
///
/// `FIRST` is the number of first levels and `SECOND` the number of classes in each, a power of two: runs of up to
/// `SECOND << (FIRST - 1)` granules of 8 bytes have a class of their own length, and blocks up to that size are found
/// whenever there is a run of the next class. A heap without memory takes `FIRST * SECOND` words.
///
/// # Examples
///
/// ```
/// use core::alloc::Layout;
/// use core::mem::MaybeUninit;
/// use forge_alloc::{ByteAllocator, Region, Tlsf};
///
/// let memory: &'static mut [MaybeUninit<u8>] = Box::leak(Box::new([const { MaybeUninit::uninit() }; 4096]));
/// let mut heap = Tlsf::<20, 32>::new();
/// heap.add_region(Region::from(memory)).map_err(|rejected| rejected.error)?;
///
/// let layout = Layout::new::<[u64; 4]>();
/// let block = heap.alloc(layout)?;
/// // Sound: the block is live, and this is its layout.
/// unsafe { heap.dealloc(block, layout) };
/// assert_eq!(heap.used_bytes() + heap.available_bytes(), heap.total_bytes());
/// # Ok::<(), forge_alloc::HeapError>(())
/// ```
#[derive(Debug)]
pub struct Tlsf<const FIRST: usize = { default_first() }, const SECOND: usize = { default_second() }> {
    heap: RunHeap<Classes<FIRST, SECOND>>,
}

/// The two-level segregated fit heap with usual parameters, under the name of the kernel family.
pub type TlsfByteAllocator = Tlsf;

/// Returns the usual number of first levels: runs of up to 64 GiB have a class of their own length, or all with short pointers.
const fn default_first() -> usize {
    if usize::BITS == 64 { 28 } else { 24 }
}

/// Returns the usual number of classes in a first level: as many as a word has bits.
const fn default_second() -> usize {
    usize::BITS as usize
}

impl<const FIRST: usize, const SECOND: usize> Tlsf<FIRST, SECOND> {
    /// Returns a heap without memory: every request is `NoMemory` until a region is handed over. O(1).
    #[must_use]
    pub const fn new() -> Self {
        Self { heap: RunHeap::new(Classes::new()) }
    }
}

super::byte_heap!([const FIRST: usize, const SECOND: usize] Tlsf<FIRST, SECOND>);

/// Returns the class of runs of `granules` granules in levels of `SECOND` classes, not bounded above: its first level times
/// `SECOND`, plus its place there. O(1).
#[inline(always)]
const fn class_of<const SECOND: usize>(granules: usize) -> usize {
    // Lengths below SECOND are all of level 0; above, the bits below the highest one say the place, and it adds a level.
    let log = (granules | SECOND).ilog2() - SECOND.ilog2();
    log as usize * SECOND + (granules >> log)
}

/// The runs by class.
#[derive(Debug)]
struct Classes<const FIRST: usize, const SECOND: usize> {
    nonempty: usize,
    nonempty_in: [usize; FIRST],
    heads: [[Link; SECOND]; FIRST],
    sink: [MaybeUninit<u64>; 3],
}

// SAFETY: the links name memory that the heap owns alone.
unsafe impl<const FIRST: usize, const SECOND: usize> Send for Classes<FIRST, SECOND> {}
// SAFETY: through a shared reference they are only read.
unsafe impl<const FIRST: usize, const SECOND: usize> Sync for Classes<FIRST, SECOND> {}

impl<const FIRST: usize, const SECOND: usize> Classes<FIRST, SECOND> {
    const fn new() -> Self {
        const {
            assert!(
                FIRST >= 2 && FIRST <= usize::BITS as usize,
                "the first levels have a bit each in one word"
            );
            assert!(
                SECOND.is_power_of_two() && SECOND >= 4 && SECOND <= usize::BITS as usize,
                "the classes of a level are a power of two, with a bit each in one word"
            );
            assert!(
                FIRST + SECOND.ilog2() as usize <= usize::BITS as usize,
                "the longest class has a length that fits a word"
            );
        }
        Self {
            nonempty: 0,
            nonempty_in: [0; FIRST],
            heads: [[None; SECOND]; FIRST],
            sink: [MaybeUninit::uninit(); 3],
        }
    }

    /// The class of the longest runs.
    const LAST: usize = FIRST * SECOND - 1;

    /// The first class with runs of more than one length.
    const COARSE: usize = 2 * SECOND;

    /// Returns the class of a length, which is the last one for all that are too long. O(1).
    #[inline(always)]
    fn class(granules: usize) -> usize {
        let class = class_of::<SECOND>(granules);
        if class > Self::LAST { Self::LAST } else { class }
    }

    /// Returns the length of a run of a class. O(1).
    ///
    /// # Safety
    ///
    /// The run is in the list of the class.
    #[inline(always)]
    unsafe fn length_in(run: NonNull<u8>, class: usize) -> usize {
        if class < Self::COARSE {
            return class;
        }
        // SAFETY: the run has its length at its beginning (I4).
        unsafe { length(run) }
    }

    /// Returns the first class from this one on that is not empty. O(1).
    #[inline(always)]
    fn from(&self, class: usize) -> Option<usize> {
        let first = class / SECOND;
        let here = self.nonempty_in.get(first)? & (usize::MAX << (class % SECOND));
        if here != 0 {
            return Some(first * SECOND + here.trailing_zeros() as usize);
        }
        // Shifted twice, since a shift by a whole word is none.
        let first = (self.nonempty & (usize::MAX << first << 1)).trailing_zeros() as usize;
        Some(first * SECOND + self.nonempty_in.get(first)?.trailing_zeros() as usize)
    }

    /// Returns the head of a class. O(1).
    #[inline(always)]
    fn head(&self, class: usize) -> Link {
        self.heads.as_flattened().get(class).copied().flatten()
    }

    /// Sets the head of a class. O(1).
    #[inline(always)]
    fn set_head(&mut self, class: usize, link: Link) {
        if let Some(head) = self.heads.as_flattened_mut().get_mut(class) {
            *head = link;
        }
    }

    /// Takes a run out of the list of its class. O(1).
    ///
    /// # Safety
    ///
    /// The run is in that list.
    #[inline(always)]
    unsafe fn unlink(&mut self, run: NonNull<u8>, class: usize) {
        // SAFETY: the run is in the list, so its links are those of the list; only the head lacks the one before (I3), and
        // keeps what it has. A link to the next run is the first thing in a run, and a head is one.
        unsafe {
            let (before, after) = (prev(run), next(run));
            let is_head = self.head(class) == Some(run);
            set_prev(after.unwrap_or(self.sink()), before);
            match before {
                Some(before) if !is_head => set_next(before, after),
                _ => self.set_head(class, after),
            }
            self.note_empty(class, is_head && after.is_none());
        }
    }

    /// Takes the head out of the list of its class. O(1).
    ///
    /// # Safety
    ///
    /// The run is the head of that list.
    #[inline(always)]
    unsafe fn unlink_head(&mut self, run: NonNull<u8>, class: usize) {
        // SAFETY: the run is in the list.
        let after = unsafe { next(run) };
        self.set_head(class, after);
        self.note_empty(class, after.is_none());
    }

    /// Clears the bit of a class that is `empty`, and that of its level with the last one (I2). O(1).
    #[inline(always)]
    fn note_empty(&mut self, class: usize, empty: bool) {
        if let Some(level) = self.nonempty_in.get_mut(class / SECOND) {
            *level &= !(usize::from(empty) << (class % SECOND));
            // Levels rarely empty or fill, so neither is worth a store in most calls.
            if *level == 0 {
                self.nonempty &= !(1 << (class / SECOND));
            }
        }
    }

    /// Sets the bit of a class, and that of its level with the first one (I2). O(1).
    #[inline(always)]
    fn note_filled(&mut self, class: usize) {
        if let Some(level) = self.nonempty_in.get_mut(class / SECOND) {
            if *level == 0 {
                self.nonempty |= 1 << (class / SECOND);
            }
            *level |= 1 << (class % SECOND);
        }
    }

    /// Writes the length that classes need, where the heap does not (I4). O(1).
    ///
    /// # Safety
    ///
    /// The run is the index's.
    #[inline(always)]
    unsafe fn note_length(&mut self, run: NonNull<u8>, granules: usize) {
        if Self::COARSE < REACH {
            // SAFETY: the run is long enough for a length, or the sink is.
            unsafe { set_length(if granules > Self::SHORTEST { run } else { self.sink() }, granules) };
        }
    }

    /// Returns memory that takes what belongs nowhere: choosing where to write is faster than choosing whether. O(1).
    #[inline(always)]
    fn sink(&mut self) -> NonNull<u8> {
        NonNull::from(&mut self.sink).cast()
    }

    /// Returns one of the first `tries` runs of a class, if one of them fits. O(1).
    #[inline(always)]
    fn try_class(&self, class: usize, need: Need, tries: usize) -> Option<(NonNull<u8>, usize)> {
        let mut link = self.head(class);
        for _ in 0..tries {
            let run = link?;
            // SAFETY: the run is in the list of the class.
            let granules = unsafe { Self::length_in(run, class) };
            if need.fits(run.addr().get(), granules, Self::SHORTEST) {
                return Some((run, granules));
            }
            // SAFETY: as above.
            link = unsafe { next(run) };
        }
        None
    }

    /// Returns a run that fits, its length and its class. O(1).
    #[inline(always)]
    fn find_among(&self, own: usize, need: Need) -> Option<(NonNull<u8>, usize, usize)> {
        if let Some((run, granules)) = self.try_class(own, need, 1) {
            return Some((run, granules, own));
        }
        if let Some(class) = self.from(own + 1) {
            if let Some((run, granules)) = self.try_class(class, need, 1) {
                return Some((run, granules, class));
            }
            // Every run from the class after that of the padded length on fits.
            if let Some(class) = self.from(Self::class(need.anywhere(Self::SHORTEST)) + 1) {
                return self.try_class(class, need, 1).map(|(run, granules)| (run, granules, class));
            }
        } else {
            // No run at all is as long, which is how the wilderness gets its requests.
            self.head(own)?;
        }
        self.find_late(own, need)
    }

    /// Returns a run of the class of the need, or of its padded length: the last resort. O(1).
    #[cold]
    fn find_late(&self, own: usize, need: Need) -> Option<(NonNull<u8>, usize, usize)> {
        let padded = Self::class(need.anywhere(Self::SHORTEST));
        [own, padded].into_iter().find_map(|class| {
            self.try_class(class, need, TRIES).map(|(run, granules)| (run, granules, class))
        })
    }
}

// SAFETY: a run leaves the index only after it was found in a list (I1), and with the length that it was inserted with; it
// was seen to fit, or its class has only lengths that do.
unsafe impl<const FIRST: usize, const SECOND: usize> RunIndex for Classes<FIRST, SECOND> {
    const SHORTEST: usize = crate::raw::run::SHORTEST;
    const LEAVES_LAST: bool = true;

    #[inline(always)]
    unsafe fn insert(&mut self, run: NonNull<u8>, granules: usize) {
        let class = Self::class(granules);
        let head = self.head(class);
        // SAFETY: the run is the index's, and long enough for what is written; so was the head when it was inserted.
        unsafe {
            self.note_length(run, granules);
            set_next(run, head);
            set_prev(run, None);
            set_prev(head.unwrap_or(self.sink()), Some(run));
        }
        self.set_head(class, Some(run));
        self.note_filled(class);
    }

    #[inline(always)]
    unsafe fn remove(&mut self, run: NonNull<u8>, granules: usize) {
        // SAFETY: the caller promises that the run is in the list of its class (I1).
        unsafe { self.unlink(run, Self::class(granules)) };
    }

    #[inline(always)]
    unsafe fn replace(&mut self, run: NonNull<u8>, granules: usize, new: NonNull<u8>, new_granules: usize) {
        let class = Self::class(new_granules);
        // SAFETY: the run is in the list of its class. If the other belongs there too and the run is the head, the other is
        // linked in its place; the link is read before the memory of the other, which may be the same, is written.
        unsafe {
            if class != Self::class(granules) || self.head(class) != Some(run) {
                self.remove(run, granules);
                return self.insert(new, new_granules);
            }
            let after = next(run);
            self.note_length(new, new_granules);
            set_next(new, after);
            set_prev(new, None);
            set_prev(after.unwrap_or(self.sink()), Some(new));
            self.set_head(class, Some(new));
        }
    }

    #[inline]
    fn take(&mut self, need: Need) -> Option<(NonNull<u8>, usize)> {
        let own = Self::class(need.granules);
        let (run, granules, class) = self.find_among(own, need)?;
        // SAFETY: the run was found in that list.
        unsafe { self.unlink(run, class) };
        Some((run, granules))
    }

    #[inline(always)]
    fn take_first(&mut self, need: Need) -> Option<(NonNull<u8>, usize)> {
        if need.granules >= Self::COARSE {
            return None;
        }
        // Every run of these classes is as long as the class says, so the first one of the first class that has any fits, if it
        // is aligned.
        let class = self.from(need.granules)?;
        let run = self.head(class)?;
        if !is_aligned(run.addr().get(), need.align) {
            return None;
        }
        // SAFETY: the run is the head of the class.
        unsafe {
            let granules = Self::length_in(run, class);
            self.unlink_head(run, class);
            Some((run, granules))
        }
    }

    fn largest(&self) -> usize {
        let Some(first) = self.nonempty.checked_ilog2() else { return 0 };
        let level = self.nonempty_in.get(first as usize).copied().unwrap_or(0);
        let class = first as usize * SECOND + level.checked_ilog2().unwrap_or(0) as usize;
        let (mut link, mut largest) = (self.head(class), 0);
        // What is not among the runs that a request tries is served from the class below at most.
        for _ in 0..TRIES {
            let Some(run) = link else { break };
            // SAFETY: the run is in the list of the class.
            unsafe {
                largest = largest.max(Self::length_in(run, class));
                link = next(run);
            }
        }
        largest
    }

    #[cfg(any(test, debug_assertions))]
    fn check(&self, visit: &mut dyn FnMut(NonNull<u8>, usize)) {
        for (first, level) in self.nonempty_in.iter().enumerate() {
            assert_eq!(self.nonempty >> first & 1 != 0, *level != 0);
        }
        for (class, head) in self.heads.as_flattened().iter().enumerate() {
            let (mut link, mut before) = (*head, None);
            let level = self.nonempty_in.get(class / SECOND).copied().unwrap_or(0);
            assert_eq!(level >> (class % SECOND) & 1 != 0, link.is_some());
            while let Some(run) = link {
                // SAFETY: the run is in the list of the class.
                unsafe {
                    let granules = Self::length_in(run, class);
                    assert_eq!(Self::class(granules), class);
                    assert!(before.is_none() || prev(run) == before);
                    visit(run, granules);
                    before = Some(run);
                    link = next(run);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
