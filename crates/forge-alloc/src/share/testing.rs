//! A small heap for tests: an address-ordered list of free runs, first fit, over several regions.
//!
//! It is correct rather than fast. It allocates nothing itself, so that it can be a global allocator, and has no headers:
//! the layout of a free says how long the block is.
#![allow(unsafe_code)]
#![allow(dead_code, reason = "each test that includes this file uses a part of it")]

use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use forge_alloc_core::{
    AllocResult, BaseAllocator, ByteAllocator, GrowableHeap, HeapBlock, HeapError, Region, RejectedRegion,
    align_up,
};

/// The unit of all sizes and the least alignment, in bytes.
pub(crate) const GRANULE: usize = size_of::<Run>();

/// The most regions that the heap has at a time.
const SPANS: usize = 128;

/// A free run, at its start.
#[derive(Clone, Copy)]
struct Run {
    size: usize,
    next: Option<NonNull<Run>>,
}

/// A region, and the whole granules in it.
#[derive(Clone, Copy)]
struct Span {
    handed: (usize, usize),
    base: NonNull<u8>,
    size: usize,
}

impl Span {
    fn start(&self) -> usize {
        self.base.addr().get()
    }

    fn end(&self) -> usize {
        self.start() + self.size
    }
}

/// The heap.
pub(crate) struct ListHeap {
    spans: [Option<Span>; SPANS],
    first: Option<NonNull<Run>>,
    available: usize,
}

// SAFETY: the heap owns its regions and is tied to no thread.
unsafe impl Send for ListHeap {}

impl ListHeap {
    pub(crate) const fn new() -> Self {
        Self { spans: [None; SPANS], first: None, available: 0 }
    }

    fn spans(&self) -> impl Iterator<Item = &Span> {
        self.spans.iter().flatten()
    }

    /// Returns the runs in the order of their addresses.
    fn runs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        // SAFETY: the list holds live runs only.
        core::iter::successors(self.first, |run| unsafe { run.read().next })
            .map(|run| (run.addr().get(), unsafe { run.read().size }))
    }

    /// Returns a pointer to the byte at `address`, valid for its whole span.
    fn pointer(&self, address: usize) -> NonNull<u8> {
        let span = self.spans().find(|span| (span.start()..span.end()).contains(&address)).unwrap();
        span.base.map_addr(|_| address.try_into().unwrap())
    }

    /// Returns whether a free run of one span ends, and one of another begins, at `address`.
    fn is_border(&self, address: usize) -> bool {
        self.spans().any(|span| span.start() == address)
    }

    /// Puts a run into the list, merged with its neighbours.
    fn insert(&mut self, address: usize, size: usize) {
        if size == 0 {
            return;
        }
        self.available += size;
        let mut before: Option<NonNull<Run>> = None;
        let mut after = self.first;
        while let Some(run) = after.filter(|run| run.addr().get() < address) {
            before = Some(run);
            // SAFETY: the list holds live runs only.
            after = unsafe { run.read().next };
        }
        let run = self.pointer(address).cast::<Run>();
        let mut fresh = Run { size, next: after };
        if let Some(after) =
            after.filter(|after| after.addr().get() == address + size && !self.is_border(address + size))
        {
            // SAFETY: the list holds live runs only.
            let merged = unsafe { after.read() };
            fresh = Run { size: size + merged.size, next: merged.next };
        }
        // SAFETY: the bytes are free and belong to the heap; so do those of the run before.
        unsafe {
            if let Some(before) = before {
                let previous = &mut *before.as_ptr();
                if before.addr().get() + previous.size == address && !self.is_border(address) {
                    *previous = Run { size: previous.size + fresh.size, next: fresh.next };
                    return;
                }
                previous.next = Some(run);
            } else {
                self.first = Some(run);
            }
            run.write(fresh);
        }
    }

    /// Takes `size` bytes at `address` out of the run that starts at `run`.
    fn remove(&mut self, run: usize, address: usize, size: usize) {
        let mut before: Option<NonNull<Run>> = None;
        let mut current = self.first.unwrap();
        while current.addr().get() != run {
            before = Some(current);
            // SAFETY: the list holds live runs only.
            current = unsafe { current.read().next }.unwrap();
        }
        // SAFETY: as above.
        unsafe {
            let removed = current.read();
            match before {
                Some(before) => (*before.as_ptr()).next = removed.next,
                None => self.first = removed.next,
            }
            self.available -= removed.size;
            self.insert(run, address - run);
            self.insert(address + size, run + removed.size - (address + size));
        }
    }

    fn rounded(layout: Layout) -> Option<usize> {
        Some(layout.size().checked_next_multiple_of(GRANULE)?.max(GRANULE))
    }

    /// Panics unless the list is ordered, merged, and adds up.
    pub(crate) fn check(&self) {
        let mut last_end = 0;
        for (start, size) in self.runs() {
            assert!(start > last_end || (start == last_end && (last_end == 0 || self.is_border(start))));
            assert!(size >= GRANULE && size % GRANULE == 0 && start % GRANULE == 0);
            last_end = start + size;
        }
        assert_eq!(self.runs().map(|(_, size)| size).sum::<usize>(), self.available);
        assert_eq!(self.used_bytes() + self.available_bytes(), self.total_bytes());
    }
}

impl BaseAllocator for ListHeap {
    unsafe fn init(&mut self, start: usize, size: usize) {
        // SAFETY: the caller's promises are the callee's.
        let _ = unsafe { self.add_memory(start, size) };
    }

    unsafe fn add_memory(&mut self, start: usize, size: usize) -> AllocResult {
        // SAFETY: the caller's promises are the callee's.
        let region = unsafe { Region::from_addresses(start, size) }.ok_or(HeapError::InvalidParam)?;
        self.add_region(region).map_err(|rejected| rejected.error)
    }
}

// SAFETY: blocks are cut from free runs, which lie in the spans, are disjoint, and are rounded to the alignment.
unsafe impl ByteAllocator for ListHeap {
    fn add_region(&mut self, region: Region) -> Result<(), RejectedRegion> {
        let handed = (region.base().addr().get(), region.len());
        let (start, end) = (handed.0, handed.0 + handed.1);
        if self.spans().any(|span| start < span.handed.0 + span.handed.1 && span.handed.0 < end) {
            return Err(RejectedRegion { error: HeapError::MemoryOverlap, region });
        }
        let first = align_up(start, GRANULE);
        let size = end.saturating_sub(first) / GRANULE * GRANULE;
        if size == 0 {
            return Err(RejectedRegion { error: HeapError::InvalidParam, region });
        }
        let Some(place) = self.spans.iter_mut().find(|span| span.is_none()) else {
            return Err(RejectedRegion { error: HeapError::NoMemory, region });
        };
        let (base, _) = region.into_raw();
        // SAFETY: the first granule lies in the region.
        *place = Some(Span { handed, base: unsafe { base.add(first - start) }, size });
        self.insert(first, size);
        self.check();
        Ok(())
    }

    fn alloc(&mut self, layout: Layout) -> AllocResult<NonNull<u8>> {
        if layout.size() == 0 {
            return Err(HeapError::InvalidParam);
        }
        let size = Self::rounded(layout).ok_or(HeapError::NoMemory)?;
        let align = layout.align().max(GRANULE);
        let place = |(start, length): (usize, usize)| {
            let address = start.checked_next_multiple_of(align)?;
            (address.checked_add(size)? <= start + length).then_some((start, address))
        };
        let (run, address) = self.runs().find_map(place).ok_or(HeapError::NoMemory)?;
        self.remove(run, address, size);
        Ok(self.pointer(address))
    }

    unsafe fn dealloc(&mut self, pos: NonNull<u8>, layout: Layout) {
        self.insert(pos.addr().get(), Self::rounded(layout).unwrap());
        if cfg!(debug_assertions) {
            self.check();
        }
    }

    unsafe fn resize_in_place(&mut self, pos: NonNull<u8>, old: Layout, new: Layout) -> bool {
        let (Some(old), Some(size)) = (Self::rounded(old), Self::rounded(new)) else { return false };
        let end = pos.addr().get() + old;
        if pos.addr().get() % new.align() != 0 {
            return false;
        }
        if size <= old {
            self.insert(end - (old - size), old - size);
            return true;
        }
        let grows =
            !self.is_border(end) && self.runs().any(|(start, free)| start == end && free >= size - old);
        if grows {
            self.remove(end, end, size - old);
        }
        grows
    }

    unsafe fn stays_in_place(&self, pos: NonNull<u8>, old: Layout, new: Layout) -> bool {
        Self::rounded(new) <= Self::rounded(old) && pos.addr().get() % new.align() == 0
    }

    fn largest_free(&self) -> Option<usize> {
        Some(self.runs().map(|(_, size)| size).max().unwrap_or(0))
    }

    /// What lies between two free runs counts as one block.
    fn for_each_block(&self, visit: &mut dyn FnMut(HeapBlock)) {
        for span in self.spans() {
            let mut at = span.start();
            for (start, size) in self.runs().filter(|(start, _)| (span.start()..span.end()).contains(start)) {
                if at < start {
                    visit(HeapBlock::new(at, start - at, false));
                }
                visit(HeapBlock::new(start, size, true));
                at = start + size;
            }
            if at < span.end() {
                visit(HeapBlock::new(at, span.end() - at, false));
            }
        }
    }

    fn total_bytes(&self) -> usize {
        self.spans().map(|span| span.size).sum()
    }

    fn used_bytes(&self) -> usize {
        self.total_bytes() - self.available
    }

    fn available_bytes(&self) -> usize {
        self.available
    }
}

// SAFETY: a span leaves the table and its one run the list, so nothing of it is handed out any more.
unsafe impl GrowableHeap for ListHeap {
    unsafe fn take_region(&mut self, region: NonNull<[u8]>) -> bool {
        let handed = (region.addr().get(), region.len());
        let Some(place) = self.spans.iter().position(|span| span.is_some_and(|span| span.handed == handed))
        else {
            return false;
        };
        let span = self.spans[place].unwrap();
        if !self.runs().any(|run| run == (span.start(), span.size)) {
            return false;
        }
        self.remove(span.start(), span.start(), span.size);
        self.spans[place] = None;
        self.check();
        true
    }
}

impl crate::ConstInit for ListHeap {
    const INIT: Self = Self::new();
}

/// Returns the bytes as a region. The test does not touch them as long as it uses what it makes of the region.
#[cfg(test)]
pub(crate) fn region_of(bytes: &mut [MaybeUninit<u8>]) -> Region {
    let len = bytes.len();
    // SAFETY: the borrow is exclusive, and the test is done with the heap before it touches the bytes again.
    unsafe { Region::from_raw(NonNull::from(bytes).cast(), len) }
}
