//! Links of the tree, and what they lead to: the notes at the beginning of a free block.
//!
//! ```text
//!   link        | address of a block                | crumb? |
//!                 60 bits, the last four are zero     1 bit
//!
//!   a block     | left | right | size |  unused ...
//!   a crumb     | left | right |
//! ```
//!
//! # Invariants
//!
//! - (I1) A link of a tree is zero, or the address of a block that belongs to the tree alone and has its notes at its
//!   beginning, with the lowest bit set exactly if the block is 16 bytes long.
//!
//! # Design
//!
//! All that reads or writes free memory for the tree is in this file.
#![allow(unsafe_code)]

use core::ptr;

/// The unit of addresses and sizes, and the size of the smallest block, in bytes.
pub(in crate::basic) const GRAIN: usize = 16;

/// The side of the lower addresses.
pub(super) const LEFT: usize = 0;
/// The side of the higher addresses.
pub(super) const RIGHT: usize = 1;
const CRUMB: usize = 1;

/// A run of free memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::basic) struct Block {
    pub(in crate::basic) address: usize,
    pub(in crate::basic) size: usize,
}

impl Block {
    /// Returns the address behind the block.
    pub(in crate::basic) const fn end(&self) -> usize {
        self.address + self.size
    }
}

/// The way to a block (I1).
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Link(usize);

/// A place that holds a link: the root, or in a block.
pub(super) type Slot = *mut Link;

/// What lies at the beginning of a free block; a crumb has no `size`.
#[repr(C)]
struct Node {
    children: [Link; 2],
    size: usize,
}

impl Link {
    pub(super) const NONE: Self = Self(0);

    #[inline]
    pub(super) const fn to(address: usize, size: usize) -> Self {
        Self(address | if size == GRAIN { CRUMB } else { 0 })
    }

    #[inline]
    pub(super) const fn is_none(self) -> bool {
        self.0 == 0
    }

    #[inline]
    pub(super) const fn address(self) -> usize {
        self.0 & !CRUMB
    }

    #[inline]
    fn node(self) -> *mut Node {
        ptr::with_exposed_provenance_mut(self.address())
    }

    /// Returns the size of the block, or zero for nothing.
    ///
    /// # Safety
    ///
    /// The link is one of the tree.
    #[inline]
    pub(super) unsafe fn size(self) -> usize {
        match self {
            Self::NONE => 0,
            Self(address) if address & CRUMB != 0 => GRAIN,
            // SAFETY: a block that is no crumb has its size there (I1).
            _ => unsafe { (*self.node()).size },
        }
    }

    /// Returns the place of the link to the left or to the right.
    ///
    /// # Safety
    ///
    /// The link is one of the tree and not nothing.
    #[inline]
    pub(super) unsafe fn child(self, side: usize) -> Slot {
        debug_assert!(side <= RIGHT && !self.is_none());
        // SAFETY: every block has two links at its beginning (I1), and a side is 0 or 1.
        unsafe { (&raw mut (*self.node()).children).cast::<Link>().add(side) }
    }

    /// Returns both links of the block.
    ///
    /// # Safety
    ///
    /// The link is one of the tree and not nothing.
    #[inline]
    pub(super) unsafe fn children(self) -> [Self; 2] {
        // SAFETY: every block has two links at its beginning (I1).
        unsafe { (*self.node()).children }
    }

    /// Writes a block and returns the link to it.
    ///
    /// # Safety
    ///
    /// The `size` bytes at `address` belong to the tree, and what is overwritten is needed by nobody.
    #[inline]
    pub(super) unsafe fn write(address: usize, children: [Self; 2], size: usize) -> Self {
        let link = Self::to(address, size);
        // SAFETY: the memory is the tree's; a crumb has room for the links, everything larger for the size, too.
        unsafe {
            (*link.node()).children = children;
            if size > GRAIN {
                (*link.node()).size = size;
            }
        }
        link
    }
}
