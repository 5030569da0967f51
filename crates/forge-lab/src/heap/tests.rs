use super::*;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// Allocates, fills and returns a block.
fn filled(heap: &LaboratoryHeap, layout: Layout, value: u8) -> NonNull<u8> {
    // SAFETY: the size is not zero.
    let block = NonNull::new(unsafe { heap.alloc(layout) }).expect("memory");
    assert_eq!(block.addr().get() % layout.align(), 0);
    // SAFETY: the block is ours and this long.
    unsafe { block.write_bytes(value, layout.size()) };
    block
}

fn holds(block: NonNull<u8>, layout: Layout, value: u8) -> bool {
    // SAFETY: the block is ours, this long, and was filled.
    unsafe { std::slice::from_raw_parts(block.as_ptr(), layout.size()) }.iter().all(|&byte| byte == value)
}

#[test]
fn blocks_of_all_sizes_are_aligned_and_disjoint() {
    let heap = LaboratoryHeap::new();
    let layouts: Vec<Layout> = [1, 7, 24, 4096, LARGE - 1, LARGE, LARGE + 1, 3 << 20]
        .into_iter()
        .flat_map(|size| [1, 8, 64, 4096, 8192, 1 << 21].map(|align| layout(size, align)))
        .collect();
    let blocks: Vec<NonNull<u8>> =
        layouts.iter().enumerate().map(|(index, &layout)| filled(&heap, layout, index as u8)).collect();
    for (index, (&block, &layout)) in blocks.iter().zip(&layouts).enumerate() {
        assert!(holds(block, layout, index as u8), "block {index} was overwritten");
        // SAFETY: the block is live with this layout and not used again.
        unsafe { heap.dealloc(block.as_ptr(), layout) };
    }
}

#[test]
fn a_full_chunk_is_followed_by_another() {
    let heap = LaboratoryHeap::new();
    let layout = layout(LARGE / 2, 16);
    let blocks: Vec<NonNull<u8>> = (0..64).map(|index| filled(&heap, layout, index)).collect();
    assert!(blocks.iter().zip(0..).all(|(&block, value)| holds(block, layout, value)));
}

#[test]
fn an_impossible_request_is_null() {
    let heap = LaboratoryHeap::new();
    // SAFETY: the size is not zero.
    assert!(unsafe { heap.alloc(layout(isize::MAX as usize - 4096, 1)) }.is_null());
}

#[test]
fn a_trial_maps_lazily_and_still_serves() {
    let heap = LaboratoryHeap::new();
    heap.begin_trial();
    let large = layout(4 << 20, 16);
    let block = filled(&heap, large, 9);
    assert!(holds(block, large, 9));
    // SAFETY: the block is live with this layout and not used again.
    unsafe { heap.dealloc(block.as_ptr(), large) };
}
