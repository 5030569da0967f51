#![allow(unsafe_code)]

use std::boxed::Box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::vec::Vec;

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use forge_alloc_core::testing::assert_allocator_contract;
use forge_trace::shadow::{Checks, Limits, drive, random_ops};

use super::{GenericAllocator, HeapGrower, MmapHeapGrower, RawAlloc, SteppedGrower, ToyHeap};

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn random(state: &mut u64, below: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state % below as u64) as usize
}

/// Pages of the test's own: what the kernel does, with a count of what is out, and memory that is dirty on purpose.
#[derive(Default)]
struct Pages {
    regions: Vec<(*mut u8, usize)>,
    refuses: bool,
    says_nothing: bool,
    calls: usize,
}

// SAFETY: the pages are owned.
unsafe impl Send for Pages {}

const PAGE: usize = 4096;

// SAFETY: every region is an allocation of its own that lives until the grower is dropped. No two of them touch: each is a
// unit longer than is said.
unsafe impl HeapGrower for Pages {
    type Err = ();

    unsafe fn grow_heap(&mut self, size: usize) -> Result<(*mut u8, usize), ()> {
        self.calls += 1;
        if self.says_nothing {
            return Ok((ptr::null_mut(), 0));
        }
        if self.refuses || size > 4 << 20 {
            return Err(());
        }
        let size = size.next_multiple_of(PAGE);
        // SAFETY: the layout is not empty.
        let memory = unsafe { std::alloc::alloc(layout(size + 16, PAGE)) };
        // SAFETY: it is that long.
        unsafe { memory.write_bytes(0xd1, size) };
        self.regions.push((memory, size));
        Ok((memory, size))
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        for (memory, size) in self.regions.drain(..) {
            // SAFETY: it came from the global allocator with this layout.
            unsafe { std::alloc::dealloc(memory, layout(size + 16, PAGE)) };
        }
    }
}

#[test]
fn blocks_are_placed_by_the_rules_of_the_seed() {
    let mut heap = RawAlloc::<ToyHeap>::default();
    // SAFETY: blocks of this heap with their layouts, freed once.
    unsafe {
        let first = heap.alloc(layout(64, 16));
        let second = heap.alloc(layout(64, 16));
        let third = heap.alloc(layout(224, 16));
        assert_eq!((second, third), (first.add(64), first.add(128)), "from fresh memory: in a row");
        assert_eq!(heap.grower().size(), 64 + 64 + 256);

        heap.dealloc(second, layout(64, 16));
        assert!(heap.stats().0.is_valid());
        let sizes: Vec<_> = heap.blocks().iter().map(|block| block.size()).collect();
        assert_eq!(sizes, [64, 32]);

        let fourth = heap.alloc(layout(112, 16));
        assert_eq!(fourth, third.add(256), "neither block fits: fresh memory");
        assert_eq!(heap.alloc(layout(32, 16)), second.add(32), "the first that fits, from its high end");
        assert_eq!(heap.alloc(layout(16, 4)), second.add(16));
        assert_eq!(heap.alloc(layout(8, 1)), second, "an exact fit, with the size rounded to 16");
        assert!(heap.stats().0.is_valid());
    }
}

#[test]
fn bytes_obtained_are_bytes_free_and_bytes_live() {
    let (slots, steps) = if cfg!(miri) { (16, 200) } else { (128, 10_240) };
    let mut heap = RawAlloc::<ToyHeap>::default();
    let mut live: Vec<Option<(*mut u8, Layout)>> = (0..slots).map(|_| None).collect();
    let mut state = 0x5eed_u64;
    let mut live_bytes = 0;
    for _ in 0..steps {
        let slot = random(&mut state, slots);
        // SAFETY: blocks of this heap with their layouts, freed once.
        unsafe {
            if let Some((block, layout)) = live[slot].take() {
                live_bytes -= RawAlloc::<ToyHeap>::block_size(layout);
                heap.dealloc(block, layout);
            } else {
                let size = (1 + random(&mut state, 32)) * (1 + random(&mut state, 32));
                let layout = layout(size, 1 << random(&mut state, 5));
                let block = heap.alloc(layout);
                assert!(!block.is_null());
                block.write_bytes(slot as u8, size);
                live_bytes += RawAlloc::<ToyHeap>::block_size(layout);
                live[slot] = Some((block, layout));
            }
        }
        let (validity, stats) = heap.stats();
        assert!(validity.is_valid());
        assert_eq!(heap.grower().size() - stats.size, live_bytes);
        assert_eq!(heap.usage().live, live_bytes);
    }
}

#[test]
fn sizes_are_rounded_to_sixteen_and_to_the_alignment() {
    let size = |bytes, align| RawAlloc::<ToyHeap>::block_size(layout(bytes, align));
    assert_eq!(
        [size(0, 1), size(1, 1), size(16, 8), size(17, 8), size(1, 64), size(65, 64)],
        [0, 16, 16, 32, 64, 128]
    );
    assert_eq!(size(isize::MAX as usize, 1), 1 << (usize::BITS - 1));
}

#[test]
fn every_alignment_is_honoured() {
    let mut heap = RawAlloc::<Pages>::default();
    let largest = if cfg!(miri) { 13 } else { 20 };
    for round in 0..3 {
        for shift in 0..=largest {
            let layout = layout(1 + round * 40, 1 << shift);
            // SAFETY: a block of this heap, written within its size; every second one is freed.
            unsafe {
                let block = heap.alloc(layout);
                assert!(!block.is_null() && block.addr() % layout.align() == 0, "{layout:?}");
                block.write_bytes(7, layout.size());
                if shift % 2 == 0 {
                    heap.dealloc(block, layout);
                }
            }
            assert!(heap.stats().0.is_valid());
        }
    }
}

/// The interpreter ends when it is asked for more than there is.
#[cfg(miri)]
type Refusing = Pages;
#[cfg(not(miri))]
type Refusing = MmapHeapGrower;

#[test]
fn impossible_requests_are_null_and_change_nothing() {
    let heap = GenericAllocator::<Refusing>::new();
    for (size, align) in [
        (isize::MAX as usize, 1),
        (isize::MAX as usize - 15, 16),
        (1, 1 << (usize::BITS - 2)),
        (isize::MAX as usize / 2, 1 << (usize::BITS - 2)),
    ] {
        let layout = layout(size, align);
        // SAFETY: no layout is empty; a live block is resized and freed.
        unsafe {
            assert!(heap.alloc(layout).is_null());
            assert!(heap.alloc_zeroed(layout).is_null());
            let small = Layout::from_size_align(8, 8).unwrap();
            let block = heap.alloc(small);
            block.write(42);
            assert!(heap.realloc(block, small, isize::MAX as usize - 7).is_null());
            assert_eq!(block.read(), 42, "a refusal keeps the block");
            heap.dealloc(block, small);
        }
    }
    assert!(heap.validate());
    assert_eq!(heap.usage().live, 0);
}

#[test]
fn a_grower_without_memory_gives_null() {
    for (refuses, says_nothing) in [(true, false), (false, true)] {
        let mut pages = Pages::default();
        (pages.refuses, pages.says_nothing) = (refuses, says_nothing);
        let mut heap = RawAlloc::new(pages);
        // SAFETY: nothing is handed out.
        assert!(unsafe { heap.alloc(layout(32, 8)) }.is_null());
        assert_eq!(heap.usage().obtained, 0);
    }
}

#[test]
fn the_heap_grows_by_steps_and_by_what_is_needed_if_a_step_is_refused() {
    let mut heap = RawAlloc::<SteppedGrower<Pages>>::default();
    let blocks = if cfg!(miri) { 100 } else { 20_000 };
    for _ in 0..blocks {
        // SAFETY: the blocks are not used.
        assert!(!unsafe { heap.alloc(layout(64, 8)) }.is_null());
    }
    let obtained = heap.usage().obtained;
    assert!(obtained < 2 * 64 * blocks + SteppedGrower::<Pages>::SMALLEST, "{obtained}");
    assert!(SteppedGrower::new(Pages::default()).step(100, 0) >= SteppedGrower::<Pages>::SMALLEST);

    let mut toy = RawAlloc::<SteppedGrower<ToyHeap>>::default();
    let mut count = 0;
    // SAFETY: the blocks are not used.
    while !unsafe { toy.alloc(layout(64 << 10, 16)) }.is_null() {
        count += 1;
    }
    assert_eq!(count, 4, "a step of 256 KiB and nothing more");
}

#[test]
fn a_block_grows_into_the_free_memory_behind_it() {
    let mut heap = RawAlloc::<ToyHeap>::default();
    // SAFETY: blocks of this heap with their layouts.
    unsafe {
        let block = heap.alloc(layout(64, 16));
        let behind = heap.alloc(layout(64, 16));
        block.write_bytes(9, 64);
        heap.dealloc(behind, layout(64, 16));
        assert_eq!(heap.realloc(block, layout(64, 16), 96), block);
        assert_eq!(heap.realloc(block, layout(96, 16), 128), block);
        assert_eq!(heap.usage().free, 0);
        assert_eq!(heap.realloc(block, layout(128, 16), 10), block, "shrinking stays");
        assert_eq!(heap.usage().live, 16);
        assert_eq!((block.read(), block.add(9).read()), (9, 9));
        assert!(heap.stats().0.is_valid());
    }
}

#[test]
fn a_block_that_doubles_moves_a_few_times_only() {
    let mut heap = RawAlloc::<SteppedGrower<Pages>>::default();
    let mut moves = 0;
    // SAFETY: blocks of this heap with their layouts.
    unsafe {
        let mut size = 16;
        let mut block = heap.alloc(layout(size, 8));
        while size < 64 << 10 {
            block.write_bytes((size / 16) as u8, size);
            let (last, new) = (block.add(size - 1).read(), heap.realloc(block, layout(size, 8), 2 * size));
            assert_eq!(new.add(size - 1).read(), last);
            moves += usize::from(new != block);
            (block, size) = (new, 2 * size);
        }
        heap.dealloc(block, layout(size, 8));
    }
    assert!(moves <= 2, "{moves}");
    assert_eq!(heap.usage().live, 0);
}

#[test]
fn zeroed_blocks_are_zero_over_memory_of_any_kind() {
    let (steps, most) = if cfg!(miri) { (60, 400) } else { (4000, 5000) };
    for seed in 1..4_u64 {
        let heap = GenericAllocator::<SteppedGrower<MmapHeapGrower>>::new();
        let mut state = seed * 77;
        let mut live: Vec<(*mut u8, Layout)> = Vec::new();
        for _ in 0..steps {
            // SAFETY: blocks of this heap with their layouts, written within their sizes.
            unsafe {
                match random(&mut state, 4) {
                    0 | 1 => {
                        let layout = layout(1 + random(&mut state, most), 1 << random(&mut state, 8));
                        let block = heap.alloc_zeroed(layout);
                        for offset in (0..layout.size()).step_by(8).chain([layout.size() - 1]) {
                            assert_eq!(block.add(offset).read(), 0, "byte {offset} of {layout:?}");
                        }
                        block.write_bytes(0xff, layout.size());
                        live.push((block, layout));
                    }
                    2 if !live.is_empty() => {
                        let (block, layout) = live.swap_remove(random(&mut state, live.len()));
                        heap.dealloc(block, layout);
                    }
                    _ if !live.is_empty() => {
                        let index = random(&mut state, live.len());
                        let (block, old) = live[index];
                        let size = 1 + random(&mut state, 2 * most);
                        let block = heap.realloc(block, old, size);
                        block.write_bytes(0xee, size);
                        live[index] = (block, layout(size, old.align()));
                    }
                    _ => {}
                }
            }
        }
        assert!(heap.validate());
    }
}

#[cfg(not(miri))]
#[test]
fn pages_of_a_large_free_block_go_back_to_the_kernel() {
    let heap = GenericAllocator::<SteppedGrower<MmapHeapGrower>>::new();
    let count = 64 << 10;
    // SAFETY: blocks of this heap with their layouts, freed once.
    unsafe {
        let small = heap.alloc(layout(100, 8));
        let blocks: Vec<_> = (0..count).map(|_| heap.alloc(layout(1024, 8))).collect();
        assert!(heap.usage().obtained >= 64 << 20);
        blocks.into_iter().for_each(|block| heap.dealloc(block, layout(1024, 8)));
        assert!(heap.usage().obtained < 24 << 20, "{:?}", heap.usage());
        assert_eq!(heap.usage().live, 112);
        assert!(heap.validate());
        heap.dealloc(small, layout(100, 8));
    }
}

#[test]
fn it_keeps_the_contract_of_an_allocator() {
    assert_allocator_contract(&GenericAllocator::<ToyHeap>::new());
    if !cfg!(miri) {
        assert_allocator_contract(&GenericAllocator::<Pages>::new());
        assert_allocator_contract(&GenericAllocator::<SteppedGrower<Pages>>::new());
        assert_allocator_contract(&GenericAllocator::<MmapHeapGrower>::new());
    }
}

#[test]
fn random_histories_agree_with_the_shadow_model() {
    let (seeds, steps) = if cfg!(miri) { (1, 60) } else { (30, 2000) };
    let limits =
        Limits { live_blocks: 60, size: 600, align: 256, resize: true, zeroed: true, ..Limits::default() };
    let checks = || Checks { vary_alignment: true, ..Checks::default() };
    for seed in 0..seeds {
        for hostile in [false, true] {
            let history = random_ops(seed, steps, &Limits { hostile, ..limits });
            drive(&GenericAllocator::<Pages>::new(), &history, checks()).unwrap();
            drive(&GenericAllocator::<ToyHeap>::new(), &history, checks()).unwrap();
            if !hostile {
                drive(&GenericAllocator::<SteppedGrower<MmapHeapGrower>>::new(), &history, checks()).unwrap();
            }
        }
    }
}

#[test]
fn a_thread_that_is_inside_is_served_at_the_side_door() {
    let heap = GenericAllocator::<MmapHeapGrower>::new();
    // SAFETY: blocks of this heap with their layouts, freed once.
    unsafe {
        let before = heap.alloc(layout(100, 8));
        let guard = heap.get_raw();
        let inside = heap.alloc(layout(100, 64));
        assert!(!inside.is_null() && inside.addr() % 64 == 0);
        inside.write_bytes(1, 100);
        let grown = heap.realloc(inside, layout(100, 64), 5000);
        assert_eq!(grown.add(99).read(), 1);
        let zeroed = heap.alloc_zeroed(layout(300, 1));
        assert_eq!(zeroed.add(299).read(), 0);
        heap.dealloc(before, layout(100, 8));
        assert_eq!(guard.usage().live, 112, "nothing of it has reached the heap");
        drop(guard);
        assert_eq!(heap.usage().live, 5056 + 304);
        heap.dealloc(grown, layout(5000, 64));
        heap.dealloc(zeroed, layout(300, 1));
    }
    assert_eq!(heap.usage().live, 0);
    assert!(heap.validate());
}

#[test]
fn threads_take_turns_and_free_what_others_allocated() {
    let (threads, steps) = if cfg!(miri) { (2, 20) } else { (4, 20_000) };
    let heap = GenericAllocator::<Pages>::new();
    let shelf: Vec<AtomicUsize> = (0..64).map(|_| AtomicUsize::new(0)).collect();
    let layout = layout(48, 16);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (heap, shelf) = (&heap, &shelf);
            scope.spawn(move || {
                let mut state = thread as u64 + 1;
                for _ in 0..steps {
                    // SAFETY: a block is on the shelf once, and whoever takes it from there owns it.
                    unsafe {
                        let block = heap.alloc(layout);
                        block.write_bytes(thread as u8, 48);
                        let place = &shelf[random(&mut state, 64)];
                        let old = place.swap(block.expose_provenance(), Ordering::AcqRel);
                        if old != 0 {
                            heap.dealloc(ptr::with_exposed_provenance_mut(old), layout);
                        }
                    }
                }
            });
        }
    });
    for place in shelf {
        if let Some(block) = NonNull::new(ptr::with_exposed_provenance_mut::<u8>(place.into_inner())) {
            // SAFETY: as above.
            unsafe { heap.dealloc(block.as_ptr(), layout) };
        }
    }
    assert!(heap.validate());
    assert_eq!(heap.usage().live, 0);
}

#[test]
fn a_heap_may_be_moved_while_its_blocks_live() {
    let mut heap = RawAlloc::<ToyHeap>::default();
    // SAFETY: a block of this heap with its layout.
    unsafe {
        let block = heap.alloc(layout(40, 8));
        block.write_bytes(3, 40);
        let mut heap = Box::new(heap);
        let other = heap.alloc(layout(40, 8));
        other.write_bytes(4, 40);
        assert_eq!(block.add(39).read(), 3);
        heap.dealloc(block, layout(40, 8));
        assert!(heap.stats().0.is_valid());
    }
}

#[test]
fn dropping_a_list_with_blocks_is_quiet() {
    drop(GenericAllocator::<ToyHeap>::new());
    let mut heap = RawAlloc::<ToyHeap>::default();
    // SAFETY: the block is not used.
    unsafe { heap.alloc(layout(8, 8)) };
    assert_eq!(heap.grower().page_size(), 64);
    drop(heap);
}
