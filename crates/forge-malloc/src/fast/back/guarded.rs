//! Large blocks of a profile that arms its blocks: a mapping each, between guards.
//!
//! ```text
//!   mapping   | lead: guards | block: size | slack: zeros | guard: a page |
//!
//!   live      | chain 0 | chain 1 | .. |         records by a hash of the address
//! ```
//!
//! # Invariants
//!
//! - (I1) A record on a chain has a mapping of its own: `lead` bytes, `len` bytes from `start` on, and a page.
//! - (I2) The slack of a block is zero unless its user wrote past its end.
//! - (I3) `used` is the sum of the sizes, `mapped` that of all `len`, without guards, which take no memory.
//!
//! # Operations
//!
//! Allocate: a mapping and its guards. Free: O(live / chains), and an unmapping. Resize: the system moves the mapping where it can, else the caller
//! copies. Nothing is kept.
//!
//! # Design
//!
//! A mapping that is gone faults on every touch, and its addresses are the system's, which seldom hands them out at once. Guards are put into the
//! mapping where the system can do that (`MADV_GUARD_INSTALL`, Linux 6.13), so that a block is one mapping for the
//! system, and are pages without rights elsewhere.
//!
//! *Huge pages.* A page of such a block is always a fresh one, and costs a fault. Mappings of [`HUGE_FROM`] bytes and more ask for huge ones, of which a
//! fault brings 512 pages: a third of the time where all of them are touched. Memory is what that costs where few are.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::{self, NonNull};
use core::slice;

use forge_alloc_core::sync::RawLock;
use forge_alloc_core::sync::cell::UnsafeCell;
use forge_os::{Advice, MapOptions, Os, Protection};

use super::aside;
use super::huge::Amounts;
use crate::fast::checks::{self, Misuse};
use crate::fast::glue::const_unless_loom;
use crate::fast::quiet::QuietLock;
use crate::zeros::is_zero;

/// The number of chains, a power of two. The threads of the model checker have stacks of a few pages.
const CHAINS: usize = if cfg!(loom) { 1 } else { 256 };

/// The bytes of records that are mapped at a time, at least.
const RECORDS: usize = 16 << 10;

/// The bytes of the shortest mapping that asks for huge pages, unless something else is set.
const HUGE_FROM: usize = 4 << 20;

/// The guarded blocks of a heap.
pub(crate) struct Guarded<O> {
    pub(crate) lock: QuietLock,
    os: O,
    state: UnsafeCell<State>,
}

/// One block.
struct Record {
    next: *mut Record,
    start: NonNull<u8>,
    layout: Layout,
    len: usize,
    lead: usize,
}

struct State {
    live: [*mut Record; CHAINS],
    unused: *mut Record,
    mapped: usize,
    used: usize,
    peak: usize,
    advice: Option<Advice>,
}

impl<O: Os> Guarded<O> {
    const_unless_loom! {
        /// Returns no blocks.
        pub(crate) fn new(os: O, quiet: bool) -> Self {
            let state =
                State { live: [ptr::null_mut(); CHAINS], unused: ptr::null_mut(), mapped: 0, used: 0, peak: 0, advice: None };
            Self { lock: QuietLock::new(quiet), os, state: UnsafeCell::new(state) }
        }
    }

    fn locked<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let _guard = self.lock.guard();
        // SAFETY: the lock is held until the end of this function, and nothing else leads to the state.
        self.state.with_mut(|state| work(unsafe { &mut *state }))
    }

    /// Returns a block of this layout, which is zero; none if there is no memory. An empty one starts where the guard behind it does.
    #[cold]
    pub(crate) fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        let page = self.os.page_size();
        let len = layout.size().checked_next_multiple_of(page)?;
        let lead = layout.align().max(page);
        let whole = len.checked_add(lead)?.checked_add(page).filter(|&whole| whole <= isize::MAX as usize)?;
        // SAFETY: the lock is held.
        let (mut record, advice) =
            self.locked(|state| unsafe { Some((state.unused(&self.os)?, state.advice)) })?;
        let mapped = self.os.map(whole, MapOptions::new().with_alignment(layout.align()));
        self.locked(|state| {
            // SAFETY: the record is this thread's, and so is the mapping; guards lie in it.
            unsafe {
                let Ok(first) = mapped else {
                    state.recycle(record);
                    return None;
                };
                let start = first.add(lead);
                self.tell(first, whole, advice);
                guard(&self.os, first, lead);
                guard(&self.os, start.add(len), page);
                *record.as_mut() = Record { next: ptr::null_mut(), start, layout, len, lead };
                state.insert(record);
                Some(start)
            }
        })
    }

    /// Takes the block of exactly this layout back that starts at an address; any layout if it is not known. Ends the process if there is no
    /// such block, or if it was written past its end; the lock is free then.
    #[cold]
    pub(crate) fn deallocate(&self, address: usize, layout: Option<Layout>) {
        // SAFETY: the lock is held.
        let Some(record) = self.locked(|state| unsafe { state.remove(address) }) else {
            checks::misuse(Misuse::NoMapping)
        };
        // SAFETY: the record is this thread's, the block is nobody's any more, and its slack is readable.
        unsafe {
            let Record { start, layout: real, len, lead, .. } = *record.as_ptr();
            if layout.is_some_and(|layout| layout != real) {
                checks::misuse(Misuse::WrongLayout);
            }
            check_slack(&*record.as_ptr());
            if self.os.unmap(start.sub(lead), lead + len + self.os.page_size()).is_err() {
                // What the system does not take can at least not be touched any more; the mapping is lost.
                guard(&self.os, start, len);
            }
        }
        // SAFETY: the record is on no chain.
        self.locked(|state| unsafe { state.recycle(record) });
    }

    /// Makes the block of exactly this layout that starts at an address one of another layout, by moving its mapping or in place; none if
    /// the caller has to copy it. Ends the process as [`deallocate`](Self::deallocate) does.
    #[cold]
    pub(crate) fn reallocate(&self, address: usize, layout: Layout, new: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the lock is held.
        let Some(mut record) = self.locked(|state| unsafe { state.remove(address) }) else {
            checks::misuse(Misuse::NoMapping)
        };
        // SAFETY: the record is this thread's, and the block its user's, who waits.
        unsafe {
            let block = record.as_mut();
            if block.layout != layout {
                checks::misuse(Misuse::WrongLayout);
            }
            let resized = self.stretch(block, new).map(|()| block.layout = new);
            let start = block.start;
            self.locked(|state| state.insert(record));
            resized.map(|()| start)
        }
    }

    /// Makes the memory of a block that of another layout, if that is no matter of copying.
    ///
    /// # Safety
    ///
    /// The record is the caller's, and nobody uses the block meanwhile.
    unsafe fn stretch(&self, block: &mut Record, new: Layout) -> Option<()> {
        let page = self.os.page_size();
        let len = new.size().checked_next_multiple_of(page)?;
        if len < block.len || block.lead != page || new.align() > page {
            return None;
        }
        let grown = len.checked_add(2 * page).filter(|&grown| grown <= isize::MAX as usize)?;
        // SAFETY: the caller's promise; all that is touched lies in the mapping (I1), and what was a guard is zero when it is none any more.
        unsafe {
            check_slack(block);
            if len == block.len {
                let kept = new.size().min(block.layout.size());
                block.start.add(kept).write_bytes(0, block.layout.size() - kept);
                return Some(());
            }
            let (first, behind) = (block.start.sub(page), block.start.add(block.len));
            // Where guards are pages without rights there is more than one mapping, and nothing to move.
            self.os.advise(behind, page, Advice::GuardRemove).ok()?;
            let Ok(first) = self.os.remap(first, block.len + 2 * page, grown, true) else {
                guard(&self.os, behind, page);
                return None;
            };
            (block.start, block.len) = (first.add(page), len);
            self.tell(first, grown, self.locked(|state| state.advice));
            // That before the block went along; a system that lost it is told again.
            guard(&self.os, first, page);
            guard(&self.os, block.start.add(len), page);
        }
        Some(())
    }

    /// Tells the system what is said about each mapping, or that a long one wants huge pages.
    ///
    /// # Safety
    ///
    /// The pages are a whole mapping, since another advice for a part of it would make two of it.
    unsafe fn tell(&self, start: NonNull<u8>, len: usize, advice: Option<Advice>) {
        if let Some(advice) = advice.or((len >= HUGE_FROM).then_some(Advice::HugePage)) {
            // SAFETY: the caller's promise; this advice loses no content. Where it is refused nothing changes.
            let _ = unsafe { self.os.advise(start, len, advice) };
        }
    }

    /// Sets what the system is told about each mapping that is made from now on; none for huge pages where one is long.
    pub(crate) fn set_advice(&self, advice: Option<Advice>) {
        self.locked(|state| state.advice = advice);
    }

    /// Returns the layout of the block that starts at an address; none if there is none. Waits for the lock.
    #[cold]
    pub(crate) fn layout_at(&self, address: usize) -> Option<Layout> {
        self.locked(|state| {
            let mut record = *state.chain_of(address);
            // SAFETY: records of a chain are alive and reached under the lock.
            while let Some(live) = unsafe { record.as_ref() } {
                if live.start.addr().get() == address {
                    return Some(live.layout);
                }
                record = live.next;
            }
            None
        })
    }

    /// Returns whether nothing was written past the end of any block, as far as its slack tells. O(blocks).
    ///
    /// # Safety
    ///
    /// This thread has the lock.
    pub(crate) unsafe fn is_whole(&self) -> bool {
        // SAFETY: the lock is held.
        let chains = self.state.with(|state| unsafe { (*state).live });
        chains.into_iter().all(|mut record| {
            let mut whole = true;
            // SAFETY: records of a chain are alive and reached under the lock, and the slack of a block is readable.
            while let Some(live) = unsafe { record.as_ref() } {
                // SAFETY: as above.
                whole &= unsafe { slack_is_zero(live) };
                record = live.next;
            }
            whole
        })
    }

    /// Returns how much memory there is. Waits for the lock.
    pub(crate) fn extent(&self) -> Amounts {
        self.locked(|state| Amounts { mapped: state.mapped, used: state.used, peak: state.peak, idle: 0 })
    }
}

/// The methods are called with the lock held, on records of this state.
impl State {
    /// Returns the chain of an address.
    fn chain_of(&mut self, address: usize) -> &mut *mut Record {
        // The golden ratio spreads pages evenly (Knuth, The Art of Computer Programming 6.4).
        let hash = (address as u64 >> 12).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
        // SAFETY: the index is below the number of chains.
        unsafe { self.live.get_unchecked_mut(hash as usize % CHAINS) }
    }

    unsafe fn insert(&mut self, mut record: NonNull<Record>) {
        // SAFETY: the caller's record, which is on no chain.
        let new = unsafe { record.as_mut() };
        self.mapped += new.len;
        self.used += new.layout.size();
        self.peak = self.peak.max(self.used);
        let chain = self.chain_of(new.start.addr().get());
        new.next = *chain;
        *chain = record.as_ptr();
    }

    unsafe fn remove(&mut self, address: usize) -> Option<NonNull<Record>> {
        let mut link: *mut *mut Record = self.chain_of(address);
        // SAFETY: records of a chain are alive and reached under the lock.
        unsafe {
            while let Some(record) = NonNull::new(*link) {
                let live = &mut *record.as_ptr();
                if live.start.addr().get() == address {
                    *link = live.next;
                    self.mapped -= live.len;
                    self.used -= live.layout.size();
                    return Some(record);
                }
                link = &raw mut live.next;
            }
        }
        None
    }

    /// Takes a record that is on no chain.
    unsafe fn recycle(&mut self, record: NonNull<Record>) {
        let empty = Record {
            next: self.unused,
            start: NonNull::dangling(),
            layout: Layout::new::<()>(),
            len: 0,
            lead: 0,
        };
        // SAFETY: the caller's record.
        unsafe { record.write(empty) };
        self.unused = record.as_ptr();
    }

    /// Returns a record that is on no chain; none if there is no memory.
    unsafe fn unused(&mut self, os: &impl Os) -> Option<NonNull<Record>> {
        if self.unused.is_null() {
            let bytes = RECORDS.next_multiple_of(os.page_size());
            let memory = aside::map(os, bytes)?.cast::<Record>();
            for place in 0..bytes / size_of::<Record>() {
                // SAFETY: the record lies in the mapping, which is nobody else's and stays for ever.
                unsafe { self.recycle(memory.add(place)) };
            }
        }
        let record = NonNull::new(self.unused)?;
        // SAFETY: unused records are alive and reached under the lock.
        self.unused = unsafe { (*record.as_ptr()).next };
        Some(record)
    }
}

/// Returns whether nobody wrote past the end of a block.
///
/// # Safety
///
/// The block is mapped.
unsafe fn slack_is_zero(block: &Record) -> bool {
    let size = block.layout.size();
    // SAFETY: the slack lies in the mapping (I1).
    is_zero(unsafe { slice::from_raw_parts(block.start.add(size).as_ptr(), block.len - size) })
}

/// Ends the process if somebody wrote past the end of a block.
///
/// # Safety
///
/// As [`slack_is_zero`].
unsafe fn check_slack(block: &Record) {
    // SAFETY: the caller's promise.
    if !unsafe { slack_is_zero(block) } {
        checks::misuse(Misuse::Overflow);
    }
}

/// Makes pages fault on every touch. Where the system refuses, they are ordinary memory: less is detected, and nothing else.
///
/// # Safety
///
/// The pages lie in one mapping and are nobody's.
unsafe fn guard(os: &impl Os, start: NonNull<u8>, len: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if os.advise(start, len, Advice::GuardInstall).is_err() {
            let _ = os.protect(start, len, Protection::NONE);
        }
    }
}

// SAFETY: the state is reached under the lock.
unsafe impl<O: Os> Sync for Guarded<O> {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl<O: Os> Send for Guarded<O> {}
