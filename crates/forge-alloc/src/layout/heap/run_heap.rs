//! The heap under every heap here: blocks between boundary marks, and an index of the free runs that is a parameter.
//!
//! ```text
//!   RunHeap<I>     segments | current segment | granules in all, granules free | index I of the free runs | wilderness
//!                     |                                                            |                          |
//!   memory         | map | block | run | block | block |  run   | block | ..       |         | block |        run       |
//!                                 <------------------------------------------------+
//! ```
//!
//! # Invariants
//!
//! - (I1) The granules of every segment are blocks and free runs; no two runs touch. The marks of the segment's map are
//!   those of the blocks.
//! - (I2) The index holds every run but the wilderness, with its length, and nothing else; runs of [`REACH`] granules and more
//!   that it holds have their length at both ends.
//! - (I3) A block for a layout is as long as [`Need`] says, or longer by less than a run.
//! - (I4) `total` is the number of granules of the segments, `free` that of the runs but the wilderness.
//! - (I5) `current` is the ground of a segment of the tree, or none.
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | allocate | one search of the index, O(1) beside it; O(1) from the wilderness, where the index has nothing |
//! | free, resize in place | O(1), and at most two removals and one insertion of the index |
//! | free, checked | the same, and O(size / 512 bytes) to see that the block is as long as its layout |
//!
//! With more than one segment, each also finds its segment: O(1) if it is the last one used, O(log segments) otherwise.
//!
//! # Design
//!
//! Blocks have no header. The layout that comes with a free says how long the block is, and the marks say whether it was
//! given a granule more, because what was left could not be a run. Where the index has no order of addresses, the run at the
//! end of the segment that was taken in last is the [wilderness](super::wilderness) and taken when nothing else fits. Alignment to 8 bytes costs nothing; a greater one is
//! found by the index among its runs, and what lies in front of the block stays a run.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use forge_alloc_core::{AllocResult, HeapError, is_aligned};

use super::run_index::{Need, RunIndex};
use super::segment::{Ground, Segments};
use super::wilderness::Wilderness;
use crate::raw::boundary::{GRANULE, REACH, WINDOW};
use crate::raw::run::{length_before, set_lengths};

/// A heap over an index of its free runs.
#[derive(Debug)]
pub(crate) struct RunHeap<I> {
    pub(crate) current: Ground,
    pub(crate) index: I,
    pub(super) free: usize,
    pub(crate) total: usize,
    pub(crate) segments: Segments,
    pub(super) wilderness: Wilderness,
    /// Takes the lengths that are not written: choosing where to write is faster than choosing whether.
    sink: [MaybeUninit<u64>; 3],
}

// SAFETY: the heap owns its regions alone, and a region may be sent to another thread.
unsafe impl<I: Send> Send for RunHeap<I> {}
// SAFETY: through a shared reference the heap is only read.
unsafe impl<I: Sync> Sync for RunHeap<I> {}

/// A block as the marks show it.
struct Found {
    ground: Ground,
    first: usize,
    granules: usize,
}

impl<I: RunIndex> RunHeap<I> {
    /// Returns the heap without memory.
    pub(crate) const fn new(index: I) -> Self {
        const { assert!(I::SHORTEST <= WINDOW, "the end of a block is looked for among this many granules") };
        let (current, segments, sink) = (Ground::NONE, Segments::new(), [MaybeUninit::uninit(); 3]);
        Self { current, index, free: 0, total: 0, segments, wilderness: Wilderness::NONE, sink }
    }

    /// Returns a block of at least `layout.size()` bytes.
    ///
    /// # Errors
    ///
    /// [`HeapError::InvalidParam`] for a zero size, [`HeapError::NoMemory`] if there is no run that the index finds.
    #[inline(always)]
    pub(crate) fn alloc(&mut self, layout: Layout) -> AllocResult<NonNull<u8>> {
        if layout.size() == 0 {
            return Err(HeapError::InvalidParam);
        }
        self.take(Need::of(layout, I::SHORTEST)).ok_or(HeapError::NoMemory)
    }

    /// Takes a block from a run.
    #[inline]
    fn take(&mut self, need: Need) -> Option<NonNull<u8>> {
        let Some((run, granules)) = self.index.take_first(need) else { return self.take_slowly(need) };
        let address = run.addr().get();
        let ground = self.ground_of(address)?;
        // SAFETY: the run fits from its first granule on, and is the heap's since the index gave it away (I2).
        unsafe { Some(self.cut(ground, ground.position(address), granules, need)) }
    }

    /// Takes a block from a run in front of which may be others.
    #[inline(never)]
    fn take_slowly(&mut self, need: Need) -> Option<NonNull<u8>> {
        let Some((run, granules)) = self.index.take(need) else { return self.take_last(need) };
        let address = run.addr().get();
        let ground = self.ground_of(address)?;
        let front = need.front(address, I::SHORTEST);
        // SAFETY: the run fits behind what lies in front of the block, and is the heap's since the index gave it away (I2).
        unsafe {
            if front != 0 {
                self.insert(run, front);
            }
            Some(self.cut(ground, ground.position(address) + front, granules - front, need))
        }
    }

    /// Makes the beginning of a run a block, and of the rest a run again if it can be one. O(1), and the index.
    ///
    /// # Safety
    ///
    /// The granules are those of a run that the index gave away, or the end of one, and as many as are needed.
    #[inline(always)]
    unsafe fn cut(&mut self, ground: Ground, first: usize, granules: usize, need: Need) -> NonNull<u8> {
        let behind = granules - need.granules;
        // What is too short for a run becomes part of the block (I3).
        let taken = if behind < I::SHORTEST { granules } else { need.granules };
        self.free -= taken;
        // SAFETY: the block and what is left behind it are parts of the run.
        unsafe {
            ground.map.flip_block(first, first + taken - 1);
            let block = ground.place(first);
            if behind >= I::SHORTEST {
                self.insert(block.add(taken * GRANULE), behind);
            }
            block
        }
    }

    /// Takes the block at `pos` back.
    ///
    /// # Safety
    ///
    /// `pos` is a live block of this heap, `layout` is its layout, and nothing uses it afterwards.
    #[inline]
    pub(crate) unsafe fn dealloc(&mut self, pos: NonNull<u8>, layout: Layout) {
        debug_assert!(self.is_block(pos.addr().get(), layout), "free of what is no block of this layout");
        let address = pos.addr().get();
        let Some(ground) = self.ground_of(address) else { return };
        let (first, need) = (ground.position(address), Need::of(layout, I::SHORTEST).granules);
        // SAFETY: the caller promises a live block, whose last granule is the last that was needed or one of the next (I3). The
        // marks are read before they change, since what was just written is read slowly.
        unsafe {
            let (more, behind) = ground.map.end_and_gap(first + need - 1, I::SHORTEST);
            let before = ground.map.gap_before(first);
            let granules = need + more;
            ground.map.flip_block(first, first + granules - 1);
            if self.is_last(address + granules * GRANULE) {
                return self.widen(ground.place(first), granules, before);
            }
            self.free += granules;
            if before | behind == 0 {
                self.insert(ground.place(first), granules);
            } else {
                self.coalesce(ground.place(first), granules, before, behind);
            }
        }
    }

    /// Takes the block at `pos` back, if a block of this layout begins there.
    ///
    /// # Errors
    ///
    /// [`HeapError::NotAllocated`] if not.
    ///
    /// # Safety
    ///
    /// If there is a block, it is the caller's, and nothing uses it afterwards.
    pub(crate) unsafe fn dealloc_checked(&mut self, pos: NonNull<u8>, layout: Layout) -> AllocResult {
        if !self.is_block(pos.addr().get(), layout) {
            return Err(HeapError::NotAllocated);
        }
        // SAFETY: there is such a block, and the caller promises that it is the caller's.
        unsafe { self.dealloc(pos, layout) };
        Ok(())
    }

    /// Gives the block at `pos` another layout without moving it, and returns whether that was possible.
    ///
    /// # Safety
    ///
    /// `pos` is a live block of this heap, and `old` is its layout.
    #[inline]
    pub(crate) unsafe fn resize_in_place(&mut self, pos: NonNull<u8>, old: Layout, new: Layout) -> bool {
        debug_assert!(self.is_block(pos.addr().get(), old), "resize of what is no block of this layout");
        // What most resizes are: another size, longer than the shortest block, of a block in front of the wilderness.
        if new.size() > (I::SHORTEST - 1) * GRANULE && new.align() == old.align() {
            let (granules, need) = (Need::of(old, I::SHORTEST).granules, Need::of(new, I::SHORTEST).granules);
            // What starts where the last granule that was asked for ends shows that it is the last one.
            if self.is_last(pos.addr().get().wrapping_add(granules * GRANULE)) {
                // Granules are too few for a difference to wrap.
                let rest = (self.wilderness.granules + granules).wrapping_sub(need);
                if rest as isize >= I::SHORTEST as isize {
                    // SAFETY: the caller promises a live block, which ends at the wilderness.
                    unsafe { self.move_border(pos.addr().get(), need.wrapping_sub(granules), rest) };
                    return true;
                }
            }
        }
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.resize_anywhere(pos, old, new) }
    }

    /// Gives the block at `pos` another layout without moving it, and returns whether that was possible. O(1), and the index.
    ///
    /// # Safety
    ///
    /// As [`resize_in_place`](Self::resize_in_place).
    #[inline(never)]
    unsafe fn resize_anywhere(&mut self, pos: NonNull<u8>, old: Layout, new: Layout) -> bool {
        let address = pos.addr().get();
        if new.size() == 0 || !is_aligned(address, new.align()) {
            return false;
        }
        let need = Need::of(new, I::SHORTEST).granules;
        // SAFETY: the caller promises a live block; what it gains was a run, which the index gave away, and what it loses
        // becomes a run.
        unsafe {
            let Some(block) = self.locate(pos, Need::of(old, I::SHORTEST).granules) else { return false };
            let (ground, end) = (block.ground, block.first + block.granules);
            if self.is_last(ground.address() + end * GRANULE) {
                let room = block.granules + self.wilderness.granules;
                if need > room {
                    return false;
                }
                let length = if room - need < I::SHORTEST { room } else { need };
                self.move_border(address, length.wrapping_sub(block.granules), room - length);
                return true;
            }
            if need <= block.granules && block.granules - need < I::SHORTEST {
                return true;
            }
            let behind = self.run_at(ground, end);
            if need > block.granules + behind {
                return false;
            }
            let room = block.granules + behind;
            let rest = room - need;
            let granules = if rest < I::SHORTEST { room } else { need };
            ground.map.move_last(block.first, end - 1, block.first + granules - 1);
            self.free = self.free + block.granules - granules;
            if rest < I::SHORTEST {
                self.index.remove(ground.place(end), behind);
            } else if behind == 0 {
                self.insert(ground.place(block.first + need), rest);
            } else {
                let run = ground.place(block.first + need);
                self.index.replace(ground.place(end), behind, run, rest);
                if rest >= REACH {
                    set_lengths(run, rest);
                }
            }
        }
        true
    }

    /// Returns whether a block of this layout begins at an address, and is not the heap's own. O(size / 512 bytes).
    pub(crate) fn is_block(&self, address: usize, layout: Layout) -> bool {
        if layout.size() == 0 || !is_aligned(address, layout.align().max(GRANULE)) {
            return false;
        }
        let Some((node, segment)) = self.segments.find(address) else { return false };
        let (ground, need) = (segment.ground, Need::of(layout, I::SHORTEST).granules);
        let first = ground.position(address);
        // SAFETY: the address lies in the segment, and behind the first granule of a block is another.
        unsafe {
            ground.map.is_first(first)
                && (need..need + I::SHORTEST).contains(&(ground.map.next_mark(first + 1) - first + 1))
                && node.addr().get() != address
        }
    }

    /// Returns the ground with an address. O(1) if it is the last one that was asked for, and O(log segments) otherwise.
    #[inline(always)]
    fn ground_of(&mut self, address: usize) -> Option<Ground> {
        if !self.current.contains(address) {
            self.go_to(address)?;
        }
        Some(self.current)
    }

    #[cold]
    #[inline(never)]
    fn go_to(&mut self, address: usize) -> Option<()> {
        self.current = self.segments.find(address)?.1.ground;
        Some(())
    }

    /// Returns the block at `pos`, which was asked for with `need` granules. O(1).
    ///
    /// # Safety
    ///
    /// There is such a block.
    #[inline(always)]
    unsafe fn locate(&mut self, pos: NonNull<u8>, need: usize) -> Option<Found> {
        let address = pos.addr().get();
        let ground = self.ground_of(address)?;
        let first = ground.position(address);
        // SAFETY: the block has at least `need` granules, and the last of them is marked, or one of the next (I3).
        let more = unsafe {
            if I::SHORTEST == 2 {
                usize::from(!ground.map.is_marked(first + need - 1))
            } else {
                ground.map.gap_after(first + need - 1)
            }
        };
        debug_assert!(more < I::SHORTEST);
        Some(Found { ground, first, granules: need + more })
    }

    /// Makes free granules a run, together with the runs that they touch. O(1), and the index.
    ///
    /// # Safety
    ///
    /// The granules belong to no block and no run of the segment.
    #[inline(always)]
    pub(crate) unsafe fn release(&mut self, ground: Ground, first: usize, granules: usize) {
        self.free += granules;
        debug_assert!(!self.is_last(ground.address() + (first + granules) * GRANULE));
        // SAFETY: what lies between marks and touches the granules is a run (I1).
        unsafe {
            let (before, behind) = (ground.map.gap_before(first), ground.map.gap_after(first + granules));
            self.coalesce(ground.place(first), granules, before, behind);
        }
    }

    /// Returns whether the wilderness starts at an address. O(1).
    #[inline(always)]
    fn is_last(&self, address: usize) -> bool {
        I::LEAVES_LAST && self.wilderness.starts_at(address)
    }

    /// Returns how many granules are free. O(1).
    pub(crate) fn available(&self) -> usize {
        self.free + self.wilderness.granules
    }

    /// Returns the length of the longest block that would be served, with the alignment of a granule.
    pub(crate) fn largest(&self) -> usize {
        self.index.largest().max(self.wilderness.granules) * GRANULE
    }

    /// Makes free granules a run, together with the runs in front of them and behind them, whose lengths are given as far as marks
    /// show them. O(1), and the index.
    ///
    /// # Safety
    ///
    /// As [`release`](Self::release), with the gaps that are measured there.
    #[inline(never)]
    unsafe fn coalesce(&mut self, free: NonNull<u8>, granules: usize, before: usize, behind: usize) {
        let (mut start, mut length) = (free, granules);
        // SAFETY: the gaps are runs (I1), which the index holds with their lengths, and which have those at their ends where the
        // marks do not show them (I2).
        unsafe {
            if behind != 0 {
                let end = free.add(granules * GRANULE);
                let behind = if behind >= REACH { crate::raw::run::length(end) } else { behind };
                self.index.remove(end, behind);
                length += behind;
            }
            if before != 0 {
                let before = if before >= REACH { length_before(free) } else { before };
                start = free.sub(before * GRANULE);
                length += before;
                self.index.remove(start, before);
            }
            self.insert(start, length);
        }
    }

    /// Returns the length of the run at a position, or 0 if a block or the end of the segment is there. O(1).
    ///
    /// # Safety
    ///
    /// The position is behind a block, or behind granules that belong to nothing.
    #[inline(always)]
    unsafe fn run_at(&self, ground: Ground, position: usize) -> usize {
        // SAFETY: what is not marked there is a run (I1), with its length where the marks do not show it (I2).
        unsafe {
            let gap = ground.map.gap_after(position);
            if gap >= REACH { crate::raw::run::length(ground.place(position)) } else { gap }
        }
    }

    /// Hands a run to the index. O(1), and the index.
    ///
    /// # Safety
    ///
    /// The granules belong to no block and no run of a segment, touch no run, and are at least as many as the shortest.
    #[inline(always)]
    pub(super) unsafe fn insert(&mut self, run: NonNull<u8>, granules: usize) {
        let sink = (NonNull::from(&mut self.sink).cast(), self.sink.len());
        // SAFETY: the granules are the heap's, and nobody else uses them; so is the sink, which is as long as said.
        unsafe {
            let (place, length) = if granules >= REACH { (run, granules) } else { sink };
            set_lengths(place, length);
            self.index.insert(run, granules);
        }
    }

    /// Checks every invariant. O(blocks and runs).
    #[cfg(any(test, debug_assertions))]
    #[cfg_attr(not(test), expect(dead_code, reason = "called by tests"))]
    pub(crate) fn check(&self) {
        let (mut total, mut free, mut runs) = (0, 0, usize::from(self.wilderness.granules == 0));
        let mut last = None;
        for block in super::blocks::HeapBlocks::new(&self.segments) {
            let granules = block.size / GRANULE;
            total += granules;
            assert!(granules >= I::SHORTEST, "a block or run is too short: {block:?}");
            let segment = self.segments.find(block.address).map(|(_, segment)| segment.ground);
            assert!(segment.is_some());
            if let Some(segment) = segment {
                let touches = last == Some(block.address) && segment.address() != block.address;
                assert!(!(block.free && touches), "two runs touch: {block:?}");
                let first = segment.position(block.address);
                // SAFETY: these are positions of the segment, and a run of this length has its lengths.
                unsafe {
                    assert_eq!(segment.map.is_first(first), !block.free);
                    assert!(!segment.map.is_first(first + granules - 1));
                    if self.is_last(block.address) {
                        assert_eq!(
                            (first + granules, granules),
                            (segment.granules(), self.wilderness.granules)
                        );
                    } else if block.free && granules >= REACH {
                        assert_eq!(crate::raw::run::length(segment.place(first)), granules);
                        assert_eq!(length_before(segment.place(first + granules)), granules);
                    }
                }
            }
            last = None;
            if block.free {
                free += granules;
                runs += 1;
                last = Some(block.address + block.size);
            }
        }
        assert_eq!((self.total, self.available()), (total, free));
        self.index.check(&mut |run, granules| {
            let address = run.addr().get();
            let segment = self.segments.find(address).map(|(_, segment)| segment.ground);
            assert!(segment.is_some(), "the index holds what is no memory of the heap");
            if let Some(segment) = segment {
                let first = segment.position(address);
                // SAFETY: these are positions of the segment.
                unsafe {
                    assert!(!segment.map.is_marked(first));
                    assert_eq!(segment.map.next_mark(first), first + granules);
                }
            }
            assert!(runs > 0, "the index holds a run twice");
            runs -= 1;
        });
        assert_eq!(runs, 1, "the index lacks a run");
    }
}
