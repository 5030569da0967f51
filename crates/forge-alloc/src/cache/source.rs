//! Where the slabs of a cache come from: the program's two hooks, or any source of regions.
//!
//! ```text
//!   define_allocation_hooks!(alloc, free) --symbols--> Hooks --+
//!                                                              +--> SlabSource --> cache
//!                              any RegionSource, by value -----+
//! ```
//!
//! # Operations
//!
//! Whatever the provider costs. A cache calls it with no lock held, once per slab and with size and alignment both the slab
//! size, and may call it from several threads at once.
//!
//! # Design
//!
//! The hooks are symbols of the final program, so there is one pair of them, and a program that never makes a cache over
//! [`Hooks`] needs none: the functions below are inlined into whoever does. Every other source is a value, and there can be
//! any number. The symbols are Rust's own calling convention with names of this crate, apart from those of the crate that
//! the form was documented with, so both can be linked into one program.
//!
//! A hook that fails to take memory back cannot be helped inside of a destructor. It is counted.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;
#[cfg(target_has_atomic = "ptr")]
use core::sync::atomic::{AtomicUsize, Ordering};

use forge_alloc_core::{NonZeroLayout, Region, RegionSource};

use super::{Result, SlabError};

/// A provider of slabs. Every [`RegionSource`] is one.
///
/// # Safety
///
/// A region that `supply` returns satisfies the invariants of [`Region`], and stays valid at its place until it is taken back
/// or the source is dropped, also while the source is moved. Its size and alignment are not trusted.
pub unsafe trait SlabSource {
    /// Returns a region for a slab of this layout.
    ///
    /// # Errors
    ///
    /// [`SlabError`] if there is none; nothing changes.
    ///
    /// # Safety
    ///
    /// The region, and all that is made of it, is out of use before the source is dropped.
    unsafe fn supply(&self, layout: NonZeroLayout) -> Result<Region>;

    /// Takes a region back.
    ///
    /// # Safety
    ///
    /// `region` is one that `supply` of this source returned for `layout`, whole, and nothing uses its bytes any more.
    unsafe fn take_back(&self, region: Region, layout: NonZeroLayout);
}

// SAFETY: a `RegionSource` promises more about each of its regions.
unsafe impl<S: RegionSource> SlabSource for S {
    #[inline]
    unsafe fn supply(&self, layout: NonZeroLayout) -> Result<Region> {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.request(layout) }.map_err(|_| SlabError::OutOfMemory)
    }

    #[inline]
    unsafe fn take_back(&self, region: Region, layout: NonZeroLayout) {
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.release(region, layout) }
    }
}

unsafe extern "Rust" {
    fn __forge_alloc_cache_supply(layout: Layout) -> Option<NonNull<u8>>;
    fn __forge_alloc_cache_take_back(slab: NonNull<u8>, layout: Layout) -> Result<()>;
}

/// How often the hook that takes memory back has failed.
#[cfg(target_has_atomic = "ptr")]
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// The provider that [`define_allocation_hooks!`](crate::define_allocation_hooks) names: one per program, found by the linker.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hooks;

impl Hooks {
    /// Returns how often the hook that takes memory back has returned an error, in all caches of the program. O(1).
    #[cfg(target_has_atomic = "ptr")]
    #[must_use]
    pub fn refused() -> usize {
        // Relaxed: a count, which orders nothing.
        REFUSED.load(Ordering::Relaxed)
    }

    /// Counts a hook that did not take its memory back.
    #[cold]
    fn refuse() {
        #[cfg(target_has_atomic = "ptr")]
        REFUSED.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: whoever writes `define_allocation_hooks!` promises that the memory is exclusive and as long as the layout.
unsafe impl SlabSource for Hooks {
    #[inline]
    unsafe fn supply(&self, layout: NonZeroLayout) -> Result<Region> {
        // SAFETY: the symbol is written by the macro, with this signature.
        let slab = unsafe { __forge_alloc_cache_supply(layout.to_layout()) }.ok_or(SlabError::OutOfMemory)?;
        // SAFETY: the promise of whoever wrote the hooks.
        Ok(unsafe { Region::from_raw(slab, layout.size().get()) })
    }

    #[inline]
    unsafe fn take_back(&self, region: Region, layout: NonZeroLayout) {
        let (slab, _) = region.into_raw();
        // SAFETY: the slab came from the other hook with this layout and is not used any more.
        if unsafe { __forge_alloc_cache_take_back(slab, layout.to_layout()) }.is_err() {
            Self::refuse();
        }
    }
}

/// Names the two functions that provide the slabs of [`Hooks`]. Once per program.
///
/// The first is called as `fn(Layout) -> Option<NonNull<u8>>`, the second as `fn(NonNull<u8>, Layout) -> Result<()>`; both may
/// be `unsafe fn`. A program that makes a cache over [`Hooks`](crate::cache::Hooks) and does not name them does not link.
///
/// # Safety
///
/// Writing the macro is the promise that memory which the first function returns has the size of the layout, is valid for
/// reads and writes, and is used by nobody else until the second one takes it back; that neither unwinds; and that both may be
/// called from any thread on which the program uses a cache. The alignment is checked.
///
/// # Examples
///
/// ```
/// use core::ptr::NonNull;
/// use std::alloc::{Layout, alloc, dealloc};
/// use forge_alloc::cache::{Result, SlabCache, locks::NoLock};
///
/// unsafe fn system_alloc(layout: Layout) -> Option<NonNull<u8>> {
///     NonNull::new(unsafe { alloc(layout) })
/// }
///
/// unsafe fn system_free(slab: NonNull<u8>, layout: Layout) -> Result<()> {
///     unsafe { dealloc(slab.as_ptr(), layout) };
///     Ok(())
/// }
///
/// forge_alloc::define_allocation_hooks!(system_alloc, system_free);
///
/// let cache = SlabCache::<u64, NoLock, 4096>::new()?;
/// assert_eq!(*cache.alloc_value(7)?, 7);
/// # Ok::<(), forge_alloc::cache::SlabError>(())
/// ```
#[macro_export]
macro_rules! define_allocation_hooks {
    ($alloc:path, $free:path $(,)?) => {
        const _: () = {
            #[unsafe(no_mangle)]
            unsafe fn __forge_alloc_cache_supply(
                layout: $crate::cache::expansion::Layout,
            ) -> $crate::cache::expansion::Option<$crate::cache::expansion::NonNull<u8>> {
                #[allow(unused_unsafe)]
                unsafe {
                    $alloc(layout)
                }
            }

            #[unsafe(no_mangle)]
            unsafe fn __forge_alloc_cache_take_back(
                slab: $crate::cache::expansion::NonNull<u8>,
                layout: $crate::cache::expansion::Layout,
            ) -> $crate::cache::Result<()> {
                #[allow(unused_unsafe)]
                unsafe {
                    $free(slab, layout)
                }
            }
        };
    };
}

/// What the macro's expansion names.
#[doc(hidden)]
pub mod expansion {
    pub use core::alloc::Layout;
    pub use core::option::Option;
    pub use core::ptr::NonNull;
}
