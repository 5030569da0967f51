//! The only crate that knows an operating system: memory mapping, NUMA, randomness, thread exit and the fatal
//! message.
//!
//! ```text
//!              Os (trait, module `contract`)
//!              ├── Native  ── platform/linux        rustix, raw system calls
//!              │           ── platform/unix         the C library of the other Unix systems
//!              │           ── platform/windows      windows-sys
//!              │           └─ platform/unsupported  no OS: every call is an error
//!              └── SimOs   ── sim                   host heap; page size and failures chosen by the test
//! ```
//!
//! A user of mapped memory takes a type parameter `O: Os = Native`. [`Native`] has no size, so the seam costs
//! nothing; [`SimOs`] replaces it in tests, under Miri, and where a failing `mmap` has to be produced on
//! purpose.
//!
//! # The porting contract
//!
//! A port is one type that implements [`Os`]. Six sentences bind it; the documentation of each method repeats
//! its share:
//!
//! 1. **Every failure is a value.** A call that could not do what it was asked returns an [`OsError`] that
//!    names the call and carries the system's own number. Nothing panics, nothing unwinds.
//! 2. **No silent no-op.** What the target lacks is an error for which [`OsError::is_unsupported`] holds. The
//!    one call that may succeed without work is [`Os::commit`], where mapped memory is usable already,
//!    because its promise (the range may be written) holds then.
//! 3. **A failure loses nothing.** After an `Err` the same ranges are mapped with the same content. (A system
//!    may have changed rights or advice for a first part of the range before it failed.)
//! 4. **A mapping is exclusive and zero.** [`Os::map`] returns memory that no other live mapping overlaps,
//!    that nothing else reads or writes, whose bytes are zero, and that stays at its address until
//!    [`Os::unmap`] or [`Os::remap`].
//! 5. **Provenance.** The pointer from `map` may be used for the whole mapping. The implementation keeps no
//!    reference to it and reads or writes it only in the calls that say so (`advise`, `decommit`, `remap`,
//!    populating).
//! 6. **No allocation.** No method calls the global allocator, because the global allocator may be built on
//!    this trait. (The simulation does, and cannot stand there.)
//!
//! Policy (when to purge, how much to map at once, whether to try huge pages) belongs to the caller.
//!
//! # What each target has
//!
//! | | Linux, Android | other Unix | Windows | no OS |
//! |---|---|---|---|---|
//! | map, unmap, protect, lock | yes | yes | yes (`unmap` takes whole mappings only) | error |
//! | commit, decommit | nothing to do; drops pages | nothing to do; drops pages | yes | error |
//! | advise | see [`Advice`] | see [`Advice`] | `Free` only | error |
//! | huge pages | `MAP_HUGETLB`, any size | error | `MEM_LARGE_PAGES` | error |
//! | remap | yes | error | error | error |
//! | NUMA node / bind | yes / yes | error | yes / error | error |
//! | random | yes | yes | yes | error |
//! | thread exit hook | feature `libc` (in `std`) | yes | yes | error |
//! | [`fatal`] | stderr, `SIGABRT` | stderr, `SIGABRT` | stderr, fail fast | panic handler |
//!
//! # Features
//!
//! * `std` (default): `From<OsError> for std::io::Error`, and the cheap [`thread_id`]. Includes `libc`.
//! * `libc`: on Linux, thread-exit hooks and the system-call shim for processors without a file in [`raw`].
//!   Mapping calls stay raw system calls. Other Unix systems always use their C library, the only stable
//!   interface that they offer.
//! * `sim`: the simulated operating system.
//!
//! # Miri
//!
//! Under Miri rustix calls the C library. `map` (not above page alignment), `unmap` (whole mappings),
//! `page_size`, `fill_random`, `thread_id` and exit hooks work; Miri does not model `mprotect`, `madvise` and
//! `mlock`. Everything works on [`SimOs`].

#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(test, feature = "std"))]
extern crate std;

#[cfg(any(test, system = "linux", system = "unix"))]
mod aligned;
mod contract;
mod error;
mod fatal;
mod native;
mod numa;
mod page_size;
mod platform;
pub mod posix;
mod random;
pub mod raw;
mod secret;
mod signals;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
#[cfg(all(test, unix, not(miri)))]
mod test_process;
mod thread;

pub use contract::{Advice, HugePageSizes, MapOptions, Os, Protection, Released};
pub use error::OsError;
pub use fatal::{fatal, print_line};
pub use native::{HAS_OS, Native};
pub use numa::{NodeMask, NumaMode, numa_bind, numa_node, numa_policy};
pub use page_size::{default_huge_page_size, page_size};
pub use random::fill_random;
pub use secret::map_secret;
pub use signals::SignalMask;
#[cfg(any(test, feature = "sim"))]
pub use sim::SimOs;
#[cfg(any(hosted, feature = "std"))]
pub use thread::thread_id;
pub use thread::{ExitHook, MAX_EXIT_HOOKS, on_thread_exit};
