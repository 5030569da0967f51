use core::alloc::Layout;

use forge_alloc_core::ByteAllocator;

use super::*;
use crate::layout::heap::testing;

#[test]
fn random_histories_at_every_occupancy_keep_the_contract() {
    if cfg!(not(miri)) {
        testing::run_histories(TlsfByteAllocator::new);
    }
    testing::run_histories(Tlsf::<8, 8>::new);
}

#[test]
fn a_heap_with_few_classes_keeps_the_contract() {
    testing::run_histories(Tlsf::<3, 4>::new);
}

#[test]
fn the_shadow_model_finds_nothing() {
    if cfg!(not(miri)) {
        testing::shadow_histories(TlsfByteAllocator::new);
    }
    testing::shadow_histories(Tlsf::<6, 8>::new);
}

#[test]
fn what_holds_for_every_heap_holds() {
    if cfg!(not(miri)) {
        testing::properties(TlsfByteAllocator::new);
    }
    testing::properties(Tlsf::<24, 8>::new);
}

#[test]
fn a_heap_can_be_a_static() {
    static HEAP: std::sync::Mutex<TlsfByteAllocator> = std::sync::Mutex::new(Tlsf::new());
    assert_eq!(HEAP.lock().unwrap().total_bytes(), 0);
}

#[test]
fn classes_ascend_with_the_lengths_and_are_narrow() {
    let mut last = 0;
    for granules in 2..if cfg!(miri) { 200_usize } else { 100_000 } {
        let class = class_of::<32>(granules);
        assert!(class == last || class == last + 1 || granules == 2);
        // The slack: all lengths of a class lie within one part in `SECOND` of the shortest.
        if class == last {
            let shortest = (0..granules).rev().take_while(|other| class_of::<32>(*other) == class).last();
            assert!(shortest.is_none_or(|shortest| (granules - shortest) * 32 < shortest));
        }
        last = class;
    }
    assert_eq!(class_of::<64>(127), 127);
    assert_eq!(class_of::<64>(128), 128);
    assert_eq!(class_of::<64>(130), 129);
}

#[test]
fn a_small_request_takes_the_shortest_run_that_holds_it() {
    let memory = testing::Memory::new(16_384, 8);
    let mut heap = TlsfByteAllocator::new();
    heap.add_region(memory.region(0, 16_384)).unwrap();
    let layout = |size| Layout::from_size_align(size, 8).unwrap();
    let sizes = [400, 160, 240, 96, 320];
    let blocks = sizes.map(|size| {
        let block = heap.alloc(layout(size)).unwrap();
        heap.alloc(layout(16)).unwrap();
        block
    });
    for (block, size) in blocks.into_iter().zip(sizes) {
        // SAFETY: the block is live.
        unsafe { heap.dealloc(block, layout(size)) };
    }
    for (size, run) in [(300, 4), (90, 3), (161, 2), (152, 1), (390, 0)] {
        assert_eq!(heap.alloc(layout(size)), Ok(blocks[run]), "{size} bytes");
    }
}

#[test]
fn a_request_is_served_by_its_own_class_when_no_other_has_a_run() {
    let memory = testing::Memory::new(1 << 16, 8);
    let mut heap = TlsfByteAllocator::new();
    heap.add_region(memory.region(0, 1 << 16)).unwrap();
    let largest = heap.largest_free().unwrap();
    let layout = Layout::from_size_align(largest, 8).unwrap();
    assert!(heap.alloc(layout).is_ok());
    assert_eq!(heap.available_bytes(), 0);
}
