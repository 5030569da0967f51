//! The typed methods of a growing arena and of its scope, written once.
#![allow(unsafe_code)]

/// Writes the typed methods, which an arena and its scope share, for one of them.
macro_rules! typed_face {
    ($($owner:tt)*) => {
        #[allow(clippy::mut_from_ref, reason = "each call returns a fresh block, disjoint from all others")]
        impl<S: RegionSource, const MIN_ALIGN: usize> $($owner)* {
            /// Moves `value` in and borrows it. O(size).
            ///
            /// A type that needs its destructor does not compile here, since nobody would run it: use
            /// [`alloc_box`](Self::alloc_box), which does.
            ///
            /// # Errors
            ///
            /// [`AllocError`] if there is no memory for it; nothing changes.
            #[inline(always)]
            pub fn alloc<T>(&self, value: T) -> Result<&mut T, AllocError> {
                typed::assert_needs_no_drop::<T>();
                // SAFETY: the block is fresh and initialised, and the borrow keeps it live.
                typed::value(self.allocator(), value).map(|block| unsafe { &mut *block.as_ptr() })
            }

            /// Moves `value` in, as a box that runs its destructor. O(size).
            ///
            /// # Errors
            ///
            /// [`AllocError`] if there is no memory for it; `value` is dropped and nothing else changes.
            #[inline]
            pub fn alloc_box<T>(&self, value: T) -> Result<ArenaBox<'_, T>, AllocError> {
                // SAFETY: the block is fresh and initialised, and the borrow keeps it live.
                typed::value(self.allocator(), value).map(|block| unsafe { ArenaBox::from_raw(block) })
            }

            /// Returns uninitialised memory for a `T`. O(1).
            ///
            /// # Errors
            ///
            /// [`AllocError`] if there is no memory for it; nothing changes.
            #[inline(always)]
            pub fn alloc_uninit<T>(&self) -> Result<&mut MaybeUninit<T>, AllocError> {
                // SAFETY: the block is fresh, valid for a `MaybeUninit<T>`, and the borrow keeps it live.
                typed::uninit::<T, _>(self.allocator()).map(|block| unsafe { &mut *block.cast().as_ptr() })
            }

            /// Copies `src`. O(bytes); an empty slice takes no space.
            ///
            /// # Errors
            ///
            /// [`AllocError`] if there is no memory for it; nothing changes.
            #[inline]
            pub fn alloc_slice_copy<T: Copy>(&self, src: &[T]) -> Result<&mut [T], AllocError> {
                // SAFETY: the block is fresh and initialised, and the borrow keeps it live.
                typed::slice_copy(self.allocator(), src).map(|block| unsafe { &mut *block.as_ptr() })
            }

            /// Returns `len` values, each made by `make` from its index. O(len).
            ///
            /// # Errors
            ///
            /// [`AllocError`] if there is no memory for them; `make` is not called.
            #[inline]
            pub fn alloc_slice_with<T>(
                &self,
                len: usize,
                make: impl FnMut(usize) -> T,
            ) -> Result<&mut [T], AllocError> {
                typed::assert_needs_no_drop::<T>();
                // SAFETY: the block is fresh and initialised, and the borrow keeps it live.
                typed::slice_with(self.allocator(), len, make).map(|block| unsafe { &mut *block.as_ptr() })
            }

            /// Copies `s`. O(bytes).
            ///
            /// # Errors
            ///
            /// [`AllocError`] if there is no memory for it; nothing changes.
            #[inline]
            pub fn alloc_str(&self, s: &str) -> Result<&mut str, AllocError> {
                // SAFETY: the block is fresh and holds UTF-8, and the borrow keeps it live.
                typed::str(self.allocator(), s).map(|block| unsafe { &mut *block.as_ptr() })
            }
        }
    };
}

pub(super) use typed_face;
