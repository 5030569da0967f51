#![allow(unsafe_code)]

use core::ptr::NonNull;

use forge_alloc_core::{NonZeroLayout, Region};

use super::{CHUNK_ALIGN, Chunk, HEADER_SIZE, HEADROOM};

fn layout(size: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, CHUNK_ALIGN).unwrap()
}

/// Runs `check` on a region of `size` bytes and frees it afterwards.
fn with_region(size: usize, check: impl FnOnce(Region) -> Region) {
    let layout = layout(size).to_layout();
    // SAFETY: the layout is not empty.
    let base = NonNull::new(unsafe { std::alloc::alloc(layout) }).unwrap();
    // SAFETY: the block is fresh and exclusively ours.
    let region = check(unsafe { Region::from_raw(base, size) });
    assert_eq!((region.base(), region.len()), (base, size));
    // SAFETY: the region came back whole and was allocated with this layout.
    unsafe { std::alloc::dealloc(base.as_ptr(), layout) };
}

#[test]
fn a_chunk_remembers_its_region_and_its_neighbour() {
    with_region(1000, |region| {
        let base = region.base().addr().get();
        let chunk = Chunk::new(region, layout(1000)).unwrap();
        // SAFETY: the chunk is live until it is taken apart at the end.
        unsafe {
            assert_eq!(chunk.start().addr().get(), base + HEADER_SIZE);
            assert_eq!(chunk.end(), base + 992);
            assert_eq!(chunk.region_len(), 1000);
            assert_eq!(chunk.next(), None);
            chunk.set_next(Some(chunk));
            assert_eq!(chunk.next(), Some(chunk));
            let (region, requested) = chunk.into_region();
            assert_eq!(requested, layout(1000));
            region
        }
    });
}

#[test]
fn a_region_below_the_header_is_given_back() {
    with_region(HEADER_SIZE - 1, |region| Chunk::new(region, layout(1)).unwrap_err());
}

#[test]
fn regions_that_break_an_invariant_are_given_back() {
    let top = usize::MAX - HEADROOM;
    for (start, len) in [(top & !(CHUNK_ALIGN - 1), 4096), (0x1008, 4096)] {
        let base = NonNull::new(core::ptr::without_provenance_mut::<u8>(start)).unwrap();
        // SAFETY: the span is refused before any byte of it is touched.
        let region = unsafe { Region::from_raw(base, len) };
        assert_eq!(Chunk::new(region, layout(len)).unwrap_err().len(), len);
    }
}
