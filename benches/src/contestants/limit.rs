//! The limit: the least that each row needs, written by hand. No capacity check, no growth, no errors.
//!
//! It is not an allocator that anyone should use: [`Arena::with_capacity`] must have been told the truth, which debug
//! builds assert.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::cell::Cell;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::{Arena, Blocks, Copies, Fresh, Put, PutWide, Scopes, Shared, SharedBatch, Wide};
use crate::harness::Side;
use crate::sink::exhausted;

type Line = MaybeUninit<[u64; 8]>;

/// A pointer that moves upwards through one piece of memory, aligned to eight.
pub struct Limit {
    next: Cell<NonNull<u8>>,
    memory: Box<[Line]>,
}

impl Limit {
    /// Returns the first byte of the memory.
    fn start(&mut self) -> NonNull<u8> {
        NonNull::from(&mut *self.memory).cast()
    }

    /// Takes `size` bytes, a multiple of eight unless only bytes are allocated.
    #[inline(always)]
    fn take(&self, size: usize) -> NonNull<u8> {
        let block = self.next.get();
        // SAFETY: the arena was made with room for every block of its row.
        self.next.set(unsafe { block.add(size) });
        debug_assert!(self.next.get().as_ptr().addr() <= self.memory.as_ptr_range().end.addr());
        block
    }
}

impl Arena for Limit {
    const NAME: &'static str = "limit";
    const SIDE: Side = Side::Limit;

    fn with_capacity(bytes: usize) -> Self {
        let memory = vec![MaybeUninit::uninit(); bytes / size_of::<Line>() + 2].into_boxed_slice();
        let mut arena = Self { next: Cell::new(NonNull::dangling()), memory };
        arena.reset();
        arena
    }

    #[inline(always)]
    fn reset(&mut self) {
        let start = self.start();
        self.next.set(start);
    }
}

impl<T: Copy> Put<T> for Limit {
    #[inline(always)]
    fn put(&self, value: T) -> &T {
        const { assert!(align_of::<T>() <= 8 && size_of::<T>() & 7 == 0) };
        // SAFETY: the block has room for the value and its alignment (asserted above), until the next reset.
        unsafe { super::write_in(self, self.take(size_of::<T>()).cast(), value) }
    }
}

impl Blocks for Limit {
    type Layout = Layout;

    fn layout(layout: Layout) -> Layout {
        layout
    }

    #[inline(always)]
    fn block(&self, layout: Layout) -> NonNull<u8> {
        let padding = self.next.get().as_ptr().addr().wrapping_neg() & (layout.align() - 1);
        let block = self.take(padding + layout.size());
        // SAFETY: the padding was taken together with the block.
        unsafe { block.add(padding) }
    }
}

impl Copies for Limit {
    #[inline(always)]
    fn copy_slice(&self, source: &[u8]) -> &[u8] {
        let block = self.take(source.len());
        // SAFETY: the block is as long as the source, which is at most 64 bytes in the rows, and lives until the reset.
        unsafe {
            copy_short(source, block);
            NonNull::slice_from_raw_parts(block, source.len()).as_ref()
        }
    }

    #[inline(always)]
    fn copy_str(&self, source: &str) -> &str {
        let copy = self.copy_slice(source.as_bytes());
        // SAFETY: the copy of a string is a string.
        unsafe { core::str::from_utf8_unchecked(copy) }
    }
}

/// Copies up to 64 bytes as two overlapping pieces, without a call.
///
/// # Safety
///
/// `target` is valid for writes of `source.len()` bytes, which are at most 64 and do not overlap the source.
#[inline(always)]
unsafe fn copy_short(source: &[u8], target: NonNull<u8>) {
    type Piece<const N: usize> = [u8; N];
    /// Copies `length` bytes as the first and the last `N`.
    #[inline(always)]
    unsafe fn two<const N: usize>(source: *const u8, target: *mut u8, length: usize) {
        // SAFETY: the caller says that `N <= length <= 2 * N`, and that both ends are valid for `length` bytes.
        unsafe {
            let first = source.cast::<Piece<N>>().read();
            let last = source.add(length - N).cast::<Piece<N>>().read();
            target.cast::<Piece<N>>().write(first);
            target.add(length - N).cast::<Piece<N>>().write(last);
        }
    }
    let (length, source, target) = (source.len(), source.as_ptr(), target.as_ptr());
    // SAFETY: each arm's pieces are at most as long as the source and cover it; the caller vouches for both ends.
    unsafe {
        match length {
            32.. => two::<32>(source, target, length),
            16.. => two::<16>(source, target, length),
            8.. => two::<8>(source, target, length),
            4.. => two::<4>(source, target, length),
            2.. => two::<2>(source, target, length),
            1 => target.write(source.read()),
            0 => {}
        }
    }
}

impl Scopes for Limit {
    type Scope<'s> = LimitScope<'s>;

    #[inline(always)]
    fn scoped<R>(&mut self, work: impl FnOnce(&LimitScope<'_>) -> R) -> R {
        let mark = self.next.get();
        let result = work(&LimitScope(self));
        self.next.set(mark);
        result
    }
}

/// A scope of a [`Limit`].
pub struct LimitScope<'s>(&'s Limit);

impl PutWide for LimitScope<'_> {
    #[inline(always)]
    fn put_wide(&self, value: Wide) -> &Wide {
        self.0.put(value)
    }
}

thread_local! {
    /// The one piece of memory that every fresh [`LimitFresh`] takes and gives back.
    static SPARE: Cell<Option<Limit>> = Cell::new(Some(Limit::with_capacity(9 << 20)));
}

/// A [`Limit`] that takes its memory from a spare and gives it back.
pub struct LimitFresh(Option<Limit>);

impl Arena for LimitFresh {
    const NAME: &'static str = "limit, one spare piece of memory";
    const SIDE: Side = Side::Limit;

    fn with_capacity(_: usize) -> Self {
        Self(Some(SPARE.take().unwrap_or_else(|| exhausted())))
    }

    #[inline(always)]
    fn reset(&mut self) {
        if let Some(arena) = &mut self.0 {
            arena.reset();
        }
    }
}

impl Drop for LimitFresh {
    #[inline(always)]
    fn drop(&mut self) {
        self.reset();
        SPARE.set(self.0.take());
    }
}

impl<T: Copy> Put<T> for LimitFresh {
    #[inline(always)]
    fn put(&self, value: T) -> &T {
        match &self.0 {
            Some(arena) => arena.put(value),
            None => exhausted(),
        }
    }
}

impl<T: Copy> Fresh<T> for LimitFresh {
    #[inline(always)]
    fn fresh() -> Self {
        Self::with_capacity(0)
    }
}

/// One atomic addition per block.
pub struct LimitShared {
    next: AtomicUsize,
    memory: Box<[Line]>,
}

impl Shared for LimitShared {
    const NAME: &'static str = "limit, one atomic add";
    const SIDE: Side = Side::Limit;
    type Batch<'b> = LimitBatch<'b>;

    fn with_capacity(bytes: usize) -> Self {
        let memory = vec![MaybeUninit::uninit(); bytes / size_of::<Line>() + 2].into_boxed_slice();
        Self { next: AtomicUsize::new(0), memory }
    }

    fn open(&mut self) -> LimitBatch<'_> {
        *self.next.get_mut() = 0;
        LimitBatch {
            next: &self.next,
            start: NonNull::from(&mut *self.memory).cast(),
            _memory: core::marker::PhantomData,
        }
    }
}

/// A [`LimitShared`] during one batch.
pub struct LimitBatch<'b> {
    next: &'b AtomicUsize,
    start: NonNull<u8>,
    _memory: core::marker::PhantomData<&'b mut [Line]>,
}

// SAFETY: the memory is borrowed exclusively, and each block of it is handed out once, by an atomic addition.
unsafe impl Sync for LimitBatch<'_> {}

impl SharedBatch for LimitBatch<'_> {
    type Handle<'h>
        = LimitHandle<'h>
    where
        Self: 'h;

    fn handle(&self) -> LimitHandle<'_> {
        LimitHandle { next: self.next, start: self.start }
    }
}

/// A thread's view of a [`LimitBatch`].
pub struct LimitHandle<'h> {
    next: &'h AtomicUsize,
    start: NonNull<u8>,
}

impl PutWide for LimitHandle<'_> {
    #[inline(always)]
    fn put_wide(&self, value: Wide) -> &Wide {
        // Relaxed: only the sum matters; the blocks stay with their threads.
        let offset = self.next.fetch_add(size_of::<Wide>(), Ordering::Relaxed);
        // SAFETY: the memory has room for every block of its row, and the offset is this block's own.
        unsafe { super::write_in(self, self.start.add(offset).cast(), value) }
    }
}
