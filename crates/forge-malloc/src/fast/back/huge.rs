//! Blocks with a mapping of their own: those above the largest class, and those aligned beyond a unit.
//!
//! ```text
//!   live    | chain 0 | chain 1 | .. |             records by a hash of the address
//!                 |
//!               record { start, len, size, high } -> record
//!
//!   mapping | size: what was asked for | idle |    0 <= size, high <= len; from `high` on every byte is zero
//!
//!   kept    record -> record -> ..                 free mappings for the next request
//!
//!   guarded | lead: guards | size | slack: zeros | page: guard |
//! ```
//!
//! # Invariants
//!
//! - (I1) A record on a chain or on `kept` has a mapping of `len` bytes of its own, at `start`.
//! - (I2) From `high` on, the mapping reads as zero.
//! - (I3) `mapped` is the sum of all `len`, `used` that of the sizes of the live ones.
//! - (I4) Where blocks are guarded the mapping is longer by `lead` bytes before and a page after, all of which fault, no
//!   mapping is resized, shortened, or kept unless the system refuses to take it back, and the slack of a block is zero unless its user wrote past its end.
//!
//! # Operations
//!
//! Allocate: O(kept), a mapping if none fits. Free: O(live / chains), and an unmapping when too much is kept. Resize: in
//! place while the mapping is long enough, else by the system where it can, else by the caller.
//!
//! # Design
//!
//! A fresh page costs ten times what clearing it does, so mappings are kept, up to what the profile says plus a quarter of
//! what is in use, and any kept one serves a smaller request, up to a factor. Where too much is kept the smallest mappings go, since
//! the others serve more requests; so a program whose large blocks vary in size soon has mappings for all of them.
//! Records are beside the mappings: a block starts where its mapping does, as aligned as that, and no header can be
//! overwritten. Who frees a block says where it starts, and the chain says how long it is.
//!
//! Guards are put into the mapping where the system can do that (`MADV_GUARD_INSTALL`, Linux 6.13), so that a guarded block is
//! one mapping for the system, and are pages without rights elsewhere.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use forge_alloc_core::sync::cell::UnsafeCell;
use forge_alloc_core::sync::{RawLock, SpinLock};
use forge_os::{Advice, MapOptions, Os, Released};

use super::guard::{guard, is_zero};
use crate::fast::checks::{self, Misuse};
use crate::fast::glue::const_unless_loom;

/// The number of chains, a power of two.
const CHAINS: usize = 256;

/// How many times longer than the request a kept mapping may be.
const LOOSEST: usize = 8;

/// The most mappings that are kept, however short: a request looks at all of them.
const MOST_KEPT: usize = 256;

/// The bytes of records that are mapped at a time, at least.
const RECORDS: usize = 16 << 10;

/// The blocks of a heap that have mappings of their own.
pub(crate) struct Huge<O> {
    pub(crate) lock: SpinLock,
    os: O,
    guarded: bool,
    state: UnsafeCell<State>,
}

/// One mapping.
struct Record {
    next: *mut Record,
    start: NonNull<u8>,
    len: usize,
    size: usize,
    high: usize,
    align: usize,
    lead: usize,
}

struct State {
    live: [*mut Record; CHAINS],
    kept: *mut Record,
    kept_count: usize,
    unused: *mut Record,
    mapped: usize,
    used: usize,
    peak: usize,
    retainable: usize,
    advice: Option<Advice>,
}

/// How much memory there is in mappings of their own, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extent {
    pub(crate) mapped: usize,
    pub(crate) used: usize,
    pub(crate) touched: usize,
    pub(crate) peak: usize,
}

impl<O: Os> Huge<O> {
    const_unless_loom! {
        /// Returns no blocks, of which up to `retainable` bytes are kept when they are free, and a quarter of what is in use; if they
        /// are `guarded`, none is kept.
        pub(crate) fn new(os: O, retainable: usize, guarded: bool) -> Self {
            let state = State {
                live: [ptr::null_mut(); CHAINS],
                kept: ptr::null_mut(),
                kept_count: 0,
                unused: ptr::null_mut(),
                mapped: 0,
                used: 0,
                peak: 0,
                retainable,
                advice: None,
            };
            Self { lock: SpinLock::new(), os, guarded, state: UnsafeCell::new(state) }
        }
    }

    fn locked<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let _guard = self.lock.guard();
        // SAFETY: the lock is held until the end of this function, and nothing else leads to the state.
        self.state.with_mut(|state| work(unsafe { &mut *state }))
    }

    /// Returns a block of this layout, with the number of its first bytes that may not be zero; none if there is no memory.
    #[cold]
    pub(crate) fn allocate(&self, layout: Layout) -> Option<(NonNull<u8>, usize)> {
        let len = self.round(layout.size())?;
        self.locked(|state| {
            // SAFETY: the records are reached under the lock.
            unsafe {
                let record = match state.take_best(len, len.saturating_mul(LOOSEST), layout.align()) {
                    Some(record) => record,
                    None if self.guarded => state.map_guarded(&self.os, len, layout.align())?,
                    None => state.map(&self.os, len, layout.align())?,
                };
                if self.guarded && record.high > layout.size() {
                    // The system refused to take the mapping back.
                    record.start.add(layout.size()).write_bytes(0, record.high - layout.size());
                    record.high = layout.size();
                }
                let dirty = record.high.min(layout.size());
                (record.size, record.align) = (layout.size(), layout.align());
                record.high = record.high.max(layout.size());
                let start = record.start;
                state.insert(record);
                Some((start, dirty))
            }
        })
    }

    /// Takes the block back that starts at an address. Ends the process if there is none, and the lock is free then.
    #[cold]
    pub(crate) fn deallocate(&self, address: usize) {
        if let Err(found) = self.take_back(address, None) {
            checks::misuse(found);
        }
    }

    /// Takes the block of exactly this layout back that starts at an address. Ends the process if there is none, or if its slack
    /// was written to; the lock is free then.
    #[cold]
    pub(crate) fn deallocate_exact(&self, address: usize, layout: Layout) {
        if let Err(found) = self.take_back(address, Some(layout)) {
            checks::misuse(found);
        }
    }

    fn take_back(&self, address: usize, layout: Option<Layout>) -> Result<(), Misuse> {
        self.locked(|state| {
            // SAFETY: the records are reached under the lock. The slack of a guarded block is readable and nobody's.
            unsafe {
                let record = state.remove(address).ok_or(Misuse::NoMapping)?;
                if layout.is_some_and(|layout| (layout.size(), layout.align()) != (record.size, record.align))
                {
                    return Err(Misuse::WrongLayout);
                }
                if !self.guarded {
                    state.keep(record);
                    let limit = state.retainable.saturating_add(state.used / 4);
                    state.drop_kept(&self.os, limit, MOST_KEPT);
                    return Ok(());
                }
                let slack = record.start.add(record.size).as_ptr();
                if !is_zero(slack, record.len - record.size) {
                    return Err(Misuse::Overflow);
                }
                state.keep(record);
                state.drop_kept(&self.os, 0, 0);
            }
            Ok(())
        })
    }

    /// Ends the process if no block of exactly this layout starts at an address; the lock is free then.
    #[cold]
    pub(crate) fn check(&self, address: usize, layout: Layout) {
        match self.size_at(address) {
            None => checks::misuse(Misuse::NoMapping),
            Some(size) if size != layout.size() => checks::misuse(Misuse::WrongLayout),
            Some(_) => {}
        }
    }

    /// Returns the size of the block that starts at an address; none if there is none. Waits for the lock.
    #[cold]
    pub(crate) fn size_at(&self, address: usize) -> Option<usize> {
        self.locked(|state| {
            let mut record = *state.chain_of(address);
            // SAFETY: the records are reached under the lock.
            unsafe {
                while let Some(live) = record.as_ref() {
                    if live.start.addr().get() == address {
                        return Some(live.size);
                    }
                    record = live.next;
                }
            }
            None
        })
    }

    /// Resizes a block, which may move if `align` is no more than a page; none if the caller has to move it. Ends the process
    /// if there is no such block, and the lock is free then.
    #[cold]
    pub(crate) fn reallocate(&self, address: usize, align: usize, size: usize) -> Option<NonNull<u8>> {
        let len = self.round(size)?;
        if address & (align - 1) != 0 {
            return None;
        }
        let found = self.locked(|state| {
            // SAFETY: the records are reached under the lock. A resized mapping keeps its contents.
            unsafe {
                let record = state.remove(address)?;
                let resized = !self.guarded && state.resize(&self.os, record, len, align);
                if resized {
                    (record.size, record.align) = (size, align);
                    record.high = record.high.max(size);
                }
                let start = record.start;
                state.insert(record);
                Some(resized.then_some(start))
            }
        });
        found.unwrap_or_else(|| checks::misuse(Misuse::NoMapping))
    }

    /// Returns every kept mapping to the system, and what is idle at the ends of live ones.
    pub(crate) fn purge(&self) {
        let page = self.os.page_size();
        self.locked(|state| {
            // SAFETY: the records are reached under the lock; the ends of live blocks are nobody's.
            unsafe {
                state.drop_kept(&self.os, 0, 0);
                for chain in 0..if self.guarded { 0 } else { CHAINS } {
                    let mut record = *state.chain(chain);
                    while let Some(live) = record.as_mut() {
                        state.shorten(&self.os, live, live.size.next_multiple_of(page));
                        record = live.next;
                    }
                }
            }
        });
    }

    /// Sets how many bytes are kept when they are free, besides a quarter of what is in use.
    pub(crate) fn set_retainable(&self, bytes: usize) {
        self.locked(|state| state.retainable = bytes);
    }

    /// Sets what the system is told about each mapping that is made from now on.
    pub(crate) fn set_advice(&self, advice: Option<Advice>) {
        self.locked(|state| state.advice = advice);
    }

    /// Returns how much memory there is. Waits for the lock.
    pub(crate) fn extent(&self) -> Extent {
        self.locked(|state| Extent {
            mapped: state.mapped,
            used: state.used,
            touched: state.touched(),
            peak: state.peak,
        })
    }

    /// Returns the whole pages that hold `size` bytes.
    fn round(&self, size: usize) -> Option<usize> {
        size.max(1).checked_next_multiple_of(self.os.page_size()).filter(|&len| len <= isize::MAX as usize)
    }
}

/// The methods are called with the lock held, on records of this state.
impl State {
    fn chain(&mut self, index: usize) -> &mut *mut Record {
        // SAFETY: the index is below the number of chains.
        unsafe { self.live.get_unchecked_mut(index % CHAINS) }
    }

    /// Returns the bytes that may have been touched since their mapping was zero. O(mappings).
    fn touched(&self) -> usize {
        let lists = self.live.iter().chain([&self.kept]);
        lists
            .map(|&first| {
                let (mut record, mut bytes) = (first, 0);
                // SAFETY: records of a list are alive and reached under the lock.
                while let Some(listed) = unsafe { record.as_ref() } {
                    bytes += listed.high;
                    record = listed.next;
                }
                bytes
            })
            .sum()
    }

    /// Returns the chain of an address.
    fn chain_of(&mut self, address: usize) -> &mut *mut Record {
        // The golden ratio spreads pages evenly (Knuth, The Art of Computer Programming 6.4).
        let hash = (address as u64 >> 12).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
        self.chain(hash as usize)
    }

    unsafe fn insert(&mut self, record: &mut Record) {
        self.used += record.size;
        self.peak = self.peak.max(self.used);
        let chain = self.chain_of(record.start.addr().get());
        record.next = *chain;
        *chain = record;
    }

    unsafe fn remove<'a>(&mut self, address: usize) -> Option<&'a mut Record> {
        let mut link: *mut *mut Record = self.chain_of(address);
        // SAFETY: records of a chain are alive and reached under the lock.
        unsafe {
            while let Some(record) = (*link).as_mut() {
                if record.start.addr().get() == address {
                    *link = record.next;
                    self.used -= record.size;
                    return Some(record);
                }
                link = &raw mut record.next;
            }
        }
        None
    }

    /// Takes the shortest kept mapping off that has at least `len` bytes, fewer than `most`, and the alignment.
    unsafe fn take_best<'a>(&mut self, len: usize, most: usize, align: usize) -> Option<&'a mut Record> {
        let mut best: *mut *mut Record = ptr::null_mut();
        let mut best_len = most;
        let mut link: *mut *mut Record = &raw mut self.kept;
        // SAFETY: kept records are alive and reached under the lock; links stay where they are meanwhile.
        unsafe {
            while let Some(record) = (*link).as_mut() {
                let aligned = record.start.addr().get() & (align - 1) == 0;
                if aligned && record.len >= len && record.len < best_len {
                    (best, best_len) = (link, record.len);
                }
                link = &raw mut record.next;
            }
            let record = best.as_mut()?.as_mut()?;
            *best = record.next;
            self.kept_count -= 1;
            Some(record)
        }
    }

    /// Maps `len` bytes.
    unsafe fn map<'a>(&mut self, os: &impl Os, len: usize, align: usize) -> Option<&'a mut Record> {
        // SAFETY: the lock is held.
        let record = unsafe { self.record(os)? };
        let options = MapOptions::new().with_alignment(align);
        let mapping = os.map(len, options).or_else(|_| {
            // What is kept may be what the system lacks.
            // SAFETY: the lock is held.
            unsafe { self.drop_kept(os, 0, 0) };
            os.map(len, options)
        });
        let Ok(start) = mapping else {
            record.next = self.unused;
            self.unused = record;
            return None;
        };
        if let Some(advice) = self.advice {
            // SAFETY: the mapping is new. Advice that is refused changes nothing.
            let _ = unsafe { os.advise(start, len, advice) };
        }
        start.as_ptr().expose_provenance();
        self.mapped += len;
        *record = Record { next: ptr::null_mut(), start, len, size: 0, high: 0, align, lead: 0 };
        Some(record)
    }

    /// Maps `len` bytes between guards.
    unsafe fn map_guarded<'a>(&mut self, os: &impl Os, len: usize, align: usize) -> Option<&'a mut Record> {
        let page = os.page_size();
        let lead = align.max(page);
        let whole = len.checked_add(lead)?.checked_add(page)?;
        // SAFETY: the lock is held. The guards lie in the mapping, which is nobody else's.
        unsafe {
            let record = self.map(os, whole, align)?;
            let first = record.start;
            record.start = first.add(lead);
            (record.lead, record.len) = (lead, len);
            self.mapped -= whole - len;
            guard(os, first, lead);
            guard(os, record.start.add(len), page);
            Some(record)
        }
    }

    /// Returns a record that is on no list.
    unsafe fn record<'a>(&mut self, os: &impl Os) -> Option<&'a mut Record> {
        if self.unused.is_null() {
            let bytes = RECORDS.next_multiple_of(os.page_size());
            let memory = os.map(bytes, MapOptions::new()).ok()?.cast::<Record>();
            for place in 0..bytes / size_of::<Record>() {
                // SAFETY: the record lies in the mapping, which is nobody else's and stays for ever.
                unsafe {
                    let record = memory.add(place);
                    let empty = Record {
                        next: self.unused,
                        start: NonNull::dangling(),
                        len: 0,
                        size: 0,
                        high: 0,
                        align: 1,
                        lead: 0,
                    };
                    record.write(empty);
                    self.unused = record.as_ptr();
                }
            }
        }
        // SAFETY: unused records are alive and reached under the lock.
        unsafe {
            let record = self.unused.as_mut()?;
            self.unused = record.next;
            Some(record)
        }
    }

    /// Keeps a free mapping for the next request.
    fn keep(&mut self, record: &mut Record) {
        record.next = self.kept;
        self.kept = record;
        self.kept_count += 1;
    }

    /// Unmaps kept mappings, the shortest first, until no more than `limit` bytes are idle in no more than `most` of them.
    unsafe fn drop_kept(&mut self, os: &impl Os, limit: usize, most: usize) {
        while self.kept_count > 0 && (self.mapped - self.used > limit || self.kept_count > most) {
            // SAFETY: the lock is held.
            let Some(record) = (unsafe { self.take_best(0, usize::MAX, 1) }) else { return };
            let after = if record.lead > 0 { os.page_size() } else { 0 };
            // SAFETY: the mapping is whole, guards included (I4), and a kept one is nobody's.
            if unsafe { os.unmap(record.start.sub(record.lead), record.lead + record.len + after) }.is_err() {
                self.keep(record);
                return;
            }
            self.mapped -= record.len;
            record.next = self.unused;
            self.unused = record;
        }
    }

    /// Makes the mapping of a record at least `len` bytes long, and not much longer; returns whether it is.
    unsafe fn resize(&mut self, os: &impl Os, record: &mut Record, len: usize, align: usize) -> bool {
        if len <= record.len {
            if len < record.len / 2 {
                // SAFETY: the caller gives up what lies beyond the new size.
                unsafe { self.shorten(os, record, len) };
            }
            return true;
        }
        // SAFETY: the mapping is whole, and its user is the caller, who waits.
        let in_place = unsafe { os.remap(record.start, record.len, len, false) };
        let resized = in_place.or_else(|error| match align <= os.page_size() {
            // SAFETY: as above; the caller takes the new address.
            true => unsafe { os.remap(record.start, record.len, len, true) },
            false => Err(error),
        });
        let Ok(start) = resized else { return false };
        start.as_ptr().expose_provenance();
        self.mapped += len - record.len;
        (record.start, record.len) = (start, len);
        true
    }

    /// Gives what lies beyond `len` bytes back to the system, if it takes it: the addresses, or at least the pages.
    unsafe fn shorten(&mut self, os: &impl Os, record: &mut Record, len: usize) {
        if len >= record.len {
            return;
        }
        // Not every system unmaps a part of a mapping, but one that remaps does.
        // SAFETY: the mapping is whole, and nobody uses its end.
        if unsafe { os.remap(record.start, record.len, len, false) }.is_ok() {
            self.mapped -= record.len - len;
            record.len = len;
            record.high = record.high.min(len);
        } else if record.high > len {
            // SAFETY: whole pages at the end of the mapping, which nobody uses.
            if let Ok(Released::Zeroed) = unsafe { os.release_pages(record.start.add(len), record.len - len) }
            {
                record.high = len;
            }
        }
    }
}

// SAFETY: the state is reached under the lock.
unsafe impl<O: Os> Sync for Huge<O> {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl<O: Os> Send for Huge<O> {}

#[cfg(test)]
mod tests;
