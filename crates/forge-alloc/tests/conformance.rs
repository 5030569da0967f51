//! The contract, checked for every block: one line each.
//!
//! A line names the block and a way to make it. From it come the public conformance checks, random operations against
//! the shadow model (usual and hostile ones), and the same with the allocator moved between calls: with its blocks
//! alive where it is a `StableAddress`, and between two lives of it where it is not.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contract;

use core::mem::MaybeUninit;

use contract::{Effort, MOVE_EVERY, checks, for_each_history, small, usual};
use forge_alloc::testing::{
    assert_allocator_contract, assert_combined_invariants, assert_fixed_range_invariants,
};
use forge_alloc::*;
use forge_os::sim::SimOs;
use forge_trace::shadow::{Checks, Limits, drive, drive_moving};

/// An interpreter gets by with fewer.
const EFFORT: Effort =
    Effort { seeds: if cfg!(miri) { 1 } else { 2 }, operations: if cfg!(miri) { 80 } else { 3000 } };

/// The bytes of each fixed range under test.
const BYTES: usize = 80 << 10;

/// The bytes that a growing arena may hold: room for alignments of some megabytes, or less for an interpreter.
const GROWTH: usize = if cfg!(miri) { 1 << 20 } else { 64 << 20 };

/// Writes the tests of each line: `name: maker, [checks], limits;`
macro_rules! blocks {
    ($($(#[$gate:meta])* $name:ident: $make:expr, [$($check:ident),*], $limits:expr;)*) => {$(
        $(#[$gate])*
        mod $name {
            use super::*;
            #[test]
            fn conforms() {
                contract::conforms($limits, $make);
            }
            $(
                #[test]
                fn $check() {
                    contract::$check($limits, $make);
                }
            )*
        }
    )*};
}

fn inline() -> InlineBacked<BYTES> {
    InlineBacked::new()
}

fn heap_bytes() -> HeapBytes {
    HeapBytes::new(BYTES).unwrap()
}

fn sim(page_size: usize) -> SimOs {
    SimOs::new(page_size)
}

fn sim_mmap() -> MmapBacked<SimOs> {
    MmapBacked::map_on(sim(16 << 10), BYTES, MmapFlags::NONE).unwrap()
}

/// Small pages, so that most of the mapping lies between two guards.
fn sim_pages() -> MmapBacked<SimOs> {
    MmapBacked::map_on(sim(4096), BYTES + 8192, MmapFlags::NONE).unwrap()
}

fn split<B: Allocator>(data: B) -> SplitMetadata<B, SimOs> {
    SplitMetadata::with_meta(data, MmapBacked::map_on(sim(4096), 1, MmapFlags::NONE).unwrap())
}

fn hardened<M: FreelistProtection>(
    policy: M,
) -> Slab<Slot, GuardPage<SplitMetadata<MmapBacked<SimOs>, SimOs>>, M> {
    let region = GuardPage::new(split(sim_pages()), 4096).unwrap();
    Slab::with_protection(52, region, policy).unwrap()
}

fn bump() -> BumpArena<InlineBacked<BYTES>> {
    BumpArena::new(inline()).unwrap()
}

/// At most 4096 live bytes, because the capacity of a router is its primary's.
fn below_4096() -> Limits {
    Limits { live_blocks: 16, size: 256, ..usual() }
}

fn scratch() -> BumpArena<InlineBacked<4096>> {
    BumpArena::new(InlineBacked::new()).unwrap()
}

/// A slot with room for most of what random histories ask for.
#[repr(align(64))]
struct Slot {
    _room: [u8; SLOT],
}

const SLOT: usize = if cfg!(miri) { 256 } else { 1024 };

/// Requests that mostly fit a slot, of which there are some more than live at once.
fn slots() -> Limits {
    Limits { live_blocks: 48, size: SLOT, align: 64, ..small() }
}

/// Slots that storage which moves keeps aligned.
fn slab_inline() -> Slab<[u128; SLOT / 16], InlineBacked<BYTES>> {
    Slab::new(52, inline()).unwrap()
}

fn small_slots() -> Limits {
    Limits { align: align_of::<u128>(), ..slots() }
}

/// As many live slots as fill several segments.
fn growing_slots() -> Limits {
    Limits { live_blocks: if cfg!(miri) { 48 } else { 200 }, ..slots() }
}

fn slab_of<M: FreelistProtection>(policy: M) -> Slab<Slot, BumpArena<HeapBytes>, M> {
    Slab::with_protection(52, BumpArena::new(heap_bytes()).unwrap(), policy).unwrap()
}

/// Classes that promise no more alignment than storage that moves keeps.
fn size_classed_inline() -> SizeClassed<InlineBacked<BYTES>, 24> {
    let table = ClassTable::new(FINE_CLASS_SIZES_24).with_align_limit(MAX_ALIGN);
    SizeClassed::with_table(inline(), table, 3).unwrap()
}

fn cache_of<L: cache::locks::LockTrait>() -> cache::SlabCache<Slot, L, { 1 << 14 }, HeapSource> {
    cache::SlabCache::new_in(HeapSource::new()).unwrap()
}

fn key() -> SipHashMAC {
    SipHashMAC::with_key([5; 16])
}

fn bump_heap() -> BumpArena<HeapBytes> {
    BumpArena::new(heap_bytes()).unwrap()
}

fn jitter<I: Allocator>(inner: I, line: usize) -> CacheJitter<I> {
    CacheJitter::with_params(inner, line, 4, 9).unwrap()
}

fn stack_then_arena() -> WithFallback<StackAlloc<HeapBytes>, Arena> {
    let near = StackAlloc::new(HeapBytes::new(4096).unwrap()).unwrap();
    WithFallback::new(near, Arena::new().limited_to(256 << 10))
}

blocks! {
    // Unbounded: the interpreter ends at a request beyond its own memory.
    #[cfg(not(miri))]
    system: System::new, [moves_alive], usual();
    inline_backed: inline, [moves_empty, stays_in_range], small();
    mmap_backed: sim_mmap, [moves_alive, stays_in_range], usual();
    mmap_backed_lazily:
        || MmapBacked::map_on(sim(4096), BYTES, lazy()).unwrap(), [moves_alive, stays_in_range], usual();
    locked_mmap_backed:
        || LockedMmapBacked::map_on(sim(64 << 10), BYTES).unwrap(), [moves_alive, stays_in_range], usual();
    huge_page_backed: huge, [moves_alive, stays_in_range], usual();
    bump_arena_inline: bump, [moves_empty, stays_in_range], small();
    bump_arena_heap: || BumpArena::new(heap_bytes()).unwrap(), [moves_alive, stays_in_range], usual();
    bump_arena_mmap: || BumpArena::new(sim_mmap()).unwrap(), [moves_alive, stays_in_range], usual();
    bump_arena_nested: || BumpArena::new(bump()).unwrap(), [moves_empty, stays_in_range], small();
    shared_bump_arena_inline: || SharedBumpArena::new(inline()).unwrap(), [moves_empty, stays_in_range], small();
    shared_bump_arena_mmap: || SharedBumpArena::new(sim_mmap()).unwrap(), [moves_alive, stays_in_range], usual();
    stack_alloc_inline: || StackAlloc::new(inline()).unwrap(), [moves_empty, stays_in_range], small();
    stack_alloc_in_order: || StackAlloc::new(heap_bytes()).unwrap(), [moves_alive], usual().lifo(true);
    stack_alloc_in_any_order: || StackAlloc::new(heap_bytes()).unwrap(), [moves_alive, stays_in_range], usual();
    arena: || Arena::new().limited_to(GROWTH), [moves_alive], usual();
    arena_packed: || Arena::<HeapSource, 1>::with_source(HeapSource).limited_to(GROWTH), [moves_alive], usual();
    arena_over_mappings:
        || Arena::<_, 16>::with_source(MmapSource::on(sim(4096))).limited_to(GROWTH), [moves_alive], usual();
    slab_in_place: || slab_of(NoProtection), [moves_alive, stays_in_range], slots();
    slab_signed: || slab_of(key()), [moves_alive, stays_in_range], slots();
    slab_off_slab: || slab_of(OffSlab), [moves_alive, stays_in_range], slots();
    /// Believes what it is given, and keeps its list beside the slots.
    slab_trusting: || slab_of(Trusting(OffSlab)), [moves_alive, stays_in_range], slots();
    /// Believes what it is given, and keeps its list in the slots.
    slab_trusting_in_slots: || slab_of(Trusting(NoProtection)), [moves_alive, stays_in_range], slots();
    /// Tracks, whatever it is made of.
    slab_tracked_trusting: || slab_of(Tracked(Trusting(OffSlab))), [moves_alive, stays_in_range], slots();
    slab_tracked: || slab_of(Tracked(NoProtection)), [moves_alive, stays_in_range], slots();
    slab_tracked_signed: || slab_of(Tracked(key())), [moves_alive, stays_in_range], slots();
    slab_tracked_off_slab: || slab_of(Tracked(OffSlab)), [moves_alive, stays_in_range], slots();
    slab_inline: slab_inline, [moves_empty, stays_in_range], small_slots();
    slab_mmap: || Slab::<Slot, _>::new(52, sim_mmap()).unwrap(), [moves_alive, stays_in_range], slots();
    guard_page: || GuardPage::new(sim_pages(), 4096).unwrap(), [moves_alive, stays_in_range], usual();
    guard_page_over_an_arena:
        || GuardPage::new(BumpArena::new(sim_pages()).unwrap(), 4096).unwrap(), [moves_alive, stays_in_range], usual();
    bump_arena_guarded:
        || BumpArena::new(GuardPage::new(sim_pages(), 4096).unwrap()).unwrap(), [moves_alive, stays_in_range], usual();
    split_metadata: || split(sim_mmap()), [moves_alive, stays_in_range], usual();
    split_metadata_inline: || split(bump()), [moves_empty, stays_in_range], small();
    slab_split: || Slab::<Slot, _>::new(52, split(sim_mmap())).unwrap(), [moves_alive, stays_in_range], slots();
    slab_split_inline:
        || Slab::<[u128; SLOT / 16], _>::new(52, split(inline())).unwrap(), [moves_empty, stays_in_range], small_slots();
    slab_guarded:
        || Slab::<Slot, _>::new(52, GuardPage::new(sim_pages(), 4096).unwrap()).unwrap(),
        [moves_alive, stays_in_range], slots();
    slab_guarded_tracked: || hardened(Tracked(key())), [moves_alive, stays_in_range], slots();
    slab_guarded_off_slab: || hardened(OffSlab), [moves_alive, stays_in_range], slots();
    guarded_slab: || GuardedSlab::<Slot, _>::map_on(sim(4096), 52).unwrap(), [moves_alive], slots();
    #[cfg(not(miri))]
    guarded_slab_of_large_pages: || GuardedSlab::<Slot, _>::map_on(sim(16 << 10), 52).unwrap(), [moves_alive], slots();
    #[cfg(not(miri))]
    hardened_slab: || HardenedSlab::<Slot>::with_slots(52).unwrap(), [moves_alive, stays_in_range], slots();
    #[cfg(not(miri))]
    native_guarded_slab: || GuardedSlab::<Slot>::new(52).unwrap(), [moves_alive], slots();
    size_classed:
        || SizeClassed::with_default_classes(BumpArena::new(heap_bytes()).unwrap(), 8).unwrap(),
        [moves_alive], below_4096();
    size_classed_fine:
        || SizeClassed::with_fine_classes(BumpArena::new(heap_bytes()).unwrap(), 6).unwrap(),
        [moves_alive], below_4096();
    size_classed_inline: size_classed_inline, [moves_empty], small();
    #[cfg(target_has_atomic = "64")]
    slab_owner: || SlabOwner::<Slot, _>::new(52, BumpArena::new(heap_bytes()).unwrap()).unwrap(),
        [moves_alive, stays_in_range], slots();
    #[cfg(target_has_atomic = "64")]
    slab_owner_inline: || SlabOwner::<[u128; SLOT / 16], _>::new(52, inline()).unwrap(),
        [moves_alive, stays_in_range], small_slots();
    extendable_slab: || ExtendableSlab::<Slot, _, _>::on(sim(4096), 21, || NoProtection),
        [moves_alive], growing_slots();
    extendable_slab_with_magazines: || ExtendableSlab::<Slot, _, _>::on(sim(16 << 10), 64, || NoProtection),
        [moves_alive], growing_slots();
    extendable_slab_signed: || ExtendableSlab::<Slot, _, _>::on(sim(4096), 21, key),
        [moves_alive], growing_slots();
    extendable_slab_off_slab: || ExtendableSlab::<Slot, _, _>::on(sim(4096), 21, || OffSlab),
        [moves_alive], growing_slots();
    extendable_slab_tracked: || ExtendableSlab::<Slot, _, _>::on(sim(4096), 21, || Tracked(NoProtection)),
        [moves_alive], growing_slots();
    slab_cache: cache_of::<cache::locks::NoLock>, [moves_alive], growing_slots();
    #[cfg(target_has_atomic = "8")]
    slab_cache_with_magazines: || cache::Magazines::new(cache_of::<cache::locks::SpinLock>()),
        [moves_alive], growing_slots();
    // The heap of an interpreter, and of 32 bits of addresses, serves hostile requests beyond the primary's capacity.
    #[cfg(all(not(miri), target_pointer_width = "64"))]
    with_fallback_inline: || WithFallback::new(scratch(), System::new()), [moves_empty], small();
    with_fallback_inline_to_inline: || WithFallback::new(scratch(), inline()), [moves_empty], small();
    with_fallback_stack_to_arena: stack_then_arena, [moves_alive], below_4096();
    with_fallback_chain: || WithFallback::new(scratch(), stack_then_arena()), [moves_empty], small();
    statistics_bump_inline: || Statistics::new(bump()), [moves_empty, stays_in_range], small();
    statistics_slab: || Statistics::new(slab_of(NoProtection)), [moves_alive, stays_in_range], slots();
    statistics_shared: || Statistics::new(SharedBumpArena::new(heap_bytes()).unwrap()),
        [moves_alive, stays_in_range], usual();
    watermark_bump_inline: || Watermark::new(bump(), NullHandler), [moves_empty, stays_in_range], small();
    watermark_slab: || Watermark::new(slab_of(NoProtection), NullHandler).with_hysteresis(5),
        [moves_alive, stays_in_range], slots();
    watermark_shared: || Watermark::new(SharedBumpArena::new(heap_bytes()).unwrap(), NullHandler),
        [moves_alive, stays_in_range], usual();
    faulty_bump_inline: || Faulty::new(bump(), NeverFail), [moves_empty, stays_in_range], small();
    faulty_slab: || Faulty::new(slab_of(NoProtection), NeverFail), [moves_alive, stays_in_range], slots();
    observers_stacked: || Faulty::new(Statistics::new(Watermark::new(bump(), NullHandler)), NeverFail),
        [moves_empty, stays_in_range], small();
    poison_on_free_bump: || PoisonOnFree::new(bump_heap()), [moves_alive, stays_in_range], usual();
    poison_on_free_slab: || PoisonOnFree::new(slab_of(NoProtection)), [moves_alive, stays_in_range], slots();
    poison_on_free_inline: || PoisonOnFree::with_pattern(inline(), 7), [moves_empty, stays_in_range], small();
    zeroize_on_free_bump: || ZeroizeOnFree::new(bump_heap()), [moves_alive, stays_in_range], usual();
    zeroize_on_free_slab: || ZeroizeOnFree::new(slab_of(OffSlab)), [moves_alive, stays_in_range], slots();
    zeroize_on_free_inline: || ZeroizeOnFree::new(inline()), [moves_empty, stays_in_range], small();
    zeroize_on_free_arena: || ZeroizeOnFree::new(Arena::new().limited_to(GROWTH)), [moves_alive], usual();
    canary_bump: || Canary::new_with_seed(bump_heap(), 1), [moves_alive, stays_in_range], usual();
    canary_slab: || Canary::new_with_seed(slab_of(NoProtection), 2), [moves_alive, stays_in_range], slots();
    canary_inline: || Canary::new_with_seed(inline(), 3), [moves_empty, stays_in_range], small();
    canary_stack: || Canary::new_with_seed(StackAlloc::new(inline()).unwrap(), 4), [moves_empty], small();
    quarantine_bump: || Quarantine::<_, 4>::new(bump_heap()), [moves_alive, stays_in_range], usual();
    quarantine_slab: || Quarantine::<_, 3>::over(slab_of(NoProtection)), [moves_alive, stays_in_range], slots();
    quarantine_slab_inline: || Quarantine::<_, 5>::over(slab_inline()), [moves_empty, stays_in_range], small_slots();
    quarantine_poisoning_slab: || Quarantine::<_, 2>::poisoning(slab_of(OffSlab), 0xDE),
        [moves_alive, stays_in_range], slots();
    quarantine_poisoning_size_classed: || Quarantine::<_, 4>::poisoning(size_classed_inline(), 0xDE),
        [moves_empty], small();
    quarantine_of_canaries: || Quarantine::<_, 4>::poisoning(Canary::new_with_seed(slab_inline(), 5), 0xDE),
        [moves_empty, stays_in_range], small_slots();
    cache_jitter_bump: || jitter(bump_heap(), 64), [moves_alive, stays_in_range], usual();
    cache_jitter_slab: || jitter(slab_of(NoProtection), 32), [moves_alive, stays_in_range], slots();
    cache_jitter_inline: || jitter(inline(), 16), [moves_empty, stays_in_range], small();
    every_wrapper_inline: || PoisonOnFree::new(ZeroizeOnFree::new(Quarantine::<_, 2>::over(jitter(
        Canary::new_with_seed(StackAlloc::new(inline()).unwrap(), 6), 8)))), [moves_empty], small();
    local_tlsf: || Local::over(Tlsf::<20, 32>::new(), pool()).unwrap(), [moves_alive], usual();
    local_free_list: || Local::over(FreeListHeap::<BestFit>::new(), pool()).unwrap(), [moves_alive], usual();
    #[cfg(target_has_atomic = "8")]
    locked_tlsf: || Locked::<_, sync::SpinLock>::over(Tlsf::<12, 4>::new(), pool()).unwrap(),
        [moves_alive], usual();
    local_growing_tlsf:
        || Local::new(Growing::new(Tlsf::<20, 32>::new(), HeapSource::new()).limited_to(GROWTH / 8)),
        [moves_alive], usual();
    growing_local_tlsf: || growing(Tlsf::<20, 32>::new()), [moves_alive], usual();
    growing_local_free_list: || growing(FreeListHeap::<FirstFit>::new()), [moves_alive], usual();
    allocator_rc_tlsf: || AllocatorRc::new(TlsfByteAllocator::new(), static_pool()), [moves_alive], usual();
    #[cfg(not(miri))]
    native_mmap_backed: || MmapBacked::new(BYTES).unwrap(), [moves_alive, stays_in_range], usual();
    #[cfg(not(miri))]
    native_bump_arena:
        || BumpArena::new(MmapBacked::new(BYTES).unwrap()).unwrap(), [moves_alive, stays_in_range], usual();
    #[cfg(not(miri))]
    native_arena: || Arena::<_>::with_source(MmapSource::new()).limited_to(GROWTH), [moves_alive], usual();
}

/// Runs every check on what `make` makes, and on an arena over it, if the machine can place a mapping so.
#[cfg(not(miri))]
fn conforms_where_placed<A>(make: impl Fn() -> Result<A, OsError>)
where
    A: Allocator + FixedRange + OsBacked + StableAddress,
{
    if let Err(refused) = make() {
        eprintln!("skipped: {refused}");
        return;
    }
    let make = || make().unwrap();
    contract::conforms(usual(), make);
    contract::moves_alive(usual(), make);
    contract::stays_in_range(usual(), make);
    let arena = || BumpArena::new(make()).unwrap();
    contract::conforms(usual(), arena);
    contract::moves_alive(usual(), arena);
}

/// Asks for huge pages; blocks start every 64 KiB, so that there is room for some.
#[cfg(not(miri))]
fn on_huge_pages<I: OsBacked>(mapping: I) -> Result<HugePageAligned<I>, OsError> {
    HugePageAligned::request(mapping, 64 << 10)
}

#[cfg(not(miri))]
fn on_this_node<I: OsBacked>(mapping: I) -> Result<NumaLocal<I>, OsError> {
    NumaLocal::bind(mapping, NumaPolicy::Preferred(current_numa_node().unwrap_or(0)))
}

#[cfg(not(miri))]
#[test]
fn a_mapping_on_huge_pages_conforms() {
    conforms_where_placed(|| on_huge_pages(MmapBacked::new(8 << 20).unwrap()));
}

#[cfg(not(miri))]
#[test]
fn a_mapping_on_a_node_conforms() {
    conforms_where_placed(|| on_this_node(MmapBacked::new(BYTES).unwrap()));
}

#[cfg(not(miri))]
#[test]
fn a_mapping_on_huge_pages_of_a_node_conforms() {
    conforms_where_placed(|| on_huge_pages(on_this_node(MmapBacked::new(8 << 20).unwrap())?));
}

/// Memory of which each heap has one piece to itself. The pieces are kept for all of the process, as those of a kernel are.
fn static_pool() -> &'static mut [MaybeUninit<u8>] {
    static KEPT: std::sync::Mutex<Vec<usize>> = std::sync::Mutex::new(Vec::new());
    let pool = Box::leak(Box::new_uninit_slice(BYTES));
    KEPT.lock().unwrap().push((&raw const *pool).cast::<u8>().expose_provenance());
    pool
}

fn pool() -> Region {
    Region::from(static_pool())
}

fn growing<H: GrowableHeap>(heap: H) -> Growing<Local<H>, HeapSource> {
    Growing::new(Local::new(heap), HeapSource::new()).limited_to(GROWTH / 8)
}

fn lazy() -> MmapFlags {
    let mut flags = MmapFlags::NONE;
    flags.lazy_commit = true;
    flags
}

fn huge() -> HugePageBacked<SimOs> {
    let sim = sim(4096);
    sim.offer_huge_pages(1 << 16);
    HugePageBacked::map_on(sim, BYTES, 1 << 16).unwrap()
}

#[test]
fn a_bump_arena_over_a_borrowed_buffer_conforms() {
    let mut buffer = vec![MaybeUninit::uninit(); BYTES];
    for_each_history(Some(BYTES), usual(), |history| {
        let arena = BumpArena::new(StaticBacked::uninit(&mut buffer)).unwrap();
        assert_combined_invariants(&arena);
        let checks = Checks { vary_alignment: true, ..Checks::within(&arena) };
        drive_moving(arena, history, MOVE_EVERY, checks).unwrap_or_else(|violation| panic!("{violation}"));
    });
}

#[test]
fn a_scope_conforms() {
    let mut arena = BumpArena::new(heap_bytes()).unwrap();
    assert_allocator_contract(&arena.scope());
    for_each_history(Some(BYTES), usual(), |history| {
        drive_moving(arena.scope(), history, MOVE_EVERY, checks())
            .unwrap_or_else(|violation| panic!("{violation}"));
        assert_eq!(arena.allocated(), 0);
    });
}

#[test]
fn a_scope_of_a_growing_arena_conforms() {
    let mut arena = Arena::new().limited_to(GROWTH);
    assert_allocator_contract(&arena.scope());
    for_each_history(Some(64 << 20), usual(), |history| {
        drive_moving(arena.scope(), history, MOVE_EVERY, checks())
            .unwrap_or_else(|violation| panic!("{violation}"));
        assert_eq!(arena.allocated_bytes(), 0);
    });
}

#[test]
fn a_faulty_allocator_keeps_the_contract_while_it_refuses() {
    for_each_history(Some(BYTES), usual(), |history| {
        let arena = BumpArena::new(heap_bytes()).unwrap();
        let faulty = Faulty::new(arena, FailEveryNth::new(3));
        drive_moving(faulty, history, MOVE_EVERY, checks()).unwrap_or_else(|violation| panic!("{violation}"));
    });
}

#[test]
fn ranges_keep_their_promises() {
    assert_fixed_range_invariants(&inline());
    assert_fixed_range_invariants(&InlineBacked::<0>::new());
    assert_fixed_range_invariants(&heap_bytes());
    assert_fixed_range_invariants(&HeapBytes::with_align(1, 4096).unwrap());
    assert_fixed_range_invariants(&StaticBacked::uninit(&mut [MaybeUninit::uninit(); 3]));
    assert_fixed_range_invariants(&StaticBacked::uninit(&mut []));
    assert_fixed_range_invariants(&NullBacked);
    assert_fixed_range_invariants(&sim_mmap());
    assert_fixed_range_invariants(&huge());
}

#[test]
fn the_null_backing_refuses_everything() {
    for_each_history(NullBacked.capacity_bytes(), usual(), |history| {
        let summary = drive(&NullBacked, history, checks()).unwrap_or_else(|violation| panic!("{violation}"));
        assert_eq!(summary.done, 0);
    });
}
