//! [`State`]: what a simulated system knows, and [`Mapping`], the host block and the page table of one mapping.
//!
//! Everything here happens under the lock of the system. The invariants are those of the [parent module](super).

#![allow(unsafe_code)]

use core::ops::Range;
use core::ptr::NonNull;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::BTreeMap;
use std::vec::Vec;

use super::{SimCall, SimCalls, SimPage};
use crate::OsError;
use crate::contract::HugePageSizes;

pub(super) struct State {
    pub(super) page_size: usize,
    pub(super) milliseconds: u64,
    pub(super) huge_page_sizes: HugePageSizes,
    pub(super) mapped_limit: usize,
    pub(super) locked_limit: usize,
    pub(super) calls: SimCalls,
    pub(super) failures: Vec<Failure>,
    /// By the address of the first byte.
    pub(super) mappings: BTreeMap<usize, Mapping>,
}

pub(super) struct Failure {
    pub(super) call: Option<SimCall>,
    pub(super) remaining: usize,
    pub(super) code: i32,
}

impl State {
    pub(super) fn new(page_size: usize) -> Self {
        Self {
            page_size,
            milliseconds: 0,
            huge_page_sizes: HugePageSizes::new(),
            mapped_limit: usize::MAX,
            locked_limit: usize::MAX,
            calls: SimCalls::default(),
            failures: Vec::new(),
            mappings: BTreeMap::new(),
        }
    }

    /// Counts a call and returns the failure that is planned for it, if any.
    pub(super) fn enter(&mut self, call: SimCall, name: &'static str) -> Result<(), OsError> {
        *self.calls.count_mut(call) += 1;
        let mut code = None;
        self.failures.retain_mut(|failure| {
            if failure.call.is_some_and(|wanted| wanted != call) {
                return true;
            }
            failure.remaining -= 1;
            if failure.remaining == 0 {
                code = Some(failure.code);
            }
            failure.remaining != 0
        });
        code.map_or(Ok(()), |code| Err(OsError::new(name, code)))
    }

    /// Returns the mapping that holds all pages of the range, and which of its pages they are. O(log mappings
    /// + pages).
    pub(super) fn find(&mut self, ptr: NonNull<u8>, len: usize) -> Option<(&mut Mapping, Range<usize>)> {
        let address = ptr.addr().get();
        let page_size = self.page_size;
        if len == 0 || address % page_size != 0 || len % page_size != 0 {
            return None;
        }
        let (&base, mapping) = self.mappings.range_mut(..=address).next_back()?;
        let first = (address - base) / page_size;
        let pages = first..first.checked_add(len / page_size)?;
        let mapped = mapping.pages.get(pages.clone())?.iter().all(Option::is_some);
        mapped.then_some((mapping, pages))
    }

    pub(super) fn find_or_fail(
        &mut self,
        name: &'static str,
        ptr: NonNull<u8>,
        len: usize,
    ) -> Result<(&mut Mapping, Range<usize>), OsError> {
        self.find(ptr, len).ok_or(OsError::invalid_argument(name))
    }

    pub(super) fn bytes_where(&self, f: impl Fn(&SimPage) -> bool) -> usize {
        let pages = self.mappings.values().flat_map(|mapping| mapping.pages.iter().flatten());
        pages.filter(|page| f(page)).count() * self.page_size
    }

    /// Checks that `more` bytes may be mapped.
    pub(super) fn admit(&self, name: &'static str, more: usize) -> Result<(), OsError> {
        let admitted =
            self.bytes_where(|_| true).checked_add(more).is_some_and(|bytes| bytes <= self.mapped_limit);
        if admitted { Ok(()) } else { Err(OsError::out_of_memory(name)) }
    }

    pub(super) fn insert(&mut self, mapping: Mapping) -> NonNull<u8> {
        let block = mapping.block;
        self.mappings.insert(block.addr().get(), mapping);
        block
    }

    /// Forgets pages, and the mapping with the last of them.
    pub(super) fn remove(&mut self, name: &'static str, ptr: NonNull<u8>, len: usize) -> Result<(), OsError> {
        let (mapping, range) = self.find_or_fail(name, ptr, len)?;
        if let Some(pages) = mapping.pages.get_mut(range) {
            pages.fill(None);
        }
        let base = mapping.block.addr().get();
        if mapping.pages.iter().all(Option::is_none) {
            self.mappings.remove(&base);
        }
        Ok(())
    }
}

pub(super) struct Mapping {
    pub(super) block: NonNull<u8>,
    pub(super) layout: Layout,
    pub(super) page_size: usize,
    /// `None` is a page that was unmapped.
    pub(super) pages: Vec<Option<SimPage>>,
}

// SAFETY: the block is owned by the mapping, and the simulation writes to it only under the state's lock and
// only in the calls during which the caller promises that nobody else accesses the range.
unsafe impl Send for Mapping {}

impl Mapping {
    pub(super) fn new(layout: Layout, page_size: usize, page: SimPage) -> Option<Self> {
        // SAFETY: the size is not zero: `MapOptions::check` and `remap` reject an empty mapping.
        let block = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        let pages = std::vec![Some(page); layout.size() / page_size];
        Some(Self { block, layout, page_size, pages })
    }

    /// Calls `f` with the index and record of each page of the range, all of which are mapped.
    pub(super) fn each(&mut self, range: Range<usize>, mut f: impl FnMut(usize, &mut SimPage)) {
        for (index, page) in self.pages.iter_mut().enumerate() {
            if let (true, Some(page)) = (range.contains(&index), page) {
                f(index, page);
            }
        }
    }

    pub(super) fn any(&self, range: Range<usize>, f: impl Fn(&SimPage) -> bool) -> bool {
        self.pages.get(range).is_some_and(|pages| pages.iter().flatten().any(f))
    }

    /// Sets every byte of one page.
    ///
    /// # Safety
    ///
    /// Nothing else accesses that page during the call, and nothing relies on its content.
    pub(super) unsafe fn fill(&self, page: usize, byte: u8) {
        debug_assert!(page < self.pages.len());
        // SAFETY: the page lies in the block (I1), which is reached through its own pointer (I3), exclusively
        // during the call as the caller promises.
        unsafe { self.block.add(page * self.page_size).write_bytes(byte, self.page_size) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the block came from the global heap with this layout, and this is its only release (I1).
        unsafe { dealloc(self.block.as_ptr(), self.layout) };
    }
}
