//! Which segment an address lies in: a hash table that is read without a lock.
//!
//! ```text
//!   granules   |      g      |     g+1     |     g+2     |         a power of two; a segment starts where one starts, and
//!   segments   |<- A ->|     |<- B ->|     |             |         is at most as long
//!
//!   table      ..  | base, segment, issued |  -  | ..              the cell of a segment is at home(granule), or is the
//!                                                                  next one that was empty
//!   current = address of the cells | width of a word - log2 of their number
//! ```
//!
//! # Invariants
//!
//! - (I1) `current` is null, or the address of a table of 2^bits cells, at least two, with the width of a word less `bits`
//!   in its low six bits. Tables stay mapped until nobody reads the map any more.
//! - (I2) Only the holder of the map's [`Tables`] changes cells.
//! - (I3) In the current table each segment has one cell. Seen by the writer, no cell between the home of its granule and
//!   itself is empty.
//! - (I4) At least half of the cells are empty.
//!
//! # Operations
//!
//! `find`: O(1) expected, at any number of segments. `insert`, `remove`, `set_issued`: O(1) expected, amortized over the
//! doublings of the table.
//!
//! # Design
//!
//! *Readers.* A reader takes no lock and looks at nothing but cells. It may miss a segment while the writer moves cells,
//! and asks again under the lock then. What it finds for a live block is right: the insertion of the block's segment
//! happened before the block was handed out and so before the reader got it, hence the reader sees a table that has the
//! segment, and none of the segments that lay at these addresses earlier. For any other pointer the answer may be
//! anything, but only cells are ever read.
//!
//! *One cell a segment.* Segments that may start anywhere share granules with their neighbours, and which neighbour a random
//! block lies in is nothing that a processor can predict. Neighbouring granules differ by one, and Fibonacci hashing spreads
//! such numbers evenly: a first look finds nearly everything. The hash is the product of the granule's first address and
//! the golden ratio shifted right instead: as even, and a variable shift less.
//!
//! *Removal* closes the gap (Knuth, The Art of Computer Programming 6.4, algorithm R), so that segments that come and go
//! leave nothing behind, and the number of tables depends on the largest number of segments only. An outgrown table stays
//! mapped, because a reader may be in it; all of them together are smaller than the current one.
#![allow(unsafe_code)]

use core::ptr::{self, NonNull};
use core::slice;

use forge_alloc_core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use forge_alloc_core::{AllocError, NonZeroLayout, Region, RegionSource};
use forge_os::Os;

use crate::backing::MmapSource;

/// The base-two logarithm of the cells of the first table, which fill a page of 4 KiB.
const FIRST_BITS: usize = if cfg!(loom) { 3 } else { 8 };
/// How many tables there can be, each twice as large as the one before.
const TABLES: usize = 24;
/// The alignment of a table, which leaves the low bits of its address to the logarithm of its size.
const TABLE_ALIGN: usize = 64;
/// The bits of the address of a table that hold a shift.
const TAG: usize = TABLE_ALIGN - 1;
/// The golden ratio's share of a word, odd.
const GOLDEN: usize = (0x9E37_79B9_7F4A_7C15_u64 >> (64 - usize::BITS)) as usize | 1;

/// One segment, as far as readers need it. All zero bytes are an empty cell.
#[repr(C)]
struct Cell {
    /// The first slot; null in an empty cell.
    base: AtomicPtr<u8>,
    /// The number of the segment.
    segment: AtomicU32,
    /// How many slots were ever handed out; the others are no blocks.
    issued: AtomicU32,
}

/// A segment as the map knows it.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// The first slot.
    pub(super) base: NonNull<u8>,
    /// The number of the segment.
    pub(super) segment: u32,
    /// How many slots were ever handed out.
    pub(super) issued: u32,
}

impl Cell {
    /// Returns an empty cell.
    fn empty() -> Self {
        Self { base: AtomicPtr::new(ptr::null_mut()), segment: AtomicU32::new(0), issued: AtomicU32::new(0) }
    }

    // Relaxed, here and below: the order that a reader relies on comes with the block that it asks about.

    /// Returns the first slot of the segment, if there is one.
    #[inline(always)]
    fn base(&self) -> Option<NonNull<u8>> {
        NonNull::new(self.base.load(Ordering::Relaxed))
    }

    /// Returns the segment, if there is one.
    #[inline(always)]
    fn entry(&self) -> Option<Entry> {
        let base = self.base()?;
        let segment = self.segment.load(Ordering::Relaxed);
        Some(Entry { base, segment, issued: self.issued.load(Ordering::Relaxed) })
    }

    /// Puts a segment in; the base last, which is what makes it count.
    fn fill(&self, entry: Entry) {
        self.segment.store(entry.segment, Ordering::Relaxed);
        self.issued.store(entry.issued, Ordering::Relaxed);
        self.base.store(entry.base.as_ptr(), Ordering::Relaxed);
    }

    fn clear(&self) {
        self.base.store(ptr::null_mut(), Ordering::Relaxed);
    }
}

/// The map from addresses to segments, as every thread sees it.
pub(super) struct SegmentMap {
    current: AtomicPtr<Cell>,
    reach: usize,
    hash: Hash,
}

/// How addresses lead to homes.
#[derive(Clone, Copy)]
struct Hash {
    /// The bits of an address that tell its granule.
    granule: usize,
    /// The golden ratio's share of as many granules as there can be.
    golden: usize,
}

impl Hash {
    /// Returns the hash of granules of 2^`granule_bits` bytes. O(1).
    const fn new(granule_bits: u32) -> Self {
        Self { granule: usize::MAX << granule_bits, golden: GOLDEN >> granule_bits }
    }

    /// Returns where the search for an address starts in a table whose number of cells has this logarithm less than the
    /// width of a word. O(1).
    #[inline(always)]
    const fn home(self, address: usize, shift: u32) -> usize {
        (address & self.granule).wrapping_mul(self.golden).wrapping_shr(shift)
    }
}

/// The memory of a map, and the right to change it (I2).
pub(super) struct Tables<O: Os> {
    source: MmapSource<O>,
    regions: [Option<Region>; TABLES],
    segments: usize,
}

impl SegmentMap {
    /// Returns an empty map of segments of `reach` bytes that start at multiples of 2^`granule_bits`, which is no less. O(1).
    pub(super) fn new(reach: usize, granule_bits: u32) -> Self {
        debug_assert!(reach <= 1 << granule_bits);
        Self { current: AtomicPtr::new(ptr::null_mut()), reach, hash: Hash::new(granule_bits) }
    }

    /// Returns the segment that the address lies in. O(1) expected.
    ///
    /// Without the [`Tables`] the answer is to be relied on for the addresses of live blocks only, and even for these it
    /// may be `None`.
    #[inline(always)]
    pub(super) fn find(&self, address: usize) -> Option<Entry> {
        let (_, cell) = self.look_up(address)?;
        cell.entry()
    }

    /// Returns the first slot of the segment that the address lies in, and how many of its slots were ever handed out; to
    /// be relied on as [`find`](Self::find). O(1) expected.
    #[inline(always)]
    pub(super) fn find_issued(&self, address: usize) -> Option<(NonNull<u8>, u32)> {
        let (base, cell) = self.look_up(address)?;
        Some((base, cell.issued.load(Ordering::Relaxed)))
    }

    /// Returns the first slot of the segment that the address lies in, and the segment's cell. O(1) expected.
    #[inline(always)]
    fn look_up(&self, address: usize) -> Option<(NonNull<u8>, &Cell)> {
        // Acquire: pairs with the Release in `publish`, so that the cells are initialised.
        let tagged = self.current.load(Ordering::Acquire);
        if tagged.is_null() {
            return None;
        }
        let (cells, shift) = untag(tagged);
        // SAFETY: a home is below the number of cells, which are mapped as long as the map is read (I1).
        let cell = unsafe { &*cells.add(self.hash.home(address, shift)) };
        let base = cell.base()?;
        if address.wrapping_sub(base.addr().get()) < self.reach {
            return Some((base, cell));
        }
        self.look_past_home(address)
    }

    /// Does as [`look_up`](Self::look_up) for a segment that is not in the cell at the home of the address.
    #[cold]
    fn look_past_home(&self, address: usize) -> Option<(NonNull<u8>, &Cell)> {
        let cells = self.cells();
        from(cells, self.home_of(address, cells.len()))
            .skip(1)
            .map_while(|(_, cell)| cell.base().map(|base| (base, cell)))
            .find(|(base, _)| address.wrapping_sub(base.addr().get()) < self.reach)
    }

    /// Makes room for one more segment. O(1) amortized.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the table would have to grow and cannot; nothing changes.
    pub(super) fn reserve<O: Os>(&self, tables: &mut Tables<O>) -> Result<(), AllocError> {
        let old = self.cells();
        // Half of the cells stay empty (I4).
        if (tables.segments + 1) * 2 <= old.len() {
            return Ok(());
        }
        let bits = if old.is_empty() { FIRST_BITS } else { old.len().trailing_zeros() as usize + 1 };
        let (table, cells) = tables.map(bits)?;
        for entry in old.iter().filter_map(Cell::entry) {
            self.place(cells, entry);
        }
        self.publish(table, bits);
        Ok(())
    }

    /// Enters a segment, for which [`reserve`](Self::reserve) has made room. O(1) expected.
    pub(super) fn insert<O: Os>(&self, tables: &mut Tables<O>, entry: Entry) {
        self.place(self.cells(), entry);
        tables.segments += 1;
    }

    /// Removes a segment. O(1) expected.
    pub(super) fn remove<O: Os>(&self, tables: &mut Tables<O>, base: NonNull<u8>) {
        if let Some((place, cell)) = self.cell_of(base) {
            self.close(place, cell);
            tables.segments -= 1;
        }
    }

    /// Sets how many slots of a segment were ever handed out. O(1) expected.
    pub(super) fn set_issued<O: Os>(&self, _: &mut Tables<O>, base: NonNull<u8>, issued: u32) {
        if let Some((_, cell)) = self.cell_of(base) {
            cell.issued.store(issued, Ordering::Relaxed);
        }
    }

    /// Unmaps the tables that were outgrown, or all if the map is empty.
    ///
    /// # Safety
    ///
    /// Nobody else reads the map during the call. `tables` are those of this map.
    pub(super) unsafe fn shrink<O: Os>(&self, tables: &mut Tables<O>) {
        let kept = if tables.segments == 0 { 0 } else { self.cells().len().trailing_zeros() as usize };
        if kept == 0 {
            self.current.store(ptr::null_mut(), Ordering::Relaxed);
        }
        for (number, slot) in tables.regions.iter_mut().enumerate() {
            if FIRST_BITS + number == kept {
                continue;
            }
            if let (Some(region), Some(layout)) = (slot.take(), table_layout(FIRST_BITS + number)) {
                // SAFETY: the region came from this source for this layout, and no table in it is read any more.
                unsafe { tables.source.release(region, layout) };
            }
        }
    }

    /// Returns the cells of the current table, none if there is no table.
    fn cells(&self) -> &[Cell] {
        // Acquire: as in `find`.
        let tagged = self.current.load(Ordering::Acquire);
        if tagged.is_null() {
            return &[];
        }
        let (cells, shift) = untag(tagged);
        // SAFETY: the table has this many cells, initialised and mapped as long as the map is read (I1).
        unsafe { slice::from_raw_parts(cells, 1 << (usize::BITS - shift)) }
    }

    /// Makes a table the current one.
    fn publish(&self, table: NonNull<Cell>, bits: usize) {
        let tagged = table.as_ptr().map_addr(|address| address | (usize::BITS as usize - bits));
        // Release: pairs with the Acquire loads of readers.
        self.current.store(tagged, Ordering::Release);
    }

    /// Returns the home of an address in a table of so many cells.
    fn home_of(&self, address: usize, cells: usize) -> usize {
        self.hash.home(address, usize::BITS - cells.trailing_zeros())
    }

    /// Fills the first empty cell at or after the home of the segment.
    fn place(&self, cells: &[Cell], entry: Entry) {
        let mut around = from(cells, self.home_of(entry.base.addr().get(), cells.len()));
        if let Some((_, cell)) = around.find(|(_, cell)| cell.entry().is_none()) {
            cell.fill(entry);
        }
    }

    /// Returns the cell of the segment with this base, and its place.
    fn cell_of(&self, base: NonNull<u8>) -> Option<(usize, &Cell)> {
        let cells = self.cells();
        from(cells, self.home_of(base.addr().get(), cells.len()))
            .map_while(|(place, cell)| cell.entry().map(|entry| (place, cell, entry)))
            .find(|(_, _, entry)| entry.base == base)
            .map(|(place, cell, _)| (place, cell))
    }

    /// Empties a cell and moves later ones up, so that (I3) holds for them.
    fn close(&self, place: usize, cell: &Cell) {
        let cells = self.cells();
        let last = cells.len().wrapping_sub(1);
        let (mut hole_place, mut hole) = (place, cell);
        for (place, cell) in from(cells, place).skip(1) {
            let Some(entry) = cell.entry() else { break };
            let home = self.home_of(entry.base.addr().get(), cells.len());
            // The cell may move up exactly if the hole is not before its home: both are distances back from the cell.
            if place.wrapping_sub(hole_place) & last <= place.wrapping_sub(home) & last {
                hole.fill(entry);
                (hole_place, hole) = (place, cell);
            }
        }
        hole.clear();
    }
}

impl<O: Os> Tables<O> {
    /// Returns the right to change a map that is empty. O(1).
    pub(super) fn new(os: O) -> Self {
        Self { source: MmapSource::on(os), regions: [const { None }; TABLES], segments: 0 }
    }

    /// Maps the table of 2^bits empty cells.
    fn map(&mut self, bits: usize) -> Result<(NonNull<Cell>, &[Cell]), AllocError> {
        let slot = bits.checked_sub(FIRST_BITS).and_then(|number| self.regions.get_mut(number));
        let (slot, layout) = slot.zip(table_layout(bits)).ok_or(AllocError)?;
        // SAFETY: the region is kept and released by `shrink`, through the same source.
        let region = slot.insert(unsafe { self.source.request(layout) }?);
        let cells = region.base().cast::<Cell>();
        if cfg!(loom) {
            for place in 0..1 << bits {
                // SAFETY: the region has room for this many cells and is not used yet.
                unsafe { cells.add(place).write(Cell::empty()) };
            }
        }
        // SAFETY: the region is aligned and long enough, ours alone, and zero, which is a row of empty cells.
        Ok((cells, unsafe { slice::from_raw_parts(cells.as_ptr(), 1 << bits) }))
    }
}

/// Returns the layout of a table of 2^bits cells; `None` if there is none.
fn table_layout(bits: usize) -> Option<NonZeroLayout> {
    let cells = 1_usize.checked_shl(bits as u32)?;
    NonZeroLayout::from_size_align(cells.checked_mul(size_of::<Cell>())?, TABLE_ALIGN).ok()
}

/// Takes the address of a table and the shift of its homes apart.
#[inline(always)]
fn untag(tagged: *mut Cell) -> (*mut Cell, u32) {
    (tagged.map_addr(|address| address & !TAG), (tagged.addr() & TAG) as u32)
}

/// Returns the cells with their places, from `start` once around.
fn from(cells: &[Cell], start: usize) -> impl Iterator<Item = (usize, &Cell)> {
    let (before, after) = cells.split_at_checked(start).unwrap_or((cells, &[]));
    let before = before.iter().enumerate();
    after.iter().enumerate().map(move |(place, cell)| (start + place, cell)).chain(before)
}

#[cfg(test)]
mod tests;
