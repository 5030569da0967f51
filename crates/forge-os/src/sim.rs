//! [`SimOs`]: a simulated operating system over the host heap, for tests.
//!
//! ```text
//!   SimOs (Copy handle) ──▶ Mutex<State>   page size, limits, call counts, failure plans
//!                              └─ Mapping   host block | one Page record per page: rights, locked, resident, ...
//! ```
//!
//! # Invariants
//!
//! (I1) A mapping's host block is live, `pages.len() * page_size` bytes long, initialised, and aligned as
//!      asked; it is freed when the last of its pages is unmapped.
//! (I2) Host blocks of live mappings never overlap, so an address belongs to at most one mapping.
//! (I3) The host block is reached only through the pointer that the host heap returned, never through a
//!      caller's.
//!
//! # Design
//!
//! It is stricter than any one system: rules that hold only somewhere are enforced everywhere, so that code
//! which passes here is portable. Memory that is reserved but not committed holds a pattern instead of zero;
//! `Free` clears every other page; unmapping what is not mapped is an error, and so is any range that leaves
//! its mapping.
//!
//! What it cannot do is trap a forbidden access: rights are recorded, and [`SimOs::protection_of`] tells
//! them. Nor does it see the first touch of a page: a mapped page counts as resident until it is given back,
//! and then again only when [`SimOs::touch`] (or `commit`, or a populating advice) says so.
//!
//! Its bookkeeping uses the global allocator, so unlike a real system it cannot stand below one. A [`SimOs`]
//! lives until the process ends. Every method takes one lock.

#![allow(unsafe_code)]

mod calls;
mod page;
mod state;

use core::fmt;
use core::ptr::NonNull;
use std::alloc::Layout;
use std::boxed::Box;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use crate::OsError;
use crate::contract::{Advice, HugePageSizes, MapOptions, Os, Protection};
use state::{Failure, Mapping, State};

pub use calls::{SimCall, SimCalls};
pub use page::SimPage;

/// What a reserved byte holds before it is committed.
pub const UNCOMMITTED_BYTE: u8 = 0xA5;

/// A handle to one simulated operating system; copies are the same system.
///
/// # Examples
///
/// ```
/// use forge_os::sim::{SimCall, SimOs};
/// use forge_os::{MapOptions, Os};
///
/// let os = SimOs::new(16 << 10);
/// os.fail_nth(Some(SimCall::Map), 2, 12);
/// let memory = os.map(32 << 10, MapOptions::new()).unwrap();
/// let error = os.map(16 << 10, MapOptions::new()).unwrap_err();
/// assert_eq!((error.call(), error.code()), ("mmap", 12));
/// assert_eq!(os.calls().map, 2);
/// // SAFETY: the whole mapping, not used afterwards.
/// unsafe { os.unmap(memory, 32 << 10).unwrap() };
/// assert_eq!(os.live_mappings(), 0);
/// ```
#[derive(Clone, Copy)]
pub struct SimOs {
    system: &'static System,
}

/// Every system ever made, so that a leak checker sees that they are kept on purpose.
static SYSTEMS: Mutex<Vec<&'static System>> = Mutex::new(Vec::new());

impl SimOs {
    /// Starts a system with pages of `page_size` bytes, without limits or huge pages.
    ///
    /// # Panics
    ///
    /// If `page_size` is not a power of two of at least 512.
    #[must_use]
    pub fn new(page_size: usize) -> Self {
        assert!(page_size.is_power_of_two() && page_size >= 512, "page size {page_size}");
        let state = State::new(page_size);
        let system: &'static System = Box::leak(Box::new(System { page_size, state: Mutex::new(state) }));
        SYSTEMS.lock().unwrap_or_else(PoisonError::into_inner).push(system);
        Self { system }
    }

    fn state(&self) -> MutexGuard<'static, State> {
        self.system.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the `n`-th call from now (the next is 1) of this kind, or of any kind for `None`, fail with
    /// `code`.
    ///
    /// The call changes nothing then. Several plans may wait at once; each fires once.
    pub fn fail_nth(&self, call: Option<SimCall>, n: usize, code: i32) {
        self.state().failures.push(Failure { call, remaining: n.max(1), code });
    }

    /// Forgets the failures that have not happened yet.
    pub fn clear_failures(&self) {
        self.state().failures.clear();
    }

    /// Sets how many bytes may be mapped at once, as `RLIMIT_AS` does.
    pub fn limit_mapped_bytes(&self, bytes: usize) {
        self.state().mapped_limit = bytes;
    }

    /// Sets how many bytes may be locked at once, as `RLIMIT_MEMLOCK` does.
    pub fn limit_locked_bytes(&self, bytes: usize) {
        self.state().locked_limit = bytes;
    }

    /// Lets time pass, which is 0 at the start and stands still otherwise.
    pub fn pass(&self, milliseconds: u64) {
        self.state().milliseconds += milliseconds;
    }

    /// Offers a huge page size in bytes; sizes are offered in increasing order. Without it every huge mapping
    /// fails.
    ///
    /// # Panics
    ///
    /// If `size` is not a power of two above the page size.
    pub fn offer_huge_pages(&self, size: usize) {
        let mut state = self.state();
        assert!(size.is_power_of_two() && size > state.page_size, "huge page size {size}");
        state.huge_page_sizes.push(size);
    }

    /// Returns how many calls of each kind were made so far.
    #[must_use]
    pub fn calls(&self) -> SimCalls {
        self.state().calls
    }

    /// Returns the number of mappings of which at least one page is mapped: zero when nothing leaked.
    #[must_use]
    pub fn live_mappings(&self) -> usize {
        self.state().mappings.len()
    }

    /// Returns the bytes that are mapped, reserved ones included.
    #[must_use]
    pub fn mapped_bytes(&self) -> usize {
        self.state().bytes_where(|_| true)
    }

    /// Returns the bytes that count as backed by memory: mapped and not given back since.
    #[must_use]
    pub fn resident_bytes(&self) -> usize {
        self.state().bytes_where(|page| page.resident)
    }

    /// Returns the bytes that are locked.
    #[must_use]
    pub fn locked_bytes(&self) -> usize {
        self.state().bytes_where(|page| page.locked)
    }

    /// Returns what is recorded about the page that contains `ptr`, or `None` if none is mapped there.
    #[must_use]
    pub fn page(&self, ptr: NonNull<u8>) -> Option<SimPage> {
        let mut state = self.state();
        let aligned = ptr.map_addr(|address| {
            let base = address.get() & !(self.system.page_size - 1);
            core::num::NonZeroUsize::new(base).unwrap_or(address)
        });
        let (mapping, pages) = state.find(aligned, self.system.page_size)?;
        mapping.pages.get(pages.start).and_then(|page| *page)
    }

    /// Returns the rights of the page that contains `ptr`, or `None` if none is mapped there.
    #[must_use]
    pub fn protection_of(&self, ptr: NonNull<u8>) -> Option<Protection> {
        self.page(ptr).map(|page| page.protection)
    }

    /// Records that the whole pages of a range were touched, which makes them resident. False if they are not
    /// all mapped.
    pub fn touch(&self, ptr: NonNull<u8>, len: usize) -> bool {
        let mut state = self.state();
        match state.find(ptr, len) {
            Some((mapping, pages)) => {
                mapping.each(pages, |_, page| page.resident = page.committed);
                true
            }
            None => false,
        }
    }
}

impl fmt::Debug for SimOs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = self.calls();
        f.debug_struct("SimOs").field("page_size", &self.system.page_size).field("calls", &calls).finish()
    }
}

struct System {
    page_size: usize,
    state: Mutex<State>,
}

// SAFETY: blocks come zeroed from the global heap, aligned as asked and disjoint from every live object, and
// stay until their last page is unmapped (I1, I2); content is written only by the calls whose documentation
// gives it up or asks for it; every check comes before the first change, so an `Err` changes nothing; the
// page size is fixed at the start; copies share one state; a poisoned lock is entered all the same, so no
// method unwinds.
unsafe impl Os for SimOs {
    fn map(&self, len: usize, options: MapOptions) -> Result<NonNull<u8>, OsError> {
        let name = if options.huge_page_size.is_some() { "mmap(MAP_HUGETLB)" } else { "mmap" };
        let mut state = self.state();
        state.enter(SimCall::Map, name)?;
        let granule = options.check(name, len, state.page_size)?;
        if options.huge_page_size.is_some_and(|size| !state.huge_page_sizes.contains(&size)) {
            return Err(OsError::invalid_argument(name));
        }
        state.admit(name, len)?;
        let page = SimPage::fresh(options);
        let layout = Layout::from_size_align(len, granule.max(options.alignment));
        let mapping = layout.ok().and_then(|layout| Mapping::new(layout, state.page_size, page));
        let mapping = mapping.ok_or(OsError::out_of_memory(name))?;
        if options.reserve {
            for index in 0..mapping.pages.len() {
                // SAFETY: the mapping is fresh; nobody else knows it.
                unsafe { mapping.fill(index, UNCOMMITTED_BYTE) };
            }
        }
        Ok(state.insert(mapping))
    }

    unsafe fn unmap(&self, ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
        let mut state = self.state();
        state.enter(SimCall::Unmap, "munmap")?;
        state.remove("munmap", ptr, len)
    }

    unsafe fn protect(&self, ptr: NonNull<u8>, len: usize, protection: Protection) -> Result<(), OsError> {
        let mut state = self.state();
        state.enter(SimCall::Protect, "mprotect")?;
        let (mapping, range) = state.find_or_fail("mprotect", ptr, len)?;
        if mapping.any(range.clone(), |page| !page.committed) {
            return Err(OsError::invalid_argument("mprotect"));
        }
        mapping.each(range, |_, page| page.protection = protection);
        Ok(())
    }

    unsafe fn commit(&self, ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
        let mut state = self.state();
        state.enter(SimCall::Commit, "commit")?;
        let (mapping, range) = state.find_or_fail("commit", ptr, len)?;
        if mapping.any(range.clone(), |page| !page.reserved) {
            return Err(OsError::invalid_argument("commit"));
        }
        for index in range.clone() {
            if mapping.any(index..index + 1, |page| !page.committed) {
                // SAFETY: a page that is not committed may not be accessed by anybody, and holds nothing.
                unsafe { mapping.fill(index, 0) };
            }
        }
        mapping.each(range, |_, page| {
            page.committed = true;
            page.resident = true;
        });
        Ok(())
    }

    unsafe fn decommit(&self, ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
        let mut state = self.state();
        state.enter(SimCall::Decommit, "decommit")?;
        let (mapping, range) = state.find_or_fail("decommit", ptr, len)?;
        if mapping.any(range.clone(), |page| !page.reserved || page.locked) {
            return Err(OsError::invalid_argument("decommit"));
        }
        for index in range.clone() {
            // SAFETY: the caller promises that nobody accesses the range and gives up its content.
            unsafe { mapping.fill(index, UNCOMMITTED_BYTE) };
        }
        mapping.each(range, |_, page| {
            page.committed = false;
            page.resident = false;
        });
        Ok(())
    }

    unsafe fn advise(&self, ptr: NonNull<u8>, len: usize, advice: Advice) -> Result<(), OsError> {
        let mut state = self.state();
        state.enter(SimCall::Advise, advice.call())?;
        let (mapping, range) = state.find_or_fail(advice.call(), ptr, len)?;
        let refused = mapping.any(range.clone(), |page| {
            !page.committed
                || (page.locked && matches!(advice, Advice::DontNeed | Advice::Free | Advice::GuardInstall))
        });
        if refused {
            return Err(OsError::invalid_argument(advice.call()));
        }
        for index in range.clone() {
            let cleared = match advice {
                Advice::DontNeed | Advice::DontNeedLocked | Advice::GuardInstall => true,
                Advice::Free => index % 2 == 0,
                _ => false,
            };
            if cleared {
                // SAFETY: this advice loses content, so the caller promises that nobody accesses the range.
                unsafe { mapping.fill(index, 0) };
            }
        }
        mapping.each(range, |_, page| page.record(advice));
        Ok(())
    }

    unsafe fn resident(&self, ptr: NonNull<u8>, len: usize, resident: &mut [u8]) -> Result<(), OsError> {
        let mut state = self.state();
        let (mapping, range) = state.find_or_fail("mincore", ptr, len)?;
        if resident.len() != range.len() {
            return Err(OsError::invalid_argument("mincore"));
        }
        let mut places = resident.iter_mut();
        mapping
            .each(range, |_, page| places.next().into_iter().for_each(|place| *place = page.resident.into()));
        Ok(())
    }

    unsafe fn lock(&self, ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
        let mut state = self.state();
        state.enter(SimCall::Lock, "mlock")?;
        let (locked, limit, page_size) =
            (state.bytes_where(|page| page.locked), state.locked_limit, state.page_size);
        let (mapping, range) = state.find_or_fail("mlock", ptr, len)?;
        if mapping.any(range.clone(), |page| !page.committed) {
            return Err(OsError::invalid_argument("mlock"));
        }
        let mut fresh = 0;
        mapping.each(range.clone(), |_, page| fresh += usize::from(!page.locked) * page_size);
        if locked + fresh > limit {
            return Err(OsError::out_of_memory("mlock"));
        }
        mapping.each(range, |_, page| {
            page.locked = true;
            page.resident = true;
        });
        Ok(())
    }

    unsafe fn unlock(&self, ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
        let mut state = self.state();
        state.enter(SimCall::Unlock, "munlock")?;
        let (mapping, range) = state.find_or_fail("munlock", ptr, len)?;
        mapping.each(range, |_, page| page.locked = false);
        Ok(())
    }

    unsafe fn remap(
        &self,
        ptr: NonNull<u8>,
        old_len: usize,
        new_len: usize,
        may_move: bool,
    ) -> Result<NonNull<u8>, OsError> {
        const NAME: &str = "mremap";
        let mut state = self.state();
        state.enter(SimCall::Remap, NAME)?;
        let page_size = state.page_size;
        let (mapping, range) = state.find_or_fail(NAME, ptr, old_len)?;
        if range.start != 0 || new_len == 0 || new_len % page_size != 0 {
            return Err(OsError::invalid_argument(NAME));
        }
        let (block, align) = (mapping.block, mapping.layout.align());
        let first = mapping.pages.first().copied().flatten().ok_or(OsError::invalid_argument(NAME))?;
        if new_len <= old_len {
            if new_len < old_len {
                // SAFETY: `new_len` is below the mapping's length.
                state.remove(NAME, unsafe { block.add(new_len) }, old_len - new_len)?;
            }
            return Ok(block);
        }
        state.admit(NAME, new_len - old_len)?;
        if !may_move {
            return Err(OsError::out_of_memory(NAME));
        }
        let layout = Layout::from_size_align(new_len, align).ok();
        let grown = layout.and_then(|layout| Mapping::new(layout, page_size, first));
        let grown = grown.ok_or(OsError::out_of_memory(NAME))?;
        // SAFETY: both blocks are at least `old_len` bytes (I1) and distinct (I2); the caller promises that
        // nobody accesses the old one.
        unsafe { grown.block.copy_from_nonoverlapping(block, old_len) };
        state.remove(NAME, block, old_len)?;
        Ok(state.insert(grown))
    }

    fn page_size(&self) -> usize {
        self.system.page_size
    }

    fn huge_page_sizes(&self) -> HugePageSizes {
        self.state().huge_page_sizes
    }

    fn milliseconds(&self) -> u64 {
        self.state().milliseconds
    }

    fn transparent_huge_page_size(&self) -> Option<usize> {
        self.state().huge_page_sizes.first().copied()
    }
}

#[cfg(test)]
mod tests;
