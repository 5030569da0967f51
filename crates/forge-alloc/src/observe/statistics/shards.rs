//! [`Shards`]: the counters of an allocator that several threads use, one shard for each thread slot.
//!
//! ```text
//!   Shards.table --> one mapping, made when the first event is counted
//!     totals: published bytes, peak            written by read-modify-write, once per STEP bytes
//!     common: counts of threads without a slot written by read-modify-write
//!     slots[n]: counts of the thread in slot n written by its holder with plain loads and stores
//!
//!   live bytes = totals.published + the unpublished balance of every slot
//! ```
//!
//! # Invariants
//!
//! - (I1) `table` is `UNDECIDED` until the first event is counted. Then it is, once and until the drop, `REFUSED` or the
//!   address of a mapping of [`mapped_bytes`] bytes that this value owns and that began as zero.
//! - (I2) Only the thread that holds thread slot `n` writes `slots[n]`; holders follow each other in happens-before order.
//! - (I3) The unpublished balance of a slot is larger than `-STEP` and smaller than `STEP`, as every reader sees it.
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | count an event, with a slot | O(1), no atomic read-modify-write; two for every `STEP` bytes of balance |
//! | count an event, without a slot | O(1), two to three atomic read-modify-writes |
//! | `sums` | O(slots) |
//!
//! # Design
//!
//! One set of counters makes every thread wait for the cache lines that another one wrote last. A slot's counts are
//! written by its holder alone, so a count is exact and costs a plain addition; it is added up when somebody asks.
//!
//! The peak of a sum is not the sum of the peaks, so it needs a shared word. A slot publishes its balance of bytes only when
//! that reaches `STEP`, and remembers how high it stood since the last time. The peak is the largest of: the published
//! bytes plus the height of the slot that publishes or is read, and the live bytes when somebody asks. It is exact while one
//! thread counts. With more, what the others have not published (I3) is what it misses or adds: less than `STEP` for each
//! side of the reading, hence at most `2 * STEP` bytes a slot.
//!
//! The table is a mapping of its own, because a wrapper may lie beneath the global allocator, and because it would be most
//! of the size of a wrapper that never needs it. Where the system refuses it, the counters are the plain fields and every
//! step is a read-modify-write; the decision falls once, so that no count is ever in both places.
//!
//! The words are `core`'s atomics under model checking as well: the constructor is `const`.
#![allow(unsafe_code)]

use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering, Ordering::Relaxed};

use forge_alloc_core::CachePadded;
use forge_alloc_core::align::checked_align_up;
use forge_os::{MapOptions, Native, Os};

use super::alloc_stats::Event;
use super::snapshot::StatsSnapshot;
use crate::observe::tally;
use crate::thread_slot::{self, SLOTS};

/// The balance in bytes at which a slot publishes.
const STEP: isize = 2048;

/// The table before the first event.
const UNDECIDED: *mut Table = ptr::null_mut();
/// The table that the system did not grant.
const REFUSED: *mut Table = ptr::without_provenance_mut(1);

/// The way to the counters of all threads.
#[derive(Debug)]
pub(super) struct Shards {
    table: AtomicPtr<Table>,
}

/// What the mapping holds. All zero is its beginning.
struct Table {
    totals: CachePadded<Totals>,
    common: CachePadded<Shard>,
    slots: [CachePadded<Shard>; SLOTS],
}

/// The bytes of all threads together.
struct Totals {
    published: AtomicUsize,
    peak: AtomicUsize,
}

/// The counts of one thread.
pub(super) struct Shard {
    allocations: AtomicUsize,
    deallocations: AtomicUsize,
    resizes: AtomicUsize,
    failures: AtomicUsize,
    /// The bytes allocated less those freed since the last publication; negative if more were freed.
    unpublished: AtomicUsize,
    /// The largest value of `unpublished` since then, at least zero.
    height: AtomicUsize,
}

impl Shards {
    /// Returns shards without a table. O(1).
    pub(super) const fn new() -> Self {
        Self { table: AtomicPtr::new(UNDECIDED) }
    }

    /// Returns shards whose table the system has refused.
    #[cfg(test)]
    pub(super) const fn refused() -> Self {
        Self { table: AtomicPtr::new(REFUSED) }
    }

    /// Counts an event in the slot of the calling thread, if there is a table and the thread has a slot; returns whether.
    #[inline(always)]
    pub(super) fn count_in_slot(&self, event: Event) -> bool {
        let Some(table) = self.table() else { return false };
        let Some(slot) = table.slots.get(thread_slot::current()) else { return false };
        slot.count(&table.totals, event);
        true
    }

    /// Counts an event by whatever way the table offers, and makes the table first; `false` if the system refuses it.
    pub(super) fn count(&self, event: Event) -> bool {
        let Some(table) = self.table().or_else(|| self.decide()) else { return false };
        match table.slots.get(thread_slot::acquire()) {
            Some(slot) => slot.count(&table.totals, event),
            None => table.common.count_among_many(&table.totals, event),
        }
        true
    }

    /// Returns the sums over all threads, or `None` if there is no table. O(slots).
    pub(super) fn sums(&self) -> Option<StatsSnapshot> {
        self.table().map(Table::sums)
    }

    /// Forgets the live blocks: they count as freed.
    pub(super) fn forget_live(&mut self) {
        let Some(table) = self.table() else { return };
        let sums = table.sums();
        let live = sums.total_allocations.wrapping_sub(sums.total_deallocations) as usize;
        tally::add(&table.common.deallocations, live, true);
        for slot in &table.slots {
            slot.unpublished.store(0, Relaxed);
            slot.height.store(0, Relaxed);
        }
        table.totals.published.store(0, Relaxed);
    }

    /// Returns the table, if there is one.
    #[inline(always)]
    fn table(&self) -> Option<&Table> {
        // Acquire: pairs with the Release in `decide`, which hands over a mapping.
        let table = self.table.load(Ordering::Acquire);
        if table.addr() <= REFUSED.addr() {
            return None;
        }
        // SAFETY: the address is that of a live mapping that is aligned to a page and long enough for a table (I1); all
        // zero is a table.
        Some(unsafe { &*table })
    }

    /// Makes the table, unless it was refused; returns the one that is there in the end.
    #[cold]
    #[inline(never)]
    fn decide(&self) -> Option<&Table> {
        if self.table.load(Relaxed) == UNDECIDED {
            let made =
                Native.map(mapped_bytes(), MapOptions::new()).map_or(REFUSED, |base| base.as_ptr().cast());
            // Release: pairs with the Acquire in `table`.
            if self.table.compare_exchange(UNDECIDED, made, Ordering::Release, Relaxed).is_err() {
                // SAFETY: nobody else has seen this table.
                unsafe { give_back(made) };
            }
        }
        self.table()
    }
}

/// Returns the length of the mapping in bytes.
fn mapped_bytes() -> usize {
    checked_align_up(size_of::<Table>(), Native.page_size()).unwrap_or(0)
}

/// Unmaps a table, if it is one.
///
/// # Safety
///
/// A table came from `decide` and is not used any more.
unsafe fn give_back(table: *mut Table) {
    if table.addr() > REFUSED.addr() {
        // SAFETY: the mapping has this length (I1), and the caller promises the rest.
        let unmapped = unsafe { Native.unmap(NonNull::new_unchecked(table).cast(), mapped_bytes()) };
        debug_assert!(unmapped.is_ok(), "the system keeps a mapping");
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        // SAFETY: the table is this value's (I1), which ends.
        unsafe { give_back(*self.table.get_mut()) };
    }
}

impl Table {
    /// Returns the sums over all threads; the mirror of the corruptions is not part of them.
    fn sums(&self) -> StatsSnapshot {
        let mut sums = self.common.counts();
        let published = self.totals.published.load(Relaxed);
        let (mut live, mut peak) = (published, 0);
        for slot in &self.slots {
            let counts = slot.counts();
            sums.total_allocations = sums.total_allocations.wrapping_add(counts.total_allocations);
            sums.total_deallocations = sums.total_deallocations.wrapping_add(counts.total_deallocations);
            sums.resizes = sums.resizes.wrapping_add(counts.resizes);
            sums.failures = sums.failures.wrapping_add(counts.failures);
            live = live.wrapping_add(slot.unpublished.load(Relaxed));
            peak = peak.max(at_least_zero(published.wrapping_add(slot.height.load(Relaxed))));
        }
        let live = at_least_zero(live);
        // Raised and not only returned: a peak that was shown never falls.
        tally::raise(&self.totals.peak, peak.max(live), false);
        sums.bytes_allocated = live as u64;
        sums.bytes_peak = self.totals.peak.load(Relaxed) as u64;
        sums
    }
}

impl Totals {
    /// Adds the balance of a slot that stood as high as `height` above what was published.
    fn publish(&self, balance: usize, height: usize) {
        let before = tally::add(&self.published, balance, false).wrapping_sub(balance);
        tally::raise(&self.peak, at_least_zero(before.wrapping_add(height)), false);
    }
}

impl Shard {
    /// Counts an event, as the only thread that writes this shard (I2).
    #[inline(always)]
    fn count(&self, totals: &Totals, event: Event) {
        match event {
            Event::Allocated(size) => {
                tally::add(&self.allocations, 1, true);
                self.rise(totals, size);
            }
            Event::Freed(size) => {
                tally::add(&self.deallocations, 1, true);
                self.fall(totals, size);
            }
            Event::Resized { from, to } => {
                tally::add(&self.resizes, 1, true);
                if to >= from {
                    self.rise(totals, to - from);
                } else {
                    self.fall(totals, from - to);
                }
            }
            Event::Failed => {
                tally::add(&self.failures, 1, true);
            }
        }
    }

    /// Adds `bytes` to the balance.
    #[inline(always)]
    fn rise(&self, totals: &Totals, bytes: usize) {
        let balance = self.unpublished.load(Relaxed).wrapping_add(bytes);
        if balance as isize >= STEP {
            return self.publish(totals, balance);
        }
        self.unpublished.store(balance, Relaxed);
        if balance as isize > self.height.load(Relaxed) as isize {
            self.height.store(balance, Relaxed);
        }
    }

    /// Takes `bytes` off the balance.
    #[inline(always)]
    fn fall(&self, totals: &Totals, bytes: usize) {
        let balance = self.unpublished.load(Relaxed).wrapping_sub(bytes);
        if balance as isize <= -STEP {
            return self.publish(totals, balance);
        }
        self.unpublished.store(balance, Relaxed);
    }

    /// Adds the balance to the totals and begins a new one.
    #[cold]
    #[inline(never)]
    fn publish(&self, totals: &Totals, balance: usize) {
        let height = at_least_zero(balance).max(self.height.load(Relaxed));
        self.unpublished.store(0, Relaxed);
        self.height.store(0, Relaxed);
        totals.publish(balance, height);
    }

    /// Counts an event, as one of many threads; the bytes are published at once.
    fn count_among_many(&self, totals: &Totals, event: Event) {
        let (counter, balance) = match event {
            Event::Allocated(size) => (&self.allocations, size),
            Event::Freed(size) => (&self.deallocations, size.wrapping_neg()),
            Event::Resized { from, to } => (&self.resizes, to.wrapping_sub(from)),
            Event::Failed => (&self.failures, 0),
        };
        tally::add(counter, 1, false);
        if balance != 0 {
            totals.publish(balance, at_least_zero(balance));
        }
    }

    /// Returns the counts; the bytes are left out.
    fn counts(&self) -> StatsSnapshot {
        StatsSnapshot {
            total_allocations: self.allocations.load(Relaxed) as u64,
            total_deallocations: self.deallocations.load(Relaxed) as u64,
            failures: self.failures.load(Relaxed) as u64,
            resizes: self.resizes.load(Relaxed) as u64,
            ..StatsSnapshot::default()
        }
    }
}

/// Returns a balance as a number of bytes: a negative one, which a reader may see while threads count, is zero.
fn at_least_zero(balance: usize) -> usize {
    if balance > isize::MAX as usize { 0 } else { balance }
}
