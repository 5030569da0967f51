//! Another allocator's mapping, placed on chosen NUMA nodes.
//!
//! ```text
//!   one mapping      | page | page | page | page | page |
//!   Bind {1}            1      1      1      1      1       nowhere else
//!   Preferred 1         1      1      0      0      0       elsewhere when node 1 is full
//!   Interleaved {0,1}   0      1      0      1      0       in turn
//! ```
//!
//! # Invariants
//!
//! - (I1) The whole mapping of the inner allocator has the policy, as the kernel reported after it was set.
//!
//! # Operations
//!
//! Building takes three system calls, and a fourth one if pages that exist have to move. Everything else is the inner
//! allocator's, at its cost.
//!
//! # Design
//!
//! **Of one mapping.** The policy is set for the mapping (`mbind`) and never for the thread or the process, so that it moves
//! nobody else's memory.
//!
//! **Read back.** The kernel drops nodes from a mask silently: those that the machine does not have, and those that the
//! process's cpuset does not allow, as long as one remains. The policy is therefore read back, at both ends of the mapping,
//! and a policy that is not the one which was asked for is an error.
//!
//! **Pages that exist** (a populated or a locked mapping, an arena in use) are moved, and an error if they cannot be.
//!
//! **Of a real mapping.** `MmapBacked` over a simulated system is a mapping as well, of bytes of the heap: a policy there would
//! stick to pages that the heap gives to others later. So the owner of a mapping says whether the running system made it
//! ([`OsBacked::is_native`]), wrappers pass the answer on, and without a yes there is no system call. That is also
//! the whole argument for the calls being sound: the contract of that unsafe trait. A method of the trait that sets a policy
//! would have to name nodes and errors of the OS layer in a crate that knows no OS.
//!
//! **No feature, no value.** Outside Linux, and where a container forbids the call, the constructor fails with an error that
//! names `mbind`. A program that can do without a policy maps again and goes on without one.
#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{
    AllocError, Allocator, Deallocator, FixedRange, NonZeroLayout, OsBacked, ProtectFlags, StableAddress,
};
use forge_os::{NumaMode, OsError, numa_bind, numa_policy};

use super::node_set::NodeSet;
use crate::backing::record;
use crate::forward::{
    forward_allocator, forward_deallocator, forward_os_backed, forward_range, forward_reset,
};

/// On which nodes the pages of a mapping lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NumaPolicy {
    /// On nodes of the set and nowhere else: when they are full, a touch ends the process, or waits for the swap.
    Bind(NodeSet),
    /// On this node while it has room, then anywhere near.
    Preferred(u32),
    /// On the nodes of the set in turn, page by page.
    Interleaved(NodeSet),
}

impl NumaPolicy {
    /// Returns the mode and the nodes; an error for an empty set and a node beyond every kernel.
    fn parts(&self) -> Result<(NumaMode, NodeSet), OsError> {
        let (mode, nodes) = match self {
            Self::Bind(nodes) => (NumaMode::Bind, Some(*nodes)),
            Self::Preferred(node) => (NumaMode::Preferred, NodeSet::single(*node)),
            Self::Interleaved(nodes) => (NumaMode::Interleave, Some(*nodes)),
        };
        let nodes = nodes.filter(|nodes| !nodes.is_empty());
        nodes.map(|nodes| (mode, nodes)).ok_or(OsError::invalid_argument("mbind"))
    }
}

/// An allocator whose mapping lies on chosen NUMA nodes; otherwise the inner allocator.
///
/// # Examples
///
/// ```
/// use forge_alloc::{MmapBacked, NodeSet, NumaLocal, NumaPolicy, current_numa_node};
///
/// # fn main() -> Result<(), forge_alloc::AllocError> {
/// let near = current_numa_node().and_then(NodeSet::single).unwrap_or_default();
/// match NumaLocal::bind(MmapBacked::new(1 << 20)?, NumaPolicy::Bind(near)) {
///     Ok(local) => assert_eq!(local.policy(), &NumaPolicy::Bind(near)),
///     Err(refused) => assert_eq!(refused.call(), "mbind"),
/// }
/// # Ok(())
/// # }
/// ```
pub struct NumaLocal<I: OsBacked> {
    inner: I,
    policy: NumaPolicy,
}

impl<I: OsBacked> NumaLocal<I> {
    /// Places the mapping of `inner`.
    ///
    /// # Errors
    ///
    /// As [`NumaLocal::bind`]; the reason is in the thread's [last-error slot](crate::last_os_failure).
    pub fn new(inner: I, policy: NumaPolicy) -> Result<Self, AllocError> {
        Self::bind(inner, policy).map_err(record)
    }

    /// Places the mapping of `inner`; the error carries the reason. `inner` is dropped with an error.
    ///
    /// # Errors
    ///
    /// - The set is empty, the node is not below [`NodeSet::CAPACITY`], or a node does not exist or is not allowed to the
    ///   process: invalid argument.
    /// - A container's system-call filter refuses: not permitted.
    /// - Pages exist already and cannot be moved: the system's error.
    /// - The system has no such policies, or `inner` is not a [mapping of the running system](OsBacked::is_native):
    ///   unsupported.
    ///
    /// Each names `mbind`, or `get_mempolicy` if only reading back is refused.
    pub fn bind(inner: I, policy: NumaPolicy) -> Result<Self, OsError> {
        let (mode, nodes) = policy.parts()?;
        if !inner.is_native() {
            return Err(OsError::unsupported("mbind"));
        }
        let (start, size) = (inner.base_ptr(), inner.region_size());
        // SAFETY: the bytes are one live mapping, which the running system made, as `OsBacked` promises.
        unsafe { numa_bind(start, size, mode, nodes.as_mask())? };
        // SAFETY: the last byte, or the first of an empty range, is inside the mapping.
        let last = unsafe { start.add(size.saturating_sub(1)) };
        for end in [start, last] {
            if numa_policy(end)? != (Some(mode), *nodes.as_mask()) {
                return Err(OsError::invalid_argument("mbind"));
            }
        }
        Ok(Self { inner, policy })
    }

    /// Returns the policy of the mapping.
    #[must_use]
    pub const fn policy(&self) -> &NumaPolicy {
        &self.policy
    }

    /// Returns the inner allocator.
    #[inline(always)]
    pub const fn inner(&self) -> &I {
        &self.inner
    }

    /// Returns the inner allocator. Its mapping keeps the policy.
    #[inline]
    pub fn into_inner(self) -> I {
        self.inner
    }
}

// SAFETY: every call reaches the inner allocator, which keeps the contract.
unsafe impl<I: OsBacked> Deallocator for NumaLocal<I> {
    forward_deallocator!(inner);
}

// SAFETY: every call reaches the inner allocator, which keeps the contract.
unsafe impl<I: OsBacked> Allocator for NumaLocal<I> {
    forward_allocator!(inner);
    forward_reset!(inner);
}

// SAFETY: the range is the inner one's, which keeps the contract.
unsafe impl<I: OsBacked + FixedRange> FixedRange for NumaLocal<I> {
    const CARVABLE: bool = I::CARVABLE;

    forward_range!(inner: I);

    #[inline]
    fn claim(&mut self) -> Result<(), AllocError> {
        self.inner.claim()
    }
}

// SAFETY: the mapping is the inner one's, which keeps the contract.
unsafe impl<I: OsBacked> OsBacked for NumaLocal<I> {
    forward_os_backed!(inner);
}

// SAFETY: what the inner one owns and has handed out stays in place when it is moved; the wrapper is not `Clone`.
unsafe impl<I: OsBacked + StableAddress> StableAddress for NumaLocal<I> {}

#[cfg(test)]
mod tests;
