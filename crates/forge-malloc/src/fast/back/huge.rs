//! Blocks above the largest class, and those aligned beyond a unit: mappings, and what they are cut into.
//!
//! ```text
//!   allocate    a kept extent that is long enough, cut     else     a mapping, as long as all others together, cut
//!   free        kept, joined with its neighbours ── too much is kept ──> mappings that are free go, pages of others go
//!   resize      what is kept behind it ── else the system moves the mapping ── else the caller copies
//! ```
//!
//! # Operations
//!
//! Allocate: O(kept of about that length), a mapping if none fits. Free: O(live / chains), and a call to the system when too much is
//! kept. Resize: O(1) while there is room behind, else by the system where it can, else by the caller.
//!
//! # Design
//!
//! A fresh page costs ten times what clearing it does, so free memory is kept as long as it is [needed](super::decay) now and then, up to what the
//! profile says plus three quarters of what is in use: blocks of random sizes that replace one another leave that much between them. It is cut and joined, since a program whose large blocks vary in size would else need a mapping of the longest for each of them.
//! Mappings grow with what there is, so that there are few of them and most neighbours can be joined; pages that are not touched cost addresses only.
//! Where too much is kept the shortest extents go, since the others serve more requests.
//!
//! The lock is not held while the system maps, unmaps or moves: what it works on is in the hands of the one thread that asked. Who frees a block says
//! where it starts, and a chain says how long it is; a block starts where its extent does, so no header can be overwritten.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use forge_alloc_core::sync::RawLock;
use forge_alloc_core::sync::cell::UnsafeCell;
use forge_os::{Advice, MapOptions, Os, Released};

use self::extents::{Extent, Extents, Victims};
use crate::fast::checks::{self, Misuse};
use crate::fast::glue::const_unless_loom;
use crate::fast::quiet::QuietLock;

mod extents;

/// The most whole mappings that are kept, however short.
const MOST_KEPT: usize = 256;

/// The most bytes of a mapping, if what it is made for is shorter.
const MOST_GROWTH: usize = 256 << 20;

/// The large blocks of a heap.
pub(crate) struct Huge<O> {
    pub(crate) lock: QuietLock,
    os: O,
    extents: UnsafeCell<Extents>,
}

/// How much memory there is in large blocks, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Amounts {
    pub(crate) mapped: usize,
    pub(crate) used: usize,
    pub(crate) peak: usize,
    /// Free, and possibly resident.
    pub(crate) idle: usize,
}

impl<O: Os> Huge<O> {
    const_unless_loom! {
        /// Returns no blocks, of which up to `retainable` bytes are kept when they are free, and three quarters of what is in use.
        pub(crate) fn new(os: O, retainable: usize, quiet: bool) -> Self {
            Self { lock: QuietLock::new(quiet), os, extents: UnsafeCell::new(Extents::new(retainable)) }
        }
    }

    fn locked<R>(&self, work: impl FnOnce(&mut Extents) -> R) -> R {
        let _guard = self.lock.guard();
        // SAFETY: the lock is held until the end of this function, and nothing else leads to the extents.
        self.extents.with_mut(|extents| work(unsafe { &mut *extents }))
    }

    /// Returns a block of this layout, with the number of its first bytes that may not be zero; none if there is no memory.
    #[cold]
    pub(crate) fn allocate(&self, layout: Layout) -> Option<(NonNull<u8>, usize)> {
        let len = self.round(layout.size())?;
        let kept = self.locked(|extents| {
            // SAFETY: the lock is held, and what was taken off is in this thread's hands.
            unsafe {
                let extent = extents.take_best(&self.os, len, layout.align());
                if extent.is_null() {
                    return None;
                }
                let settled = self.settle(extents, extent, len, layout.size());
                extents.decay.lower(extents.idle);
                Some(settled)
            }
        });
        kept.or_else(|| self.map(len, layout))
    }

    /// Makes an extent a block.
    ///
    /// # Safety
    ///
    /// The lock is held, and the extent in the caller's hands; it has `len` bytes, and they are whole pages and at least `size`.
    unsafe fn settle(
        &self,
        extents: &mut Extents,
        extent: *mut Extent,
        len: usize,
        size: usize,
    ) -> (NonNull<u8>, usize) {
        // SAFETY: the caller's promise.
        unsafe {
            extents.cut(&self.os, extent, len, false);
            let start = (*extent).start;
            (start, extents.enter(extent, size))
        }
    }

    /// Returns a block in a new mapping.
    fn map(&self, len: usize, layout: Layout) -> Option<(NonNull<u8>, usize)> {
        // SAFETY: the lock is held.
        let (record, (growth, advice)) = self.locked(|extents| unsafe {
            Some((extents.unused(&self.os)?, (extents.mapped, extents.advice)))
        })?;
        let options = MapOptions::new().with_alignment(layout.align());
        let longer = self.round(growth.min(MOST_GROWTH)).map_or(len, |longer| longer.max(len));
        let mapped = [longer, len].into_iter().find_map(|len| Some((self.os.map(len, options).ok()?, len)));
        let mapped = mapped.or_else(|| {
            // What is kept may be what the system lacks.
            self.purge();
            Some((self.os.map(len, options).ok()?, len))
        });
        self.locked(|extents| {
            // SAFETY: the lock is held, and the record is in this thread's hands.
            unsafe {
                let Some((start, mapped)) = mapped else {
                    extents.recycle(record);
                    return None;
                };
                if let Some(advice) = advice {
                    // Advice that is refused changes nothing.
                    let _ = self.os.advise(start, mapped, advice);
                }
                // Blocks lead here by their addresses alone.
                start.as_ptr().expose_provenance();
                extents.mapped += mapped;
                ((*record).start, (*record).len) = (start, mapped);
                Some(self.settle(extents, record, len, layout.size()))
            }
        })
    }

    /// Takes the block back that starts at an address. Ends the process if there is none, and the lock is free then.
    #[cold]
    pub(crate) fn deallocate(&self, address: usize) {
        let victims = self.locked(|extents| {
            // SAFETY: the lock is held, and what was taken off is in this thread's hands.
            unsafe {
                let extent = extents.remove(address);
                if extent.is_null() {
                    return None;
                }
                // A block that goes before the next one comes is no reason to keep much less.
                let size = (*extent).size.min(extents.retainable);
                extents.keep(extent);
                Some(self.excess(extents, size))
            }
        });
        match victims {
            Some(victims) => self.give_back(victims),
            None => checks::misuse(Misuse::NoMapping),
        }
    }

    /// Resizes a block, which may move if `align` is no more than a page; none if the caller has to move it. Ends the process
    /// if there is no such block, and the lock is free then.
    #[cold]
    pub(crate) fn reallocate(&self, address: usize, align: usize, size: usize) -> Option<NonNull<u8>> {
        let len = self.round(size)?;
        if address & (align - 1) != 0 {
            return None;
        }
        let (extent, victims) = self.locked(|extents| {
            // SAFETY: the lock is held, and what was taken off is in this thread's hands.
            unsafe {
                let extent = extents.remove(address);
                if extent.is_null() {
                    return (extent, Victims::new());
                }
                if len < (*extent).len / 2 {
                    extents.cut(&self.os, extent, len, false);
                } else if len > (*extent).len {
                    extents.stretch(&self.os, extent, len);
                }
                (*extent).whole = (*extent).is_whole();
                (extent, self.excess(extents, size))
            }
        });
        if extent.is_null() {
            checks::misuse(Misuse::NoMapping);
        }
        self.give_back(victims);
        // SAFETY: the extent is in this thread's hands, and its user is the caller, who waits.
        let resized = unsafe { self.stretch(extent, len, align) };
        self.locked(|extents| {
            // SAFETY: the lock is held, and the extent in this thread's hands.
            unsafe {
                if let Some(growth) = resized {
                    extents.mapped += growth;
                    extents.enter(extent, size);
                } else {
                    extents.enter(extent, (*extent).size);
                }
                resized.map(|_| (*extent).start)
            }
        })
    }

    /// Makes an extent at least `len` bytes long, by the system if it is a mapping; returns by how much, if it is that long.
    ///
    /// # Safety
    ///
    /// The extent is in the caller's hands, and nobody uses it meanwhile.
    unsafe fn stretch(&self, extent: *mut Extent, len: usize, align: usize) -> Option<usize> {
        // SAFETY: the extent is a whole mapping where it is resized, and the caller takes the new address.
        unsafe {
            let (start, old) = ((*extent).start, (*extent).len);
            if len <= old {
                return Some(0);
            }
            if !(*extent).whole {
                return None;
            }
            let in_place = self.os.remap(start, old, len, false);
            let resized = in_place.or_else(|error| match align <= self.os.page_size() {
                true => self.os.remap(start, old, len, true),
                false => Err(error),
            });
            let start = resized.ok()?;
            start.as_ptr().expose_provenance();
            ((*extent).start, (*extent).len) = (start, len);
            Some(len - old)
        }
    }

    /// Takes off what is kept beyond what may be, when `more` bytes will be in use, and what was not needed for a while.
    fn excess(&self, extents: &mut Extents, more: usize) -> Victims {
        let unneeded = extents.decay.note(&self.os, extents.idle);
        let limit = extents.retainable.saturating_add((extents.used + more) / 4 * 3);
        let mut victims = Victims::new();
        // SAFETY: the lock is held.
        unsafe {
            extents.lessen(&mut victims, limit.min(extents.idle - unneeded));
            if extents.kept_count > MOST_KEPT {
                extents.take_victims(&mut victims, 0, Extent::is_whole);
            }
        }
        victims
    }

    /// Gives back what was not needed for a while, if the delay is over.
    pub(crate) fn age(&self) {
        let victims = self.locked(|extents| {
            let mut victims = Victims::new();
            let unneeded = extents.decay.tick(&self.os, extents.idle);
            // SAFETY: the lock is held.
            unsafe { extents.lessen(&mut victims, extents.idle - unneeded) };
            victims
        });
        self.give_back(victims);
    }

    /// Gives extents back to the system: mappings, and the pages of parts of them, but for the bytes that stay.
    fn give_back(&self, mut victims: Victims) {
        // SAFETY: the extents are in this thread's hands, and nobody uses their memory.
        unsafe {
            loop {
                let extent = victims.pop();
                if extent.is_null() {
                    return;
                }
                let (start, len) = ((*extent).start, (*extent).len);
                let page = self.os.page_size();
                let stays = (*extent).size / page * page;
                let gone = stays == 0 && (*extent).whole && self.os.unmap(start, len).is_ok();
                // Whatever the system does, it is not asked again before they were used.
                (*extent).idle = (*extent).idle.min(stays);
                if !gone && stays < len && self.releases(start.add(stays), len - stays) {
                    (*extent).high = (*extent).high.min(stays);
                }
                self.locked(|extents| {
                    if gone {
                        extents.mapped -= len;
                        extents.recycle(extent);
                    } else {
                        extents.keep(extent);
                    }
                });
            }
        }
    }

    /// Gives pages back, and returns whether they are zero then.
    ///
    /// # Safety
    ///
    /// They lie in one mapping, and nobody uses them.
    unsafe fn releases(&self, start: NonNull<u8>, len: usize) -> bool {
        // SAFETY: the caller's promise.
        matches!(unsafe { self.os.release_pages(start, len) }, Ok(Released::Zeroed))
    }

    /// Returns everything that is kept to the system, and what is idle at the ends of live blocks.
    pub(crate) fn purge(&self) {
        let victims = self.locked(|extents| {
            let mut victims = Victims::new();
            // SAFETY: the lock is held.
            unsafe {
                extents.trim_live(&self.os);
                extents.take_victims(&mut victims, 0, |extent| extent.idle > 0 || extent.is_whole());
            }
            victims
        });
        self.give_back(victims);
    }

    /// Returns the size of the block that starts at an address; none if there is none. Waits for the lock.
    #[cold]
    pub(crate) fn size_at(&self, address: usize) -> Option<usize> {
        // SAFETY: the lock is held.
        self.locked(|extents| unsafe { extents.find(address) })
    }

    /// Sets how many bytes are kept when they are free, besides three quarters of what is in use.
    pub(crate) fn set_retainable(&self, bytes: usize) {
        self.locked(|extents| extents.retainable = bytes);
    }

    /// Sets how many milliseconds memory stays that nobody needs.
    pub(crate) fn set_delay(&self, milliseconds: u64) {
        self.locked(|extents| extents.decay.set_delay(milliseconds));
    }

    /// Sets what the system is told about each mapping that is made from now on.
    pub(crate) fn set_advice(&self, advice: Option<Advice>) {
        self.locked(|extents| extents.advice = advice);
    }

    /// Returns how much memory there is. Waits for the lock.
    pub(crate) fn extent(&self) -> Amounts {
        self.locked(|extents| Amounts {
            mapped: extents.mapped,
            used: extents.used,
            peak: extents.peak,
            idle: extents.idle,
        })
    }

    /// Returns the whole pages that hold `size` bytes.
    fn round(&self, size: usize) -> Option<usize> {
        size.max(1).checked_next_multiple_of(self.os.page_size()).filter(|&len| len <= isize::MAX as usize)
    }
}

// SAFETY: the extents are reached under the lock, or by the one thread in whose hands they are.
unsafe impl<O: Os> Sync for Huge<O> {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl<O: Os> Send for Huge<O> {}

#[cfg(test)]
mod tests;
