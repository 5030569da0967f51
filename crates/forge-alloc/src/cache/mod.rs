//! Object caches: values of one type in slabs that find themselves, owned by boxes one pointer wide.
//!
//! ```text
//!   SlabCache --clone--> SlabCache          handles: any number, on any thread
//!       |                    |
//!       v                    v
//!   root slab <--list--> extension slab <--list--> extension slab      each SLAB_SIZE bytes at a multiple of SLAB_SIZE
//!   | header | box's value | ..  | lock, lists |
//!       ^          |
//!       +- address & !(SLAB_SIZE - 1)          a box finds its slab, and by it the root, from its own address
//! ```
//!
//! | part | what it is |
//! |---|---|
//! | [`SlabCache`] | a handle: makes boxes; the last owner, handle or box, gives the slabs back |
//! | [`SlabBox`] | an owned value, as [`Box`](https://doc.rust-lang.org/std/boxed/struct.Box.html) |
//! | `Magazines` | free slots at hand for each thread, without a lock |
//! | [`ObjectCache`] | objects that keep their construction from one use to the next |
//! | [`SlabSource`] | where slabs come from: [`Hooks`], or any [`RegionSource`](crate::RegionSource) |
//! | [`locks`] | what guards the slabs: [`SpinLock`](locks::SpinLock), [`NoLock`](locks::NoLock), or one of the program's |
//! | [`Zeroable`] | types that [`SlabCache::alloc`] can make of zeros |
//!
//! # Examples
//!
//! ```
//! use forge_alloc::HeapSource;
//! use forge_alloc::cache::{SlabCache, locks::SpinLock};
//!
//! let names = SlabCache::<String, SpinLock, 4096, _>::new_in(HeapSource::new())?;
//! let mut name = names.alloc_value(String::from("slab"))?;
//! let elsewhere = std::thread::spawn(move || name.push_str(" box")); // and it is dropped there
//! elsewhere.join().unwrap();
//! assert_eq!(names.stats().live, 0);
//! # Ok::<(), forge_alloc::cache::SlabError>(())
//! ```

mod contract;
#[cfg(all(feature = "std", any(unix, windows)))]
mod depot;
mod error;
pub mod locks;
#[cfg(all(feature = "std", any(unix, windows)))]
mod magazines;
mod object_cache;
mod provision;
mod root;
mod slab;
mod slab_box;
mod slab_cache;
mod source;
#[cfg(test)]
mod testing;
mod zeroable;

pub use error::{Result, SlabError};
#[cfg(all(feature = "std", any(unix, windows)))]
pub use magazines::Magazines;
pub use object_cache::{Kept, Object, ObjectCache};
pub use slab_box::SlabBox;
pub use slab_cache::{CacheStats, SlabCache};
pub use source::{Hooks, SlabSource};
pub use zeroable::Zeroable;

#[doc(hidden)]
pub use source::expansion;
