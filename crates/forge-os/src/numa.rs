//! NUMA: on which node a thread runs, and on which nodes a mapping's pages are placed.
//!
//! # Design
//!
//! [`NodeMask`] holds 1024 nodes, the most that Linux can be built for, so that no machine's last node is cut
//! off. It is a fixed array: no allocation, 128 bytes.

#![allow(unsafe_code)]

use core::ptr::NonNull;

use crate::{OsError, platform};

/// How pages of a range are placed on the nodes of a [`NodeMask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum NumaMode {
    /// On the lowest node of the mask if it has memory, otherwise anywhere near.
    Preferred = 1,
    /// Only on nodes of the mask; allocation fails or swaps rather than leave them.
    Bind = 2,
    /// Page by page in turn over the nodes of the mask.
    Interleave = 3,
}

impl NumaMode {
    /// The mode with the kernel's number, or `None` for the default policy and modes that are not offered
    /// here.
    #[cfg_attr(not(system = "linux"), allow(dead_code))]
    pub(crate) fn from_kernel(number: i32) -> Option<Self> {
        /// The kernel may add flags above the mode.
        const MODE: i32 = 0xff;
        match number & MODE {
            1 => Some(Self::Preferred),
            2 => Some(Self::Bind),
            3 => Some(Self::Interleave),
            _ => None,
        }
    }
}

/// A set of NUMA nodes: bit n stands for node n.
///
/// # Examples
///
/// ```
/// use forge_os::NodeMask;
///
/// let mut nodes = NodeMask::new();
/// assert!(nodes.insert(63) && nodes.insert(700));
/// assert!(!nodes.insert(1024), "beyond every kernel");
/// assert_eq!(nodes.iter().collect::<Vec<_>>(), [63, 700]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeMask {
    words: [usize; Self::WORDS],
}

impl NodeMask {
    /// The number of nodes that a mask can hold, in nodes: the largest `MAX_NUMNODES` of Linux.
    pub const CAPACITY: usize = 1024;

    const WORD_BITS: usize = usize::BITS as usize;
    const WORDS: usize = Self::CAPACITY / Self::WORD_BITS;

    /// Returns the empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { words: [0; Self::WORDS] }
    }

    /// Returns the set of one node, or `None` if the node is beyond [`CAPACITY`](Self::CAPACITY).
    #[must_use]
    pub const fn single(node: u32) -> Option<Self> {
        let mut mask = Self::new();
        if mask.insert(node) { Some(mask) } else { None }
    }

    /// Adds a node. A node beyond [`CAPACITY`](Self::CAPACITY) is not added and returns false. O(1).
    #[must_use = "a node beyond the capacity is not added"]
    pub const fn insert(&mut self, node: u32) -> bool {
        let node = node as usize;
        if node >= Self::CAPACITY {
            return false;
        }
        self.words[node / Self::WORD_BITS] |= 1 << (node % Self::WORD_BITS);
        true
    }

    /// Returns true if the node is in the set. O(1).
    #[must_use]
    pub const fn contains(&self, node: u32) -> bool {
        let node = node as usize;
        node < Self::CAPACITY && self.words[node / Self::WORD_BITS] & (1 << (node % Self::WORD_BITS)) != 0
    }

    /// Returns true if the set has no node. O(capacity / word).
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of nodes in the set. O(capacity / word).
    #[must_use]
    pub const fn len(&self) -> usize {
        let (mut nodes, mut word) = (0, 0);
        while word < Self::WORDS {
            nodes += self.words[word].count_ones() as usize;
            word += 1;
        }
        nodes
    }

    /// Returns the nodes in increasing order. O(capacity).
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..Self::CAPACITY as u32).filter(|&node| self.contains(node))
    }

    #[cfg_attr(not(system = "linux"), allow(dead_code))]
    pub(crate) fn as_words(&self) -> &[usize] {
        &self.words
    }

    #[cfg_attr(not(system = "linux"), allow(dead_code))]
    pub(crate) fn as_words_mut(&mut self) -> &mut [usize] {
        &mut self.words
    }
}

impl Default for NodeMask {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns the NUMA node that the calling thread runs on at this moment.
///
/// # Errors
///
/// Unsupported where the target or the kernel has no notion of nodes.
pub fn numa_node() -> Result<u32, OsError> {
    platform::numa_node()
}

/// Sets where the pages of a range are placed: those to come, and those that exist already, which are moved if they lie
/// elsewhere. One system call, and a second one if pages have to move.
///
/// # Errors
///
/// * the mask is empty, or no node of it is online and allowed to the process: invalid argument;
/// * pages that exist cannot be moved: the system's error (`EIO`); the policy is set. It is no error of
///   [`NumaMode::Preferred`];
/// * the range is not page-aligned: invalid argument;
/// * a container's system-call filter refuses: not permitted;
/// * outside Linux: unsupported.
///
/// # Safety
///
/// The range lies in one live mapping of [`Native`](crate::Native).
pub unsafe fn numa_bind(
    ptr: NonNull<u8>,
    len: usize,
    mode: NumaMode,
    nodes: &NodeMask,
) -> Result<(), OsError> {
    if nodes.is_empty() {
        return Err(OsError::invalid_argument("mbind"));
    }
    // SAFETY: the caller's promise is the callee's precondition.
    unsafe { platform::numa_bind(ptr, len, mode, nodes) }
}

/// Reads back the policy of the mapping that contains `ptr`: the mode (`None` is the system's default) and
/// its nodes.
///
/// # Errors
///
/// * nothing is mapped at `ptr`: the system's error (`EFAULT`);
/// * outside Linux: unsupported.
pub fn numa_policy(ptr: NonNull<u8>) -> Result<(Option<NumaMode>, NodeMask), OsError> {
    platform::numa_policy(ptr)
}

#[cfg(test)]
mod tests;
