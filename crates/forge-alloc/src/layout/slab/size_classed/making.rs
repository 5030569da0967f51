//! Making a pool of size classes: its regions are taken from the backing, and go back at the end.
//!
//! # Design
//!
//! A pool is whole from the start, with classes of no slots, so that dropping it is also what undoes half of the work.
#![allow(unsafe_code)]

use core::array;
use core::cell::Cell;

use forge_alloc_core::{AllocError, Allocator, FixedRange, NonZeroLayout};

use super::SizeClassed;
use super::class::{Class, LINK};
use super::classes::{ClassTable, DEFAULT_CLASS_SIZES_8, FINE_CLASS_SIZES_24};

impl<B: Allocator + FixedRange> SizeClassed<B, 8> {
    /// Returns a pool of the classes [`DEFAULT_CLASS_SIZES_8`] with `slots_per_class` slots each. O(1).
    ///
    /// # Errors
    ///
    /// As [`with_table`](Self::with_table).
    pub fn with_default_classes(backing: B, slots_per_class: u32) -> Result<Self, AllocError> {
        const TABLE: ClassTable<8> = ClassTable::new(DEFAULT_CLASS_SIZES_8);
        Self::with_table(backing, TABLE, slots_per_class)
    }
}

impl<B: Allocator + FixedRange> SizeClassed<B, 24> {
    /// Returns a pool of the classes [`FINE_CLASS_SIZES_24`] with `slots_per_class` slots each. O(1).
    ///
    /// # Errors
    ///
    /// As [`with_table`](Self::with_table).
    pub fn with_fine_classes(backing: B, slots_per_class: u32) -> Result<Self, AllocError> {
        const TABLE: ClassTable<24> = ClassTable::new(FINE_CLASS_SIZES_24);
        Self::with_table(backing, TABLE, slots_per_class)
    }
}

impl<B: Allocator + FixedRange, const CLASSES: usize> SizeClassed<B, CLASSES> {
    /// Returns a pool of classes of these sizes in bytes, all of them powers of two, with `slots_per_class` slots each.
    /// O(classes).
    ///
    /// For sizes in between, see [`with_table`](Self::with_table).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if a size is no power of two, and as [`ClassTable::try_new`] and [`with_table`](Self::with_table).
    pub fn with_class_sizes(
        backing: B,
        class_sizes: [usize; CLASSES],
        slots_per_class: u32,
    ) -> Result<Self, AllocError> {
        if !class_sizes.iter().all(|size| size.is_power_of_two()) {
            return Err(AllocError);
        }
        Self::with_table(backing, ClassTable::try_new(class_sizes)?, slots_per_class)
    }

    /// Returns a pool of the classes of `table` with `slots_per_class` slots each. O(classes).
    ///
    /// # Errors
    ///
    /// As [`with_slots`](Self::with_slots).
    pub fn with_table(
        backing: B,
        table: ClassTable<CLASSES>,
        slots_per_class: u32,
    ) -> Result<Self, AllocError> {
        Self::with_slots(backing, table, [slots_per_class; CLASSES])
    }

    /// Returns a pool of the classes of `table`, each with its own number of slots. O(classes).
    ///
    /// # Errors
    ///
    /// [`AllocError`] if a class has no slots, if the size of a region overflows, or if the backing refuses a region or hands
    /// out memory outside its range. The regions made so far go back, the last one first, and the backing is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use forge_alloc::{Allocator, ClassTable, InlineBacked, SizeClassed};
    ///
    /// const CLASSES: ClassTable<2> = ClassTable::new([8, 16]);
    ///
    /// let pool = SizeClassed::with_slots(InlineBacked::<256>::new(), CLASSES, [20, 4])?;
    /// assert_eq!(pool.capacity_bytes(), Some(20 * 8 + 4 * 16));
    /// # Ok::<(), forge_alloc::AllocError>(())
    /// ```
    pub fn with_slots(
        backing: B,
        table: ClassTable<CLASSES>,
        slots: [u32; CLASSES],
    ) -> Result<Self, AllocError> {
        // From here on, dropping the pool gives back what it has.
        let mut pool = Self {
            classes: array::from_fn(|_| Class::empty()),
            plain_align: if B::BASE_ALIGN < LINK { 0 } else { table.direct_align().min(B::BASE_ALIGN) },
            table,
            by_address: [0; CLASSES],
            span: 0..0,
            slot_bytes: 0,
            corruptions: Cell::new(0),
            backing,
        };
        for (class, slots) in slots.into_iter().enumerate() {
            pool.add_region(class, slots)?;
        }
        pool.sort_regions();
        Ok(pool)
    }

    /// Takes the region of a class from the backing.
    fn add_region(&mut self, class: usize, slots: u32) -> Result<(), AllocError> {
        let layout = region_layout(&self.table, class, slots)?;
        let block = self.backing.allocate(layout)?;
        let size = layout.size().get();
        let offset = block.addr().get().wrapping_sub(self.backing.base().addr().get());
        if self.backing.size().checked_sub(size).is_none_or(|last| offset > last) {
            // SAFETY: the block is live, has this layout, and is not used.
            unsafe { self.backing.deallocate(block.cast(), layout) };
            return Err(AllocError);
        }
        if let (Some(place), Some(bytes)) = (self.classes.get_mut(class), self.table.sizes().get(class)) {
            *place = Class::new(offset, *bytes, slots);
        }
        // Regions are disjoint parts of one range, so their sum does not overflow.
        self.slot_bytes += size;
        Ok(())
    }

    /// Lists the regions in the order of their addresses.
    fn sort_regions(&mut self) {
        self.by_address = array::from_fn(|class| class as u8);
        let Self { by_address, classes, span, .. } = self;
        let region = |class: &u8| classes.get(usize::from(*class)).map_or(0, Class::region);
        by_address.sort_unstable_by_key(region);
        if let (Some(first), Some(last)) = (by_address.first(), by_address.last()) {
            let length = classes.get(usize::from(*last)).map_or(0, Class::region_bytes);
            *span = region(first)..region(last) + length;
        }
    }
}

impl<B: Allocator + FixedRange, const CLASSES: usize> Drop for SizeClassed<B, CLASSES> {
    /// Gives the regions back, the last one first.
    fn drop(&mut self) {
        for (number, class) in self.classes.iter().enumerate().rev() {
            if let Ok(layout) = region_layout(&self.table, number, class.capacity()) {
                // SAFETY: the region is a live block of the backing, has this layout (I1), and is not used any more. A class
                // of no slots, as a pool that could not be finished has, has no layout.
                unsafe { self.backing.deallocate(self.backing.base().add(class.region()), layout) };
            }
        }
    }
}

/// Returns the layout of the region of a class: whole slots, as aligned as they promise.
fn region_layout<const CLASSES: usize>(
    table: &ClassTable<CLASSES>,
    class: usize,
    slots: u32,
) -> Result<NonZeroLayout, AllocError> {
    let slots = usize::try_from(slots).map_err(|_| AllocError)?;
    let bytes = table.sizes().get(class).and_then(|size| size.checked_mul(slots)).ok_or(AllocError)?;
    NonZeroLayout::from_size_align(bytes, table.align_of(class)).map_err(|_| AllocError)
}
