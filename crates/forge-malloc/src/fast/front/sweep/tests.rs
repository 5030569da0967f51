#![allow(unsafe_code)]

use core::alloc::Layout;

use forge_os::SimOs;

use crate::fast::{Hardened, Heap, ThreadCache};

#[test]
fn a_sweep_finds_blocks_of_every_layout_whole() {
    let heap = Heap::<Hardened, _>::new(SimOs::new(4 << 10));
    let cache = ThreadCache::new();
    for step in 0..if cfg!(miri) { 3 } else { 2000 } {
        let size = 1 + step * 13 % 700 + if step % 50 == 49 { 300_000 } else { 0 };
        let layout = Layout::from_size_align(size, 1 << (step % 7)).unwrap();
        // SAFETY: the cache has one heap; blocks are written within their sizes and freed with their layouts.
        unsafe {
            let block = cache.allocate(&heap, layout);
            block.write_bytes(0xA5, size);
            if step % 3 == 0 {
                cache.deallocate(&heap, block, layout);
            }
        }
    }
    heap.check_blocks();
    // SAFETY: as above.
    unsafe { cache.close(&heap) };
    heap.check_blocks();
}
