//! blink-alloc: chunks, upwards; the local one, the shared one, and the shared one's per-thread proxies.

#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use blink_alloc::{Blink, BlinkAlloc, LocalBlinkAlloc, SyncBlinkAlloc};

use super::{Arena, Blocks, Copies, Fresh, Put, PutWide, Shared, SharedBatch, Wide};
use crate::harness::Side;
use crate::sink::exhausted;
use crate::vectors;

/// blink-alloc's typed front over its local allocator.
pub struct LocalBlink(Blink);

impl Arena for LocalBlink {
    const NAME: &'static str = "blink-alloc";
    const SIDE: Side = Side::Peer;

    fn with_capacity(bytes: usize) -> Self {
        Self(Blink::with_chunk_size(bytes))
    }

    #[inline(always)]
    fn reset(&mut self) {
        self.0.reset();
    }
}

impl<T: Copy> Put<T> for LocalBlink {
    #[inline(always)]
    fn put(&self, value: T) -> &T {
        self.0.put_no_drop(value)
    }
}

impl Blocks for LocalBlink {
    type Layout = Layout;

    fn layout(layout: Layout) -> Layout {
        layout
    }

    #[inline(always)]
    fn block(&self, layout: Layout) -> NonNull<u8> {
        match self.0.allocator().allocate(layout) {
            Ok(block) => block.cast(),
            Err(_) => exhausted(),
        }
    }
}

impl Copies for LocalBlink {
    #[inline(always)]
    fn copy_slice(&self, source: &[u8]) -> &[u8] {
        self.0.copy_slice(source)
    }

    #[inline(always)]
    fn copy_str(&self, source: &str) -> &str {
        self.0.copy_str(source)
    }
}

impl<T: Copy> Fresh<T> for LocalBlink {
    #[inline(always)]
    fn fresh() -> Self {
        Self(Blink::new_in(BlinkAlloc::new()))
    }
}

vectors!(LocalBlink, arena => allocator_api2_04::vec::Vec::new_in(arena.0.allocator()));

/// blink-alloc's shared allocator, called directly.
pub struct SyncBlink(SyncBlinkAlloc);

impl Shared for SyncBlink {
    const NAME: &'static str = "blink-alloc sync";
    const SIDE: Side = Side::Peer;
    type Batch<'b> = &'b Self;

    fn with_capacity(bytes: usize) -> Self {
        Self(SyncBlinkAlloc::with_chunk_size_in(bytes, allocator_api2_04::alloc::Global))
    }

    fn open(&mut self) -> &Self {
        self.0.reset();
        self
    }
}

impl SharedBatch for &SyncBlink {
    type Handle<'h>
        = SyncHandle<'h>
    where
        Self: 'h;

    fn handle(&self) -> SyncHandle<'_> {
        SyncHandle(self)
    }
}

/// A thread's reference to a [`SyncBlink`].
pub struct SyncHandle<'h>(&'h SyncBlink);

impl PutWide for SyncHandle<'_> {
    #[inline(always)]
    fn put_wide(&self, value: Wide) -> &Wide {
        match self.0.0.allocate(Layout::new::<Wide>()) {
            // SAFETY: the block has the layout of the value, and lives until the arena is reset through `&mut`.
            Ok(block) => unsafe { super::write_in(self, block.cast(), value) },
            Err(_) => exhausted(),
        }
    }
}

/// blink-alloc's shared allocator, through a proxy per thread.
pub struct ProxyBlink(SyncBlinkAlloc);

impl Shared for ProxyBlink {
    const NAME: &'static str = "blink-alloc sync, proxy per thread";
    const SIDE: Side = Side::Context;
    type Batch<'b> = &'b Self;

    fn with_capacity(bytes: usize) -> Self {
        Self(SyncBlinkAlloc::with_chunk_size_in(2 * bytes, allocator_api2_04::alloc::Global))
    }

    fn open(&mut self) -> &Self {
        self.0.reset();
        self
    }
}

impl SharedBatch for &ProxyBlink {
    type Handle<'h>
        = ProxyHandle<'h>
    where
        Self: 'h;

    fn handle(&self) -> ProxyHandle<'_> {
        ProxyHandle(self.0.local())
    }
}

/// A thread's own proxy of a [`ProxyBlink`].
pub struct ProxyHandle<'h>(LocalBlinkAlloc<'h>);

impl PutWide for ProxyHandle<'_> {
    #[inline(always)]
    fn put_wide(&self, value: Wide) -> &Wide {
        match self.0.allocate(Layout::new::<Wide>()) {
            // SAFETY: the block has the layout of the value, and lives until the arena is reset through `&mut`.
            Ok(block) => unsafe { super::write_in(self, block.cast(), value) },
            Err(_) => exhausted(),
        }
    }
}
