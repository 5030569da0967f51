//! The contract, checked for every wrapper over every layout that accepts it: each pair is a test.
//!
//! ```text
//!                 Slab   SizeClassed   StackAlloc   BumpArena   Arena   ...      over blocks of inline and other memory
//!   Statistics     x          x            x            x         x
//!   Canary         x          x            x            x         x
//!   ...
//!
//!                 MmapBacked  LockedMmapBacked  HugePageBacked
//!   GuardPage      x               x                 x              each as it is, and under layouts that carve or ask it
//!   ...
//! ```
//!
//! A pair gets what a line of `conformance.rs` gets, with less of it: the public checks, usual and hostile histories
//! against the shadow model, and moves of the wrapper, with its blocks alive where they survive that.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the other half is for single blocks")]
mod contract;

use contract::{Effort, small};
use forge_alloc::*;
use forge_os::sim::SimOs;
use forge_trace::shadow::Limits;

const EFFORT: Effort =
    Effort { seeds: if cfg!(miri) { 1 } else { 2 }, operations: if cfg!(miri) { 40 } else { 600 } };

/// The bytes of each fixed range.
const BYTES: usize = 80 << 10;

/// The bytes that a growing arena may hold.
const GROWTH: usize = 1 << 20;

/// A slot with room for what the histories ask for and for the words that a wrapper adds.
#[repr(align(64))]
struct Slot {
    _room: [u8; 512],
}

/// Few blocks, which mostly fit a slot.
fn limits() -> Limits {
    Limits { live_blocks: 24, size: 300, align: 16, ..small() }
}

fn heap_bytes() -> HeapBytes {
    HeapBytes::new(BYTES).unwrap()
}

fn heap_arena() -> BumpArena<HeapBytes> {
    BumpArena::new(heap_bytes()).unwrap()
}

fn sim_mmap() -> MmapBacked<SimOs> {
    MmapBacked::map_on(SimOs::new(16 << 10), BYTES, MmapFlags::NONE).unwrap()
}

fn slab_of<M: FreelistProtection>(policy: M) -> Slab<Slot, BumpArena<HeapBytes>, M> {
    Slab::with_protection(80, heap_arena(), policy).unwrap()
}

fn inline_slab() -> Slab<[u128; 32], InlineBacked<BYTES>> {
    Slab::new(80, InlineBacked::new()).unwrap()
}

/// Classes that promise no more alignment than storage that moves keeps.
fn size_classed_inline() -> SizeClassed<InlineBacked<BYTES>, 24> {
    let table = ClassTable::new(FINE_CLASS_SIZES_24).with_align_limit(MAX_ALIGN);
    SizeClassed::with_table(InlineBacked::new(), table, 3).unwrap()
}

fn key() -> SipHashMAC {
    SipHashMAC::with_key([5; 16])
}

/// Writes a module per wrapper with a module per layout: `tests!{check: [wrapper: expression;..], [layout: expression;..]}`,
/// where the expression of a wrapper is a function of the layout.
macro_rules! tests {
    ($moves:ident: [$($wrapper:ident: $wrap:expr;)*], $layouts:tt) => {$(
        mod $wrapper {
            #[allow(unused_imports, reason = "which names a wrapper uses depends on it")]
            use super::*;
            tests!(@layouts $moves $wrap, $layouts);
        }
    )*};
    (@layouts $moves:ident $wrap:expr, [$($(#[$gate:meta])* $layout:ident: $make:expr;)*]) => {$(
        $(#[$gate])*
        #[test]
        fn $layout() {
            let make = || $wrap($make);
            contract::conforms(limits(), make);
            contract::$moves(limits(), make);
        }
    )*};
}

/// Writes the tests of all wrappers that take any allocator over some layouts.
macro_rules! any_allocator {
    ($module:ident, $moves:ident, $layouts:tt) => {
        mod $module {
            use super::*;
            tests!($moves: [
                statistics: Statistics::new;
                watermark: |inner| Watermark::new(inner, NullHandler);
                faulty: |inner| Faulty::new(inner, NeverFail);
                poison: PoisonOnFree::new;
                zeroize: ZeroizeOnFree::new;
                quarantine: Quarantine::<_, 4>::new;
                canary: |inner| Canary::new_with_seed(inner, 7);
                cache_jitter: |inner| CacheJitter::with_params(inner, 16, 4, 7).unwrap();
                everything: |inner| Statistics::new(PoisonOnFree::new(Quarantine::<_, 2>::new(Canary::new_with_seed(inner, 9))));
                turned_around: |inner| Canary::new_with_seed(Quarantine::<_, 2>::new(ZeroizeOnFree::new(Statistics::new(inner))), 9);
            ], $layouts);
        }
    };
}

/// Writes the tests of the wrappers over some layouts, all of which issue freed blocks again.
macro_rules! reusing_allocator {
    ($module:ident, $moves:ident, $layouts:tt) => {
        mod $module {
            use super::*;
            tests!($moves: [
                quarantine_over: Quarantine::<_, 4>::over;
                quarantine_poisoning: |inner| Quarantine::<_, 3>::poisoning(inner, DEFAULT_POISON);
                scrubbed_quarantine: |inner| ZeroizeOnFree::new(Quarantine::<_, 3>::over(inner));
            ], $layouts);
        }
    };
}

any_allocator!(in_place, moves_alive, [
    heap_bytes_bump: heap_arena();
    mmap: sim_mmap();
    bump_mmap: BumpArena::new(sim_mmap()).unwrap();
    shared_bump: SharedBumpArena::new(heap_bytes()).unwrap();
    arena: Arena::new().limited_to(GROWTH);
    slab: slab_of(NoProtection);
    slab_tracked_off_slab: slab_of(Tracked(OffSlab));
    size_classed: SizeClassed::with_default_classes(heap_arena(), 24).unwrap();
    stack: StackAlloc::new(heap_bytes()).unwrap();
    fallback: WithFallback::new(StackAlloc::new(HeapBytes::new(4096).unwrap()).unwrap(), Arena::new().limited_to(GROWTH));
    extendable: ExtendableSlab::<Slot, _, _>::on(SimOs::new(4096), 21, || NoProtection);
    #[cfg(target_has_atomic = "64")]
    slab_owner: SlabOwner::<Slot, _>::new(80, heap_arena()).unwrap();
]);

reusing_allocator!(reused_in_place, moves_alive, [
    slab: slab_of(NoProtection);
    slab_off_slab: slab_of(OffSlab);
    slab_tracked: slab_of(Tracked(NoProtection));
    slab_signed: slab_of(key());
    size_classed: SizeClassed::with_default_classes(heap_arena(), 24).unwrap();
    stack: StackAlloc::new(heap_bytes()).unwrap();
    extendable: ExtendableSlab::<Slot, _, _>::on(SimOs::new(4096), 21, || NoProtection);
    #[cfg(target_has_atomic = "64")]
    slab_owner: SlabOwner::<Slot, _>::new(80, heap_arena()).unwrap();
    fallback: WithFallback::new(slab_of(NoProtection), StackAlloc::new(heap_bytes()).unwrap());
]);

any_allocator!(inline, moves_empty, [
    backing: InlineBacked::<BYTES>::new();
    bump: BumpArena::new(InlineBacked::<BYTES>::new()).unwrap();
    stack: StackAlloc::new(InlineBacked::<BYTES>::new()).unwrap();
    slab: inline_slab();
    size_classed: size_classed_inline();
    fallback: WithFallback::new(BumpArena::new(InlineBacked::<4096>::new()).unwrap(), inline_slab());
]);

reusing_allocator!(reused_inline, moves_empty, [
    stack: StackAlloc::new(InlineBacked::<BYTES>::new()).unwrap();
    slab: inline_slab();
    size_classed: size_classed_inline();
    fallback: WithFallback::new(inline_slab(), StackAlloc::new(heap_bytes()).unwrap());
]);
