//! Attacks on blocks of no bytes.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::ptr::NonNull;

use forge_malloc::fast::{Hardened, ThreadCache};

use crate::HEAP;
use crate::victim::Verdict::{Faults, Lives};
use crate::victim::{peek, poke, variant};

/// Returns the only empty block of a cache of its own, at a multiple of `align`.
fn take_empty(cache: &ThreadCache<Hardened>, align: usize) -> NonNull<u8> {
    // SAFETY: the heap lives as long as the process, and the cache has no other.
    let block = unsafe { cache.allocate_any(&HEAP, Layout::from_size_align(0, align).unwrap()) };
    assert_eq!(block.addr() % align, 0);
    NonNull::new(block).unwrap()
}

#[test]
fn a19_touch_a_block_of_no_bytes() {
    let name = "empty::a19_touch_a_block_of_no_bytes";
    // The size is the alignment of the empty block.
    let aligns = [1, 16, 4096, 64 << 10];
    variant(0, name, &aligns, |_| Faults, |_, align| _ = peek(take_empty(&ThreadCache::new(), align), 0));
    variant(1, name, &aligns, |_| Faults, |_, align| poke(take_empty(&ThreadCache::new(), align), 0, 1));
    variant(
        2,
        name,
        &aligns,
        |_| Lives,
        |_, align| {
            let cache = ThreadCache::new();
            let (first, second) = (take_empty(&cache, align), take_empty(&cache, align));
            assert_ne!(first, second);
            assert_eq!(HEAP.usable_size(first.as_ptr()), Some(0));
            // SAFETY: live blocks of this heap, freed once; the second is moved to a size that can be touched.
            unsafe {
                cache.free(&HEAP, first.as_ptr());
                let moved = cache.move_to(&HEAP, second.as_ptr(), Layout::new::<u64>());
                moved.cast::<u64>().write(1);
                cache.free(&HEAP, moved);
            }
        },
    );
}
