//! Object caches: what each library calls making a box of a value.
//!
//! # Design
//!
//! A contestant is a handle, and a second thread gets another. Every box is dropped as boxes are, so the free is the library's
//! destructor. Values are moved in; the reference hands out a box of what was there, and the value is assigned.
#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;
use std::alloc::{Layout, alloc, dealloc};

use attachable_slab_allocator::Result;
use forge_alloc::cache::{Magazines, SlabBox, SlabCache, locks, locks::LockTrait};
use forge_alloc::{HeapSource, SlotBox, StaticBox, static_pool};

use super::slabs::{Object, mi_malloc, mi_release};
use crate::harness::Side;
use crate::sink::exhausted;

/// A maker of boxes.
pub trait Cached<V: Copy + 'static>: Sized + 'static {
    /// The library and its configuration.
    const NAME: &'static str;
    /// Whose code it is.
    const SIDE: Side;
    /// What owns a value.
    type Boxed: Deref<Target = V> + 'static;

    /// Returns a maker with room for so many values.
    fn open(values: usize) -> Self;

    /// Returns the same maker for another thread.
    fn another(&self) -> Self;

    /// Moves a value into a box.
    fn make(&mut self, value: V) -> Self::Boxed;
}

macro_rules! ours {
    ($name:ident, $lock:ident, $size:expr, $label:literal) => {
        #[doc = concat!("The contestant ", $label, ".")]
        pub struct $name<V: 'static>(SlabCache<V, locks::$lock, { $size }, HeapSource>);

        impl<V: Copy + 'static> Cached<V> for $name<V> {
            const NAME: &'static str = $label;
            const SIDE: Side = Side::Ours;
            type Boxed = SlabBox<V, locks::$lock, { $size }>;

            fn open(values: usize) -> Self {
                Self(reserved(values))
            }

            fn another(&self) -> Self {
                Self(self.0.clone())
            }

            #[inline(always)]
            fn make(&mut self, value: V) -> Self::Boxed {
                self.0.alloc_value(value).unwrap_or_else(|_| exhausted())
            }
        }
    };
}

ours!(Local, NoLock, 4096, "ours: SlabCache, NoLock");
ours!(LocalLarge, NoLock, 1 << 16, "ours: SlabCache, NoLock, 64 KiB slabs");
ours!(Spin, SpinLock, 4096, "ours: SlabCache, SpinLock");
ours!(SpinLarge, SpinLock, 1 << 16, "ours: SlabCache, SpinLock, 64 KiB slabs");

/// Returns a cache that has room for so many values.
fn reserved<V, L: LockTrait, const SLAB_SIZE: usize>(
    values: usize,
) -> SlabCache<V, L, SLAB_SIZE, HeapSource> {
    let cache = SlabCache::new_in(HeapSource::new()).unwrap_or_else(|_| exhausted());
    cache.reserve(values).unwrap_or_else(|_| exhausted());
    cache
}

type Front<V> = Magazines<V, locks::SpinLock, { 1 << 16 }, HeapSource>;

/// Ours: a cache with magazines.
pub struct Fronted<V: 'static>(&'static Front<V>);

impl<V: Copy + Send + 'static> Cached<V> for Fronted<V> {
    const NAME: &'static str = "ours: Magazines, SpinLock, 64 KiB slabs";
    const SIDE: Side = Side::Ours;
    type Boxed = SlotBox<'static, V, Front<V>>;

    fn open(values: usize) -> Self {
        Self(Box::leak(Box::new(Magazines::new(reserved(values)))))
    }

    fn another(&self) -> Self {
        Self(self.0)
    }

    #[inline(always)]
    fn make(&mut self, value: V) -> Self::Boxed {
        self.0.insert(value).unwrap_or_else(|_| exhausted())
    }
}

/// The values that the front of the program has room for before it asks for slabs.
const RESERVED: usize = 20_000;

static_pool! {
    /// A cache with magazines that lives as long as the program.
    pub struct Objects: Front<Object> = Magazines::new(reserved(RESERVED));
}

/// Ours: a cache with magazines in a static, so that a box is one word.
pub struct Rooted<V>(PhantomData<fn(V)>);

impl Cached<Object> for Rooted<Object> {
    const NAME: &'static str = "ours: Magazines in a static, 64 KiB slabs";
    const SIDE: Side = Side::Ours;
    type Boxed = StaticBox<Object, Objects>;

    fn open(_: usize) -> Self {
        Self(PhantomData)
    }

    fn another(&self) -> Self {
        Self(PhantomData)
    }

    #[inline(always)]
    fn make(&mut self, value: Object) -> Self::Boxed {
        StaticBox::new(value).unwrap_or_else(|_| exhausted())
    }
}

/// `Box` on the system's malloc.
pub struct Boxes<V>(PhantomData<fn(V)>);

impl<V: Copy + 'static> Cached<V> for Boxes<V> {
    const NAME: &'static str = "Box, system malloc";
    const SIDE: Side = Side::Peer;
    type Boxed = Box<V>;

    fn open(_: usize) -> Self {
        Self(PhantomData)
    }

    fn another(&self) -> Self {
        Self(PhantomData)
    }

    #[inline(always)]
    fn make(&mut self, value: V) -> Box<V> {
        Box::new(value)
    }
}

/// mimalloc.
pub struct Mi<V>(PhantomData<fn(V)>);

/// A box of mimalloc.
pub struct MiBox<V>(NonNull<V>);

// SAFETY: the box owns its value, and any thread may give a block back to mimalloc.
unsafe impl<V: Send> Send for MiBox<V> {}

impl<V> Deref for MiBox<V> {
    type Target = V;

    #[inline(always)]
    fn deref(&self) -> &V {
        // SAFETY: the box owns a value.
        unsafe { self.0.as_ref() }
    }
}

impl<V> Drop for MiBox<V> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the block came from mimalloc.
        unsafe { mi_release(self.0.cast()) };
    }
}

impl<V: Copy + 'static> Cached<V> for Mi<V> {
    const NAME: &'static str = "mimalloc";
    const SIDE: Side = Side::Peer;
    type Boxed = MiBox<V>;

    fn open(_: usize) -> Self {
        Self(PhantomData)
    }

    fn another(&self) -> Self {
        Self(PhantomData)
    }

    #[inline(always)]
    fn make(&mut self, value: V) -> MiBox<V> {
        let block = mi_malloc(size_of::<V>()).cast::<V>();
        // SAFETY: the block has the size of a value, and mimalloc aligns to 16 bytes.
        unsafe { block.write(value) };
        MiBox(block)
    }
}

unsafe fn slab_of_the_reference(layout: Layout) -> Option<NonNull<u8>> {
    // SAFETY: a slab has a size.
    NonNull::new(unsafe { alloc(layout) })
}

unsafe fn take_slab_back(slab: NonNull<u8>, layout: Layout) -> Result<()> {
    // SAFETY: the slab came from the function above with this layout.
    unsafe { dealloc(slab.as_ptr(), layout) };
    Ok(())
}

attachable_slab_allocator::define_allocation_hooks!(slab_of_the_reference, take_slab_back);

macro_rules! reference {
    ($name:ident, $lock:ident, $label:literal) => {
        #[doc = concat!("The contestant ", $label, ".")]
        pub struct $name<V: 'static>(
            attachable_slab_allocator::SlabCache<V, attachable_slab_allocator::locks::$lock, 4096>,
        );

        impl<V: Copy + 'static> Cached<V> for $name<V> {
            const NAME: &'static str = $label;
            const SIDE: Side = Side::Peer;
            type Boxed = attachable_slab_allocator::SlabBox<V, attachable_slab_allocator::locks::$lock, 4096>;

            fn open(_: usize) -> Self {
                Self(attachable_slab_allocator::SlabCache::new().unwrap_or_else(|_| exhausted()))
            }

            fn another(&self) -> Self {
                Self(self.0.clone())
            }

            #[inline(always)]
            fn make(&mut self, value: V) -> Self::Boxed {
                let mut boxed = self.0.alloc().unwrap_or_else(|_| exhausted());
                *boxed = value;
                boxed
            }
        }
    };
}

reference!(ReferenceLocal, NoLock, "reference SlabCache, NoLock");
reference!(ReferenceSpin, SpinLock, "reference SlabCache, SpinLock");
