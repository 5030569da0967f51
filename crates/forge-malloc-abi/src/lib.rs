//! The fast process allocator as a shared object, `libforge_malloc.so`: every function of the C and C++ interface for memory, over
//! [`forge_malloc::fast`].
//!
//! ```text
//!   LD_PRELOAD=libforge_malloc.so program
//!
//!   malloc, free, ..      c    ──┐
//!                                ├──▶ process: one heap ──▶ forge_malloc::fast
//!   operator new, delete  cxx  ──┘          │
//!                                           └──▶ word: where a thread has its cache
//! ```
//!
//! # Operations
//!
//! Those of [`forge_malloc::fast`], by address: `free` looks the class of a block up with two loads.
//!
//! # Design
//!
//! *One word per thread.* The cache of a thread is itself a block of the heap, and the thread keeps its address. So the object
//! asks the loader for eight bytes of what it keeps for objects that are opened late, of which there is little, and can be opened
//! at any time; and the word is reached without a call, in the model that the ELF TLS specification (Drepper, "ELF Handling
//! For Thread-Local Storage", 2013) names initial-exec. A compiler that is stable does not choose the model, so
//! [`word`] states it in two instructions.
//!
//! *Standard library.* It is linked for the yielding of a waiting thread and for unwinding, and nothing here allocates through it. Unwinding is
//! needed: `operator new` throws what the C++ library throws, through frames of this object.
//!
//! *Names.* In its own unit tests the functions keep their Rust names, so that the test program keeps the allocator of the system, and
//! so they do in the fuzz target, which includes the sources.
#![no_std]

extern crate std;

mod c;
mod cxx;
#[cfg(all(no_unwinder, not(test)))]
mod no_unwinding;
mod process;
mod word;
