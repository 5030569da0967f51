//! The directory of a heap: which class the blocks around an address have, for who knows nothing but the address.
//!
//! ```text
//!   address  | leaf | unit in the leaf | byte in the unit |
//!                |         |
//!   leaves  | - | * | - | ..                    in the heap
//!                 |
//!               | 0 | 0 | 8 | 8 | 3 | 0 | .. | header | - | header | ..
//!                 a byte for each unit: 0, or the    a word for each segment: where its header is
//!                 number of the class plus 1
//! ```
//!
//! # Invariants
//!
//! - (I1) The byte of a unit names the class of the span that the unit belongs to, and is 0 if it belongs to none.
//! - (I2) A leaf is mapped whole, and for ever.
//! - (I3) The word of a segment leads to its header while the segment is mapped, and is null otherwise.
//!
//! # Operations
//!
//! `class_at`, `header_at`: O(1), two loads. `name` and `forget`: O(units). `cover`: O(1), and a mapping for every [`SPANNED`] bytes of addresses.
//!
//! # Design
//!
//! Rust says the layout of what it frees, C does not. Reading the class out of the header of the segment would trust an address that
//! may be none of ours, and would meet the same few sets of the processor's cache for every segment, since headers are as far apart as
//! segments are long. The bytes here are dense, and an address that is none of ours, the stack or a static, ends at a null leaf
//! or at a byte of 0. Leaves are as long as the addresses that they span are many, and only their touched pages take memory.
#![allow(unsafe_code)]

use core::ptr;

use forge_alloc_core::sync::atomic::{AtomicPtr, AtomicU8, Ordering};
use forge_os::Os;

use super::aside;
use super::segment::{Run, SEGMENT, Segment, UNIT};
use crate::fast::front::sizes::Class;
use crate::fast::glue::{array_of, const_unless_loom};

/// The bytes of addresses that a leaf spans.
const SPANNED: usize = if usize::BITS > 32 { 1 << 35 } else { 1 << 31 };

/// The bytes of a leaf that name classes.
const CLASS_BYTES: usize = SPANNED / UNIT;

/// The bytes of a leaf.
pub(crate) const LEAF: usize = CLASS_BYTES + SPANNED / SEGMENT * size_of::<usize>();

/// The bits of an address that systems hand out unless they are asked for more.
const ADDRESS_BITS: u32 = if usize::BITS > 48 { 48 } else { usize::BITS };

/// How many leaves there can be. Models find blocks by their layouts alone.
const LEAVES: usize = if cfg!(loom) { 1 } else { 1 << (ADDRESS_BITS - SPANNED.trailing_zeros()) };

/// The classes of units by address.
#[derive(Debug)]
pub(crate) struct Directory {
    leaves: [AtomicPtr<AtomicU8>; LEAVES],
}

impl Directory {
    const_unless_loom! {
        /// Returns a directory without a leaf.
        pub(crate) fn new() -> Self {
            Self { leaves: array_of!(AtomicPtr::new(ptr::null_mut()); LEAVES) }
        }
    }

    /// Returns the byte of the unit that an address lies in, if its leaf is there.
    #[inline(always)]
    fn byte(&self, address: usize) -> Option<&AtomicU8> {
        // Acquire: pairs with the Release in `cover`.
        let leaf = self.leaves.get(address / SPANNED)?.load(Ordering::Acquire);
        if leaf.is_null() {
            return None;
        }
        // SAFETY: a leaf that is there has a byte for each unit that it spans (I2).
        Some(unsafe { &*leaf.add(address % SPANNED / UNIT) })
    }

    /// Returns the class of the span that an address lies in; none if it lies in no span. O(1).
    #[inline(always)]
    pub(crate) fn class_at(&self, address: usize) -> Option<Class> {
        // Relaxed: who frees a block learnt its address from who wrote the byte before.
        let number = self.byte(address)?.load(Ordering::Relaxed).checked_sub(1)?;
        // SAFETY: the byte names a class (I1).
        Some(unsafe { Class::numbered(number) })
    }

    /// Returns the word of the segment that an address lies in, if its leaf is there.
    #[inline(always)]
    fn word(&self, address: usize) -> Option<&AtomicPtr<Segment>> {
        // Acquire: pairs with the Release in `cover`.
        let leaf = self.leaves.get(address / SPANNED)?.load(Ordering::Acquire);
        if leaf.is_null() {
            return None;
        }
        // SAFETY: behind its bytes a leaf that is there has a word for each segment that it spans (I2), aligned since it starts at a page.
        Some(unsafe { &*leaf.add(CLASS_BYTES).cast::<AtomicPtr<Segment>>().add(address % SPANNED / SEGMENT) })
    }

    /// Returns where the header of the segment is that an address lies in; null if it lies in none. O(1).
    ///
    /// # Safety
    ///
    /// Under the model checker the address lies in a mapped segment.
    #[inline(always)]
    pub(crate) unsafe fn header_at(&self, address: usize) -> *mut Segment {
        if cfg!(loom) {
            let segment = ptr::with_exposed_provenance::<*mut Segment>(address & !(SEGMENT - 1));
            // SAFETY: the caller's promise; there the first word says it.
            return unsafe { segment.read() };
        }
        // Relaxed: who has a block learnt its address from who wrote the word before.
        self.word(address).map_or(ptr::null_mut(), |word| word.load(Ordering::Relaxed))
    }

    /// Returns what [`header_at`](Self::header_at) does for an address in a segment. O(1), two loads and no question.
    ///
    /// # Safety
    ///
    /// The address lies in a mapped segment.
    #[inline(always)]
    pub(crate) unsafe fn header_of(&self, address: usize) -> *mut Segment {
        if cfg!(loom) {
            // SAFETY: the caller's promise.
            return unsafe { self.header_at(address) };
        }
        // SAFETY: a segment has a leaf, and a word in it (I3). Relaxed: who has an address in it learnt that from who made both.
        unsafe {
            let leaf = self.leaves.get_unchecked(address / SPANNED).load(Ordering::Relaxed);
            let words = leaf.add(CLASS_BYTES).cast::<AtomicPtr<Segment>>();
            (*words.add(address % SPANNED / SEGMENT)).load(Ordering::Relaxed)
        }
    }

    /// Writes down where the header of a segment is, or that it has none.
    ///
    /// # Safety
    ///
    /// The segment is mapped, and its own first word free under the model checker.
    pub(crate) unsafe fn set_header(&self, segment: usize, header: *mut Segment) {
        if cfg!(loom) {
            // SAFETY: the caller's promise.
            return unsafe { ptr::with_exposed_provenance_mut::<*mut Segment>(segment).write(header) };
        }
        if let Some(word) = self.word(segment) {
            // Relaxed: published with the addresses of the blocks.
            word.store(header, Ordering::Relaxed);
        }
    }

    /// Makes a leaf for a segment; none if there is no memory, or no leaf spans such an address.
    pub(crate) fn cover(&self, segment: usize, os: &impl Os) -> Option<()> {
        if cfg!(loom) {
            return Some(());
        }
        let leaf = self.leaves.get(segment / SPANNED)?;
        // Relaxed: only whether it is there.
        if leaf.load(Ordering::Relaxed).is_null() {
            let bytes = LEAF.next_multiple_of(os.page_size());
            let memory = aside::map(os, bytes)?;
            let made: *mut AtomicU8 = memory.as_ptr().cast();
            // Release: publishes the zeros to the Acquire in `byte`.
            let installed =
                leaf.compare_exchange(ptr::null_mut(), made, Ordering::Release, Ordering::Relaxed);
            if installed.is_err() {
                // SAFETY: the mapping is whole and nobody has seen it. If the system refuses, it stays unused.
                let _ = unsafe { os.unmap(memory, bytes) };
            }
        }
        Some(())
    }

    /// Writes down that a run belongs to a span of the class. O(units).
    pub(crate) fn name(&self, run: &Run, class: Class) {
        self.write(run, class.index() as u8 + 1);
    }

    /// Writes down that a run belongs to no span. O(units).
    pub(crate) fn forget(&self, run: &Run) {
        self.write(run, 0);
    }

    /// Returns how many leaves are mapped.
    #[cfg(test)]
    pub(crate) fn leaves(&self) -> usize {
        self.leaves.iter().filter(|leaf| !leaf.load(Ordering::Relaxed).is_null()).count()
    }

    fn write(&self, run: &Run, value: u8) {
        for unit in 0..run.count {
            if let Some(byte) = self.byte(run.start() + unit * UNIT) {
                // Relaxed: published with the addresses of the blocks.
                byte.store(value, Ordering::Relaxed);
            }
        }
    }
}

const _: () = assert!(SPANNED % SEGMENT == 0, "a leaf spans whole segments");

#[cfg(test)]
mod tests;
