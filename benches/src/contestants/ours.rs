//! Ours: the bump arena over one backing, the growing arena, the shared arena, the pool.
#![allow(unsafe_code)]

use core::alloc::Layout;
use core::ptr::NonNull;

use forge_alloc::{
    AllocError, Allocator, Arena as ChunkedArena, ArenaPool, ArenaScope, BumpArena, HeapBytes, HeapSource,
    InlineBacked, MmapBacked, NonZeroLayout, Scope, SharedBumpArena, StdCompat,
};

use super::{Arena, Blocks, Copies, Fresh, Put, PutWide, Scopes, Shared, SharedBatch, Wide};
use crate::harness::{Contestant, Side};
use crate::rows::fresh::{
    check_ten, check_ten_with, cycles, fresh_million, fresh_ten, sized_million, sized_ten, ten_in, ten_with,
};
use crate::sink::exhausted;
use crate::vectors;

/// Returns the value, or ends the process.
#[inline(always)]
fn expect<T>(result: Result<T, AllocError>) -> T {
    match result {
        Ok(value) => value,
        Err(AllocError) => exhausted(),
    }
}

/// Returns the block, to be read, or ends the process.
#[inline(always)]
fn block_of<T: ?Sized>(result: Result<&mut T, AllocError>) -> &T {
    match result {
        Ok(block) => block,
        Err(AllocError) => exhausted(),
    }
}

/// Implements the capabilities that one bump arena has over any backing.
macro_rules! bump_arena {
    ($contestant:ty, $name:literal, $side:expr, $bytes:ident => $make:expr) => {
        impl Arena for $contestant {
            const NAME: &'static str = $name;
            const SIDE: Side = $side;

            #[inline(always)]
            fn with_capacity($bytes: usize) -> Self {
                Self(expect($make.and_then(BumpArena::new)))
            }

            #[inline(always)]
            fn reset(&mut self) {
                self.0.reset();
            }
        }

        impl<T: Copy> Put<T> for $contestant {
            #[inline(always)]
            fn put(&self, value: T) -> &T {
                block_of(self.0.alloc_ref(value))
            }
        }
    };
}

/// The bump arena over one block of the global allocator.
pub struct Fixed(BumpArena<HeapBytes>);
bump_arena!(Fixed, "ours: BumpArena", Side::Ours, bytes => HeapBytes::new(bytes));

/// The bump arena over a mapping of its own.
pub struct Mapped(BumpArena<MmapBacked>);
bump_arena!(Mapped, "ours: BumpArena<MmapBacked>", Side::Ours, bytes => MmapBacked::new(bytes));

/// The bump arena over bytes in its own value.
pub struct Inline(BumpArena<InlineBacked<512>>);
bump_arena!(Inline, "ours: BumpArena<InlineBacked>", Side::Context, _bytes => Ok(InlineBacked::new()));

impl Blocks for Fixed {
    type Layout = NonZeroLayout;

    fn layout(layout: Layout) -> NonZeroLayout {
        NonZeroLayout::try_from(layout).unwrap_or_else(|_| exhausted())
    }

    #[inline(always)]
    fn block(&self, layout: NonZeroLayout) -> NonNull<u8> {
        expect(self.0.allocate(layout)).cast()
    }
}

impl Copies for Fixed {
    #[inline(always)]
    fn copy_slice(&self, source: &[u8]) -> &[u8] {
        // SAFETY: the block holds the copy until the arena is reset through `&mut`.
        unsafe { expect(self.0.alloc_slice_copy(source)).as_ref() }
    }

    #[inline(always)]
    fn copy_str(&self, source: &str) -> &str {
        // SAFETY: the block holds the copy until the arena is reset through `&mut`.
        unsafe { expect(self.0.alloc_str(source)).as_ref() }
    }
}

impl Scopes for Fixed {
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
        block_of(self.alloc(value))
    }
}

vectors!(Fixed, arena => allocator_api2_02::vec::Vec::new_in(StdCompat::new(&arena.0)));

/// The growing arena whose blocks start at multiples of `MIN_ALIGN`.
pub struct Chunked<const MIN_ALIGN: usize>(ChunkedArena<HeapSource, MIN_ALIGN>);

/// The growing arena as it comes.
pub type Growing = Chunked<8>;

/// The growing arena that packs bytes without gaps.
pub type GrowingPacked = Chunked<1>;

impl<const MIN_ALIGN: usize> Arena for Chunked<MIN_ALIGN> {
    const NAME: &'static str = if MIN_ALIGN == 8 { "ours: Arena" } else { "ours: Arena, MIN_ALIGN 1" };
    const SIDE: Side = Side::Ours;

    fn with_capacity(bytes: usize) -> Self {
        let mut arena = ChunkedArena::with_source(HeapSource::new());
        expect(arena.reserve(bytes));
        Self(arena)
    }

    #[inline(always)]
    fn reset(&mut self) {
        self.0.reset();
    }
}

impl<const MIN_ALIGN: usize, T: Copy> Put<T> for Chunked<MIN_ALIGN> {
    #[inline(always)]
    fn put(&self, value: T) -> &T {
        block_of(self.0.alloc(value))
    }
}

impl<const MIN_ALIGN: usize> Blocks for Chunked<MIN_ALIGN> {
    type Layout = NonZeroLayout;

    fn layout(layout: Layout) -> NonZeroLayout {
        Fixed::layout(layout)
    }

    #[inline(always)]
    fn block(&self, layout: NonZeroLayout) -> NonNull<u8> {
        expect(self.0.allocate(layout)).cast()
    }
}

impl<const MIN_ALIGN: usize> Copies for Chunked<MIN_ALIGN> {
    #[inline(always)]
    fn copy_slice(&self, source: &[u8]) -> &[u8] {
        block_of(self.0.alloc_slice_copy(source))
    }

    #[inline(always)]
    fn copy_str(&self, source: &str) -> &str {
        block_of(self.0.alloc_str(source))
    }
}

impl<const MIN_ALIGN: usize> Scopes for Chunked<MIN_ALIGN> {
    type Scope<'s> = ArenaScope<'s, HeapSource, MIN_ALIGN>;

    #[inline(always)]
    fn scoped<R>(&mut self, work: impl FnOnce(&Self::Scope<'_>) -> R) -> R {
        let scope = self.0.scope();
        work(&scope)
    }
}

impl<const MIN_ALIGN: usize> PutWide for ArenaScope<'_, HeapSource, MIN_ALIGN> {
    #[inline(always)]
    fn put_wide(&self, value: Wide) -> &Wide {
        block_of(self.alloc(value))
    }
}

impl<const MIN_ALIGN: usize, T: Copy> Fresh<T> for Chunked<MIN_ALIGN> {
    #[inline(always)]
    fn fresh() -> Self {
        Self(ChunkedArena::with_source(HeapSource::new()))
    }
}

vectors!(Growing, arena => allocator_api2_02::vec::Vec::new_in(StdCompat::new(&arena.0)));

/// Returns our contestants of the row about ten values in a new arena.
pub fn ten_cycles() -> Vec<Contestant> {
    let pool = || ArenaPool::new(4, || HeapBytes::new(4096));
    let (mut checked, mut timed) = (pool(), pool());
    let by_hand = cycles(
        "ours: ArenaPool",
        Side::Ours,
        move |first| {
            let arena = Fixed(expect(timed.checkout()));
            ten_in(&arena, first);
            timed.give_back(arena.0);
        },
        move |first| {
            let arena = Fixed(expect(checked.checkout()));
            let result = check_ten(&arena, first);
            checked.give_back(arena.0);
            result
        },
    );
    let (mut checked, mut timed) = (pool(), pool());
    let leased = cycles(
        "ours: ArenaPool, leased",
        Side::Ours,
        move |first| {
            let arena = expect(timed.lease());
            ten_with(first, |value| block_of(arena.alloc_ref(value)));
        },
        move |first| {
            let arena = expect(checked.lease());
            check_ten_with(first, |value| block_of(arena.alloc_ref(value)))
        },
    );
    vec![leased, by_hand, fresh_ten::<Growing>(), sized_ten::<Fixed>(), sized_ten::<Inline>()]
}

/// Returns our contestants of the row about a million values in a new arena.
pub fn fresh_million_values() -> Vec<Contestant> {
    vec![
        fresh_million::<Growing>(),
        sized_million::<Growing>("ours: Arena, told the size"),
        sized_million::<Fixed>("ours: BumpArena, told the size"),
        sized_million::<Mapped>("ours: BumpArena<MmapBacked>, told the size"),
    ]
}

/// The shared arena over one block of the global allocator.
pub struct SharedFixed(SharedBumpArena<HeapBytes>);

impl Shared for SharedFixed {
    const NAME: &'static str = "ours: SharedBumpArena";
    const SIDE: Side = Side::Ours;
    type Batch<'b> = &'b Self;

    fn with_capacity(bytes: usize) -> Self {
        Self(expect(HeapBytes::new(2 * bytes).and_then(SharedBumpArena::new)))
    }

    fn open(&mut self) -> &Self {
        expect(Allocator::reset(&mut self.0));
        self
    }
}

impl SharedBatch for &SharedFixed {
    type Handle<'h>
        = SharedHandle<'h>
    where
        Self: 'h;

    fn handle(&self) -> SharedHandle<'_> {
        SharedHandle(&self.0)
    }
}

/// A thread's reference to our shared arena.
pub struct SharedHandle<'h>(&'h SharedBumpArena<HeapBytes>);

impl PutWide for SharedHandle<'_> {
    #[inline(always)]
    fn put_wide(&self, value: Wide) -> &Wide {
        let layout = const { NonZeroLayout::for_type::<Wide>() };
        match layout.map(|layout| self.0.allocate(layout)) {
            // SAFETY: the block has the layout of the value and is nobody else's until a reset through `&mut`.
            Some(Ok(block)) => unsafe { super::write_in(self, block.cast(), value) },
            _ => exhausted(),
        }
    }
}
