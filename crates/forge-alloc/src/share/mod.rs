//! Adapters from `&mut self` to `&self`: any exclusive heap becomes a shared, growing, global or std allocator.
//!
//! ```text
//!                      +--> Local<H>                  one thread
//!   H: ByteAllocator --+--> Locked<H, L>              threads, interrupts; global
//!   (&mut self)        +--> AllocatorRc<'pool, H>     clones, one thread
//!                      +--> StaticHeap<N, H, L>       a static; global
//!        |
//!        +--> Growing<H, S>           asks a source for regions; still exclusive
//!             Growing<Locked<H, L>, S>   the same, shared, and asks with no lock held
//! ```
//!
//! The heaps below neither lock nor grow; everything that does is here.

#[cfg(feature = "alloc")]
pub(crate) mod allocator_rc;
pub(crate) mod const_init;
#[cfg(feature = "critical-section")]
pub(crate) mod critical_section;
mod global;
pub(crate) mod growing;
#[cfg(feature = "lock_api")]
pub(crate) mod lock_api;
pub(crate) mod locked;
pub(crate) mod occupancy;
#[cfg(feature = "tlsf")]
pub(crate) mod static_heap;
#[cfg(test)]
mod testing;
