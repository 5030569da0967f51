//! Contestants: what each library calls the things that the rows do.
//!
//! | trait | capability |
//! |---|---|
//! | [`Arena`] | has a name, is made with room for some bytes, forgets everything at once |
//! | [`Put`] | moves a value of one type in |
//! | [`Blocks`] | hands out memory for a layout known at run time |
//! | [`Copies`] | copies a slice of bytes, or a string |
//! | [`Scopes`] | forgets what was made within a scope |
//! | [`Vectors`] | a vector lives in it and grows |
//! | [`Fresh`] | is made without knowing what will come |
//! | [`Shared`] | serves several threads |
//! | [`Slots`](slabs::Slots), [`SizedSlots`](slabs::SizedSlots) | gives back slots of one size, of several sizes |
//! | [`Owner`](remotes::Owner), [`Remote`](remotes::Remote) | gives back slots from other threads |
//! | [`Pool`](handles::Pool) | names its values by handles |
//! | [`Cached`](caches::Cached) | owns its values by boxes |
//! | [`Heap`](heaps::Heap) | serves blocks of any layout from one region |
//! | [`Numbers`](numbers::Numbers) | hands out pages or ids, one at a time or in a row |
//!
//! # Design
//!
//! An adapter is one call of the library's own and nothing else, always inlined. Where a library has an infallible
//! form it is used; where it returns a `Result`, the error ends the process in a cold function, as the infallible forms
//! do. A library that has settings takes part with its defaults and with the settings that suit the rows best.

#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::harness::Side;

pub mod blink;
pub mod bump_scope;
pub mod bumpalo;
pub mod caches;
pub mod handles;
pub mod heaps;
pub mod limit;
pub mod numbers;
pub mod ours;
pub mod reference;
pub mod remotes;
pub mod slabs;
pub mod typed_arena;

/// The 32-byte value of several rows.
pub type Wide = [u64; 4];

/// An arena that is made once and reset between batches.
pub trait Arena: Sized + 'static {
    /// The library and its configuration.
    const NAME: &'static str;
    /// Whose code it is.
    const SIDE: Side;

    /// Returns an arena that serves at least `bytes` bytes of blocks, with their padding, before each reset.
    fn with_capacity(bytes: usize) -> Self;

    /// Forgets every block and keeps the memory.
    fn reset(&mut self);
}

/// Moves a value in.
pub trait Put<T: Copy>: Arena {
    /// Returns a block that holds `value`.
    fn put(&self, value: T) -> &T;
}

/// Hands out memory for a layout that is known at run time.
pub trait Blocks: Arena {
    /// The library's own form of a layout, converted before the rounds.
    type Layout: Copy + 'static;

    /// Converts `layout`, whose size is not zero.
    fn layout(layout: Layout) -> Self::Layout;

    /// Returns memory for `layout`.
    fn block(&self, layout: Self::Layout) -> NonNull<u8>;
}

/// Copies bytes and strings in.
pub trait Copies: Arena {
    /// Returns a copy of `source`.
    fn copy_slice(&self, source: &[u8]) -> &[u8];

    /// Returns a copy of `source`.
    fn copy_str(&self, source: &str) -> &str;
}

/// Forgets what was made within a scope.
pub trait Scopes: Arena {
    /// What stands for the arena within a scope.
    type Scope<'s>: PutWide;

    /// Runs `work` within a scope.
    fn scoped<R>(&mut self, work: impl FnOnce(&Self::Scope<'_>) -> R) -> R;
}

/// Moves a 32-byte value in, within a scope.
pub trait PutWide {
    /// Returns a block that holds `value`.
    fn put_wide(&self, value: Wide) -> &Wide;
}

/// A vector of the standard shape lives in it. Written by [`vectors`](crate::vectors).
pub trait Vectors: Arena {
    /// Pushes `0..count` to one vector, then drops it.
    fn push_one(&mut self, count: u64);

    /// Pushes `0..count` to each of two vectors in turn, then drops them.
    fn push_two(&mut self, count: u64);

    /// Does as [`push_two`](Self::push_two) and returns whether both vectors then hold `0..count`.
    fn pushes_hold(&mut self, count: u64) -> bool;
}

/// Implements [`Vectors`] for a contestant: `$make` is a new empty vector of `u64` over the arena `$arena`.
#[macro_export]
macro_rules! vectors {
    ($contestant:ty, $arena:ident => $make:expr) => {
        impl $crate::contestants::Vectors for $contestant {
            #[inline(always)]
            fn push_one(&mut self, count: u64) {
                let $arena = self;
                let mut vector = $make;
                for value in 0..count {
                    vector.push(value);
                }
                $crate::sink::keep(vector.as_ptr());
            }

            #[inline(always)]
            fn push_two(&mut self, count: u64) {
                let $arena = self;
                let mut one = $make;
                let mut other = $make;
                for value in 0..count {
                    one.push(value);
                    other.push(value);
                }
                $crate::sink::keep(one.as_ptr());
                $crate::sink::keep(other.as_ptr());
            }

            fn pushes_hold(&mut self, count: u64) -> bool {
                let $arena = self;
                let mut one = $make;
                let mut other = $make;
                for value in 0..count {
                    one.push(value);
                    other.push(value);
                }
                one.iter().copied().eq(0..count) && other.iter().copied().eq(0..count)
            }
        }
    };
}

/// Is made without knowing what will come.
pub trait Fresh<T: Copy>: Put<T> {
    /// Returns an arena as a program makes one that it will use for little, or for much.
    fn fresh() -> Self;
}

/// Serves several threads at once.
pub trait Shared: 'static {
    /// The library and its configuration.
    const NAME: &'static str;
    /// Whose code it is.
    const SIDE: Side;
    /// The arena of one batch.
    type Batch<'b>: SharedBatch;

    /// Returns the memory of an arena that serves at least `bytes` bytes of blocks in each batch.
    fn with_capacity(bytes: usize) -> Self;

    /// Returns the arena, empty.
    fn open(&mut self) -> Self::Batch<'_>;
}

/// The arena of one batch.
pub trait SharedBatch: Sync {
    /// What one thread calls.
    type Handle<'h>: PutWide
    where
        Self: 'h;

    /// Returns the calling thread's way in.
    fn handle(&self) -> Self::Handle<'_>;
}

/// Moves `value` into `block`, for as long as `_owner` is borrowed.
///
/// # Safety
///
/// `block` is valid for a write of `value`, aligned, and its owner leaves it alone while `_owner` is borrowed.
#[inline(always)]
unsafe fn write_in<T, O>(_owner: &O, block: NonNull<T>, value: T) -> &T {
    // SAFETY: the caller's contract.
    unsafe {
        block.write(value);
        block.as_ref()
    }
}
