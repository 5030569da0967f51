//! Extents: what mappings of large blocks are cut into, and the lists of those that are free.
//!
//! ```text
//!   mapping   | extent, live | extent, kept | extent, live |       before <--> after, in the order of addresses
//!
//!   extent    | size: what was asked for | idle |    0 <= size, high <= len; from `high` on every byte is zero
//!
//!   live      | chain 0 | chain 1 | .. |               by a hash of the address
//!   kept      | 4 KiB.. | 8 KiB.. | 16 KiB.. | .. |    by the highest bit of the length
//! ```
//!
//! # Invariants
//!
//! - (I1) The extents of a mapping follow one another without a gap, from its start to its end. One that has neither a neighbour before nor
//!   after is the whole mapping.
//! - (I2) From `high` on, an extent reads as zero.
//! - (I3) Of a kept extent, `idle <= high` bytes may have pages that the system was not asked to take.
//! - (I4) An extent is on a chain, on the list of its length, or in the hands of one thread. No two neighbours are on such lists.
//! - (I5) `mapped` is the sum of all `len`, `used` that of the sizes of the live ones, `idle` that of the `idle` of the kept ones.
//! - (I6) Who has an extent in its hands has its memory and what the record says about that; `next`, `prev`, `before` and `after` are reached under
//!   the lock only.
//!
//! # Operations
//!
//! Keeping, cutting and joining: O(1). [`take_best`](Extents::take_best): O(kept of about that length). Finding by address: O(live / chains).
//!
//! # Design
//!
//! Records are beside the mappings, as in [`huge`](super): no block can overwrite one. Neighbours are joined only within one mapping, so that
//! a pointer to a block never reaches beyond the mapping that it was made for, and mappings are unmapped as they were mapped, which is all that
//! some systems can do.
#![allow(unsafe_code)]

use core::ptr::{self, NonNull};

use forge_os::{Advice, Os};

use crate::fast::back::aside;
use crate::fast::back::decay::Decay;

mod victims;

pub(super) use self::victims::Victims;

/// The number of chains, a power of two.
const CHAINS: usize = 256;

/// The number of lists: one for each highest bit of a length.
const LISTS: usize = usize::BITS as usize;

/// The bytes of records that are mapped at a time, at least.
pub(super) const RECORDS: usize = 16 << 10;

/// The part of an extent that may stay idle behind a block, as a divisor: less is not worth an extent of its own.
const IDLE_PART: usize = 8;

/// A part of a mapping.
pub(super) struct Extent {
    next: *mut Extent,
    prev: *mut Extent,
    before: *mut Extent,
    after: *mut Extent,
    pub(super) start: NonNull<u8>,
    pub(super) len: usize,
    pub(super) size: usize,
    pub(super) high: usize,
    pub(super) idle: usize,
    /// Whether it is a mapping, for who has it in its hands: that does not change meanwhile.
    pub(super) whole: bool,
    kept: bool,
}

impl Extent {
    const EMPTY: Self = Self {
        next: ptr::null_mut(),
        prev: ptr::null_mut(),
        before: ptr::null_mut(),
        after: ptr::null_mut(),
        start: NonNull::dangling(),
        len: 0,
        size: 0,
        high: 0,
        idle: 0,
        whole: true,
        kept: false,
    };

    /// Returns whether this is a mapping, to who holds the lock. O(1).
    pub(super) fn is_whole(&self) -> bool {
        self.before.is_null() && self.after.is_null()
    }
}

/// All extents of a heap. The methods are called with the lock held, on records of this value, through pointers: they refer to each other.
pub(super) struct Extents {
    live: [*mut Extent; CHAINS],
    kept: [*mut Extent; LISTS],
    unused: *mut Extent,
    pub(super) kept_count: usize,
    pub(super) mapped: usize,
    pub(super) used: usize,
    pub(super) peak: usize,
    pub(super) idle: usize,
    pub(super) retainable: usize,
    pub(super) decay: Decay,
    pub(super) advice: Option<Advice>,
}

impl Extents {
    /// Returns no extents, of which `retainable` bytes may be kept besides what is in use.
    pub(super) const fn new(retainable: usize) -> Self {
        Self {
            live: [ptr::null_mut(); CHAINS],
            kept: [ptr::null_mut(); LISTS],
            unused: ptr::null_mut(),
            kept_count: 0,
            mapped: 0,
            used: 0,
            peak: 0,
            idle: 0,
            retainable,
            decay: Decay::new(),
            advice: None,
        }
    }

    /// Returns the chain of an address.
    fn chain_of(&mut self, address: usize) -> &mut *mut Extent {
        // The golden ratio spreads pages evenly (Knuth, The Art of Computer Programming 6.4).
        let hash = (address as u64 >> 12).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
        self.chain(hash as usize)
    }

    fn chain(&mut self, index: usize) -> &mut *mut Extent {
        // SAFETY: the index is below the number of chains.
        unsafe { self.live.get_unchecked_mut(index % CHAINS) }
    }

    fn list(&mut self, log: usize) -> &mut *mut Extent {
        // SAFETY: the index is below the number of lists.
        unsafe { self.kept.get_unchecked_mut(log % LISTS) }
    }

    /// Makes an extent a live block of `size` bytes, and returns how many of its first bytes may not be zero. O(1).
    ///
    /// # Safety
    ///
    /// The extent is in the caller's hands, and has that many bytes.
    pub(super) unsafe fn enter(&mut self, extent: *mut Extent, size: usize) -> usize {
        self.used += size;
        self.peak = self.peak.max(self.used);
        // SAFETY: the caller's promise.
        unsafe {
            let dirty = (*extent).high.min(size);
            (*extent).size = size;
            (*extent).high = (*extent).high.max(size);
            let chain = self.chain_of((*extent).start.addr().get());
            (*extent).next = *chain;
            *chain = extent;
            dirty
        }
    }

    /// Takes the live block that starts at an address off its chain; null if there is none.
    ///
    /// # Safety
    ///
    /// The lock is held.
    pub(super) unsafe fn remove(&mut self, address: usize) -> *mut Extent {
        let mut link: *mut *mut Extent = self.chain_of(address);
        // SAFETY: records of a chain are alive and reached under the lock.
        unsafe {
            while !(*link).is_null() {
                let extent = *link;
                if (*extent).start.addr().get() == address {
                    *link = (*extent).next;
                    self.used -= (*extent).size;
                    (*extent).idle = (*extent).high;
                    return extent;
                }
                link = &raw mut (*extent).next;
            }
        }
        ptr::null_mut()
    }

    /// Returns the size of the live block that starts at an address, if there is one.
    ///
    /// # Safety
    ///
    /// The lock is held.
    pub(super) unsafe fn find(&mut self, address: usize) -> Option<usize> {
        let mut extent = *self.chain_of(address);
        // SAFETY: records of a chain are alive and reached under the lock.
        unsafe {
            while !extent.is_null() {
                if (*extent).start.addr().get() == address {
                    return Some((*extent).size);
                }
                extent = (*extent).next;
            }
        }
        None
    }

    /// Cuts every live block to the pages that it asked for.
    ///
    /// # Safety
    ///
    /// The lock is held.
    pub(super) unsafe fn trim_live(&mut self, os: &impl Os) {
        for chain in 0..CHAINS {
            let mut extent = *self.chain(chain);
            // SAFETY: records of a chain are alive and reached under the lock; nobody uses what was not asked for.
            unsafe {
                while !extent.is_null() {
                    (*extent).idle = (*extent).high;
                    self.cut(os, extent, (*extent).size.next_multiple_of(os.page_size()), true);
                    extent = (*extent).next;
                }
            }
        }
    }

    /// Takes a kept extent of at least `len` bytes and the alignment off its list, about the shortest; null if there is none.
    ///
    /// # Safety
    ///
    /// The lock is held; `len` is not zero, and a multiple of the page size.
    pub(super) unsafe fn take_best(&mut self, os: &impl Os, len: usize, align: usize) -> *mut Extent {
        for log in len.ilog2() as usize..LISTS {
            let (mut best, mut best_len) = (ptr::null_mut(), usize::MAX);
            let mut extent = *self.list(log);
            // SAFETY: kept records are alive and reached under the lock.
            unsafe {
                while !extent.is_null() {
                    let rest = (*extent).len.saturating_sub(misaligned(extent, align));
                    if rest >= len && (*extent).len < best_len {
                        (best, best_len) = (extent, (*extent).len);
                    }
                    extent = (*extent).next;
                }
                if !best.is_null() {
                    self.unlist(best);
                    let front = misaligned(best, align);
                    if front == 0 {
                        return best;
                    }
                    let second = self.split(os, best, front);
                    self.keep(best);
                    return second.unwrap_or(ptr::null_mut());
                }
            }
        }
        ptr::null_mut()
    }

    /// Puts an extent on the list of its length. O(1).
    ///
    /// # Safety
    ///
    /// The extent is in the caller's hands.
    unsafe fn enlist(&mut self, extent: *mut Extent) {
        // SAFETY: the caller's promise; kept records are alive and reached under the lock.
        unsafe {
            self.idle += (*extent).idle;
            self.kept_count += 1;
            (*extent).kept = true;
            let list = self.list((*extent).len.ilog2() as usize);
            (*extent).prev = ptr::null_mut();
            (*extent).next = *list;
            if !(*list).is_null() {
                (**list).prev = extent;
            }
            *list = extent;
        }
    }

    /// Takes an extent off the list of its length. O(1).
    ///
    /// # Safety
    ///
    /// The extent is on that list.
    unsafe fn unlist(&mut self, extent: *mut Extent) {
        // SAFETY: the caller's promise; kept records are alive and reached under the lock.
        unsafe {
            self.idle -= (*extent).idle;
            self.kept_count -= 1;
            (*extent).kept = false;
            let (next, prev) = ((*extent).next, (*extent).prev);
            match prev.is_null() {
                true => *self.list((*extent).len.ilog2() as usize) = next,
                false => (*prev).next = next,
            }
            if !next.is_null() {
                (*next).prev = prev;
            }
        }
    }

    /// Keeps an extent for the next request, joined with what is kept beside it. O(1).
    ///
    /// # Safety
    ///
    /// The extent is in the caller's hands, who gives it up.
    pub(super) unsafe fn keep(&mut self, extent: *mut Extent) {
        // SAFETY: the caller's promise; neighbours are alive, and kept ones are reached under the lock.
        unsafe {
            self.join((*extent).after, extent, (*extent).after);
            let before = (*extent).before;
            let joined = self.join(before, before, extent);
            self.enlist(if joined { before } else { extent });
        }
    }

    /// Joins two neighbours, of which one is `kept`, if it is; returns whether it was. O(1).
    ///
    /// # Safety
    ///
    /// `kept` is one of the two, or null; the other is in the caller's hands; `second` is behind `first`.
    unsafe fn join(&mut self, kept: *mut Extent, first: *mut Extent, second: *mut Extent) -> bool {
        // SAFETY: the caller's promise; kept records are alive and reached under the lock.
        unsafe {
            if kept.is_null() || !(*kept).kept {
                return false;
            }
            self.unlist(kept);
            if (*second).high > 0 {
                (*first).high = (*first).len + (*second).high;
            }
            (*first).idle += (*second).idle;
            (*first).len += (*second).len;
            (*first).after = (*second).after;
            if !(*first).after.is_null() {
                (*(*first).after).before = first;
            }
            self.recycle(second);
        }
        true
    }

    /// Cuts an extent to `len` bytes and keeps the rest, if that is worth it or `exactly` is asked for. O(1).
    ///
    /// # Safety
    ///
    /// The extent is on no list of a length and reached by the caller alone; nobody uses what is behind `len`, which is a multiple of the
    /// page size and not zero.
    pub(super) unsafe fn cut(&mut self, os: &impl Os, extent: *mut Extent, len: usize, exactly: bool) {
        // SAFETY: the caller's promise; neighbours are alive and reached under the lock.
        unsafe {
            let rest = (*extent).len.saturating_sub(len);
            if rest == 0 || (!exactly && rest < len / IDLE_PART) {
                return;
            }
            if let Some(second) = self.split(os, extent, len) {
                self.join((*second).after, second, (*second).after);
                self.enlist(second);
            }
        }
    }

    /// Makes two extents of one, the first of `len` bytes, and returns the second; none if there is no memory for a record. O(1).
    ///
    /// # Safety
    ///
    /// As [`cut`](Self::cut), and the extent is longer.
    unsafe fn split(&mut self, os: &impl Os, extent: *mut Extent, len: usize) -> Option<*mut Extent> {
        // SAFETY: the caller's promise; neighbours are alive and reached under the lock.
        unsafe {
            let second = self.unused(os)?;
            let (after, start) = ((*extent).after, (*extent).start.add(len));
            let (high, idle) = ((*extent).high, (*extent).idle);
            second.write(Extent {
                before: extent,
                after,
                start,
                len: (*extent).len - len,
                high: high.saturating_sub(len),
                idle: idle.saturating_sub(len),
                ..Extent::EMPTY
            });
            if !after.is_null() {
                (*after).before = second;
            }
            (*extent).after = second;
            (*extent).len = len;
            (*extent).high = high.min(len);
            (*extent).idle = idle.min(len);
            Some(second)
        }
    }

    /// Makes an extent at least `len` bytes long by what is kept behind it; returns whether it is. O(1).
    ///
    /// # Safety
    ///
    /// The extent is in the caller's hands.
    pub(super) unsafe fn stretch(&mut self, os: &impl Os, extent: *mut Extent, len: usize) -> bool {
        // SAFETY: the caller's promise; neighbours are alive and reached under the lock, and what is kept is nobody's.
        unsafe {
            let after = (*extent).after;
            if after.is_null() || !(*after).kept || (*extent).len + (*after).len < len {
                return false;
            }
            self.join(after, extent, after);
            self.cut(os, extent, len, false);
        }
        true
    }

    /// Takes the kept extents off their lists that `is_wanted`, the shortest first, until no more than `limit` bytes are idle. The `size` of each is the
    /// number of its first bytes that may stay as they are.
    ///
    /// # Safety
    ///
    /// The lock is held.
    pub(super) unsafe fn take_victims(
        &mut self,
        victims: &mut Victims,
        limit: usize,
        is_wanted: impl Fn(&Extent) -> bool,
    ) {
        for log in 0..LISTS {
            let mut extent = *self.list(log);
            while !extent.is_null() {
                if limit > 0 && self.idle <= limit {
                    return;
                }
                // SAFETY: kept records are alive and reached under the lock.
                unsafe {
                    let next = (*extent).next;
                    if is_wanted(&*extent) {
                        self.unlist(extent);
                        (*extent).whole = (*extent).is_whole();
                        (*extent).size = (*extent).idle.min(limit.saturating_sub(self.idle));
                        victims.push(extent);
                    }
                    extent = next;
                }
            }
        }
    }

    /// Takes kept extents with idle bytes off their lists, as [`take_victims`](Self::take_victims) does, where more than `limit` bytes are idle.
    ///
    /// # Safety
    ///
    /// The lock is held.
    pub(super) unsafe fn lessen(&mut self, victims: &mut Victims, limit: usize) {
        if self.idle > limit {
            // SAFETY: the caller's promise.
            unsafe { self.take_victims(victims, limit, |extent| extent.idle > 0) };
        }
    }

    /// Takes the record of an extent that is no more.
    ///
    /// # Safety
    ///
    /// The record is on no list.
    pub(super) unsafe fn recycle(&mut self, extent: *mut Extent) {
        // SAFETY: the caller's promise.
        unsafe { extent.write(Extent { next: self.unused, ..Extent::EMPTY }) };
        self.unused = extent;
    }

    /// Returns a record that is on no list; none if there is no memory.
    ///
    /// # Safety
    ///
    /// The lock is held.
    pub(super) unsafe fn unused(&mut self, os: &impl Os) -> Option<*mut Extent> {
        if self.unused.is_null() {
            let bytes = RECORDS.next_multiple_of(os.page_size());
            let memory = aside::map(os, bytes)?.cast::<Extent>();
            for place in 0..bytes / size_of::<Extent>() {
                // SAFETY: the record lies in the mapping, which is nobody else's and stays for ever.
                unsafe { self.recycle(memory.add(place).as_ptr()) };
            }
        }
        let record = self.unused;
        // SAFETY: unused records are alive and reached under the lock.
        self.unused = unsafe { (*record).next };
        Some(record)
    }
}

/// Returns how many bytes an extent starts before the next multiple of an alignment.
///
/// # Safety
///
/// The extent is alive, and reached by the caller alone.
unsafe fn misaligned(extent: *const Extent, align: usize) -> usize {
    // SAFETY: the caller's promise.
    unsafe { (*extent).start.addr().get().wrapping_neg() & (align - 1) }
}
