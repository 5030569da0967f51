//! Size classes: slots of several sizes in one backing, which also takes what no class has a slot for.
//!
//! ```text
//!   backing  |  8 |  8 |  8 |  16  |  16  |  16  |    24    |    24    |    24    |  larger blocks  |   free    |
//!             `- class 0 --' `---- class 1 -----' `-------- class 2 -----------'
//!
//!   layout --> class: one load (see `classes`)
//!   address of a live slot --> number in that class: one multiplication (see `slab/stride`)
//! ```
//!
//! # Invariants
//!
//! - (I1) Class `c` has a region of its own: a live block of the backing, laid out as [`making`] says, at the same
//!   offset from the backing's base for good.
//! - (I2) A live block whose address lies in the region of a class is a slot of it; every other one is a block of the
//!   backing.
//! - (I3) `by_address` lists the classes in the order of their regions; all regions lie in `span`.
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | allocate | O(1): the lookup, and a slot of the class; else the backing |
//! | free | O(1): the class of the layout, and one comparison to confirm it |
//! | free of a slot that was resized to a layout of another class | O(log classes) |
//! | free of a block of the backing | one or two comparisons; O(log classes) if it lies between regions |
//! | resize within a slot | as a free, nothing is copied |
//! | resize otherwise | what the backing does with its own, else a new block, a copy and a free |
//! | making and dropping a pool | O(classes); no slot is touched |
//!
//! # Design
//!
//! *Routing.* The layout of a block says where it probably is, and its address whether that is so: the number that
//! the division yields is that of a slot which was handed out, or the guess was wrong. A slot keeps its class while its
//! layout shrinks, so a wrong guess is followed by a search by address.
//!
//! *Misuse.* An address in a region that is not the start of a slot which was handed out belongs to no block. Such a free
//! is counted and otherwise ignored. A second free of a slot is not noticed.
//!
//! *Moves.* State is offsets, so the pool moves with inline storage. A region that promises more alignment than the
//! backing's base has by its type may lose it when the bytes move; where that is possible, a request for so much looks
//! at the address first, and goes to the backing if it must.
//!
//! *Growing into a larger class.* A full class does not borrow from the next: the slots there are larger, and the backing
//! has room of the right size.
#![allow(unsafe_code)]

mod class;
mod classes;
mod contract;
mod making;

use core::cell::Cell;
use core::fmt;
use core::ops::Range;
use core::ptr::NonNull;

use forge_alloc_core::{AllocError, Allocator, FixedRange, NonZeroLayout, is_aligned};

use crate::report;
use class::{Class, LINK};
pub use classes::{ClassTable, DEFAULT_CLASS_SIZES_8, FINE_CLASS_SIZES_24};

/// An allocator of slots in `CLASSES` sizes, over one backing that serves the other requests.
///
/// A request takes a slot of the smallest class that is large and aligned enough: the one freed last, or else one that was
/// never used. If there is no such class or all its slots are live, the backing serves it.
///
/// # Examples
///
/// ```
/// use forge_alloc::{Allocator, BumpArena, Deallocator, HeapBytes, NonZeroLayout, SizeClassed};
///
/// let pool = SizeClassed::with_default_classes(BumpArena::new(HeapBytes::new(1 << 16)?)?, 16)?;
/// let small = NonZeroLayout::from_size_align(50, 8).unwrap();
/// let block = pool.allocate(small)?;
/// assert_eq!(block.len(), 64);
/// // SAFETY: the block is live, has this layout, and is not used afterwards.
/// unsafe { pool.deallocate(block.cast(), small) };
/// assert_eq!(pool.allocate(small)?, block, "the slot freed last is handed out first");
///
/// let large = NonZeroLayout::from_size_align(5000, 8).unwrap();
/// assert_eq!(pool.allocate(large)?.len(), 5000);
/// # Ok::<(), forge_alloc::AllocError>(())
/// ```
///
/// A pool belongs to one thread at a time:
///
/// ```compile_fail,E0277
/// fn sync<T: Sync>() {}
/// sync::<forge_alloc::SizeClassed<forge_alloc::InlineBacked<64>, 8>>();
/// ```
///
/// Its blocks may lie in several places of the backing, so it is no range itself:
///
/// ```compile_fail,E0277
/// fn range<T: forge_alloc::FixedRange>() {}
/// range::<forge_alloc::SizeClassed<forge_alloc::InlineBacked<64>, 8>>();
/// ```
pub struct SizeClassed<B: Allocator + FixedRange, const CLASSES: usize> {
    classes: [Class; CLASSES],
    table: ClassTable<CLASSES>,
    /// The largest alignment that the class of a size has, wherever the bytes were moved.
    plain_align: usize,
    by_address: [u8; CLASSES],
    span: Range<usize>,
    slot_bytes: usize,
    corruptions: Cell<u64>,
    backing: B,
}

/// Where a live block lies.
enum Place<'c> {
    /// In the slot of this number.
    Slot(&'c Class, u32),
    /// In the backing, outside of all regions.
    Backing,
    /// In a region, but at no slot that was handed out: no live block lies there.
    Nowhere,
}

impl<B: Allocator + FixedRange, const CLASSES: usize> SizeClassed<B, CLASSES> {
    /// Returns the backing.
    #[inline]
    #[must_use]
    pub fn backing(&self) -> &B {
        &self.backing
    }

    /// Returns the class sizes in bytes, ascending. O(1).
    #[inline]
    #[must_use]
    pub fn class_sizes(&self) -> &[usize; CLASSES] {
        self.table.sizes()
    }

    /// Returns the table of the classes. O(1).
    #[inline]
    #[must_use]
    pub fn table(&self) -> &ClassTable<CLASSES> {
        &self.table
    }

    /// Returns the class for `layout`, if there is one and it has the alignment that it promises where it lies now.
    #[inline(always)]
    fn class_for(&self, base: NonNull<u8>, layout: NonZeroLayout) -> Option<&Class> {
        if layout.align().get() <= self.plain_align {
            self.classes.get(self.table.index_by_size(layout))
        } else {
            self.class_standing_at(base, layout)
        }
    }

    /// Does what [`class_for`](Self::class_for) does, with a look at the alignment.
    #[cold]
    #[inline(never)]
    fn class_standing_at(&self, base: NonNull<u8>, layout: NonZeroLayout) -> Option<&Class> {
        let class = self.classes.get(self.table.index_of(layout))?;
        class.stands_at(base, layout.align().get().max(LINK)).then_some(class)
    }

    /// Returns a slot of the class that was freed before.
    #[inline(always)]
    fn take_freed(&self, base: NonNull<u8>, class: &Class) -> Option<NonNull<[u8]>> {
        // SAFETY: the base is the backing's; the region is aligned to a link, since `class_for` has let the class pass.
        let slot = unsafe { class.take_freed(base) }?;
        Some(NonNull::slice_from_raw_parts(slot, class.slot_bytes()))
    }

    /// Returns a slot of the class that was never used. If the list of the class is not empty, its first link was
    /// overwritten: that is counted, and the list dropped.
    #[inline]
    fn take_fresh(&self, class: &Class) -> Option<NonNull<[u8]>> {
        if !class.list_is_empty() {
            self.drop_list(class);
        }
        // SAFETY: the base is the backing's.
        let slot = unsafe { class.take_fresh(self.backing.base()) }?;
        Some(NonNull::slice_from_raw_parts(slot, class.slot_bytes()))
    }

    /// Counts an overwritten link, and drops the list that it is on.
    #[cold]
    #[inline(never)]
    fn drop_list(&self, class: &Class) {
        class.forget_list();
        self.count_corruption();
        report::freelist_corruption();
    }

    /// Returns a slot for `layout`; `None` if there is no class for it, or no slot in that class.
    #[inline]
    fn take_slot(&self, layout: NonZeroLayout) -> Option<NonNull<[u8]>> {
        let base = self.backing.base();
        let class = self.class_for(base, layout)?;
        self.take_freed(base, class).or_else(|| self.take_fresh(class))
    }

    /// Returns a slot that was never used, or else a block of the backing.
    #[cold]
    #[inline(never)]
    fn allocate_otherwise(
        &self,
        class: Option<&Class>,
        layout: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        match class.and_then(|class| self.take_fresh(class)) {
            Some(slot) => Ok(slot),
            None => self.backing.allocate(layout),
        }
    }

    fn count_corruption(&self) {
        self.corruptions.set(self.corruptions.get().saturating_add(1));
    }

    /// Returns the slot that `layout` says a block at `ptr` has, if its address confirms that.
    ///
    /// A class that was chosen for a large alignment may not be the one that the size says; the search finds it then.
    #[inline(always)]
    fn guess(&self, base: NonNull<u8>, ptr: NonNull<u8>, layout: NonZeroLayout) -> Option<(&Class, u32)> {
        let class = self.classes.get(self.table.index_by_size(layout))?;
        let number = class.number_of(base, ptr)?;
        Some((class, number))
    }

    /// Returns where a block lies, and counts a pointer at which none can lie.
    #[inline(always)]
    fn place_of(&self, ptr: NonNull<u8>, layout: NonZeroLayout) -> Place<'_> {
        match self.guess(self.backing.base(), ptr, layout) {
            Some((class, number)) => Place::Slot(class, number),
            None => self.search(ptr),
        }
    }

    /// Returns where a block lies, by its address alone.
    #[inline(never)]
    fn search(&self, ptr: NonNull<u8>) -> Place<'_> {
        let base = self.backing.base();
        let offset = ptr.addr().get().wrapping_sub(base.addr().get());
        if !self.span.contains(&offset) {
            return Place::Backing;
        }
        let class = |class: &u8| self.classes.get(usize::from(*class));
        let behind = self.by_address.partition_point(|at| class(at).is_some_and(|at| at.region() <= offset));
        let Some(class) = behind.checked_sub(1).and_then(|at| self.by_address.get(at)).and_then(class) else {
            return Place::Backing;
        };
        if offset - class.region() >= class.region_bytes() {
            return Place::Backing;
        }
        match class.number_of(base, ptr) {
            Some(number) => Place::Slot(class, number),
            None => {
                self.count_corruption();
                report::foreign_free();
                Place::Nowhere
            }
        }
    }

    /// Frees a slot of a class.
    ///
    /// # Safety
    ///
    /// `number` is what the class found at `ptr`; the slot is live, and nobody uses it afterwards.
    #[inline(always)]
    unsafe fn free_slot(&self, class: &Class, ptr: NonNull<u8>, number: u32) {
        let base = self.backing.base();
        // A slot that cannot hold a link is lost.
        if LINK <= B::BASE_ALIGN || class.stands_at(base, LINK) {
            // SAFETY: the caller's promises are the callee's; the region is aligned to a link: by type, or as just seen.
            unsafe { class.put(base, ptr, number) };
        }
    }

    /// Frees a block that is not where its layout says.
    ///
    /// # Safety
    ///
    /// As [`Deallocator::deallocate`].
    #[cold]
    #[inline(never)]
    unsafe fn free_elsewhere(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        // SAFETY: the block belongs to whom its address says (I2); the caller promises the rest.
        unsafe {
            match self.search(ptr) {
                Place::Slot(class, number) => self.free_slot(class, ptr, number),
                Place::Backing => self.backing.deallocate(ptr, layout),
                Place::Nowhere => {}
            }
        }
    }

    /// Returns the slot with its whole length, if `layout` fits there.
    #[inline(always)]
    fn kept(
        &self,
        class: &Class,
        ptr: NonNull<u8>,
        number: u32,
        layout: NonZeroLayout,
    ) -> Option<NonNull<[u8]>> {
        if layout.size().get() > class.slot_bytes() || !is_aligned(ptr.addr().get(), layout.align().get()) {
            return None;
        }
        // SAFETY: the base is the backing's, and the number is one that the class found.
        let slot = unsafe { class.slot(self.backing.base(), number) };
        Some(NonNull::slice_from_raw_parts(slot, class.slot_bytes()))
    }

    /// Moves a block of the backing, which refused to resize it, to a slot.
    ///
    /// # Safety
    ///
    /// `ptr` is a live block of the backing and `old` its layout.
    #[cold]
    #[inline(never)]
    unsafe fn leave_backing(
        &self,
        ptr: NonNull<u8>,
        old: NonZeroLayout,
        new: NonZeroLayout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.take_slot(new).ok_or(AllocError)?;
        let kept = old.size().min(new.size()).get();
        // SAFETY: both blocks are live, disjoint, and hold `kept` bytes; the old one is the caller's to free.
        unsafe {
            block.cast::<u8>().copy_from_nonoverlapping(ptr, kept);
            self.backing.deallocate(ptr, old);
        }
        Ok(block)
    }
}

impl<B: Allocator + FixedRange, const CLASSES: usize> fmt::Debug for SizeClassed<B, CLASSES> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SizeClassed")
            .field("class_sizes", self.class_sizes())
            .field("slot_bytes", &self.slot_bytes)
            .field("corruption_events", &self.corruption_events())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
