//! One piece of memory for hand-written pools, aligned to a page, as a mapping is.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use super::Object;
use crate::sink::exhausted;

/// Memory for a number of objects, from the global allocator.
pub struct Memory {
    start: NonNull<u8>,
    layout: Layout,
}

impl Memory {
    /// Returns memory for `objects` objects, at least one.
    pub fn new(objects: usize) -> Self {
        let layout = Layout::from_size_align(objects * size_of::<Object>(), 4096);
        let Ok(layout) = layout else { exhausted() };
        assert!(layout.size() > 0, "a pool of no objects");
        // SAFETY: the size is not zero (asserted above).
        let start = NonNull::new(unsafe { std::alloc::alloc(layout) });
        Self { start: start.unwrap_or_else(|| exhausted()), layout }
    }

    /// Returns the place of the first object.
    #[inline(always)]
    pub fn start(&self) -> NonNull<Object> {
        self.start.cast()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the memory came from `alloc` with this layout and is freed once.
        unsafe { std::alloc::dealloc(self.start.as_ptr(), self.layout) };
    }
}
