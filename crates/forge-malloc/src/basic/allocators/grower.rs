//! Where a heap gets memory when its own does not suffice.
//!
//! ```text
//!   RawAlloc  -- "at least 80 bytes" -->  SteppedGrower  -- "256 KiB" -->  MmapHeapGrower  -- mmap -->  kernel
//!             <-- 262,144 bytes ------------------------------------------------------------------------
//! ```
//!
//! # Design
//!
//! The kernel deals in pages and each deal is a system call, so an allocator buys wholesale. How much is policy and stands in
//! a wrapper: an eighth of what the heap has already, so the number of calls grows with the logarithm of the heap, and what
//! is bought too early is a bounded share of it.
#![allow(unsafe_code)]

use core::ptr::{self, NonNull};

use crate::basic::syscall::consts::{MAP_ANON, MAP_PRIVATE, PROT_READ, PROT_WRITE};
use crate::basic::syscall::{self, MmapError};

/// A supplier of memory for a heap.
///
/// # Safety
///
/// - Memory that [`grow_heap`](Self::grow_heap) returns can be read and written through the pointer, belongs to nobody else,
///   and stays valid until it is given back or the grower is dropped, also while the grower is moved.
/// - Where it touches memory that the grower returned before, both can be used as one piece: they are parts of one
///   allocation, or pages that the kernel has mapped.
/// - If [`ZEROED`](Self::ZEROED) is set, all its bytes are zero.
/// - A grower of [`side_door`](Self::side_door) keeps these promises, and what it returned stays valid after it was dropped.
/// - No method unwinds.
pub unsafe trait HeapGrower {
    /// Why no memory could be had.
    type Err;

    /// Whether memory comes filled with zeros.
    const ZEROED: bool = false;

    /// Returns the address and the length of new memory: at least `size` bytes, or `(null, 0)` for none.
    ///
    /// # Errors
    ///
    /// The reason why there is none.
    ///
    /// # Safety
    ///
    /// The memory is out of use before the grower is dropped.
    unsafe fn grow_heap(&mut self, size: usize) -> Result<(*mut u8, usize), Self::Err>;

    /// Returns how much to ask for when `need` bytes are needed and the heap has `obtained` bytes: `need` or more.
    fn step(&self, need: usize, obtained: usize) -> usize {
        let _ = obtained;
        need
    }

    /// Returns the unit in bytes, a power of two, in which memory can be given back, or `None` if none ever can.
    fn unit(&self) -> Option<usize> {
        None
    }

    /// Gives memory back and returns whether it was taken.
    ///
    /// # Safety
    ///
    /// `ptr` and `size` are multiples of the [`unit`](Self::unit); the memory came from this grower and is not used any more,
    /// unless the result is `false`.
    unsafe fn give_back(&mut self, ptr: NonNull<u8>, size: usize) -> bool {
        let _ = (ptr, size);
        false
    }

    /// Returns a grower for requests that arrive while the heap is in the middle of another one, or `None` if there is no
    /// memory but the heap's own.
    fn side_door() -> Option<Self>
    where
        Self: Sized,
    {
        None
    }
}

/// The kernel: as many pages as are needed, in one system call.
///
/// # Examples
///
/// ```
/// use forge_malloc::basic::{HeapGrower, MmapHeapGrower};
///
/// let mut grower = MmapHeapGrower::default();
/// // Sound: the memory is used by nothing that outlives the process.
/// let (memory, size) = unsafe { grower.grow_heap(8) }?;
/// assert!(!memory.is_null());
/// assert_eq!(size, forge_malloc::basic::syscall::page_size());
/// # Ok::<(), forge_malloc::basic::syscall::MmapError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct MmapHeapGrower;

// SAFETY: a private anonymous mapping at an address of the kernel's choice is new memory, zero, and stays until it is
// unmapped, whatever becomes of the grower. The system calls do not unwind.
unsafe impl HeapGrower for MmapHeapGrower {
    type Err = MmapError;

    const ZEROED: bool = true;

    unsafe fn grow_heap(&mut self, size: usize) -> Result<(*mut u8, usize), MmapError> {
        if size == 0 {
            return Ok((ptr::null_mut(), 0));
        }
        let (rights, kind) = (PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON);
        let len = size.checked_next_multiple_of(syscall::page_size()).unwrap_or(usize::MAX);
        // SAFETY: the mapping replaces nothing, because its address is the kernel's choice.
        let memory = unsafe { syscall::mmap(ptr::null_mut(), len, rights, kind, u64::MAX, 0) }?;
        Ok((memory, len))
    }

    fn unit(&self) -> Option<usize> {
        Some(syscall::page_size())
    }

    unsafe fn give_back(&mut self, ptr: NonNull<u8>, size: usize) -> bool {
        // Miri returns whole mappings only.
        // SAFETY: whole pages that the kernel has mapped for us and that nobody uses.
        !cfg!(miri) && unsafe { syscall::munmap(ptr, size) }.is_ok()
    }

    fn side_door() -> Option<Self> {
        Some(Self)
    }
}

/// A grower that asks another one for more than is needed, so that it has to ask less often.
#[derive(Clone, Copy, Debug, Default)]
pub struct SteppedGrower<G>(G);

impl<G> SteppedGrower<G> {
    /// The least that is asked for, in bytes.
    pub const SMALLEST: usize = 256 << 10;
    /// The most that is asked for unless more is needed, in bytes.
    pub const LARGEST: usize = 64 << 20;

    /// Returns a grower that asks `grower`. O(1).
    pub const fn new(grower: G) -> Self {
        Self(grower)
    }
}

// SAFETY: every call reaches the one grower inside, which keeps the contract.
unsafe impl<G: HeapGrower> HeapGrower for SteppedGrower<G> {
    type Err = G::Err;

    const ZEROED: bool = G::ZEROED;

    unsafe fn grow_heap(&mut self, size: usize) -> Result<(*mut u8, usize), G::Err> {
        // SAFETY: the caller's promise is the callee's.
        unsafe { self.0.grow_heap(size) }
    }

    fn step(&self, need: usize, obtained: usize) -> usize {
        need.max((obtained / 8).clamp(Self::SMALLEST, Self::LARGEST))
    }

    fn unit(&self) -> Option<usize> {
        self.0.unit()
    }

    unsafe fn give_back(&mut self, ptr: NonNull<u8>, size: usize) -> bool {
        // SAFETY: the caller's promise is the callee's.
        unsafe { self.0.give_back(ptr, size) }
    }

    fn side_door() -> Option<Self> {
        G::side_door().map(Self)
    }
}
