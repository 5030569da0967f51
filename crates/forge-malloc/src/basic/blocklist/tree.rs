//! The free blocks as a tree, written into the free memory itself.
//!
//! ```text
//!   memory      | 64 |~~~| 16 |~~~~|     512     |~~|  128  |~~~|    256    |~~      ~ is in use
//!               0x100    0x1a0     0x200            0x440       0x500
//!
//!   tree                              512 @ 0x200
//!                                    /           \
//!                        64 @ 0x100                256 @ 0x500
//!                                  \               /
//!                          16 @ 0x1a0     128 @ 0x440
//!
//!   a block     | left | right | size |  unused ...          |       32 bytes or more
//!   a crumb     | left | right |                                     16 bytes: the links are all that fits
//! ```
//!
//! Left to right the addresses ascend, as in a list. From top to bottom the sizes never grow. Both orders together make the
//! three questions of an allocator short:
//!
//! - *Is there a block of n bytes?* Look at the top: it is the largest.
//! - *Which is the first that fits?* From the top go left as long as the block to the left is large enough. All to the left
//!   of where that ends is too small, and all else that fits has a higher address.
//! - *Who are the neighbours of this address?* Go down, left or right by comparing addresses. The last block at which the
//!   way turned right is the neighbour below, the last at which it turned left the one above.
//!
//! # Invariants
//!
//! - (I1) Blocks in a left subtree have lower addresses, those in a right one higher addresses, than the block above.
//! - (I2) No block is larger than the block above it.
//! - (I3) Blocks start at multiples of 16, are multiples of 16 bytes long, do not overlap and do not touch.
//! - (I4) A link is zero for nothing, or the address of a block. Its lowest bit, which no address has set, is set
//!   exactly if the block is a crumb: 16 bytes, links only. By (I2) below a crumb there are only crumbs.
//! - (I5) The memory of every block in the tree belongs to the tree alone, and its provenance is exposed.
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | add, with merging | O(depth) |
//! | first fit, take from either end, find | O(depth) |
//! | next block by address | O(depth) |
//!
//! The depth is about 1.4 log2(blocks) to twice that when sizes and addresses have nothing to do with each other. Equal
//! sizes, which are common, are put in order by a hash of the address, so they balance as a treap does. Blocks whose sizes
//! ascend with their addresses make a path: n of them take 8 n² bytes, so a heap of 1 GiB may have a depth of 11,000.
//!
//! # Design
//!
//! C. J. Stephenson, "Fast fits: new methods for dynamic storage allocation", 1983: a Cartesian tree (Vuillemin 1980) of
//! addresses and sizes. It needs no balance information and no header in used blocks, and its leftmost fit is exactly
//! the first fit of a list in the order of addresses. The crumbs are ours: the smallest blocks sink to the bottom, where
//! the bit in the link stands for their size.
//!
//! Blocks are named by addresses and not by pointers, since one block may grow together from what several calls have
//! handed over, and belongs to no single one of their pointers.
#![allow(unsafe_code)]

use core::ptr;

mod link;

pub(in crate::basic) use link::{Block, GRAIN};
use link::{LEFT, Link, RIGHT, Slot};

/// The neighbours of an address: `at[RIGHT]` is the place of the link to the one below it, `at[LEFT]` to the one above it.
struct Neighbours {
    at: [Slot; 2],
    /// The blocks above those in the tree.
    above: [Link; 2],
    /// Which of the two is deeper in the tree; the other one is above it.
    deeper: usize,
    /// Where a block of that address and size belongs, if it touches neither: the first place on the way that no larger block has.
    place: Slot,
}

impl Neighbours {
    /// # Safety
    ///
    /// The tree has not changed since.
    unsafe fn get(&self, side: usize) -> Link {
        let slot = if side == LEFT { self.at[LEFT] } else { self.at[RIGHT] };
        if slot.is_null() {
            return Link::NONE;
        }
        // SAFETY: a place in the tree.
        unsafe { *slot }
    }
}

/// The free blocks.
pub(super) struct Tree {
    root: Link,
}

impl Tree {
    pub(super) const fn new() -> Self {
        Self { root: Link::NONE }
    }

    /// Returns the largest block. O(1).
    pub(super) fn largest(&self) -> Option<Block> {
        // SAFETY: the root is a link of the tree.
        let size = unsafe { self.root.size() };
        (!self.root.is_none()).then(|| Block { address: self.root.address(), size })
    }

    /// Adds memory, merges it with the blocks that it touches, and returns the block that it is a part of, or `None` if it
    /// overlaps one; then nothing has changed. O(depth).
    ///
    /// # Safety
    ///
    /// `block` obeys (I3), is not empty, and its memory is given up to the tree (I5), if it overlaps none.
    #[inline]
    pub(super) unsafe fn add(&mut self, block: Block) -> Option<Block> {
        let root: Slot = &raw mut self.root;
        let near = Self::neighbours(root, block);
        // SAFETY: the links and places are of this tree, which changes only as the comments say.
        unsafe {
            let (before, after) = (near.get(RIGHT), near.get(LEFT));
            let before_end = before.address() + before.size();
            let joins_before = before_end == block.address;
            let joins_after = after.address() == block.end();
            if before_end > block.address || !after.is_none() && after.address() < block.end() {
                return None;
            }
            if !joins_before && !joins_after {
                Self::insert_at(near.place, block, 0);
                return Some(block);
            }
            let mut whole = block;
            if joins_before {
                whole = Block { address: before.address(), size: before.size() + whole.size };
            }
            if joins_after {
                whole.size += after.size();
            }
            let mut grows = if joins_before { RIGHT } else { LEFT };
            if joins_before && joins_after {
                // The deeper one was the last on the way, which ended on that side of it: it has one child at most.
                let [at_left, at_right] = near.at;
                let (slot, only) = match near.deeper {
                    LEFT => (at_left, after.children()[RIGHT]),
                    _ => (at_right, before.children()[LEFT]),
                };
                *slot = only;
                grows = 1 - near.deeper;
            }
            let (slot, above) =
                if grows == LEFT { (near.at[0], near.above[0]) } else { (near.at[1], near.above[1]) };
            let old = *slot;
            if above.is_none() || above.size() >= whole.size {
                *slot = Link::write(whole.address, old.children(), whole.size);
            } else {
                Self::insert(root, whole, old.address());
            }
            Some(whole)
        }
    }

    /// Goes down to where a block at this address would be if it were the smallest.
    #[inline]
    fn neighbours(root: Slot, block: Block) -> Neighbours {
        let mut near = Neighbours {
            at: [ptr::null_mut(); 2],
            above: [Link::NONE; 2],
            deeper: LEFT,
            place: ptr::null_mut(),
        };
        let mut slot = root;
        let mut above = Link::NONE;
        // SAFETY: `slot` is always a place in the tree; a side is 0 or 1.
        unsafe {
            while !(*slot).is_none() {
                let link = *slot;
                let side = usize::from(link.address() < block.address);
                if near.place.is_null() && !Self::outranks(link, block) {
                    near.place = slot;
                }
                *(&raw mut near.at).cast::<Slot>().add(side) = slot;
                *(&raw mut near.above).cast::<Link>().add(side) = above;
                near.deeper = side;
                above = link;
                slot = link.child(side);
            }
        }
        if near.place.is_null() {
            near.place = slot;
        }
        near
    }

    /// Puts a block where its size belongs; `old` is the address of the smaller block in the tree that it replaces and has
    /// grown from, or zero. O(depth).
    ///
    /// # Safety
    ///
    /// As for `add`; between the addresses of the block and of the old one there is no other.
    unsafe fn insert(root: Slot, block: Block, old: usize) {
        let mut slot = root;
        // SAFETY: all links and places are of the tree, and larger blocks stay above (I2).
        unsafe {
            while Self::outranks(*slot, block) && (*slot).address() != old {
                slot = (*slot).child(usize::from((*slot).address() < block.address));
            }
            Self::insert_at(slot, block, old);
        }
    }

    /// Puts a block at a place. O(depth).
    ///
    /// # Safety
    ///
    /// As for [`insert`](Self::insert); every block above the place outranks the block, and the one there does not, or is the old one.
    #[inline]
    unsafe fn insert_at(slot: Slot, block: Block, old: usize) {
        // SAFETY: all links and places are of the tree. Down to the old block or to the end, everything is split into what
        // lies left and what lies right of the block (I1), which keeps its order from top to bottom (I2).
        unsafe {
            let mut children = [Link::NONE; 2];
            // Where the next block goes that lies right of the new one, and the next that lies left. Which of the two it will be nobody
            // can guess, the processor neither, so no branch asks.
            let mut ends: [Slot; 2] = [&raw mut children[RIGHT], &raw mut children[LEFT]];
            let mut link = *slot;
            while !link.is_none() && link.address() != old {
                let side = usize::from(link.address() < block.address);
                let end = (&raw mut ends).cast::<Slot>().add(side);
                **end = link;
                *end = link.child(side);
                link = **end;
            }
            let [lower, higher] = if link.is_none() { [Link::NONE; 2] } else { link.children() };
            let [right, left] = ends;
            *left = lower;
            *right = higher;
            *slot = Link::write(block.address, children, block.size);
        }
    }

    /// Returns whether the block at `link` belongs above `block`.
    ///
    /// # Safety
    ///
    /// The link is one of the tree.
    #[inline]
    unsafe fn outranks(link: Link, block: Block) -> bool {
        // SAFETY: the link is one of the tree.
        let size = unsafe { link.size() };
        size > block.size || size == block.size && scatter(link.address()) > scatter(block.address)
    }

    /// Returns the place of the link to the first block of at least `need` bytes, which is not zero; `visit` sees the blocks
    /// that were looked at before. O(depth).
    #[inline]
    fn first_fit(root: Slot, need: usize, mut visit: impl FnMut(Block)) -> Option<Slot> {
        let mut slot = root;
        // SAFETY: all links and places are of the tree.
        unsafe {
            if (*slot).size() < need {
                return None;
            }
            loop {
                let left = (*slot).child(LEFT);
                if (*left).size() < need {
                    return Some(slot);
                }
                visit(Block { address: (*slot).address(), size: (*slot).size() });
                slot = left;
            }
        }
    }

    /// Takes `need` bytes at a multiple of `align` from the high end of the first block that has them, and returns that block
    /// as it was and the address of the bytes. O(depth).
    ///
    /// For an alignment above 16 "the first" is the first of `need` bytes, if they can be aligned in it, and otherwise the
    /// first in which they certainly can.
    #[inline]
    pub(super) fn take_high(
        &mut self,
        need: usize,
        align: usize,
        mut visit: impl FnMut(Block),
    ) -> Option<(Block, usize)> {
        let root: Slot = &raw mut self.root;
        let mut slot = Self::first_fit(root, need, &mut visit)?;
        // SAFETY: `slot` holds the link of a block of at least `need` bytes. What `cut` is told to take lies in it, because
        // it starts at or after the block's address and ends at or before its end.
        unsafe {
            let mut block = Block { address: (*slot).address(), size: (*slot).size() };
            let mut start = block.end() - need;
            if align > GRAIN {
                start &= !(align - 1);
                if start < block.address {
                    slot = Self::first_fit(root, need.checked_add(align - GRAIN)?, visit)?;
                    block = Block { address: (*slot).address(), size: (*slot).size() };
                    start = (block.end() - need) & !(align - 1);
                }
            }
            Self::cut(root, slot, block, Block { address: start, size: need });
            Some((block, start))
        }
    }

    /// Takes `need` bytes at a multiple of `align` from the low end of the largest block if it has room for `spare` bytes
    /// more. O(depth).
    pub(super) fn take_low(&mut self, need: usize, align: usize, spare: usize) -> Option<usize> {
        let block = self.largest()?;
        let start = block.address.checked_next_multiple_of(align)?;
        let end = start.checked_add(need)?.checked_add(spare)?;
        if end > block.end() {
            return None;
        }
        let root: Slot = &raw mut self.root;
        // SAFETY: the root is the largest block (I2), and the bytes lie in it.
        unsafe { Self::cut(root, root, block, Block { address: start, size: need }) };
        Some(start)
    }

    /// Takes the `need` bytes at `address` if a block starts there that has them. O(depth).
    pub(super) fn take_at(&mut self, address: usize, need: usize) -> bool {
        let root: Slot = &raw mut self.root;
        let mut slot = root;
        // SAFETY: all links and places are of the tree; what is cut lies at the beginning of the block.
        unsafe {
            while !(*slot).is_none() && (*slot).address() != address {
                slot = (*slot).child(usize::from((*slot).address() < address));
            }
            let block = Block { address, size: (*slot).size() };
            if block.size < need {
                return false;
            }
            Self::cut(root, slot, block, Block { address, size: need });
            true
        }
    }

    /// Takes `part` out of `block`, and puts what is left of it at either side where it belongs.
    ///
    /// # Safety
    ///
    /// `slot` holds the link to `block`, and `part` lies in it and obeys (I3).
    #[inline]
    unsafe fn cut(root: Slot, slot: Slot, block: Block, part: Block) {
        let front = part.address - block.address;
        let tail = block.end() - part.end();
        // SAFETY: `slot` holds the link to the block. What is left is a part of it.
        unsafe {
            match (front, tail) {
                (0, 0) => Self::remove(slot),
                (_, 0) => Self::shrink(slot, Block { address: block.address, size: front }),
                (0, _) => Self::shrink(slot, Block { address: part.end(), size: tail }),
                (_, _) => {
                    Self::shrink(slot, Block { address: block.address, size: front });
                    Self::insert(root, Block { address: part.end(), size: tail }, 0);
                }
            }
        }
    }

    /// Makes the block at `slot` smaller, so that larger ones below it rise. O(depth).
    ///
    /// # Safety
    ///
    /// `slot` holds the link to a block, of which `left` is a part.
    #[inline]
    unsafe fn shrink(mut slot: Slot, left: Block) {
        // SAFETY: all links and places are of the tree. The larger child takes the place of the block, and the block a place
        // below it on the other side, with the grandchild there: a rotation, which keeps (I1). The links of the block are
        // read first and written last, since its old and its new beginning may overlap.
        unsafe {
            let mut children = (*slot).children();
            let first = (&raw mut children).cast::<Link>();
            loop {
                let (low, high) = ((*first).size(), (*first.add(RIGHT)).size());
                if low <= left.size && high <= left.size {
                    break;
                }
                // As in `insert`, no branch asks which.
                let side = usize::from(low < high);
                let riser = *first.add(side);
                *slot = riser;
                slot = riser.child(1 - side);
                *first.add(side) = *slot;
            }
            *slot = Link::write(left.address, children, left.size);
        }
    }

    /// Removes the block at `slot`. O(depth).
    ///
    /// # Safety
    ///
    /// `slot` holds the link to a block.
    unsafe fn remove(mut slot: Slot) {
        // SAFETY: as for `shrink`, for a block that sinks to the bottom and is left out there.
        unsafe {
            let [mut lower, mut higher] = (*slot).children();
            while !lower.is_none() && !higher.is_none() {
                if lower.size() >= higher.size() {
                    *slot = lower;
                    slot = lower.child(RIGHT);
                    lower = *slot;
                } else {
                    *slot = higher;
                    slot = higher.child(LEFT);
                    higher = *slot;
                }
            }
            *slot = if lower.is_none() { higher } else { lower };
        }
    }

    /// Returns the first block at or after `address`, and how many of its children are larger than it, which is zero in a
    /// tree that obeys (I2). O(depth).
    pub(super) fn first_from(&self, address: usize) -> Option<(Block, usize)> {
        let (mut link, mut best) = (self.root, Link::NONE);
        // SAFETY: all links are of the tree, which nothing changes meanwhile.
        unsafe {
            while !link.is_none() {
                let [lower, higher] = link.children();
                (link, best) = if link.address() < address { (higher, best) } else { (lower, link) };
            }
            if best.is_none() {
                return None;
            }
            let block = Block { address: best.address(), size: best.size() };
            let larger = best.children().into_iter().filter(|child| child.size() > block.size).count();
            Some((block, larger))
        }
    }
}

/// Returns a number that has nothing to do with the order of the addresses (Fibonacci hashing).
#[inline]
fn scatter(address: usize) -> usize {
    (address / GRAIN).wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as usize)
}
