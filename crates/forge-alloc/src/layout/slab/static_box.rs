//! A value in a slot of a pool that lives as long as the program: a box one pointer wide.
//!
//! ```text
//!   SlotBox    | value | pool |       the pool of a scope, borrowed
//!   StaticBox  | value |              the pool of the program, named by the type
//! ```
//!
//! # Invariants
//!
//! - (I1) The box owns an initialised `T` that nothing else refers to.
//! - (I2) Its memory is a live block of `P::pool()` with the layout of a `T`.
//!
//! # Design
//!
//! The caches of a kernel and the pools of a server are statics. A box that names its pool by a type needs no word for it: it takes half
//! the memory of a [`SlotBox`], and a million of them half the lines of the processor's cache. Whoever forgets such a box keeps the slot
//! for ever, so it may be pinned. Making and freeing one is a [`SlotBox`]'s.
#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::pin::Pin;
use core::ptr::NonNull;

use forge_alloc_core::{AllocError, Allocator, NonZeroLayout};

use super::slot_box::SlotBox;
use crate::forward::forward_to_value;

/// A pool that lives as long as the program, as a type.
///
/// [`static_pool`](crate::static_pool) writes one. Without a standard library it is a type beside a static:
///
/// ```
/// use forge_alloc::sync::SpinLock;
/// use forge_alloc::{FreeListHeap, Locked, StaticBox, StaticPool};
///
/// struct Heap;
/// static HEAP: Locked<FreeListHeap, SpinLock> = Locked::new(FreeListHeap::new());
///
/// // SAFETY: it is one static.
/// unsafe impl StaticPool for Heap {
///     type Pool = Locked<FreeListHeap, SpinLock>;
///
///     fn pool() -> &'static Self::Pool {
///         &HEAP
///     }
/// }
///
/// assert!(StaticBox::<u64, Heap>::new(7).is_err()); // no memory was given to it
/// ```
///
/// # Safety
///
/// `pool` returns the same pool at every call.
pub unsafe trait StaticPool: 'static {
    /// The type of the pool.
    type Pool: Allocator + Sync;

    /// Returns the pool. O(1), except at the first call.
    fn pool() -> &'static Self::Pool;
}

/// An owned value in a slot of the pool `P` of the program.
///
/// # Examples
///
/// ```
/// # #[cfg(all(feature = "std", any(unix, windows)))] {
/// use forge_alloc::cache::{Magazines, SlabCache, locks::SpinLock};
/// use forge_alloc::{HeapSource, StaticBox, static_pool};
///
/// static_pool! {
///     /// The sessions of all clients.
///     struct Sessions: Magazines<Session, SpinLock, 65_536, HeapSource> =
///         Magazines::new(SlabCache::new_in(HeapSource::new()).expect("no memory for the first slab"));
/// }
///
/// #[derive(Debug, PartialEq)]
/// struct Session(u64);
///
/// let session = StaticBox::<_, Sessions>::new(Session(7)).unwrap();
/// let elsewhere = std::thread::spawn(move || StaticBox::into_inner(session));
/// assert_eq!(elsewhere.join().unwrap(), Session(7));
/// # }
/// ```
pub struct StaticBox<T, P: StaticPool> {
    value: NonNull<T>,
    owns: PhantomData<(T, fn() -> P)>,
}

// SAFETY: the box owns its `T` alone (I1), and hands its block to a pool that any thread may call.
unsafe impl<T: Send, P: StaticPool> Send for StaticBox<T, P> {}
// SAFETY: a shared box gives shared access to its `T` only.
unsafe impl<T: Sync, P: StaticPool> Sync for StaticBox<T, P> {}
// The value does not move with its box.
impl<T, P: StaticPool> Unpin for StaticBox<T, P> {}

impl<T, P: StaticPool> StaticBox<T, P> {
    /// Puts `value` into a slot of the pool. As long as the pool takes for a block.
    ///
    /// # Errors
    ///
    /// [`AllocError`] if the pool has no such slot, or if a `T` has no size; `value` is dropped.
    #[inline]
    pub fn new(value: T) -> Result<Self, AllocError> {
        let layout = const { NonZeroLayout::for_type::<T>() }.ok_or(AllocError)?;
        let slot = P::pool().allocate(layout)?.cast::<T>();
        // SAFETY: the block has the layout of a value, is ours alone, and stays so until the box frees it.
        unsafe {
            slot.write(value);
            Ok(Self::from_raw(slot))
        }
    }

    /// Puts `value` into a slot of the pool that it will not leave. As long as the pool takes for a block.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    #[inline]
    pub fn pin(value: T) -> Result<Pin<Self>, AllocError> {
        // SAFETY: the value stays where it is until it is dropped: its block is freed by the end of the box only, and the pool never
        // ends.
        Self::new(value).map(|boxed| unsafe { Pin::new_unchecked(boxed) })
    }

    /// Returns the box whose value [`into_raw`](Self::into_raw) has let go. O(1).
    ///
    /// # Safety
    ///
    /// (I1) `value` points to an initialised `T` that nothing else refers to. (I2) Its memory is a live block of `P::pool()` with the
    /// layout of a `T`.
    #[inline]
    #[must_use]
    pub unsafe fn from_raw(value: NonNull<T>) -> Self {
        Self { value, owns: PhantomData }
    }

    /// Gives the value up without running its destructor, and returns its address. Its slot stays live until it is deallocated, or a
    /// box is made of it again. O(1).
    #[inline]
    #[must_use = "the destructor of the value will not run, and its slot stays live"]
    pub fn into_raw(boxed: Self) -> NonNull<T> {
        ManuallyDrop::new(boxed).value
    }

    /// Gives the value up for as long as the program runs; its destructor will not run. O(1).
    #[inline]
    #[must_use = "the destructor of the value will not run, and its slot stays live"]
    pub fn leak<'a>(boxed: Self) -> &'a mut T
    where
        T: 'a,
    {
        // SAFETY: the value is initialised and unaliased (I1), and its block stays live (I2) in a pool that never ends.
        unsafe { Self::into_raw(boxed).as_mut() }
    }

    /// Moves the value out and frees its slot. O(size).
    #[inline]
    #[must_use]
    pub fn into_inner(boxed: Self) -> T {
        SlotBox::into_inner(Self::into_slot_box(boxed))
    }

    /// Returns the box that names its pool by a word.
    #[inline]
    #[must_use]
    pub fn into_slot_box(boxed: Self) -> SlotBox<'static, T, P::Pool> {
        // SAFETY: (I1) and (I2), given up here; the pool is borrowed for as long as there is a program.
        unsafe { SlotBox::from_raw(Self::into_raw(boxed), P::pool()) }
    }
}

impl<T, P: StaticPool> Drop for StaticBox<T, P> {
    /// Runs the destructor of the value and frees the slot, also if the destructor panics.
    #[inline]
    fn drop(&mut self) {
        // SAFETY: (I1) and (I2); this box is going away.
        drop(unsafe { SlotBox::from_raw(self.value, P::pool()) });
    }
}

impl<T, P: StaticPool> Deref for StaticBox<T, P> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the value is initialised and borrowed as the box is (I1).
        unsafe { self.value.as_ref() }
    }
}

impl<T, P: StaticPool> DerefMut for StaticBox<T, P> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the value is initialised, unaliased and borrowed as the box is (I1).
        unsafe { self.value.as_mut() }
    }
}

forward_to_value!([T, P: StaticPool] StaticBox<T, P>, T);

/// Writes a type whose pool is a static that the first use makes: a [`StaticPool`](crate::StaticPool).
///
/// The expression runs once, when the pool is first asked for, and may not ask for it itself.
///
/// ```
/// use std::mem::MaybeUninit;
/// use std::ptr::NonNull;
/// use forge_alloc::sync::SpinLock;
/// use forge_alloc::{ByteAllocator, FreeListHeap, Locked, Region, StaticBox, static_pool};
///
/// static_pool! {
///     /// A heap for what the program keeps.
///     pub struct Kept: Locked<FreeListHeap, SpinLock> = {
///         let memory = Box::leak(Box::new([const { MaybeUninit::<u64>::uninit() }; 4096]));
///         let heap = Locked::new(FreeListHeap::new());
///         // Sound: nobody else has the memory.
///         let region = unsafe { Region::from_raw(NonNull::from(memory).cast(), 8 * 4096) };
///         heap.lock().add_region(region).expect("the region is large enough");
///         heap
///     };
/// }
///
/// let mut words = StaticBox::<_, Kept>::new([1_u64; 4]).unwrap();
/// words[3] += 1;
/// assert_eq!(words.iter().sum::<u64>(), 5);
/// assert_eq!(size_of_val(&words), size_of::<usize>());
/// ```
#[cfg(feature = "std")]
#[macro_export]
macro_rules! static_pool {
    ($(#[$attribute:meta])* $visibility:vis struct $name:ident: $pool:ty = $made:expr;) => {
        $(#[$attribute])*
        $visibility struct $name;

        // SAFETY: the cell is filled once, and what is in it stays.
        unsafe impl $crate::StaticPool for $name {
            type Pool = $pool;

            #[inline]
            fn pool() -> &'static $pool {
                static POOL: ::std::sync::OnceLock<$pool> = ::std::sync::OnceLock::new();
                POOL.get_or_init(|| $made)
            }
        }
    };
}

#[cfg(test)]
mod tests;
