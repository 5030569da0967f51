//! Pools of size classes: which slot serves what, where a resize or a free goes, and what misuse does.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use forge_alloc_core::Deallocator;

use super::*;
use crate::{BumpArena, HeapBytes, InlineBacked, MAX_ALIGN, StackAlloc, StaticBacked};

mod histories;
mod moves;
mod resizes;

type Heap = BumpArena<HeapBytes>;

fn layout(size: usize, align: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, align).unwrap()
}

fn heap(bytes: usize) -> Heap {
    BumpArena::new(HeapBytes::with_align(bytes, 4096).unwrap()).unwrap()
}

/// Returns a pool of the default classes with `slots` slots each and some kilobytes more.
fn pool(slots: u32) -> SizeClassed<Heap, 8> {
    SizeClassed::with_default_classes(heap(3000 * slots as usize + 8192), slots).unwrap()
}

fn take(allocator: &impl Allocator, layout: NonZeroLayout) -> NonNull<u8> {
    allocator.allocate(layout).unwrap().cast()
}

fn free(allocator: &impl Deallocator, ptr: NonNull<u8>, layout: NonZeroLayout) {
    // SAFETY: the tests free live blocks with their layout, once, or what the pool promises to ignore.
    unsafe { allocator.deallocate(ptr, layout) }
}

fn usable(allocator: &impl Allocator, ptr: NonNull<u8>, layout: NonZeroLayout) -> Option<usize> {
    // SAFETY: the tests ask about live blocks.
    unsafe { allocator.usable_size(ptr, layout) }
}

fn fill(ptr: NonNull<u8>, byte: u8, bytes: usize) {
    // SAFETY: the tests fill live blocks, or free slots to see what that does.
    unsafe { ptr.write_bytes(byte, bytes) }
}

fn holds(ptr: NonNull<u8>, byte: u8, bytes: usize) -> bool {
    // SAFETY: the tests ask about live blocks whose bytes were written.
    (0..bytes).all(|at| unsafe { ptr.add(at).read() } == byte)
}

/// Runs `misuse`, which a debug build answers with a panic that contains `sentence`, and any other not at all.
fn reported(sentence: &str, misuse: impl FnOnce()) {
    let outcome = catch_unwind(AssertUnwindSafe(misuse));
    assert_eq!(outcome.is_err(), cfg!(debug_assertions));
    if let Err(panic) = outcome {
        let text = panic.downcast_ref::<&str>().copied().unwrap_or_default();
        assert!(text.contains(sentence), "{text}");
    }
}

#[test]
fn the_smallest_class_that_fits_serves_a_request() {
    let pool = pool(4);
    for (size, align, slot) in
        [(1, 1, 8), (8, 8, 8), (9, 1, 16), (33, 8, 64), (8, 64, 64), (1024, 1024, 1024)]
    {
        let block = pool.allocate(layout(size, align)).unwrap();
        assert_eq!(block.len(), slot, "{size} at {align}");
        assert_eq!(block.addr().get() % align, 0);
        assert_eq!(usable(&pool, block.cast(), layout(size, align)), Some(slot));
    }
}

#[test]
fn slots_are_handed_out_in_order_and_come_back_last_first() {
    let pool = pool(4);
    let one = layout(64, 8);
    let slots: Vec<_> = (0..3).map(|_| take(&pool, one)).collect();
    assert_eq!(slots[1].addr().get() - slots[0].addr().get(), 64);
    assert_eq!(slots[2].addr().get() - slots[1].addr().get(), 64);
    for slot in &slots {
        free(&pool, *slot, one);
    }
    for slot in slots.iter().rev() {
        assert_eq!(take(&pool, one), *slot);
    }
    assert_eq!(take(&pool, one).addr().get() - slots[2].addr().get(), 64, "then one that was never used");
}

#[test]
fn classes_do_not_share_slots() {
    let pool = SizeClassed::with_fine_classes(heap(1 << 18), 3).unwrap();
    let mut live = Vec::new();
    for size in FINE_CLASS_SIZES_24 {
        for _ in 0..3 {
            let block = pool.allocate(layout(size, 1)).unwrap();
            assert_eq!(block.len(), size);
            live.push((block.cast::<u8>(), size));
        }
    }
    for (number, (ptr, size)) in live.iter().enumerate() {
        fill(*ptr, number as u8, *size);
    }
    for (number, (ptr, size)) in live.iter().enumerate() {
        assert!(holds(*ptr, number as u8, *size));
        free(&pool, *ptr, layout(*size, 1));
    }
    assert_eq!(pool.backing().allocated(), pool.span.end, "the backing served no request");
}

#[test]
fn a_full_class_falls_through_to_the_backing_and_comes_back() {
    let pool = pool(2);
    let one = layout(30, 8);
    let before = pool.backing().allocated();
    let slots = [take(&pool, one), take(&pool, one)];
    let outside = pool.allocate(one).unwrap();
    assert_eq!(outside.len(), 30, "a block of the backing");
    assert!(pool.backing().allocated() > before);
    free(&pool, slots[0], one);
    assert_eq!(take(&pool, one), slots[0]);
    free(&pool, outside.cast(), one);
    assert_eq!(pool.backing().allocated(), before, "the block went back to the backing");
    assert_eq!(pool.corruption_events(), 0);
}

#[test]
fn what_no_class_serves_goes_to_the_backing_and_fails_as_it_does() {
    let pool = pool(2);
    for (size, align) in [(1025, 1), (3000, 8), (16, 2048)] {
        let block = pool.allocate(layout(size, align)).unwrap();
        assert_eq!(block.len(), size);
        assert_eq!(usable(&pool, block.cast(), layout(size, align)), None, "the arena does not say");
        free(&pool, block.cast(), layout(size, align));
    }
    assert!(pool.allocate(layout(1 << 20, 1)).is_err());
    assert!(pool.allocate_zeroed(layout(1 << 20, 1)).is_err());
}

#[test]
fn zeroed_slots_are_zero() {
    let pool = pool(2);
    let one = layout(100, 4);
    let dirty = take(&pool, one);
    fill(dirty, 0xff, 128);
    free(&pool, dirty, one);
    let clean = pool.allocate_zeroed(one).unwrap();
    assert_eq!(clean.cast::<u8>(), dirty);
    assert!(holds(clean.cast(), 0, 100));
    assert!(holds(pool.allocate_zeroed(layout(2000, 8)).unwrap().cast(), 0, 2000));
}

#[test]
fn a_block_may_be_freed_with_every_size_that_fits_it() {
    let pool = pool(1);
    for size in [33, 50, 64] {
        let block = take(&pool, layout(33, 8));
        free(&pool, block, layout(size, 8));
        assert_eq!(take(&pool, layout(40, 8)), block);
        free(&pool, block, layout(40, 8));
    }
    assert_eq!(pool.corruption_events(), 0);
}

#[test]
fn sets_of_small_keys_give_back_what_they_took() {
    const KEYS: u16 = if cfg!(miri) { 30 } else { 300 };
    let pool = pool(64);
    let before = pool.backing().allocated();
    for round in 0..3 {
        let mut set = hashbrown::HashSet::new_in(forge_alloc_core::StdCompat::new(&pool));
        set.extend(0..KEYS);
        set.retain(|key| key % 3 == round);
        set.shrink_to_fit();
        assert_eq!(set.len(), usize::from(KEYS / 3));
    }
    assert_eq!(pool.backing().allocated(), before);
    for size in DEFAULT_CLASS_SIZES_8 {
        for _ in 0..64 {
            assert_eq!(pool.allocate(layout(size, 8)).unwrap().len(), size, "every slot is free");
        }
    }
    assert_eq!(pool.corruption_events(), 0);
}

#[test]
fn the_link_is_not_written_through_the_callers_pointer() {
    let pool = SizeClassed::with_class_sizes(InlineBacked::<256>::new(), [8, 16], 4).unwrap();
    let one = layout(16, 8);
    let block = take(&pool, one);
    fill(block, 7, 16);
    // SAFETY: the block is live and initialised; the reference is to its first byte only.
    let narrow = NonNull::from(unsafe { &mut *block.as_ptr() });
    free(&pool, narrow, one);
    let again = take(&pool, one);
    assert_eq!(again, block);
    fill(again, 8, 16);
    // SAFETY: as above; the slot is live, and the new layout fits it.
    let kept = unsafe {
        let narrow = NonNull::from(&mut *again.as_ptr());
        pool.grow(narrow, layout(9, 8), layout(16, 8)).unwrap()
    };
    assert!(holds(kept.cast(), 8, 16), "the pointer of a resize covers the whole slot");
}

#[test]
fn pointers_at_which_no_slot_starts_are_counted_and_ignored() {
    let pool = pool(4);
    let (one, large) = (layout(64, 8), layout(256, 8));
    let live = [take(&pool, one), take(&pool, one)];
    fill(live[1], 7, 64);
    // SAFETY: the class of 64 bytes has four slots, so these lie in its region.
    let (inside, never_issued) = unsafe { (live[0].add(8), live[1].add(64)) };
    for (events, (pointer, claimed)) in
        [(inside, one), (inside, large), (never_issued, one)].iter().enumerate()
    {
        reported("free of a pointer", || free(&pool, *pointer, *claimed));
        assert_eq!(pool.corruption_events(), events as u64 + 1);
    }
    assert!(holds(live[1], 7, 64));
    let next = take(&pool, one);
    assert_eq!(next.addr().get(), never_issued.addr().get(), "none of them was put on a list");
    free(&pool, live[0], one);
    assert_eq!(take(&pool, one), live[0]);
    assert_eq!(pool.corruption_events(), 3);
}

#[test]
fn an_overwritten_link_is_counted_and_its_list_dropped() {
    for link in [u32::MAX, 0x4141_4141, 5, 3] {
        let pool = pool(4);
        let one = layout(32, 4);
        let slots = [take(&pool, one), take(&pool, one)];
        free(&pool, slots[0], one);
        free(&pool, slots[1], one);
        // SAFETY: not sound for a program: this is the write after free that is to be noticed. The bytes are the pool's.
        unsafe { slots[1].cast::<u32>().write(link) };
        let mut third = None;
        reported("freelist corruption", || third = Some(take(&pool, one)));
        assert_eq!(pool.corruption_events(), 1);
        let third = third.unwrap_or_else(|| take(&pool, one));
        assert!(!slots.contains(&third), "the slots of the list are lost");
        free(&pool, third, one);
        assert_eq!(take(&pool, one), third, "the class goes on");
        assert_eq!(pool.corruption_events(), 1);
        assert_eq!(pool.allocate(layout(16, 4)).unwrap().len(), 16, "the other classes never noticed");
    }
}

#[test]
fn a_link_is_the_number_of_the_next_slot() {
    let pool = pool(4);
    let one = layout(16, 8);
    let slots = [take(&pool, one), take(&pool, one)];
    free(&pool, slots[1], one);
    free(&pool, slots[0], one);
    // SAFETY: the bytes are the pool's own, and a free slot begins with a link.
    let links = unsafe { [slots[0].cast::<u32>().read(), slots[1].cast::<u32>().read()] };
    assert_eq!(links, [2, 0]);
}

#[test]
fn bad_classes_are_refused() {
    let refused = |sizes: [usize; 2], slots| SizeClassed::with_class_sizes(heap(8192), sizes, slots).is_err();
    assert!(!refused([8, 16], 4));
    assert!(refused([8, 16], 0), "no slots");
    assert!(refused([2, 16], 4), "too small for a link");
    assert!(refused([8, 24], 4), "no power of two");
    assert!(refused([16, 8], 4), "descending");
    assert!(refused([8, 8], 4), "twice the same");
    assert!(refused([0, 8], 4));
    assert!(refused([8, 1 << (usize::BITS - 1)], 1), "larger than any layout");
    assert!(refused([8, 1 << (usize::BITS - 3)], u32::MAX), "the region overflows");
    assert!(refused([8, 4096], 4), "more than the backing has");
    assert!(SizeClassed::<_, 0>::with_class_sizes(heap(64), [], 4).is_err());
    assert!(SizeClassed::with_class_sizes(heap(64), [8; 256], 4).is_err());
    assert!(SizeClassed::with_default_classes(InlineBacked::<65536>::new(), 2).is_err(), "aligned to 1024");
    assert!(SizeClassed::with_class_sizes(InlineBacked::<128>::new(), [4, 16], 5).is_ok());
}

#[test]
fn classes_may_have_different_numbers_of_slots() {
    const TABLE: ClassTable<3> = ClassTable::new([8, 24, 32]);
    let pool = SizeClassed::with_slots(heap(4096), TABLE, [1, 5, 2]).unwrap();
    assert_eq!(pool.capacity_bytes(), Some(8 + 5 * 24 + 2 * 32));
    assert_eq!(pool.class_sizes(), &[8, 24, 32]);
    let blocks = [8, 8, 24, 24].map(|size| pool.allocate(layout(size, 8)).unwrap());
    assert_eq!(blocks.map(NonNull::len), [8, 8, 24, 24]);
    assert!(SizeClassed::with_slots(heap(4096), TABLE, [1, 0, 2]).is_err());
}

/// A backing that records its calls: sizes taken, and sizes given back as negative numbers.
struct Recording {
    inner: Heap,
    calls: Rc<RefCell<Vec<isize>>>,
    events: u64,
}

impl Recording {
    fn over(bytes: usize) -> (Self, Rc<RefCell<Vec<isize>>>) {
        let calls = Rc::new(RefCell::new(Vec::new()));
        (Self { inner: heap(bytes), calls: Rc::clone(&calls), events: 2 }, calls)
    }
}

// SAFETY: all blocks are blocks of the arena.
unsafe impl Deallocator for Recording {
    unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
        self.calls.borrow_mut().push(-(layout.size().get() as isize));
        // SAFETY: the caller's promises are the callee's.
        unsafe { self.inner.deallocate(ptr, layout) }
    }
}

// SAFETY: all blocks are blocks of the arena, which keeps the contract.
unsafe impl Allocator for Recording {
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let block = self.inner.allocate(layout)?;
        self.calls.borrow_mut().push(layout.size().get() as isize);
        Ok(block)
    }

    fn corruption_events(&self) -> u64 {
        self.events
    }
}

// SAFETY: the range is the arena's, whose allocator serves all requests.
unsafe impl FixedRange for Recording {
    fn base(&self) -> NonNull<u8> {
        self.inner.base()
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}

#[test]
fn regions_go_back_last_first_when_the_pool_ends() {
    let (backing, calls) = Recording::over(4096);
    drop(SizeClassed::with_class_sizes(backing, [8, 16, 64], 3).unwrap());
    assert_eq!(*calls.borrow(), [24, 48, 192, -192, -48, -24]);
}

#[test]
fn regions_go_back_last_first_when_one_is_refused() {
    let (backing, calls) = Recording::over(512);
    assert!(SizeClassed::with_class_sizes(backing, [8, 16, 256], 4).is_err());
    assert_eq!(*calls.borrow(), [32, 64, -64, -32]);
}

#[test]
fn corruption_events_of_the_backing_count_too() {
    let pool = SizeClassed::with_class_sizes(Recording::over(512).0, [8, 16], 4).unwrap();
    assert_eq!(pool.corruption_events(), 2);
    let block = take(&pool, layout(16, 8));
    // SAFETY: the address lies in the block.
    reported("free of a pointer", || free(&pool, unsafe { block.add(1) }, layout(16, 8)));
    assert_eq!(pool.corruption_events(), 3);
}

/// A backing that hands out its range from the end: regions lie in descending order, with gaps.
struct Downwards {
    bytes: HeapBytes,
    next: Cell<usize>,
}

// SAFETY: nothing is freed, so no block is invalidated.
unsafe impl Deallocator for Downwards {
    unsafe fn deallocate(&self, _: NonNull<u8>, _: NonZeroLayout) {}
}

// SAFETY: blocks lie in the range, one below the other, and are never freed.
unsafe impl Allocator for Downwards {
    fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
        let (size, align) = (layout.size().get(), layout.align().get());
        let end = self.next.get().checked_sub(size + 40).ok_or(AllocError)?;
        let start = end & !(align - 1);
        self.next.set(start);
        // SAFETY: the block lies in the range, whose base has every alignment that the tests ask for.
        Ok(NonNull::slice_from_raw_parts(unsafe { self.bytes.base().add(start) }, size))
    }
}

// SAFETY: the range is that of the bytes.
unsafe impl FixedRange for Downwards {
    fn base(&self) -> NonNull<u8> {
        self.bytes.base()
    }

    fn size(&self) -> usize {
        self.bytes.size()
    }
}

#[test]
fn regions_in_any_order_with_gaps_are_told_apart() {
    let bytes = HeapBytes::with_align(1 << 14, 4096).unwrap();
    let next = Cell::new(bytes.size());
    let pool = SizeClassed::with_class_sizes(Downwards { bytes, next }, [8, 32, 128, 512], 4).unwrap();
    assert_eq!(pool.by_address, [3, 2, 1, 0]);
    for size in [8, 32, 128, 512] {
        // A layout that leads to another class, so that the address decides.
        let other = layout(if size == 8 { 512 } else { 8 }, 8);
        let blocks: Vec<_> = (0..4).map(|_| take(&pool, layout(size, 8))).collect();
        for block in &blocks {
            assert_eq!(usable(&pool, *block, other), Some(size));
            free(&pool, *block, other);
        }
        assert_eq!(take(&pool, layout(size, 8)), blocks[3]);
        // SAFETY: the address is one past the region, in the gap that the backing leaves.
        let gap = unsafe { blocks[3].add(size) };
        assert_eq!(usable(&pool, gap, other), None, "a gap belongs to the backing");
    }
    assert_eq!(pool.corruption_events(), 0);
}

#[test]
fn a_backing_that_leaves_its_range_is_refused() {
    struct Outside(Heap, HeapBytes);

    // SAFETY: all blocks are blocks of the arena.
    unsafe impl Deallocator for Outside {
        unsafe fn deallocate(&self, ptr: NonNull<u8>, layout: NonZeroLayout) {
            // SAFETY: the caller's promises are the callee's.
            unsafe { self.0.deallocate(ptr, layout) }
        }
    }

    // SAFETY: all blocks are blocks of the arena.
    unsafe impl Allocator for Outside {
        fn allocate(&self, layout: NonZeroLayout) -> Result<NonNull<[u8]>, AllocError> {
            self.0.allocate(layout)
        }
    }

    // SAFETY: not kept: the blocks lie elsewhere, which is what the constructor is to notice.
    unsafe impl FixedRange for Outside {
        fn base(&self) -> NonNull<u8> {
            self.1.base()
        }

        fn size(&self) -> usize {
            self.1.size()
        }
    }

    let backing = Outside(heap(4096), HeapBytes::new(4096).unwrap());
    assert!(SizeClassed::with_class_sizes(backing, [8, 16], 4).is_err());
}

#[test]
fn a_pool_has_no_reset_and_says_what_it_is() {
    fn is_send<T: Send>(_: &T) {}
    let mut pool = pool(4);
    is_send(&pool);
    assert!(pool.reset().is_err());
    let text = format!("{pool:?}");
    assert!(
        text.contains("SizeClassed") && text.contains("1024]") && text.contains("corruption_events: 0"),
        "{text}"
    );
    assert_eq!(pool.table().align_of(3), 64);
}
