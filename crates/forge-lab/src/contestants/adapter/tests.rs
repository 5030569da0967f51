use super::*;

fn layout(size: usize, align: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, align).unwrap()
}

#[test]
fn contents_survive_growing_shrinking_and_a_changed_alignment() {
    let system = GlobalAllocAdapter(std::alloc::System);
    let (small, large, aligned) = (layout(100, 8), layout(5000, 8), layout(50, 256));
    let block = system.allocate(small).unwrap().cast::<u8>();
    // SAFETY: each block is live with the layout passed, and as long as what is written and read.
    unsafe {
        block.write_bytes(0xA5, 100);
        let block = system.grow(block, small, large).unwrap().cast::<u8>();
        assert_eq!(block.add(99).read(), 0xA5);
        let block = system.shrink(block, large, aligned).unwrap().cast::<u8>();
        assert_eq!(block.addr().get() % 256, 0);
        assert_eq!(block.add(49).read(), 0xA5);
        system.deallocate(block, aligned);
    }
}

#[test]
fn zeroed_blocks_are_zero() {
    let system = GlobalAllocAdapter(std::alloc::System);
    let layout = layout(4096, 16);
    let block = system.allocate_zeroed(layout).unwrap();
    // SAFETY: the block is live, ours and initialised.
    assert!(unsafe { block.as_ref() }.iter().all(|&byte| byte == 0));
    // SAFETY: the block is live with this layout.
    unsafe { system.deallocate(block.cast(), layout) };
}

#[test]
fn a_refusal_is_an_error() {
    let system = GlobalAllocAdapter(std::alloc::System);
    assert_eq!(system.allocate(layout(isize::MAX as usize / 2, 16)), Err(AllocError));
}
