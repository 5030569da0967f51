//! Which span an address lies in: a link for each unit of the memory, in tables that lie in that memory.
//!
//! ```text
//!   memory    unit 0    unit 1    unit 2    unit 3    unit 4    unit 5
//!             |  other blocks |  |  span a          ||  span b |
//!   table     |   -    |   -    |   a    |   a    |   b    |   -    |       of a region
//!
//!   current -> one of the tables;   head -> table --next--> table --next--> ..   one for each region
//! ```
//!
//! # Invariants
//!
//! - (I1) Every table of the list has `units` entries, which are initialised and only the map's.
//! - (I2) No unit is in two tables.
//! - (I3) `current` is one of the tables, or one without units.
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | look a unit up | O(1) in the table used last; O(tables) otherwise |
//! | set an entry | the same |
//! | add a table, take one out | O(tables + units) |
//!
//! # Design
//!
//! An entry is a pointer and not a bit, although a bit and the alignment of the spans would do: the pointer carries the
//! provenance of the span, the header of a span may lie anywhere in it, and spans may be several units long without being
//! aligned to their length. At a few KiB for a unit, that is about a thousandth of the memory.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ops::Range;
use core::ptr::NonNull;

/// What a unit belongs to.
pub(crate) type Entry = Option<NonNull<u8>>;

/// The beginning of a table, in front of its entries.
#[derive(Clone, Copy)]
#[repr(C)]
struct Table {
    next: Option<NonNull<Table>>,
    first: usize,
    units: usize,
}

/// A map from units to spans.
#[derive(Debug)]
pub(crate) struct SpanMap {
    first: usize,
    units: usize,
    entries: NonNull<Entry>,
    head: Option<NonNull<Table>>,
}

impl SpanMap {
    /// Returns the map of no memory.
    pub(crate) const fn new() -> Self {
        Self { first: 0, units: 0, entries: NonNull::dangling(), head: None }
    }

    /// Returns the layout of a table for `units` units, or `None` if there is none. O(1).
    pub(crate) fn layout(units: usize) -> Option<Layout> {
        let entries = Layout::array::<Entry>(units).ok()?;
        Some(Layout::new::<Table>().extend(entries).ok()?.0)
    }

    /// Adds a table for the `units` units from `first` on, which belong to no span. O(units).
    ///
    /// # Safety
    ///
    /// `place` is a block of the layout for as many units, which nobody else uses while the map exists. None of the units is
    /// in another table.
    pub(crate) unsafe fn add(&mut self, place: NonNull<u8>, first: usize, units: usize) {
        let table = place.cast::<Table>();
        // SAFETY: the caller promises room for a table and its entries.
        unsafe {
            table.write(Table { next: self.head, first, units });
            let entries = table.add(1).cast::<Entry>();
            for index in 0..units {
                entries.add(index).write(None);
            }
        }
        self.head = Some(table);
        self.select(table);
    }

    /// Returns what a unit belongs to. O(1) in the table used last.
    #[inline(always)]
    pub(crate) fn get(&mut self, unit: usize) -> Entry {
        let index = unit.wrapping_sub(self.first);
        if index < self.units {
            // SAFETY: the table that is selected has this entry (I1, I3).
            return unsafe { self.entries.add(index).read() };
        }
        self.get_elsewhere(unit)
    }

    /// Returns what a unit belongs to, which is not in the current table.
    #[cold]
    #[inline(never)]
    fn get_elsewhere(&mut self, unit: usize) -> Entry {
        let (table, index) = self.find(unit)?;
        self.select(table);
        // SAFETY: the table has this entry (I1).
        unsafe { self.entries.add(index).read() }
    }

    /// Returns what a unit belongs to. O(tables).
    pub(crate) fn peek(&self, unit: usize) -> Entry {
        let (table, index) = self.find(unit)?;
        // SAFETY: the table has this entry (I1).
        unsafe { entries_of(table).add(index).read() }
    }

    /// Returns whether a unit is in a table. O(tables).
    pub(crate) fn covers(&self, unit: usize) -> bool {
        self.find(unit).is_some()
    }

    /// Notes what a unit belongs to, if it is in a table. O(tables).
    pub(crate) fn set(&mut self, unit: usize, entry: Entry) {
        if let Some((table, index)) = self.find(unit) {
            // SAFETY: the table has this entry (I1), and the map is borrowed for writing.
            unsafe { entries_of(table).add(index).write(entry) };
        }
    }

    /// Takes out the table that lies in a range of addresses, if none of its units belongs to a span, and returns where it is, its
    /// first unit and how many it has. O(tables + units).
    pub(crate) fn remove_idle(&mut self, range: Range<usize>) -> Option<(NonNull<u8>, usize, usize)> {
        let (found, table) = self.tables().find(|(at, _)| range.contains(&at.addr().get()))?;
        // SAFETY: the table has these entries (I1).
        if (0..table.units).any(|index| unsafe { entries_of(found).add(index).read() }.is_some()) {
            return None;
        }
        let before = self.tables().find(|(_, other)| other.next == Some(found));
        match before {
            // SAFETY: what the list names is a table (I1), and the map is borrowed for writing.
            Some((at, _)) => unsafe { (*at.as_ptr()).next = table.next },
            None => self.head = table.next,
        }
        *self = Self { head: self.head, ..Self::new() };
        Some((found.cast(), table.first, table.units))
    }

    /// Returns whether a table lies in a range of addresses, or a part of one. O(tables).
    pub(crate) fn overlaps(&self, range: Range<usize>) -> bool {
        self.tables().any(|(at, table)| {
            let bytes = Self::layout(table.units).map_or(0, |layout| layout.size());
            at.addr().get() < range.end && range.start < at.addr().get() + bytes
        })
    }

    /// Returns whether a table begins at an address. O(tables).
    pub(crate) fn is_table(&self, address: usize) -> bool {
        self.tables().any(|(at, _)| at.addr().get() == address)
    }

    /// Passes every entry that is not empty to `visit`, with its unit. O(units).
    #[cfg(test)]
    pub(crate) fn for_each(&self, visit: &mut dyn FnMut(usize, NonNull<u8>)) {
        for (at, table) in self.tables() {
            for index in 0..table.units {
                // SAFETY: the table has this entry (I1).
                if let Some(entry) = unsafe { entries_of(at).add(index).read() } {
                    visit(table.first + index, entry);
                }
            }
        }
    }

    fn tables(&self) -> impl Iterator<Item = (NonNull<Table>, Table)> {
        let mut link = self.head;
        core::iter::from_fn(move || {
            let at = link?;
            // SAFETY: what the list names is a table (I1).
            let table = unsafe { at.read() };
            link = table.next;
            Some((at, table))
        })
    }

    /// Returns the table that a unit is in, with its place there.
    fn find(&self, unit: usize) -> Option<(NonNull<Table>, usize)> {
        self.tables().find_map(|(at, table)| {
            let index = unit.wrapping_sub(table.first);
            (index < table.units).then_some((at, index))
        })
    }

    fn select(&mut self, table: NonNull<Table>) {
        // SAFETY: what is selected is a table (I1).
        let (Table { first, units, .. }, entries) = unsafe { (table.read(), entries_of(table)) };
        *self = Self { first, units, entries, head: self.head };
    }
}

/// Returns the first entry of a table.
///
/// # Safety
///
/// `table` is a table of a map.
const unsafe fn entries_of(table: NonNull<Table>) -> NonNull<Entry> {
    // SAFETY: a table is followed by its entries.
    unsafe { table.add(1).cast() }
}

#[cfg(test)]
mod tests;
