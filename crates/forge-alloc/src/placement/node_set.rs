//! A set of NUMA nodes.
//!
//! # Operations
//!
//! O(1) for one node; O(capacity) for questions about all of them. 128 bytes, no allocation.
//!
//! # Design
//!
//! The set is the mask that the OS layer passes to the kernel, as large as Linux can be built for, so that a node which the
//! kernel can name fits. The mask is built by value, like a constant; a set once in use is not changed.

use core::fmt;

use forge_os::NodeMask;

/// A set of NUMA nodes, each below [`CAPACITY`](Self::CAPACITY).
///
/// # Examples
///
/// ```
/// use forge_alloc::NodeSet;
///
/// const NEAR: Option<NodeSet> = NodeSet::single(0);
/// let nodes = NEAR.and_then(|near| near.with(700)).unwrap();
/// assert!(nodes.iter().eq([0, 700]));
/// assert_eq!(nodes.with(1024), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NodeSet {
    mask: NodeMask,
}

impl NodeSet {
    /// The number of nodes that a set can hold, in nodes: the most that Linux can be built for.
    pub const CAPACITY: usize = NodeMask::CAPACITY;

    /// Returns the set without a node.
    #[must_use]
    pub const fn empty() -> Self {
        Self { mask: NodeMask::new() }
    }

    /// Returns the set of one node, or `None` if it is not below [`CAPACITY`](Self::CAPACITY).
    #[must_use]
    pub const fn single(node: u32) -> Option<Self> {
        Self::empty().with(node)
    }

    /// Returns the set with one more node, or `None` if it is not below [`CAPACITY`](Self::CAPACITY).
    #[must_use]
    pub const fn with(mut self, node: u32) -> Option<Self> {
        if self.mask.insert(node) { Some(self) } else { None }
    }

    /// Returns whether `node` is in the set. O(1).
    #[must_use]
    pub const fn contains(&self, node: u32) -> bool {
        self.mask.contains(node)
    }

    /// Returns whether the set has no node.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.mask.is_empty()
    }

    /// Returns the number of nodes in the set.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.mask.len()
    }

    /// Returns the nodes in increasing order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.mask.iter()
    }

    /// Returns the first 64 nodes as bits: bit n stands for node n.
    #[must_use]
    pub const fn mask(&self) -> u64 {
        let (mut bits, mut node) = (0, 0);
        while node < u64::BITS {
            bits |= (self.contains(node) as u64) << node;
            node += 1;
        }
        bits
    }

    /// Returns the highest node plus one, or 0 for the empty set.
    #[must_use]
    pub fn max_node_plus_one(&self) -> u32 {
        self.iter().last().map_or(0, |node| node + 1)
    }

    /// Returns the smallest `maxnode` with which `mbind` sees every node of the set: the kernel reads one bit less than it is
    /// told.
    #[must_use]
    pub fn mbind_maxnode(&self) -> u32 {
        self.max_node_plus_one() + 1
    }

    /// Returns the set as the OS layer takes it.
    #[inline]
    pub(super) const fn as_mask(&self) -> &NodeMask {
        &self.mask
    }
}

/// Lists the nodes.
impl fmt::Debug for NodeSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
