//! The root of a cache: its lock and its lists of slabs, at the end of the first slab.
//!
//! ```text
//!   hand    --> slot        the slot of `current` that was freed last, taken first
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
//! - (I2) Everything but the lock and `dispose` is read and written under the lock.
//! - (I3) A slab is `current`, or in `empties` exactly if all of its slots are free, or in `partial` exactly if some are; lists
//!   hold no other. `slabs` counts all, `busy` those that are not in `empties`.
//! - (I4) `current` is null once there was no owner, from when on nothing is allocated.
//! - (I5) The first slab holds the root, and is given back last.
//! - (I6) `hand` is 0, or the offset of a free slot of `current` that is not on its stack.
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
//! A value that goes before the next one comes is the usual case, and its slot never reaches the stack: it lies in the hand. The
//! count of a slab is read and written by both ways, each time after the other, and waiting for that store is most of what a
//! pair would cost.
//!
//! A box does not name the type of the provider, so the root holds a function that does. A call of the provider counts as an
//! owner while it lasts, because meanwhile the lock is free and every other owner may go.
//!
//! Whoever ends as the last owner, or gives back the last slot when there is none, takes the root down. Everybody else who was
//! in the root has left: its unlock happened before the lock was taken here, and is the last thing that it does there.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::ptr::{self, NonNull};

use super::locks::LockTrait;
use super::slab::{Home, Slab};
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
    hand: Cell<u32>,
    owners: Cell<u32>,
    slabs: Cell<u32>,
    busy: Cell<u32>,
    requests: Cell<u32>,
    keep: Cell<u32>,
}

impl<L: LockTrait> Root<L> {
    /// Returns the root of a cache of one slab and one owner, which `dispose` gives back, or one of its slabs. O(1).
    pub(super) fn new<const SLAB_SIZE: usize>(
        first: Home<SLAB_SIZE>,
        dispose: unsafe fn(NonNull<u8>, *mut Slab),
    ) -> Self {
        Self {
            lock: L::init(),
            current: Cell::new(first.as_ptr()),
            partial: Cell::new(ptr::null_mut()),
            empties: Cell::new(ptr::null_mut()),
            dispose,
            hand: Cell::new(0),
            owners: Cell::new(1),
            slabs: Cell::new(1),
            busy: Cell::new(1),
            requests: Cell::new(1),
            keep: Cell::new(1),
        }
    }

    /// Returns the first of the slabs that are empty. O(1). By whoever has the cache for itself.
    pub(super) fn first_empty<const SLAB_SIZE: usize>(&self) -> Option<Home<SLAB_SIZE>> {
        // SAFETY: lists hold slabs that exist (I3).
        unsafe { Home::at(self.empties.get()) }
    }

    /// Counts a request for a slab, and returns its number. O(1).
    pub(super) fn announce(&self) -> u32 {
        let _held = self.lock.lock();
        self.requests.replace(self.requests.get().wrapping_add(1))
    }

    /// Adds an empty slab. O(1).
    pub(super) fn add<const SLAB_SIZE: usize>(&self, slab: Home<SLAB_SIZE>) {
        let _held = self.lock.lock();
        slab.link(&self.empties);
        self.slabs.set(self.slabs.get() + 1);
    }

    /// Takes a slot, if there is one. O(1).
    #[inline(always)]
    pub(super) fn take<const SLAB_SIZE: usize>(&self) -> Option<NonNull<u8>> {
        let _held = self.lock.lock();
        self.pop::<SLAB_SIZE>()
    }

    /// Takes as many slots as there are places, or as are free, the one freed last first. O(places).
    #[cfg(all(feature = "std", any(unix, windows)))]
    pub(super) fn take_some<const SLAB_SIZE: usize>(&self, places: &mut [Option<NonNull<u8>>]) {
        let _held = self.lock.lock();
        for place in places {
            *place = self.pop::<SLAB_SIZE>();
            if place.is_none() {
                return;
            }
        }
    }

    /// Takes a slot. Under the lock.
    #[inline(always)]
    fn pop<const SLAB_SIZE: usize>(&self) -> Option<NonNull<u8>> {
        debug_assert!(!self.current.get().is_null());
        // SAFETY: there is an owner, so `current` is a slab that exists (I3, I4).
        let slab = unsafe { Home::<SLAB_SIZE>::of(self.current.get()) };
        let hand = self.hand.get();
        if hand != 0 {
            self.hand.set(0);
            // SAFETY: the hand is a slot of `current` (I6).
            return Some(unsafe { slab.slot(hand) });
        }
        let slot = slab.pop();
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

    /// Puts a slot back if that moves its slab to no other list, and returns whether. O(1). Under the lock.
    ///
    /// # Safety
    ///
    /// As [`give`].
    #[inline(always)]
    unsafe fn push_usual<const SLAB_SIZE: usize>(&self, slab: Home<SLAB_SIZE>, slot: NonNull<u8>) -> bool {
        let (free, capacity) = (slab.free(), slab.capacity());
        if slab.as_ptr() == self.current.get() {
            let hand = self.hand.get();
            if free + u32::from(hand != 0) >= capacity {
                return false;
            }
            let offset = Home::<SLAB_SIZE>::offset(slot);
            if hand != 0 {
                if hand == offset {
                    return false;
                }
                // SAFETY: the hand is a slot of this slab that is not on its stack (I6).
                unsafe { slab.push(hand) };
            }
            self.hand.set(offset);
            return true;
        }
        // Neither the first slot to come back to this slab, nor the last one.
        let usual = free.wrapping_sub(1) < capacity.wrapping_sub(2);
        if usual {
            // SAFETY: the caller's promise.
            unsafe { slab.push(Home::<SLAB_SIZE>::offset(slot)) };
        }
        usual
    }

    /// Puts a slot back to a slab that was full, or is empty then, and is not `current`; returns whether it is empty. Ends the
    /// process if the slot is seen to be free. O(1). Under the lock.
    ///
    /// # Safety
    ///
    /// As [`give`].
    unsafe fn push_first_or_last<const SLAB_SIZE: usize>(
        &self,
        slab: Home<SLAB_SIZE>,
        slot: NonNull<u8>,
    ) -> bool {
        let free = slab.free();
        if free >= slab.capacity() || slab.as_ptr() == self.current.get() {
            report::fatal_double_free(slot);
        }
        // SAFETY: the caller's promise.
        unsafe { slab.push(Home::<SLAB_SIZE>::offset(slot)) };
        if free == 0 {
            slab.link(&self.partial);
            return false;
        }
        slab.unlink(&self.partial);
        slab.link(&self.empties);
        self.busy.set(self.busy.get() - 1);
        true
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
        let hand = self.hand.replace(0);
        if hand != 0 {
            // SAFETY: the hand is a slot of this slab that is not on its stack (I6).
            unsafe { slab.push(hand) };
        }
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
            free: listed.chain(current).map(|slab| slab.free() as usize).sum::<usize>()
                + usize::from(self.hand.get() != 0),
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
        if root.as_ref().push_usual(slab, slot) {
            drop(held);
        } else {
            give_first_or_last(root, held, slab, slot);
        }
    }
}

/// Gives a slot back to a slab that was full, or is empty then.
///
/// # Safety
///
/// As [`give`]; the lock is held.
#[cold]
#[inline(never)]
unsafe fn give_first_or_last<'a, L: LockTrait + 'a, const SLAB_SIZE: usize>(
    root: NonNull<Root<L>>,
    held: L::Guard<'a>,
    slab: Home<SLAB_SIZE>,
    slot: NonNull<u8>,
) {
    // SAFETY: the caller's promises; the lock is held, so the root exists.
    unsafe {
        if root.as_ref().push_first_or_last(slab, slot) {
            settle::<L, SLAB_SIZE>(root, held, false);
        }
    }
}

/// Gives slots of one cache back. O(slots), under the lock.
///
/// # Safety
///
/// As [`give`], for each of the slots; they are distinct, and one of the owners is the caller's.
#[cfg(all(feature = "std", any(unix, windows)))]
pub(super) unsafe fn give_some<L: LockTrait, const SLAB_SIZE: usize>(
    root: NonNull<Root<L>>,
    slots: impl Iterator<Item = NonNull<u8>>,
) {
    // SAFETY: the caller's promises; the owner keeps the root.
    unsafe {
        let held = root.as_ref().lock.lock();
        let mut emptied = false;
        for slot in slots {
            let slab = Home::<SLAB_SIZE>::around(slot);
            emptied |= !root.as_ref().push_usual(slab, slot) && root.as_ref().push_first_or_last(slab, slot);
        }
        if emptied {
            settle::<L, SLAB_SIZE>(root, held, false);
        }
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
