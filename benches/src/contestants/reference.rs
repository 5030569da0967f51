//! The reference forge-alloc of the registry: one piece of memory, upwards, offsets from a base that is asked each time.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use forge_alloc_reference::{
    Allocator, ArenaPool, BumpArena, HeapBytes, InlineBacked, MmapBacked, NonZeroLayout, Scope,
    SharedBumpArena, StaticBacked, StdCompat,
};

use super::{Arena, Blocks, Copies, Put, PutWide, Scopes, Shared, SharedBatch, Wide};
use crate::harness::{Contestant, Side};
use crate::rows::fresh::{check_ten, cycles, sized_ten, ten_in};
use crate::sink::exhausted;
use crate::vectors;

/// The reference's arena over one block of the global allocator.
pub struct Reference(BumpArena<HeapBytes>);

impl Arena for Reference {
    const NAME: &'static str = "reference BumpArena";
    const SIDE: Side = Side::Peer;

    #[inline(always)]
    fn with_capacity(bytes: usize) -> Self {
        match HeapBytes::new(bytes).and_then(BumpArena::new) {
            Ok(arena) => Self(arena),
            Err(_) => exhausted(),
        }
    }

    #[inline(always)]
    fn reset(&mut self) {
        self.0.reset();
    }
}

impl<T: Copy> Put<T> for Reference {
    #[inline(always)]
    fn put(&self, value: T) -> &T {
        match self.0.alloc(value) {
            // SAFETY: the block holds the value until the arena is reset through `&mut`.
            Ok(block) => unsafe { block.as_ref() },
            Err(_) => exhausted(),
        }
    }
}

impl Blocks for Reference {
    type Layout = NonZeroLayout;

    fn layout(layout: Layout) -> NonZeroLayout {
        NonZeroLayout::try_from(layout).unwrap_or_else(|_| exhausted())
    }

    #[inline(always)]
    fn block(&self, layout: NonZeroLayout) -> NonNull<u8> {
        match self.0.allocate(layout) {
            Ok(block) => block.cast(),
            Err(_) => exhausted(),
        }
    }
}

impl Copies for Reference {
    #[inline(always)]
    fn copy_slice(&self, source: &[u8]) -> &[u8] {
        match self.0.alloc_slice_copy(source) {
            // SAFETY: the block holds the copy until the arena is reset through `&mut`.
            Ok(block) => unsafe { block.as_ref() },
            Err(_) => exhausted(),
        }
    }

    #[inline(always)]
    fn copy_str(&self, source: &str) -> &str {
        match self.0.alloc_str(source) {
            // SAFETY: the block holds the copy until the arena is reset through `&mut`.
            Ok(block) => unsafe { block.as_ref() },
            Err(_) => exhausted(),
        }
    }
}

impl Scopes for Reference {
    type Scope<'s> = Scope<'s, HeapBytes>;

    #[inline(always)]
    fn scoped<R>(&mut self, work: impl FnOnce(&Scope<'_, HeapBytes>) -> R) -> R {
        let scope = self.0.scope();
        work(&scope)
    }
}

impl PutWide for Scope<'_, HeapBytes> {
    #[inline(always)]
    fn put_wide(&self, value: Wide) -> &Wide {
        match self.alloc(value) {
            Ok(block) => block,
            Err(_) => exhausted(),
        }
    }
}

vectors!(Reference, arena => allocator_api2_02::vec::Vec::new_in(StdCompat::new(&arena.0)));

/// The reference's arena over a mapping of its own, large enough for a million values.
pub struct ReferenceMapped(BumpArena<MmapBacked>);

impl Arena for ReferenceMapped {
    const NAME: &'static str = "reference BumpArena<MmapBacked>";
    const SIDE: Side = Side::Peer;

    #[inline(always)]
    fn with_capacity(bytes: usize) -> Self {
        match MmapBacked::new(bytes).and_then(BumpArena::new) {
            Ok(arena) => Self(arena),
            Err(_) => exhausted(),
        }
    }

    #[inline(always)]
    fn reset(&mut self) {
        self.0.reset();
    }
}

impl<T: Copy> Put<T> for ReferenceMapped {
    #[inline(always)]
    fn put(&self, value: T) -> &T {
        match self.0.alloc(value) {
            // SAFETY: the block holds the value until the arena is reset through `&mut`.
            Ok(block) => unsafe { block.as_ref() },
            Err(_) => exhausted(),
        }
    }
}

/// The reference's shared arena over memory that lives across batches.
pub struct ReferenceShared(Box<[u8]>);

impl Shared for ReferenceShared {
    const NAME: &'static str = "reference SharedBumpArena";
    const SIDE: Side = Side::Peer;
    type Batch<'b> = SharedBumpArena<StaticBacked<'b>>;

    fn with_capacity(bytes: usize) -> Self {
        Self(vec![0; bytes + 64].into_boxed_slice())
    }

    fn open(&mut self) -> Self::Batch<'_> {
        SharedBumpArena::new(StaticBacked::new(&mut self.0)).unwrap_or_else(|_| exhausted())
    }
}

impl SharedBatch for SharedBumpArena<StaticBacked<'_>> {
    type Handle<'h>
        = ReferenceHandle<'h>
    where
        Self: 'h;

    fn handle(&self) -> ReferenceHandle<'_> {
        ReferenceHandle(self)
    }
}

/// A thread's reference to the reference's shared arena.
pub struct ReferenceHandle<'h>(&'h SharedBumpArena<StaticBacked<'h>>);

impl PutWide for ReferenceHandle<'_> {
    #[inline(always)]
    fn put_wide(&self, value: Wide) -> &Wide {
        let layout = const { NonZeroLayout::for_type::<Wide>() };
        match layout.map(|layout| self.0.allocate(layout)) {
            // SAFETY: the block has the layout of the value and is nobody else's; the arena never resets.
            Some(Ok(block)) => unsafe { super::write_in(self, block.cast(), value) },
            _ => exhausted(),
        }
    }
}

/// The reference's arena over bytes in its own value.
pub struct ReferenceInline(BumpArena<InlineBacked<512>>);

impl Arena for ReferenceInline {
    const NAME: &'static str = "reference BumpArena<InlineBacked>";
    const SIDE: Side = Side::Context;

    #[inline(always)]
    fn with_capacity(_: usize) -> Self {
        match BumpArena::new(InlineBacked::new()) {
            Ok(arena) => Self(arena),
            Err(_) => exhausted(),
        }
    }

    #[inline(always)]
    fn reset(&mut self) {
        self.0.reset();
    }
}

impl<T: Copy> Put<T> for ReferenceInline {
    #[inline(always)]
    fn put(&self, value: T) -> &T {
        match self.0.alloc(value) {
            // SAFETY: the block holds the value until the arena is reset or moved, which its borrow forbids.
            Ok(block) => unsafe { block.as_ref() },
            Err(_) => exhausted(),
        }
    }
}

/// Returns the contestants of the row about ten values in a new arena that come from a pool or from the stack.
pub fn ten_cycles() -> Vec<Contestant> {
    let pool = || ArenaPool::new(4, || HeapBytes::new(4096));
    let (mut checked, mut timed) = (pool(), pool());
    let pooled = cycles(
        "reference ArenaPool",
        Side::Peer,
        move |first| {
            let arena = Reference(timed.checkout().unwrap_or_else(|_| exhausted()));
            ten_in(&arena, first);
            timed.give_back(arena.0);
        },
        move |first| {
            let arena = Reference(checked.checkout().unwrap_or_else(|_| exhausted()));
            let result = check_ten(&arena, first);
            checked.give_back(arena.0);
            result
        },
    );
    vec![pooled, sized_ten::<ReferenceInline>()]
}
