//! Byte heaps: exclusive allocators of blocks of any size and alignment in the regions that they are handed.

mod byte_heap;

pub(crate) use byte_heap::byte_heap;

pub(crate) mod blocks;
#[cfg(feature = "buddy")]
pub(crate) mod buddy;
pub(crate) mod free_list;
pub(crate) mod joining;
pub(crate) mod leaving;
pub(crate) mod run_heap;
pub(crate) mod run_index;
pub(crate) mod segment;
#[cfg(feature = "slab")]
pub(crate) mod slab_heap;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(feature = "tlsf")]
pub(crate) mod tlsf;
pub(crate) mod wilderness;
