//! From the policy to the lock: the allocators that are built over a list of free blocks.
//!
//! | part | what it is |
//! |---|---|
//! | [`HeapGrower`] | where more memory comes from; [`MmapHeapGrower`] is the kernel, [`SteppedGrower`] asks for more at once |
//! | [`RawAlloc`] | the policy, for one thread |
//! | [`GenericAllocator`] | the same for any number of threads, behind a lock |
//! | [`UnixAllocator`] | the allocator of a whole process |
//! | `ToyHeap` | a heap of 256 KiB to play with |

mod generic;
mod grower;
mod house;
mod lock;
mod raw_alloc;
mod side_door;
#[cfg(feature = "std")]
mod toy;
mod unix;

pub use generic::{GenericAllocator, RawGuard};
pub use grower::{HeapGrower, MmapHeapGrower, SteppedGrower};
pub use lock::{HeapLock, OwnLock, ProcessLock};
pub use raw_alloc::{RawAlloc, Usage};
#[cfg(feature = "std")]
pub use toy::{ToyHeap, ToyHeapOverflowError};
pub use unix::UnixAllocator;

#[cfg(test)]
mod tests;
