#![allow(unsafe_code)]

use std::vec::Vec;

use forge_os::SimOs;
use forge_os::sim::SimCall;

use super::*;

fn random(state: &mut u64, below: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state % below as u64) as usize
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap_or_else(|error| panic!("{size} bytes at {align}: {error}"))
}

/// A live block, with a mark of its own at places all over it.
struct Block {
    start: NonNull<u8>,
    layout: Layout,
    mark: u8,
}

impl Block {
    fn new(start: NonNull<u8>, layout: Layout, dirty: usize, mark: u8) -> Self {
        assert_eq!(start.addr().get() % layout.align(), 0);
        for place in (dirty..layout.size()).step_by(509) {
            // SAFETY: the block is the test's.
            assert_eq!(unsafe { start.add(place).read() }, 0, "what is not said to be dirty is zero");
        }
        // SAFETY: as above.
        unsafe { start.write_bytes(mark, layout.size()) };
        Self { start, layout, mark }
    }

    fn check(&self, size: usize) {
        for place in (0..size).step_by(509).chain([size - 1]) {
            // SAFETY: as above.
            assert_eq!(unsafe { self.start.add(place).read() }, self.mark, "a block is nobody else's");
        }
    }
}

fn history(page: usize, seed: u64, failing: bool) {
    let os = SimOs::new(page);
    let retainable = 1 << 20;
    let huge = Huge::new(os, retainable, false);
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut held: Vec<Block> = Vec::new();
    let most = if cfg!(miri) { 20_000 } else { 600_000 };
    for step in 0..if cfg!(miri) { 30 } else { 1200 } {
        if failing && step % 4 == 0 {
            let calls = [SimCall::Map, SimCall::Unmap, SimCall::Advise, SimCall::Remap];
            os.fail_nth(Some(calls[random(&mut state, 4)]), 1, 12);
        }
        let size = 1 + random(&mut state, most) / (1 + random(&mut state, 20));
        match random(&mut state, 5) {
            0 | 1 if held.len() < 24 => {
                let layout = layout(size, 1 << random(&mut state, 19));
                let Some((start, dirty)) = huge.allocate(layout) else {
                    assert!(failing);
                    continue;
                };
                held.push(Block::new(start, layout, dirty, step as u8));
            }
            2 if !held.is_empty() => {
                let block = held.swap_remove(random(&mut state, held.len()));
                block.check(block.layout.size());
                huge.deallocate(block.start.addr().get());
            }
            3 if !held.is_empty() => {
                let index = random(&mut state, held.len());
                let block = &mut held[index];
                let align = block.layout.align();
                let moved = huge.reallocate(block.start.addr().get(), align, size);
                if let Some(start) = moved {
                    assert_eq!(start.addr().get() % align, 0);
                    let kept = size.min(block.layout.size());
                    (block.start, block.layout) = (start, layout(size, align));
                    block.check(kept);
                    // SAFETY: as above.
                    unsafe { block.start.write_bytes(block.mark, size) };
                }
            }
            _ if random(&mut state, 40) == 0 => huge.purge(),
            _ => {}
        }
        let (extent, live) = (huge.extent(), held.iter().map(|block| block.layout.size()).sum::<usize>());
        assert_eq!(extent.used, live);
        assert!(extent.peak >= live && extent.mapped >= live);
        // Records have mappings of their own.
        assert!(
            os.mapped_bytes() >= extent.mapped
                && os.mapped_bytes() <= extent.mapped + extents::RECORDS.max(page)
        );
    }
    os.clear_failures();
    for block in held {
        block.check(block.layout.size());
        huge.deallocate(block.start.addr().get());
    }
    huge.purge();
    assert_eq!((huge.extent().used, huge.extent().mapped), (0, 0));
    assert!(os.live_mappings() <= 1, "the records");
}

#[test]
fn blocks_are_aligned_disjoint_and_zero_where_they_say_so() {
    for seed in 1..if cfg!(miri) { 2 } else { 5 } {
        history(4 << 10, seed, false);
        history(64 << 10, seed, false);
    }
}

#[test]
fn a_system_that_refuses_now_and_then_spoils_nothing() {
    for seed in 1..if cfg!(miri) { 2 } else { 5 } {
        history(4 << 10, seed, true);
        history(64 << 10, seed, true);
    }
}

#[test]
fn a_free_mapping_serves_the_next_request_and_what_is_kept_is_bounded() {
    let os = SimOs::new(4 << 10);
    let huge = Huge::new(os, 1 << 20, false);
    let (first, _) = huge.allocate(layout(300_000, 1)).unwrap();
    huge.deallocate(first.addr().get());
    let (second, dirty) = huge.allocate(layout(200_000, 1)).unwrap();
    assert_eq!((first, dirty), (second, 200_000));
    huge.deallocate(second.addr().get());

    let count = if cfg!(miri) { 8 } else { 600 };
    let blocks: Vec<_> = (0..count).map(|_| huge.allocate(layout(1, 64 << 10)).unwrap().0).collect();
    blocks.iter().for_each(|block| huge.deallocate(block.addr().get()));
    assert!(os.live_mappings() <= MOST_KEPT + 4, "{}", os.live_mappings());
    assert!(huge.extent().idle <= 7 << 18);

    let blocks: Vec<_> = (0..8).map(|_| huge.allocate(layout(1 << 20, 1)).unwrap().0).collect();
    blocks.iter().for_each(|block| huge.deallocate(block.addr().get()));
    assert!(huge.extent().idle <= 7 << 18);
}

#[test]
fn the_impossible_is_refused_and_changes_nothing() {
    let os = SimOs::new(4 << 10);
    os.limit_mapped_bytes(1 << 30);
    let huge = Huge::new(os, 0, false);
    let (block, _) = huge.allocate(layout(100, 1)).unwrap();
    let impossible = [
        layout(isize::MAX as usize, 1),
        layout(isize::MAX as usize - 4095, 4096),
        // More than Miri aligns to.
        layout(1, 1 << (usize::BITS - 2)),
    ];
    for layout in impossible.into_iter().take(if cfg!(miri) { 2 } else { 3 }) {
        assert!(huge.allocate(layout).is_none());
        assert!(huge.reallocate(block.addr().get(), layout.align(), layout.size()).is_none());
    }
    assert_eq!(huge.extent().used, 100);
    huge.deallocate(block.addr().get());
}

#[test]
fn a_block_that_shrinks_gives_its_end_back() {
    let os = SimOs::new(4 << 10);
    let huge = Huge::new(os, 0, false);
    let (block, _) = huge.allocate(layout(1 << 20, 1)).unwrap();
    let start = block.addr().get();
    assert!(os.touch(block, 1 << 20));
    let records = os.resident_bytes() - (1 << 20);
    assert_eq!(huge.reallocate(start, 1, 40_000), Some(block));
    // Three quarters of what is in use may stay.
    assert!(os.resident_bytes() - records <= 70 << 10);
    // What was cut off comes back, zero, when the block grows.
    assert_eq!(huge.reallocate(start, 1, 1 << 20), Some(block));
    assert_eq!(huge.extent().mapped, 1 << 20);
    huge.deallocate(start);
}
