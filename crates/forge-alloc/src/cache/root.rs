//! The root of a cache: the lock, the lists of slabs, and the provider, at the end of the first slab.
//!
//! ```text
//!   current --> slab        allocations come from here, and frees into it are only that
//!   partial --> slab <--> slab        some slots are free
//!   empties --> slab <--> slab        all slots are free: spares
//!               slab, slab ..         full: in no list
//! ```
//!
//! # Invariants
//!
//! - (I1) The root exists while `owners > 0`, or a slot is taken. Owners are handles, and calls of the provider that are under
//!   way.
//! - (I2) Everything but the lock, the provider and `dispose` is read and written under the lock.
//! - (I3) A slab is `current`, or in `empties` exactly if all of its slots are free, or in `partial` exactly if some are; lists
//!   hold no other. `slabs` counts all, `busy` those that are not in `empties`.
//! - (I4) `current` is null once there was no owner, from when on nothing is allocated.
//! - (I5) The first slab holds the root, and is given back last.
//!
//! # Operations
//!
//! Taking and giving a slot: O(1) under the lock, and calls of the provider outside of it.
//!
//! # Design
//!
//! A slab changes its list when its first slot comes back and when its last one does, which a free notices by the count that it
//! has at hand; `current` changes nothing, so that a cache of one object does not go to and fro. Empty slabs are kept up to
//! `keep`, and one for every eight in use: at the boundary of a slab the provider is not called each time.
//!
//! A box does not name the type of the provider, so the root holds a function that does. A call of the provider counts as an
//! owner while it lasts, because meanwhile the lock is free and every other owner may go.
//!
//! Whoever ends as the last owner, or gives back the last slot when there is none, takes the root down. Everybody else who was
//! in the root has left: its unlock happened before the lock was taken here, and is the last thing that it does there.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::num::NonZeroUsize;
use core::ptr::{self, NonNull};

use forge_alloc_core::{NonZeroLayout, Region, align_down};

use super::locks::LockTrait;
use super::slab::{Home, Shape, Slab};
use super::source::SlabSource;
use super::{Result, SlabError};
use crate::report;

/// The most owners; far from where their number would wrap.
const MOST_OWNERS: u32 = u32::MAX / 2;

/// What every user of a cache knows of its root.
#[repr(C)]
pub(super) struct Root<L> {
    lock: L,
    current: Cell<*mut Slab>,
    partial: Cell<*mut Slab>,
    empties: Cell<*mut Slab>,
    dispose: unsafe fn(NonNull<u8>, *mut Slab),
    owners: Cell<u32>,
    slabs: Cell<u32>,
    busy: Cell<u32>,
    requests: Cell<u32>,
    keep: Cell<u32>,
}

/// A root and the provider of its slabs.
#[repr(C)]
struct Whole<L, S> {
    root: Root<L>,
    source: S,
}

/// How slots of `T` lie in slabs of `SLAB_SIZE` bytes.
pub(super) struct Plan<T, L, S, const SLAB_SIZE: usize>(core::marker::PhantomData<(T, L, S)>);

impl<T, L, S, const SLAB_SIZE: usize> Plan<T, L, S, SLAB_SIZE> {
    /// Where the root lies in the first slab.
    const ROOT: usize = {
        assert!(
            SLAB_SIZE.is_power_of_two(),
            "SLAB_SIZE must be a power of two: a box finds its slab by a mask"
        );
        assert!(SLAB_SIZE <= 1 << 30, "SLAB_SIZE must be at most 1 GiB: a slot is named by 32 bits");
        assert!(
            cfg!(loom) || size_of::<L>() <= 16,
            "a lock must be at most 16 bytes: it lies in the first slab"
        );
        assert!(
            size_of::<Slab>() + size_of::<Whole<L, S>>() <= SLAB_SIZE
                && align_of::<Whole<L, S>>() <= SLAB_SIZE,
            "SLAB_SIZE is too small for the lock, the lists and the provider"
        );
        let align = align_of::<Whole<L, S>>();
        // A line of its own, so that threads at the lock do not slow down those at the last slot.
        let align = if SLAB_SIZE >= 1024 && align < 64 { 64 } else { align };
        align_down(SLAB_SIZE - size_of::<Whole<L, S>>(), align)
    };

    /// The slots of the first slab.
    pub(super) const FIRST: Shape =
        Self::enough(Shape::new(size_of::<T>(), align_of::<T>(), SLAB_SIZE, Self::ROOT));
    /// The slots of every other slab.
    pub(super) const OTHER: Shape =
        Self::enough(Shape::new(size_of::<T>(), align_of::<T>(), SLAB_SIZE, SLAB_SIZE));

    const LAYOUT: Option<NonZeroLayout> = match NonZeroUsize::new(SLAB_SIZE) {
        Some(size) => match NonZeroLayout::new(size, size) {
            Ok(layout) => Some(layout),
            Err(_) => None,
        },
        None => None,
    };

    const fn enough(shape: Shape) -> Shape {
        assert!(
            shape.capacity >= 2,
            "SLAB_SIZE is too small: a slab must have room for at least two values of the type"
        );
        shape
    }
}

/// Returns a region for a slab of `source`.
///
/// # Safety
///
/// As [`SlabSource::supply`].
unsafe fn supply<T, L, S: SlabSource, const SLAB_SIZE: usize>(source: &S) -> Result<Region> {
    let layout = Plan::<T, L, S, SLAB_SIZE>::LAYOUT.ok_or(SlabError::OutOfMemory)?;
    // SAFETY: the caller's promise.
    let region = unsafe { source.supply(layout) }?;
    let (address, len) = (region.base().addr().get(), region.len());
    let error = if address % SLAB_SIZE != 0 {
        SlabError::AlignmentMismatch
    } else if len < SLAB_SIZE || u32::try_from(len - SLAB_SIZE).is_err() {
        SlabError::FatalError
    } else {
        return Ok(region);
    };
    // SAFETY: the region was just supplied for this layout and nobody has used it.
    unsafe { source.take_back(region, layout) };
    Err(error)
}

/// Makes a cache with one slab and one owner, and returns its root. O(slots).
pub(super) fn create<T, L: LockTrait, S: SlabSource, const SLAB_SIZE: usize>(
    source: S,
) -> Result<NonNull<Root<L>>> {
    // SAFETY: the source is dropped with the root, after all of its regions were taken back.
    let region = unsafe { supply::<T, L, S, SLAB_SIZE>(&source) }?;
    // SAFETY: the slab is as large as that (see `Plan::ROOT`).
    let whole = unsafe { region.base().add(Plan::<T, L, S, SLAB_SIZE>::ROOT) }.cast::<Whole<L, S>>();
    let root = whole.cast::<Root<L>>();
    // SAFETY: the region was checked, and is used for nothing but the slab, and the root behind the last slot (I5).
    let slab =
        unsafe { Home::<SLAB_SIZE>::prepare(region, Plan::<T, L, S, SLAB_SIZE>::FIRST, 0, root.cast()) };
    let value = Whole {
        root: Root {
            lock: L::init(),
            current: Cell::new(slab.as_ptr()),
            partial: Cell::new(ptr::null_mut()),
            empties: Cell::new(ptr::null_mut()),
            dispose: dispose::<T, L, S, SLAB_SIZE>,
            owners: Cell::new(1),
            slabs: Cell::new(1),
            busy: Cell::new(1),
            requests: Cell::new(1),
            keep: Cell::new(1),
        },
        source,
    };
    // SAFETY: the place is inside of the region, behind the slots, and aligned.
    unsafe { whole.write(value) };
    Ok(root)
}

/// Takes a slot, of a new slab if need be. O(1), and a call of the provider with no lock held.
///
/// # Safety
///
/// The root is that of a cache of these types, and one of its owners is the caller's.
#[cold]
#[inline(never)]
pub(super) unsafe fn grow<T, L: LockTrait, S: SlabSource, const SLAB_SIZE: usize>(
    root: NonNull<Root<L>>,
) -> Result<NonNull<u8>> {
    loop {
        // SAFETY: the caller's promises.
        let (grown, slot) = unsafe {
            let grown = add_slab::<T, L, S, SLAB_SIZE>(root);
            // Others may have given slots back, or taken the new slab, while the lock was free.
            (grown, root.as_ref().take::<SLAB_SIZE>())
        };
        match slot {
            Some(slot) => return Ok(slot),
            None => grown?,
        }
    }
}

/// Adds a spare. O(slots), and a call of the provider with no lock held.
///
/// # Safety
///
/// As [`grow`].
pub(super) unsafe fn add_slab<T, L: LockTrait, S: SlabSource, const SLAB_SIZE: usize>(
    root: NonNull<Root<L>>,
) -> Result<()> {
    // SAFETY: the root is the start of a whole one of these types, by the caller's promise, and an owner keeps it. The region
    // was checked, and is used for nothing but the slab.
    unsafe {
        let lists = root.as_ref();
        let number = {
            let _held = lists.lock.lock();
            lists.requests.replace(lists.requests.get().wrapping_add(1))
        };
        let region = supply::<T, L, S, SLAB_SIZE>(&(*root.cast::<Whole<L, S>>().as_ptr()).source)?;
        let slab = Home::<SLAB_SIZE>::prepare(region, Plan::<T, L, S, SLAB_SIZE>::OTHER, number, root.cast());
        let _held = lists.lock.lock();
        slab.link(&lists.empties);
        lists.slabs.set(lists.slabs.get() + 1);
        Ok(())
    }
}

/// Gives `slab` back to the provider, or all of the cache if it is null.
///
/// # Safety
///
/// `root` is that of a cache of these types, and exists. The slab is not the first, and in no list; for all of the cache, all
/// slabs but `current`, which is null, are in `empties`. Nobody else uses the slab, or the cache.
unsafe fn dispose<T, L, S: SlabSource, const SLAB_SIZE: usize>(root: NonNull<u8>, slab: *mut Slab) {
    let whole = root.cast::<Whole<L, S>>();
    let Some(layout) = Plan::<T, L, S, SLAB_SIZE>::LAYOUT else { return };
    // SAFETY: regions are given back whole and once, after their slabs were dismantled, which nobody uses. The provider and
    // the lock are moved out or dropped once, with the first slab, and the provider goes after all of its regions.
    unsafe {
        if let Some(slab) = Home::<SLAB_SIZE>::at(slab) {
            return (*whole.as_ptr()).source.take_back(slab.dismantle(), layout);
        }
        let first = Home::<SLAB_SIZE>::around(root);
        let mut next = Home::<SLAB_SIZE>::at((*whole.as_ptr()).root.empties.get());
        while let Some(slab) = next {
            next = slab.next();
            if slab.as_ptr() != first.as_ptr() {
                (*whole.as_ptr()).source.take_back(slab.dismantle(), layout);
            }
        }
        let source = (&raw const (*whole.as_ptr()).source).read();
        (&raw mut (*whole.as_ptr()).root.lock).drop_in_place();
        source.take_back(first.dismantle(), layout);
    }
}

impl<L: LockTrait> Root<L> {
    /// Takes a slot, if there is one. O(1).
    #[inline(always)]
    pub(super) fn take<const SLAB_SIZE: usize>(&self) -> Option<NonNull<u8>> {
        let _held = self.lock.lock();
        self.pop::<SLAB_SIZE>()
    }

    /// Takes a slot. Under the lock.
    #[inline(always)]
    fn pop<const SLAB_SIZE: usize>(&self) -> Option<NonNull<u8>> {
        // SAFETY: `current` is null or a slab that exists (I3).
        let slot = unsafe { Home::<SLAB_SIZE>::at(self.current.get()) }?.pop();
        if slot.is_some() { slot } else { self.pop_other::<SLAB_SIZE>() }
    }

    /// Takes a slot of another slab than `current`, which is full. Under the lock.
    #[cold]
    #[inline(never)]
    fn pop_other<const SLAB_SIZE: usize>(&self) -> Option<NonNull<u8>> {
        // SAFETY: lists hold slabs that exist (I3).
        let (partial, empty) =
            unsafe { (Home::<SLAB_SIZE>::at(self.partial.get()), Home::at(self.empties.get())) };
        let slab = match (partial, empty) {
            (Some(slab), _) => {
                slab.unlink(&self.partial);
                slab
            }
            (None, Some(slab)) => {
                slab.unlink(&self.empties);
                self.busy.set(self.busy.get() + 1);
                slab
            }
            (None, None) => return None,
        };
        self.current.set(slab.as_ptr());
        slab.pop()
    }

    /// Adds an owner.
    ///
    /// # Errors
    ///
    /// [`SlabError::FatalError`] if there are too many.
    pub(super) fn join(&self) -> Result<()> {
        let _held = self.lock.lock();
        if self.owners.get() >= MOST_OWNERS {
            return Err(SlabError::FatalError);
        }
        self.owners.set(self.owners.get() + 1);
        Ok(())
    }

    /// Returns an empty slab that is one too many, out of its list; any if `all`. Under the lock.
    fn take_surplus<const SLAB_SIZE: usize>(
        &self,
        first: Home<SLAB_SIZE>,
        all: bool,
    ) -> Option<Home<SLAB_SIZE>> {
        let spares = self.slabs.get() - self.busy.get();
        if !all && spares <= self.keep.get().saturating_add(self.busy.get() / 8) {
            return None;
        }
        // SAFETY: lists hold slabs that exist (I3).
        let mut slab = unsafe { Home::at(self.empties.get()) }?;
        if slab.as_ptr() == first.as_ptr() {
            slab = slab.next()?;
        }
        slab.unlink(&self.empties);
        self.slabs.set(self.slabs.get() - 1);
        Some(slab)
    }

    /// Puts `current` where it belongs when nothing will be allocated any more. Under the lock.
    fn close<const SLAB_SIZE: usize>(&self) {
        self.keep.set(0);
        // SAFETY: `current` is null or a slab that exists (I3).
        let Some(slab) = (unsafe { Home::<SLAB_SIZE>::at(self.current.replace(ptr::null_mut())) }) else {
            return;
        };
        if slab.free() == slab.capacity() {
            slab.link(&self.empties);
            self.busy.set(self.busy.get() - 1);
        } else if slab.free() > 0 {
            slab.link(&self.partial);
        }
    }

    /// Returns how many slots are free, and how many slabs, spares and requests there are. O(slabs with free slots).
    pub(super) fn count<const SLAB_SIZE: usize>(&self) -> Counts {
        let _held = self.lock.lock();
        // SAFETY: lists hold slabs that exist, and so does `current` (I3).
        let slabs =
            unsafe { [self.partial.get(), self.empties.get()].map(|list| Home::<SLAB_SIZE>::at(list)) };
        let listed = slabs.into_iter().flat_map(|first| core::iter::successors(first, |slab| slab.next()));
        // SAFETY: as above.
        let current = unsafe { Home::<SLAB_SIZE>::at(self.current.get()) };
        Counts {
            free: listed.chain(current).map(|slab| slab.free() as usize).sum(),
            slabs: self.slabs.get() as usize,
            spare: (self.slabs.get() - self.busy.get()) as usize,
            requests: self.requests.get(),
        }
    }

    /// Keeps at least this many empty slabs from now on. O(1).
    pub(super) fn keep_at_least(&self, slabs: u32) {
        let _held = self.lock.lock();
        self.keep.set(self.keep.get().max(slabs));
    }
}

/// What [`Root::count`] counts.
pub(super) struct Counts {
    pub(super) free: usize,
    pub(super) slabs: usize,
    pub(super) spare: usize,
    pub(super) requests: u32,
}

/// Gives a slot back. O(1).
///
/// # Safety
///
/// `slot` was taken from a cache with these slabs and this lock, with the pointer that `take` returned, and is not used
/// afterwards.
#[inline(always)]
pub(super) unsafe fn give<L: LockTrait, const SLAB_SIZE: usize>(slot: NonNull<u8>) {
    // SAFETY: the slot is taken, so its slab and its root exist until it was given back.
    unsafe {
        let slab = Home::<SLAB_SIZE>::around(slot);
        let root = slab.root().cast::<Root<L>>();
        let held = root.as_ref().lock.lock();
        let free = slab.free();
        // Not the first slot to come back to this slab, and not the last one; or it is `current`, where that is the same.
        let usual = free.wrapping_sub(1) < slab.capacity().wrapping_sub(2);
        if usual || (free < slab.capacity() && slab.as_ptr() == root.as_ref().current.get()) {
            slab.push(slot);
            drop(held);
        } else {
            give_first_or_last::<L, SLAB_SIZE>(slab, root, slot, held);
        }
    }
}

/// Gives a slot back to a slab that was full, or is empty then, and is not `current`.
///
/// # Safety
///
/// As [`give`]; the lock is held.
#[cold]
#[inline(never)]
unsafe fn give_first_or_last<L: LockTrait, const SLAB_SIZE: usize>(
    slab: Home<SLAB_SIZE>,
    root: NonNull<Root<L>>,
    slot: NonNull<u8>,
    held: L::Guard<'_>,
) {
    let free = slab.free();
    if free >= slab.capacity() {
        report::fatal_double_free(slot);
    }
    // SAFETY: the caller's promise; the lock is held.
    unsafe {
        slab.push(slot);
        let lists = root.as_ref();
        if free == 0 {
            slab.link(&lists.partial);
            return drop(held);
        }
        slab.unlink(&lists.partial);
        slab.link(&lists.empties);
        lists.busy.set(lists.busy.get() - 1);
        settle::<L, SLAB_SIZE>(root, held, false);
    }
}

/// Takes an owner away. O(1), and calls of the provider.
///
/// # Safety
///
/// The owner is the caller's, who does not use the root afterwards, unless as another owner.
pub(super) unsafe fn leave<L: LockTrait, const SLAB_SIZE: usize>(root: NonNull<Root<L>>) {
    // SAFETY: the root exists until its owner has left.
    unsafe {
        let held = root.as_ref().lock.lock();
        root.as_ref().owners.set(root.as_ref().owners.get() - 1);
        settle::<L, SLAB_SIZE>(root, held, false);
    }
}

/// Gives back every slab that is empty, but for the first. O(spares).
///
/// # Safety
///
/// One of the owners is the caller's.
pub(super) unsafe fn shrink<L: LockTrait, const SLAB_SIZE: usize>(root: NonNull<Root<L>>) {
    // SAFETY: the root exists.
    unsafe {
        let held = root.as_ref().lock.lock();
        root.as_ref().keep.set(1);
        settle::<L, SLAB_SIZE>(root, held, true);
    }
}

/// Gives back what is not needed any more, down to the root, with no lock held; every spare if `all`.
///
/// # Safety
///
/// The lock is held. The caller does not use the root afterwards, unless as one of its owners.
unsafe fn settle<'a, L: LockTrait + 'a, const SLAB_SIZE: usize>(
    root: NonNull<Root<L>>,
    held: L::Guard<'a>,
    all: bool,
) {
    let mut held = held;
    loop {
        // SAFETY: the lock is held, so the root exists; it is given back with the lock free, by whoever finds it without an
        // owner and a taken slot, which is one thread as nobody else can take the lock then (I1).
        unsafe {
            let lists: &'a Root<L> = root.as_ref();
            let closed = lists.owners.get() == 0;
            if closed {
                lists.close::<SLAB_SIZE>();
            }
            if closed && lists.busy.get() == 0 {
                let dispose = lists.dispose;
                drop(held);
                return dispose(root.cast(), ptr::null_mut());
            }
            let first = Home::<SLAB_SIZE>::around(root.cast());
            let Some(slab) = lists.take_surplus(first, all) else { return drop(held) };
            let dispose = lists.dispose;
            lists.owners.set(lists.owners.get() + 1);
            drop(held);
            dispose(root.cast(), slab.as_ptr());
            held = lists.lock.lock();
            lists.owners.set(lists.owners.get() - 1);
        }
    }
}

#[cfg(test)]
mod tests;
