//! Segments of a heap: the spans under one map of boundary marks, and the tree that finds them by address.
//!
//! ```text
//!   handed over   |scrap|                    whole granules                     |scrap|
//!   segment             | Segment | map of marks | blocks and free runs ..      |
//!                       ^ start   (one block)                                   ^ end
//!
//!   segments            root -> Segment --left--> Segment, at a lower address
//!                                       --right-> Segment, at a higher address
//! ```
//!
//! # Invariants
//!
//! - (I1) `start` is aligned to a granule and carries provenance over the granules of the segment; the map is that of these
//!   granules.
//! - (I2) A `Segment` lies at the beginning of a block of the span that it describes, in front of the map, and is reached from
//!   the root until it is removed.
//! - (I3) What is left of a segment has lower addresses, what is right of it has higher ones; what was handed over of
//!   different segments is disjoint.
//! - (I4) No segment has a greater [`rank`] than the one above it.
//!
//! # Operations
//!
//! | operation | cost |
//! |---|---|
//! | find, insert, remove, step to the next | O(log segments) |
//!
//! # Design
//!
//! What a segment knows cannot lie in the blocks, which have no header: a pointer that is freed says where its block is, and
//! the tree says where the marks of that place are and lends the provenance to read and write around it. The heap remembers
//! the last segment, so a search costs nothing as long as requests stay in one.
//!
//! A table of segments would need one piece of memory that grows with their number, which a heap of scattered pages does not
//! have; a tree lies in what it describes. It is a treap, after Seidel and Aragon, "Randomized Search Trees", 1996, whose
//! ranks are a hash of the addresses: balanced as far as addresses are not chosen against it, without a word for it.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use crate::raw::boundary::{BoundaryMap, GRANULE};

/// A span of granules and its marks: what an operation on a block needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground {
    pub(crate) start: NonNull<u8>,
    bytes: usize,
    pub(crate) map: BoundaryMap,
}

impl Ground {
    /// The ground without bytes.
    pub(crate) const NONE: Self = Self { start: NonNull::dangling(), bytes: 0, map: BoundaryMap::NONE };

    /// Returns the `granules` granules from `start` on, with their marks. O(1).
    pub(crate) const fn new(start: NonNull<u8>, granules: usize, map: BoundaryMap) -> Self {
        Self { start, bytes: granules * GRANULE, map }
    }

    /// Returns the number of its granules. O(1).
    pub(crate) const fn granules(&self) -> usize {
        self.bytes / GRANULE
    }

    /// Returns the address of its first byte. O(1).
    #[inline(always)]
    pub(crate) fn address(&self) -> usize {
        self.start.addr().get()
    }

    /// Returns the address behind its last granule. O(1).
    pub(crate) fn end(&self) -> usize {
        self.address() + self.bytes
    }

    /// Returns whether an address lies in it. O(1).
    #[inline(always)]
    pub(crate) fn contains(&self, address: usize) -> bool {
        address.wrapping_sub(self.address()) < self.bytes
    }

    /// Returns the position of the granule with an address that lies in it. O(1).
    #[inline(always)]
    pub(crate) fn position(&self, address: usize) -> usize {
        address.wrapping_sub(self.address()) / GRANULE
    }

    /// Returns the place of a granule. O(1).
    ///
    /// # Safety
    ///
    /// `position <= granules`.
    #[inline(always)]
    pub(crate) unsafe fn place(&self, position: usize) -> NonNull<u8> {
        // SAFETY: the granule lies in the span of `start`, or it is one past the end (I1).
        unsafe { self.start.add(position * GRANULE) }
    }
}

/// A span under one map, and how it came about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) ground: Ground,
    /// How many granules the map has room for.
    pub(crate) capacity: usize,
    /// How many bytes were handed over in front of and behind the granules.
    pub(crate) scraps: (u8, u8),
    /// Whether it was handed over as addresses, so that a block may lie across its edge.
    pub(crate) exposed: bool,
    left: Child,
    right: Child,
}

/// A link of the tree.
type Child = Option<NonNull<Segment>>;

impl Segment {
    /// How many granules a segment takes in front of its map.
    pub(crate) const GRANULES: usize = size_of::<Self>().div_ceil(GRANULE);

    /// Returns a segment that is in no tree. O(1).
    pub(crate) const fn new(ground: Ground, capacity: usize, scraps: (u8, u8), exposed: bool) -> Self {
        Self { ground, capacity, scraps, exposed, left: None, right: None }
    }

    /// Returns the addresses that were handed over. O(1).
    pub(crate) fn handed(&self) -> (usize, usize) {
        (self.ground.address() - usize::from(self.scraps.0), self.ground.end() + usize::from(self.scraps.1))
    }
}

/// Returns the place of an address among those that are above others in the tree. O(1).
fn rank(address: usize) -> u64 {
    (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// All segments of a heap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segments {
    root: Child,
}

impl Segments {
    /// Returns the empty tree.
    pub(crate) const fn new() -> Self {
        Self { root: None }
    }

    /// Returns the last segment that starts at or below an address, and where it lies itself. O(log segments).
    pub(crate) fn at_or_below(&self, address: usize) -> Option<(NonNull<Segment>, Segment)> {
        let (mut child, mut found) = (self.root, None);
        while let Some(node) = child {
            // SAFETY: what is reached from the root is a segment (I2).
            let segment = unsafe { node.read() };
            if segment.ground.address() <= address {
                found = Some((node, segment));
                child = segment.right;
            } else {
                child = segment.left;
            }
        }
        found
    }

    /// Returns the first segment that starts at or above an address. O(log segments).
    pub(crate) fn at_or_above(&self, address: usize) -> Option<(NonNull<Segment>, Segment)> {
        let (mut child, mut found) = (self.root, None);
        while let Some(node) = child {
            // SAFETY: what is reached from the root is a segment (I2).
            let segment = unsafe { node.read() };
            if segment.ground.address() >= address {
                found = Some((node, segment));
                child = segment.left;
            } else {
                child = segment.right;
            }
        }
        found
    }

    /// Returns the segment with an address, and where it lies itself. O(log segments).
    pub(crate) fn find(&self, address: usize) -> Option<(NonNull<Segment>, Segment)> {
        self.at_or_below(address).filter(|(_, segment)| segment.ground.contains(address))
    }

    /// Notes a segment, which lies at `node` from now on. O(log segments).
    ///
    /// # Safety
    ///
    /// `node` is valid for a segment and aligned, and belongs to the tree until the segment is removed; the segment overlaps no
    /// other.
    pub(crate) unsafe fn insert(&mut self, node: NonNull<Segment>, segment: Segment) {
        let address = segment.ground.address();
        let mut link: *mut Child = &raw mut self.root;
        // SAFETY: `link` is the root or a link of a segment of the tree, and so are all that follow (I2). What ranks below the
        // new segment is parted by address into what is left and right of it (I3, I4).
        unsafe {
            node.write(segment);
            while let Some(other) = *link {
                let at = (*other.as_ptr()).ground.address();
                if rank(at) < rank(address) {
                    break;
                }
                link = side(other, at < address);
            }
            let mut rest = link.replace(Some(node));
            let (mut left, mut right) = (side(node, false), side(node, true));
            while let Some(other) = rest {
                if (*other.as_ptr()).ground.address() < address {
                    left.write(Some(other));
                    left = side(other, true);
                    rest = *left;
                } else {
                    right.write(Some(other));
                    right = side(other, false);
                    rest = *right;
                }
            }
            left.write(None);
            right.write(None);
        }
    }

    /// Forgets the segment that starts at an address. O(log segments).
    pub(crate) fn remove(&mut self, address: usize) {
        let mut link: *mut Child = &raw mut self.root;
        // SAFETY: `link` is the root or a link of a segment of the tree, and so are all that follow (I2). What is left and right
        // of the removed segment is merged by rank (I3, I4).
        unsafe {
            let node = loop {
                let Some(node) = *link else { return };
                let at = (*node.as_ptr()).ground.address();
                if at == address {
                    break node;
                }
                link = side(node, at < address);
            };
            let (mut left, mut right) = (*side(node, false), *side(node, true));
            loop {
                match (left, right) {
                    (Some(low), Some(high)) => {
                        let low_first =
                            rank((*low.as_ptr()).ground.address()) > rank((*high.as_ptr()).ground.address());
                        link.write(if low_first { left } else { right });
                        if low_first {
                            link = side(low, true);
                            left = *link;
                        } else {
                            link = side(high, false);
                            right = *link;
                        }
                    }
                    (rest, None) | (None, rest) => return link.write(rest),
                }
            }
        }
    }

    /// Gives a segment another ground, which starts at the same address, and another scrap behind it. O(1).
    ///
    /// # Safety
    ///
    /// `node` is a segment of the tree.
    pub(crate) unsafe fn lengthen(&mut self, node: NonNull<Segment>, ground: Ground, scrap: u8) {
        // SAFETY: the caller promises a segment (I2).
        unsafe {
            (*node.as_ptr()).ground = ground;
            (*node.as_ptr()).scraps.1 = scrap;
        }
    }
}

/// Returns the link to the left or to the right of a segment.
///
/// # Safety
///
/// `node` is a segment of the tree.
unsafe fn side(node: NonNull<Segment>, right: bool) -> *mut Child {
    // SAFETY: the caller promises a segment (I2); nobody holds a reference to it.
    unsafe { if right { &raw mut (*node.as_ptr()).right } else { &raw mut (*node.as_ptr()).left } }
}

#[cfg(test)]
mod tests;
