//! A shard: the ranges of some of the threads, and the addresses that wait before they are used again.
//!
//! ```text
//!   pools    | class 0 | class 1 | ..       for each class of slots: its extents, and how many slots are vacant
//!                 |
//!               extent -> extent -> ..
//!
//!   a slot:  vacant --drawn at random--> live --freed: shut, content gone--> waiting, oldest .. newest --> vacant
//! ```
//!
//! # Invariants
//!
//! - (I1) Everything is reached under the lock of the shard, the records and vaults of its extents included.
//! - (I2) `vacant` and `bytes` of a pool are the sums over its extents.
//! - (I3) The slots from `oldest` on, by their `next`, are those whose state is [`State::Waiting`].
//!
//! # Operations
//!
//! [`allocate`](Shard::allocate): O(extents of the class), a system call, and those of growing. [`free`](Shard::free): O(1), a
//! system call.
//!
//! # Design
//!
//! A freed address waits until so many others were freed after it, first in, first out: a pointer that is kept for too
//! long meets a guard for that long. Then it is drawn again with the same chance as any other; and a pool grows before it runs out,
//! so that there is something to choose from. The system calls are made under the lock: whatever a fork finds is whole, and
//! no content of a freed block gets into the child.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use forge_os::Os;

use super::canary;
use super::checks::Misuse;
use super::dice::Dice;
use super::directory::GRANULE;
use super::extent::{Extent, Slot, State};
use super::grounds::{Grounds, Want, number_in};
use super::guards;
use super::sizes::{CLASSES, Place, Request};

/// The most freed blocks of a shard whose addresses wait; a block waits in the shard that it came from, one of eight.
pub const QUARANTINED_BLOCKS: usize = if cfg!(miri) { 8 } else { 1 << 16 };

/// The most bytes of addresses of a shard that wait.
pub const QUARANTINED_BYTES: usize = 1 << 30;

/// How many slots a pool has vacant before it grows, at most.
const CHOICE: usize = 64;

/// The most bytes by which a pool grows at a time, if not by one slot.
const LARGEST_STEP: usize = 512 << 20;

/// The bits of a reference to a slot that have the number of the slot.
const SLOT_BITS: u32 = 16;

/// What a shard works with.
pub(super) struct Site<'a, O> {
    pub(super) os: &'a O,
    pub(super) grounds: &'a Grounds,
    pub(super) page: usize,
}

#[derive(Clone, Copy)]
struct Pool {
    /// The first extent, plus one.
    first: u32,
    vacant: u32,
    bytes: usize,
}

/// How much there is in a shard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) live_blocks: usize,
    pub(super) live_bytes: usize,
    pub(super) waiting_blocks: usize,
    pub(super) waiting_bytes: usize,
    pub(super) retired: usize,
}

/// The ranges of some threads.
pub(super) struct Shard {
    number: usize,
    pub(super) dice: Dice,
    pub(super) counts: Counts,
    oldest: u32,
    newest: u32,
    pools: [Pool; CLASSES],
}

/// A live block, as far as a call needs it.
pub(super) struct Found {
    number: u32,
    extent: NonNull<Extent>,
    index: u32,
    place: Place,
    pub(super) size: usize,
}

impl Shard {
    /// Returns a shard without a range. O(classes).
    pub(super) const fn new(number: usize) -> Self {
        let counts =
            Counts { live_blocks: 0, live_bytes: 0, waiting_blocks: 0, waiting_bytes: 0, retired: 0 };
        let pools = [Pool { first: 0, vacant: 0, bytes: 0 }; CLASSES];
        Self { number, dice: Dice::new(), counts, oldest: 0, newest: 0, pools }
    }

    /// Returns a zero block with its tag beside it, after growing if little is vacant; none if there is no memory.
    pub(super) fn allocate(&mut self, site: &Site<'_, impl Os>, request: &Request) -> Option<NonNull<u8>> {
        self.stock(site, request);
        self.take(site, request, request.class)
    }

    /// Returns a block in a slot of any class that has room, without growing.
    pub(super) fn make_do(&mut self, site: &Site<'_, impl Os>, request: &Request) -> Option<NonNull<u8>> {
        (request.class..CLASSES).find_map(|class| self.take(site, request, class))
    }

    /// Makes a pool grow that has few vacant slots.
    fn stock(&mut self, site: &Site<'_, impl Os>, request: &Request) {
        let Some(slot_bytes) = request.slot_bytes(site.page) else { return };
        let Some(&pool) = self.pools.get(request.class) else { return };
        if pool.vacant as usize > (GRANULE / 4 / slot_bytes).min(CHOICE) {
            return;
        }
        let bytes = pool.bytes.min(LARGEST_STEP) & !(GRANULE - 1);
        let want = Want { shard: self.number, class: request.class, slot_bytes, bytes };
        let Some(number) = site.grounds.take(site.os, &want, &mut self.dice) else { return };
        let (Some(pool), Some(mut record)) = (self.pools.get_mut(request.class), site.grounds.extent(number))
        else {
            return;
        };
        // SAFETY: the record was written just now, and is this shard's (I1).
        let extent = unsafe { record.as_mut() };
        extent.next = pool.first;
        pool.first = number;
        pool.vacant += extent.vacant;
        pool.bytes += extent.len;
    }

    /// Draws a vacant slot of a class, opens what the request needs of it, and marks the rest.
    fn take(&mut self, site: &Site<'_, impl Os>, request: &Request, class: usize) -> Option<NonNull<u8>> {
        let pool = self.pools.get_mut(class).filter(|pool| pool.vacant > 0)?;
        let mut position = self.dice.below(pool.vacant);
        let mut number = pool.first;
        let extent = loop {
            // SAFETY: the numbers of a pool are this shard's (I1).
            let extent = unsafe { site.grounds.extent(number)?.as_mut() };
            if position < extent.vacant {
                break extent;
            }
            position -= extent.vacant;
            number = extent.next;
        };
        let index = extent.draw(position);
        pool.vacant -= 1;
        let place = request.place(extent.guard_of(index), site.page);
        let block = extent.pointer(place.start);
        if place.open > 0 {
            let range = extent.pointer(place.first);
            // SAFETY: whole pages of a vacant slot, which are shut.
            if unsafe { guards::open(site.os, extent.method, range, place.open) }.is_err() {
                // SAFETY: the same pages, which no one uses.
                match unsafe { guards::shut(site.os, extent.method, range, place.open) } {
                    Ok(()) => {
                        extent.vacate(index);
                        pool.vacant += 1;
                    }
                    Err(_) => retire(extent, index, &mut self.counts),
                }
                return None;
            }
        }
        let tag = self.dice.word();
        *extent.slot(index) = Slot {
            start: place.start,
            size: request.size,
            tag,
            next: 0,
            align_log: request.align.ilog2() as u8,
            state: State::Live,
        };
        // SAFETY: the pages were opened just now, and are nobody else's.
        unsafe { canary::mark(block.as_ptr(), &place, tag) };
        self.counts.live_blocks += 1;
        self.counts.live_bytes += request.size;
        Some(block)
    }

    /// Returns the block that starts at an address, if it is live, has the layout where one is given, and nothing was written beside it.
    ///
    /// `entry` is that of the address in the directory, and names this shard.
    pub(super) fn find(
        &mut self,
        site: &Site<'_, impl Os>,
        address: usize,
        entry: u32,
        layout: Option<Layout>,
    ) -> Result<Found, Misuse> {
        let number = number_in(entry);
        let mut record = site.grounds.extent(number).ok_or(Misuse::Foreign)?;
        // SAFETY: the directory leads to extents that were written, and this one is of this shard (I1).
        let extent = unsafe { record.as_mut() };
        let index = extent.slot_at(address, site.page).ok_or(Misuse::NoStart)?;
        let &mut Slot { start, size, tag, align_log, state, .. } = extent.slot(index);
        if start != address {
            return Err(Misuse::NoStart);
        }
        if state != State::Live {
            return Err(Misuse::NotLive);
        }
        if layout
            .is_some_and(|layout| layout.size() != size || layout.align().ilog2() != u32::from(align_log))
        {
            return Err(Misuse::Layout);
        }
        let place = Place::of(start, size, site.page);
        // SAFETY: the block is live, so its pages are open and were marked with this tag.
        unsafe { canary::check(extent.pointer(start).as_ptr(), &place, tag)? };
        Ok(Found { number, extent: record, index, place, size })
    }

    /// Shuts the pages of a block, whose content is gone then, and lets its address wait.
    pub(super) fn free(&mut self, site: &Site<'_, impl Os>, mut found: Found) {
        // SAFETY: the extent is this shard's (I1), and the lock was held since the block was found.
        let extent = unsafe { found.extent.as_mut() };
        self.counts.live_blocks -= 1;
        self.counts.live_bytes -= found.size;
        extent.slot(found.index).tag = 0;
        if found.place.open > 0 {
            let range = extent.pointer(found.place.first);
            // SAFETY: the pages of the block, which its user gave up.
            if unsafe { guards::shut(site.os, extent.method, range, found.place.open) }.is_err() {
                retire(extent, found.index, &mut self.counts);
                return;
            }
        }
        extent.slot(found.index).state = State::Waiting;
        self.counts.waiting_blocks += 1;
        self.counts.waiting_bytes += extent.slot_bytes;
        self.push(site, ((found.number - 1) << SLOT_BITS | found.index) + 1);
        while self.counts.waiting_blocks > QUARANTINED_BLOCKS || self.counts.waiting_bytes > QUARANTINED_BYTES
        {
            self.end_oldest(site);
        }
    }

    /// Puts a reference behind all that wait.
    fn push(&mut self, site: &Site<'_, impl Os>, reference: u32) {
        match slot_of(site.grounds, self.newest) {
            Some((mut extent, index)) => {
                // SAFETY: a waiting slot's extent is this shard's (I1).
                unsafe { extent.as_mut() }.slot(index).next = reference;
            }
            None => self.oldest = reference,
        }
        self.newest = reference;
    }

    /// Makes the slot vacant that waited for the longest time.
    fn end_oldest(&mut self, site: &Site<'_, impl Os>) {
        let Some((mut extent, index)) = slot_of(site.grounds, self.oldest) else { return };
        // SAFETY: as above.
        let extent = unsafe { extent.as_mut() };
        let slot = extent.slot(index);
        self.oldest = core::mem::take(&mut slot.next);
        if self.oldest == 0 {
            self.newest = 0;
        }
        extent.vacate(index);
        self.counts.waiting_blocks -= 1;
        self.counts.waiting_bytes -= extent.slot_bytes;
        if let Some(pool) = self.pools.get_mut(extent.class) {
            pool.vacant += 1;
        }
    }

    /// Unmaps the extents in which no slot has a block or waits, after ending the wait of all slots if `hurry`.
    #[cold]
    pub(super) fn reclaim(&mut self, site: &Site<'_, impl Os>, hurry: bool) {
        while hurry && self.oldest != 0 {
            self.end_oldest(site);
        }
        for pool in &mut self.pools {
            let (mut number, mut kept) = (core::mem::take(&mut pool.first), 0);
            while let Some(mut record) = site.grounds.extent(number) {
                // SAFETY: the numbers of a pool are this shard's (I1).
                let extent = unsafe { record.as_mut() };
                let (next, vacant, retired, len) = (extent.next, extent.vacant, extent.retired, extent.len);
                // SAFETY: as above; the extent is on no list, and has no block if it is idle.
                if extent.is_idle() && unsafe { site.grounds.give_back(site.os, number) } {
                    pool.vacant -= vacant;
                    pool.bytes -= len;
                    self.counts.retired -= retired as usize;
                } else {
                    extent.next = kept;
                    kept = number;
                }
                number = next;
            }
            pool.first = kept;
        }
    }
}

/// Takes a slot out of use for as long as its extent lives.
#[cold]
fn retire(extent: &mut Extent, index: u32, counts: &mut Counts) {
    extent.slot(index).state = State::Retired;
    extent.retired += 1;
    counts.retired += 1;
}

/// Returns the slot of a reference, plus one; none for 0.
fn slot_of(grounds: &Grounds, reference: u32) -> Option<(NonNull<Extent>, u32)> {
    let reference = reference.checked_sub(1)?;
    let extent = grounds.extent((reference >> SLOT_BITS) + 1)?;
    Some((extent, reference & ((1 << SLOT_BITS) - 1)))
}

#[cfg(test)]
mod tests;
