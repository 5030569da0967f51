//! Forwarding, written once: the items of a trait that a transparent type passes to what is inside it.
//!
//! # Design
//!
//! A type that adds one behaviour is otherwise what it holds. Each macro expands to all items of a trait that can be
//! passed on, so a forgotten method (a `calloc` that is zeroed twice, a growth that copies) cannot happen; items with a
//! behaviour of their own stand beside the macro. The caller writes the `unsafe impl` line and its argument.
#![allow(unsafe_code)]

/// Expands to the items of `FixedRange`, except `claim`, of a type whose field `$field: $range` is the range.
macro_rules! forward_range {
    ($field:ident: $range:ty) => {
        const GUARDED: bool = <$range>::GUARDED;

        $crate::forward::forward_unguarded_range!($field: $range);
    };
}

/// Expands to the items of `FixedRange`, `CARVABLE` and `claim` included, of a type whose promise is attached to `allocate`
/// and `deallocate`: an arena over its field `$field: $range` would switch the promise off.
macro_rules! forward_uncarvable_range {
    ($field:ident: $range:ty) => {
        /// An arena that carved the bytes would go around `allocate` and `deallocate`.
        const CARVABLE: bool = false;
        const GUARDED: bool = <$range>::GUARDED;

        $crate::forward::forward_unguarded_range!($field: $range);

        /// Refuses.
        fn claim(&mut self) -> Result<(), AllocError> {
            Err(AllocError)
        }
    };
}

/// Expands to the items of `forward_range` but `GUARDED`: a type that adds bytes to a block does not offer the guard, against
/// which a layout would put the end of its block.
macro_rules! forward_unguarded_range {
    ($field:ident: $range:ty) => {
        const BASE_ALIGN: usize = <$range>::BASE_ALIGN;
        const STAYS: bool = <$range>::STAYS;
        const MUST_COMMIT: bool = <$range>::MUST_COMMIT;
        const SPLIT: bool = <$range>::SPLIT;

        $crate::forward::forward_place!($field);

        #[inline(always)]
        fn split_base(&self) -> NonNull<u8> {
            self.$field.split_base()
        }

        #[inline]
        fn claim_split(&mut self, bytes: usize) -> Result<(), AllocError> {
            self.$field.claim_split(bytes)
        }
    };
}

/// Expands to the items of `FixedRange` about the bytes of the range, of a type whose field `$field` is the range.
macro_rules! forward_place {
    ($field:ident) => {
        #[inline(always)]
        fn base(&self) -> NonNull<u8> {
            self.$field.base()
        }

        #[inline(always)]
        fn size(&self) -> usize {
            self.$field.size()
        }

        #[inline(always)]
        fn committed(&self) -> usize {
            self.$field.committed()
        }

        #[inline]
        fn commit(&self, offset: usize, len: usize) -> Result<(), AllocError> {
            self.$field.commit(offset, len)
        }
    };
}

/// Expands to the items of `OsBacked` of a type whose field `$field` is the mapping.
macro_rules! forward_os_backed {
    ($field:ident) => {
        $crate::forward::forward_mapping!($field);

        #[inline]
        unsafe fn try_release_pages(&self, ptr: NonNull<u8>, size: usize) -> Result<(), AllocError> {
            // SAFETY: the caller's promises are the callee's.
            unsafe { self.$field.try_release_pages(ptr, size) }
        }

        #[inline]
        unsafe fn release_pages(&self, ptr: NonNull<u8>, size: usize) {
            // SAFETY: the caller's promises are the callee's.
            unsafe { self.$field.release_pages(ptr, size) }
        }
    };
}

/// Expands to the items of `OsBacked`, except those that release pages, of a type whose field `$field` is the mapping.
macro_rules! forward_mapping {
    ($field:ident) => {
        #[inline]
        fn base_ptr(&self) -> NonNull<u8> {
            self.$field.base_ptr()
        }

        #[inline]
        fn region_size(&self) -> usize {
            self.$field.region_size()
        }

        #[inline]
        fn is_native(&self) -> bool {
            self.$field.is_native()
        }

        #[inline]
        unsafe fn try_protect(
            &self,
            ptr: NonNull<u8>,
            size: usize,
            flags: ProtectFlags,
        ) -> Result<(), AllocError> {
            // SAFETY: the caller's promises are the callee's.
            unsafe { self.$field.try_protect(ptr, size, flags) }
        }

        #[inline]
        unsafe fn try_guard(&self, ptr: NonNull<u8>, size: usize) -> Result<(), AllocError> {
            // SAFETY: the caller's promises are the callee's.
            unsafe { self.$field.try_guard(ptr, size) }
        }

        #[inline]
        unsafe fn protect(&self, ptr: NonNull<u8>, size: usize, flags: ProtectFlags) {
            // SAFETY: the caller's promises are the callee's.
            unsafe { self.$field.protect(ptr, size, flags) }
        }
    };
}

/// Expands to the items of `Deallocator` of a type whose field `$field` is the allocator.
macro_rules! forward_deallocator {
    ($field:ident) => {
        #[inline(always)]
        unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
            // SAFETY: the caller's promises are the callee's.
            unsafe { self.$field.deallocate(ptr, layout) }
        }
    };
}

/// Expands to the items of `Allocator`, except those of `forward_reset`, of a type whose field `$field` is the allocator.
macro_rules! forward_allocator {
    ($field:ident) => {
        #[inline(always)]
        fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
            Allocator::allocate(&self.$field, layout)
        }

        #[inline]
        fn allocate_zeroed(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
            self.$field.allocate_zeroed(layout)
        }

        #[inline]
        unsafe fn grow(
            &self,
            ptr: NonNull<u8>,
            old: NonZeroLayout,
            new: NonZeroLayout,
        ) -> Result<NonNull<[u8]>, AllocError> {
            // SAFETY: the caller's promises are the callee's.
            unsafe { self.$field.grow(ptr, old, new) }
        }

        #[inline]
        unsafe fn grow_zeroed(
            &self,
            ptr: NonNull<u8>,
            old: NonZeroLayout,
            new: NonZeroLayout,
        ) -> Result<NonNull<[u8]>, AllocError> {
            // SAFETY: the caller's promises are the callee's.
            unsafe { self.$field.grow_zeroed(ptr, old, new) }
        }

        #[inline]
        unsafe fn shrink(
            &self,
            ptr: NonNull<u8>,
            old: NonZeroLayout,
            new: NonZeroLayout,
        ) -> Result<NonNull<[u8]>, AllocError> {
            // SAFETY: the caller's promises are the callee's.
            unsafe { self.$field.shrink(ptr, old, new) }
        }

        $crate::forward::forward_block_facts!($field);
        $crate::forward::forward_totals!($field);
    };
}

/// Expands to the items of `Allocator` that say something about a block, of a type whose field `$field` is the allocator.
macro_rules! forward_block_facts {
    ($field:ident) => {
        #[inline]
        unsafe fn stays_in_place(&self, ptr: NonNull<u8>, old: NonZeroLayout, new: NonZeroLayout) -> bool {
            // SAFETY: the caller's promises are the callee's.
            unsafe { self.$field.stays_in_place(ptr, old, new) }
        }

        #[inline]
        unsafe fn usable_size(&self, ptr: NonNull<u8>, layout: NonZeroLayout) -> Option<usize> {
            // SAFETY: the caller's promises are the callee's.
            unsafe { self.$field.usable_size(ptr, layout) }
        }
    };
}

/// Expands to the items of `Allocator` about the allocator as a whole, of a type whose field `$field` is the allocator.
macro_rules! forward_totals {
    ($field:ident) => {
        #[inline]
        fn capacity_bytes(&self) -> Option<usize> {
            self.$field.capacity_bytes()
        }

        #[inline]
        fn corruption_events(&self) -> u64 {
            self.$field.corruption_events()
        }

        #[inline]
        fn is_single_threaded(&self) -> bool {
            self.$field.is_single_threaded()
        }

        #[inline]
        fn blocks_stay(&self) -> bool {
            self.$field.blocks_stay()
        }
    };
}

/// Expands to the items of `Allocator` that need the allocator for themselves, of a type that owns it in its field `$field`.
macro_rules! forward_reset {
    ($field:ident) => {
        #[inline]
        fn reset(&mut self) -> Result<(), AllocError> {
            self.$field.reset()
        }

        $crate::forward::forward_visit!($field);
    };
}

/// Expands to the items of `forward_reset` but `reset` itself.
macro_rules! forward_visit {
    ($field:ident) => {
        #[inline]
        fn can_reset(&self) -> bool {
            self.$field.can_reset()
        }

        #[inline]
        unsafe fn visit_spans(&mut self, visit: &mut dyn FnMut(NonNull<[u8]>)) -> Result<(), AllocError> {
            // SAFETY: the caller's promises are the callee's.
            unsafe { self.$field.visit_spans(visit) }
        }
    };
}

/// Expands to the items of `BaseAllocator` of a type from which `$exclusive` obtains the heap as `&mut`.
macro_rules! forward_base {
    ($exclusive:expr) => {
        unsafe fn init(&mut self, start: usize, size: usize) {
            // SAFETY: the caller's promises are the callee's.
            unsafe { $exclusive(self).init(start, size) }
        }

        unsafe fn add_memory(&mut self, start: usize, size: usize) -> AllocResult {
            // SAFETY: the caller's promises are the callee's.
            unsafe { $exclusive(self).add_memory(start, size) }
        }
    };
}

/// Expands to the items of `ByteAllocator`, except `alloc` and `realloc`, of a type from which `$exclusive` obtains the heap
/// as `&mut`, and `$shared` as `&`.
macro_rules! forward_heap {
    ($exclusive:expr, $shared:expr) => {
        fn add_region(&mut self, region: Region) -> Result<(), RejectedRegion> {
            $exclusive(self).add_region(region)
        }

        #[inline]
        unsafe fn dealloc(&mut self, pos: NonNull<u8>, layout: Layout) {
            // SAFETY: the caller's promises are the callee's.
            unsafe { $exclusive(self).dealloc(pos, layout) }
        }

        #[inline]
        unsafe fn dealloc_checked(&mut self, pos: NonNull<u8>, layout: Layout) -> AllocResult {
            // SAFETY: the caller's promises are the callee's.
            unsafe { $exclusive(self).dealloc_checked(pos, layout) }
        }

        #[inline]
        unsafe fn resize_in_place(&mut self, pos: NonNull<u8>, old: Layout, new: Layout) -> bool {
            // SAFETY: the caller's promises are the callee's.
            unsafe { $exclusive(self).resize_in_place(pos, old, new) }
        }

        #[inline]
        unsafe fn stays_in_place(&self, pos: NonNull<u8>, old: Layout, new: Layout) -> bool {
            // SAFETY: the caller's promises are the callee's.
            unsafe { $shared(self).stays_in_place(pos, old, new) }
        }

        fn largest_free(&self) -> Option<usize> {
            $shared(self).largest_free()
        }

        fn corruption_events(&self) -> u64 {
            $shared(self).corruption_events()
        }

        fn for_each_block(&self, visit: &mut dyn FnMut(HeapBlock)) {
            $shared(self).for_each_block(visit)
        }

        #[inline]
        fn total_bytes(&self) -> usize {
            $shared(self).total_bytes()
        }

        #[inline]
        fn used_bytes(&self) -> usize {
            $shared(self).used_bytes()
        }

        #[inline]
        fn available_bytes(&self) -> usize {
            $shared(self).available_bytes()
        }
    };
}

/// Writes the traits that an owner of a `$value`, which dereferences to it, has because the value has them.
macro_rules! forward_to_value {
    ([$($generics:tt)*] $owner:ty, $value:ty) => {
        impl<$($generics)*> AsRef<$value> for $owner {
            fn as_ref(&self) -> &$value {
                self
            }
        }

        impl<$($generics)*> AsMut<$value> for $owner {
            fn as_mut(&mut self) -> &mut $value {
                self
            }
        }

        impl<$($generics)*> core::borrow::Borrow<$value> for $owner {
            fn borrow(&self) -> &$value {
                self
            }
        }

        impl<$($generics)*> core::borrow::BorrowMut<$value> for $owner {
            fn borrow_mut(&mut self) -> &mut $value {
                self
            }
        }

        impl<$($generics)*> core::fmt::Debug for $owner
        where
            $value: core::fmt::Debug,
        {
            fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                (**self).fmt(formatter)
            }
        }

        impl<$($generics)*> core::fmt::Display for $owner
        where
            $value: core::fmt::Display,
        {
            fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                (**self).fmt(formatter)
            }
        }

        impl<$($generics)*> PartialEq for $owner
        where
            $value: PartialEq,
        {
            fn eq(&self, other: &Self) -> bool {
                **self == **other
            }
        }

        impl<$($generics)*> Eq for $owner where $value: Eq {}

        impl<$($generics)*> PartialOrd for $owner
        where
            $value: PartialOrd,
        {
            fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
                (**self).partial_cmp(&**other)
            }
        }

        impl<$($generics)*> Ord for $owner
        where
            $value: Ord,
        {
            fn cmp(&self, other: &Self) -> core::cmp::Ordering {
                (**self).cmp(&**other)
            }
        }

        impl<$($generics)*> core::hash::Hash for $owner
        where
            $value: core::hash::Hash,
        {
            fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
                (**self).hash(state);
            }
        }
    };
}

pub(crate) use {
    forward_allocator, forward_base, forward_block_facts, forward_deallocator, forward_heap, forward_mapping,
    forward_os_backed, forward_place, forward_range, forward_reset, forward_to_value, forward_totals,
    forward_uncarvable_range, forward_unguarded_range, forward_visit,
};
