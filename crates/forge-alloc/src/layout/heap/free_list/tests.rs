use core::alloc::Layout;
use std::vec::Vec;

use forge_alloc_core::ByteAllocator;

use super::*;
use crate::layout::heap::testing;

#[test]
fn random_histories_at_every_occupancy_keep_the_contract() {
    testing::run_histories(FreeListHeap::<FirstFit>::new);
    testing::run_histories(FreeListHeap::<BestFit>::new);
}

#[test]
fn the_shadow_model_finds_nothing() {
    testing::shadow_histories(FreeListHeap::<FirstFit>::new);
    testing::shadow_histories(FreeListHeap::<BestFit>::new);
}

#[test]
fn what_holds_for_every_heap_holds() {
    testing::properties(FreeListHeap::<FirstFit>::new);
    testing::properties(FreeListHeap::<BestFit>::new);
}

/// A heap with free runs of these sizes, in ascending order of addresses, and where they are.
fn with_runs<F: Fit>(memory: &testing::Memory, sizes: &[usize]) -> (FreeListHeap<F>, Vec<usize>) {
    let mut heap = FreeListHeap::<F>::new();
    heap.add_region(memory.region(0, 4096)).unwrap();
    let layout = |size| Layout::from_size_align(size, 8).unwrap();
    let blocks: Vec<_> = sizes
        .iter()
        .map(|size| (heap.alloc(layout(*size)).unwrap(), heap.alloc(layout(24)).unwrap()).0)
        .collect();
    for index in [1, 3, 0, 2] {
        // SAFETY: the block is live.
        unsafe { heap.dealloc(blocks[index], layout(sizes[index])) };
        heap.check_all();
    }
    (heap, blocks.iter().map(|block| block.addr().get()).collect())
}

#[test]
fn first_fit_takes_the_lowest_address() {
    let memory = testing::Memory::new(4096, 8);
    let (mut heap, runs) = with_runs::<FirstFit>(&memory, &[48, 160, 80, 160]);
    for (size, address) in [(80, runs[1]), (40, runs[0]), (80, runs[1] + 80), (100, runs[3]), (80, runs[2])] {
        let block = heap.alloc(Layout::from_size_align(size, 8).unwrap()).unwrap();
        assert_eq!(block.addr().get(), address, "{size} bytes");
    }
}

#[test]
fn best_fit_takes_the_shortest_and_of_those_the_lowest() {
    let memory = testing::Memory::new(4096, 8);
    let (mut heap, runs) = with_runs::<BestFit>(&memory, &[160, 48, 160, 80]);
    for (size, run) in [(80, 3), (40, 1), (150, 0), (150, 2)] {
        let block = heap.alloc(Layout::from_size_align(size, 8).unwrap()).unwrap();
        assert_eq!(block.addr().get(), runs[run], "{size} bytes");
    }
}
