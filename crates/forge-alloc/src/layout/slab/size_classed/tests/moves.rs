//! Pools whose bytes move.
#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

use super::*;

#[test]
fn a_pool_in_inline_storage_takes_its_free_slots_along() {
    let one = layout(16, 8);
    let pool = SizeClassed::with_class_sizes(InlineBacked::<512>::new(), [8, 16], 8).unwrap();
    let offset = |pool: &SizeClassed<InlineBacked<512>, 2>, ptr: NonNull<u8>| {
        ptr.addr().get() - pool.backing().base().addr().get()
    };
    let slots = [take(&pool, one), take(&pool, one), take(&pool, one)];
    let offsets = slots.map(|slot| offset(&pool, slot));
    slots.iter().for_each(|slot| free(&pool, *slot, one));

    let pool = Box::new(pool);
    for expected in offsets.iter().rev() {
        let slot = take(&*pool, one);
        assert!(pool.backing().contains(slot));
        assert_eq!(offset(&pool, slot), *expected);
        fill(slot, 0xaa, 16);
    }
    // Blocks of before a move may be freed at their offsets.
    let moved = *pool;
    // SAFETY: the offset is one of a slot in the moved bytes.
    let slot = unsafe { moved.backing().base().add(offsets[1]) };
    free(&moved, slot, one);
    assert_eq!(take(&moved, one), slot);
    assert_eq!(moved.corruption_events(), 0);
}

#[repr(C, align(64))]
struct Bytes(UnsafeCell<MaybeUninit<[u8; 1024]>>);

/// Bytes that can be moved to any alignment.
struct Drifting {
    bytes: Bytes,
    drift: usize,
    next: Cell<usize>,
}

impl Drifting {
    fn new() -> Self {
        Self { bytes: Bytes(UnsafeCell::new(MaybeUninit::zeroed())), drift: 0, next: Cell::new(0) }
    }

    /// Moves the bytes, as a move of the value would if it had no alignment of its own.
    fn drift_to(&mut self, drift: usize) {
        let first = self.bytes.0.get().cast::<u8>();
        // SAFETY: both spans lie in the storage, of which the last 64 bytes are not part of the range.
        unsafe { first.add(self.drift).copy_to(first.add(drift), 960) };
        self.drift = drift;
    }
}

// SAFETY: nothing is freed, so no block is invalidated.
unsafe impl Deallocator for Drifting {
    unsafe fn deallocate(&self, _: NonNull<u8>, _: NonZeroLayout) {}
}

// SAFETY: blocks lie in the range, one behind the other, and are never freed.
unsafe impl Allocator for Drifting {
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let base = self.base().addr().get();
        let start = forge_alloc_core::align_up(base + self.next.get(), layout.align().get()) - base;
        let end = start + layout.size().get();
        if end > self.size() {
            return Err(AllocError);
        }
        self.next.set(end);
        // SAFETY: the block lies in the range.
        Ok(NonNull::slice_from_raw_parts(unsafe { self.base().add(start) }, layout.size().get()))
    }
}

// SAFETY: the range is part of the storage, and moves only through `&mut`.
unsafe impl FixedRange for Drifting {
    fn base(&self) -> NonNull<u8> {
        let first = NonNull::from(&self.bytes.0).cast::<u8>();
        // SAFETY: a drift is less than the 64 bytes that the range leaves free.
        unsafe { first.add(self.drift) }
    }

    fn size(&self) -> usize {
        960
    }
}

#[test]
fn slots_that_lost_their_alignment_are_not_handed_out_for_it() {
    let mut pool = SizeClassed::with_class_sizes(Drifting::new(), [8, 16, 32], 8).unwrap();
    let one = layout(32, 32);
    let kept = take(&pool, one);
    free(&pool, kept, one);

    pool.backing.drift_to(16);
    let elsewhere = pool.allocate(one).unwrap();
    assert_eq!(elsewhere.addr().get() % 32, 0);
    assert!(!pool.span.contains(&(elsewhere.addr().get() - pool.backing.base().addr().get())));
    let less = take(&pool, layout(32, 16));
    assert_eq!(less.addr().get() - pool.backing.base().addr().get(), pool.classes[2].region());
    free(&pool, less, layout(32, 16));

    pool.backing.drift_to(32);
    let again = take(&pool, one);
    assert_eq!(again.addr().get() - pool.backing.base().addr().get(), pool.classes[2].region());
    assert_eq!(pool.corruption_events(), 0);
}

#[test]
fn links_are_not_touched_where_they_would_not_be_aligned() {
    let mut pool = SizeClassed::with_class_sizes(Drifting::new(), [8, 16], 8).unwrap();
    let one = layout(8, 1);
    let offset = take(&pool, one).addr().get() - pool.backing.base().addr().get();

    pool.backing.drift_to(1);
    // SAFETY: the offset is one of a slot in the moved bytes.
    let slot = unsafe { pool.backing.base().add(offset) };
    free(&pool, slot, one);
    let elsewhere = pool.allocate(one).unwrap();
    assert!(!pool.span.contains(&(elsewhere.addr().get() - pool.backing.base().addr().get())));

    pool.backing.drift_to(4);
    let next = take(&pool, one);
    assert_eq!(
        next.addr().get() - pool.backing.base().addr().get(),
        offset + 8,
        "the slot freed meanwhile is lost"
    );
    assert_eq!(pool.corruption_events(), 0);
}
