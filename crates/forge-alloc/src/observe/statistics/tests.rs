#![allow(unsafe_code)]

use core::mem::size_of;
use core::ptr::NonNull;
use std::sync::Barrier;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use forge_alloc_core::{Allocator, Deallocator, FixedRange, NonZeroLayout};

use super::Statistics;
use crate::observe::testing::{Noting, assert_passes_everything};
use crate::thread_slot::SLOTS;
use crate::{BumpArena, InlineBacked, SharedBumpArena, Slab, StableAddress, System};

fn layout(size: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, 8).unwrap()
}

fn slab() -> Statistics<Slab<u64, InlineBacked<128>>> {
    Statistics::new(Slab::new(16, InlineBacked::new()).unwrap())
}

fn arena() -> Statistics<BumpArena<InlineBacked<1024>>> {
    Statistics::new(BumpArena::new(InlineBacked::new()).unwrap())
}

fn shared() -> Statistics<SharedBumpArena<InlineBacked<{ 1 << 17 }>>> {
    Statistics::new(SharedBumpArena::new(InlineBacked::new()).unwrap())
}

#[test]
fn everything_is_passed_on() {
    assert_passes_everything(Statistics::new(Noting::new()), Statistics::inner);
}

#[test]
fn each_allocation_counts_its_requested_bytes_and_the_peak_never_falls() {
    let slab = slab();
    let stats = slab.stats();
    let blocks = [(); 5].map(|()| slab.allocate(layout(8)).unwrap().cast());
    assert_eq!((stats.live_count(), stats.current_bytes(), stats.peak_bytes()), (5, 40, 40));
    for (freed, block) in (1..).zip(blocks) {
        // SAFETY: the block is live and not used afterwards.
        unsafe { slab.deallocate(block, layout(8)) };
        assert_eq!(stats.current_bytes(), 40 - 8 * freed);
        assert_eq!(stats.peak_bytes(), 40);
    }
    assert_eq!((stats.total_allocations.load(Relaxed), stats.total_deallocations.load(Relaxed)), (5, 5));
}

#[test]
fn failures_count_and_change_nothing_else() {
    let slab = slab();
    let block = slab.allocate(layout(8)).unwrap().cast();
    assert!(slab.allocate(layout(4096)).is_err());
    assert!(slab.allocate_zeroed(layout(4096)).is_err());
    // SAFETY: the block is live with this layout.
    assert!(unsafe { slab.grow(block, layout(8), layout(4096)) }.is_err());
    let snapshot = slab.snapshot();
    assert_eq!((snapshot.failures, snapshot.live_count()), (3, 1));
    assert_eq!((snapshot.bytes_allocated, snapshot.bytes_peak, snapshot.resizes), (8, 8, 0));
}

/// Grows and shrinks a block of 64 bytes, and returns what was counted in between.
fn resize<A: Allocator>(statistics: &Statistics<A>) {
    // SAFETY: the block is live with the layout of the latest call, and ends with its free.
    unsafe {
        let block = statistics.allocate(layout(64)).unwrap().cast();
        let block = statistics.grow(block, layout(64), layout(256)).unwrap().cast();
        assert_eq!((statistics.stats().current_bytes(), statistics.stats().peak_bytes()), (256, 256));
        let block = statistics.shrink(block, layout(256), layout(16)).unwrap().cast();
        assert_eq!((statistics.stats().current_bytes(), statistics.stats().peak_bytes()), (16, 256));
        let block = statistics.grow_zeroed(block, layout(16), layout(24)).unwrap().cast();
        assert_eq!(statistics.stats().current_bytes(), 24);
        statistics.deallocate(block, layout(24));
    }
    let snapshot = statistics.snapshot();
    assert_eq!((snapshot.total_allocations, snapshot.total_deallocations, snapshot.resizes), (1, 1, 3));
    assert_eq!((snapshot.bytes_allocated, snapshot.bytes_peak, snapshot.failures), (0, 256, 0));
}

#[test]
fn a_resize_counts_its_difference_and_is_no_allocation() {
    resize(&arena());
    resize(&shared());
    resize(&Statistics::new(System::new()));
}

#[test]
fn a_reset_counts_the_live_blocks_as_freed() {
    fn reset<A: Allocator>(mut statistics: Statistics<A>) {
        for _ in 0..3 {
            statistics.allocate(layout(40)).unwrap();
        }
        statistics.reset().unwrap();
        let snapshot = statistics.snapshot();
        assert_eq!((snapshot.total_allocations, snapshot.total_deallocations), (3, 3));
        assert_eq!((snapshot.live_count(), snapshot.bytes_allocated, snapshot.bytes_peak), (0, 0, 120));
        statistics.allocate(layout(8)).unwrap();
        assert_eq!((statistics.stats().live_count(), statistics.stats().current_bytes()), (1, 8));
        assert_eq!(statistics.stats().peak_bytes(), 120);
    }
    reset(arena());
    reset(shared());
}

#[test]
fn a_reset_that_fails_changes_no_count() {
    let mut slab = slab();
    slab.allocate(layout(8)).unwrap();
    assert!(slab.reset().is_err());
    assert_eq!((slab.stats().live_count(), slab.stats().current_bytes()), (1, 8));
}

/// A block on its way to another thread.
struct Passed(NonNull<u8>);

// SAFETY: the blocks of a shared allocator are nobody's in particular.
unsafe impl Send for Passed {}

/// Allocates and frees from several threads at once, half of whose blocks stay, and checks every sum.
fn count_from(threads: usize) {
    let rounds = if cfg!(miri) { 20 } else { 500 };
    let statistics = Statistics::new(System::new());
    let (start, end) = (Barrier::new(threads), Barrier::new(threads));
    let kept: Vec<_> = thread::scope(|scope| {
        let work = |index: usize| {
            let (statistics, start, end) = (&statistics, &start, &end);
            scope.spawn(move || {
                start.wait();
                let mut kept = Vec::new();
                for round in 0..rounds {
                    let layout = layout(1 + (index + round) % 700);
                    let block = statistics.allocate(layout).unwrap().cast::<u8>();
                    if round % 2 == 0 {
                        kept.push((Passed(block), layout));
                    } else {
                        // SAFETY: the block is live and not used afterwards.
                        unsafe { statistics.deallocate(block, layout) };
                    }
                }
                // No thread gives its slot back before all have counted.
                end.wait();
                kept
            })
        };
        let threads: Vec<_> = (0..threads).map(work).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let snapshot = statistics.snapshot();
    let bytes: usize = kept.iter().map(|(_, layout)| layout.size().get()).sum();
    assert_eq!(snapshot.total_allocations, (threads * rounds) as u64);
    assert_eq!(snapshot.live_count(), kept.len() as i64);
    assert_eq!(snapshot.bytes_allocated, bytes as u64);
    let peak = snapshot.bytes_peak as usize;
    let largest = 700 * threads + bytes;
    assert!((bytes..=largest + 4096 * SLOTS).contains(&peak), "{bytes} {peak}");
    // Freed by a thread that did not allocate them.
    for (Passed(block), layout) in kept {
        // SAFETY: the block is live and not used afterwards.
        unsafe { statistics.deallocate(block, layout) };
    }
    let snapshot = statistics.snapshot();
    assert_eq!((snapshot.live_count(), snapshot.bytes_allocated, snapshot.failures), (0, 0, 0));
    assert_eq!(statistics.stats().snapshot(), snapshot);
}

#[test]
fn four_threads_lose_no_count() {
    count_from(4);
}

#[test]
fn threads_beyond_the_slots_lose_no_count() {
    count_from(SLOTS + 4);
}

#[test]
fn the_peak_of_one_thread_is_exact_whatever_has_been_published() {
    for size in [8, 100, 2000, 2048, 5000] {
        let statistics = Statistics::new(System::new());
        for count in 1..=20 {
            let layout = layout(size);
            let blocks: Vec<_> = (0..count).map(|_| statistics.allocate(layout).unwrap().cast()).collect();
            for block in blocks {
                // SAFETY: the block is live and not used afterwards.
                unsafe { statistics.deallocate(block, layout) };
            }
            assert_eq!(statistics.stats().peak_bytes(), (size * count) as u64);
            assert_eq!(statistics.stats().current_bytes(), 0);
        }
    }
}

#[test]
fn without_a_table_the_fields_count() {
    let statistics =
        Statistics { shards: super::shards::Shards::refused(), ..Statistics::new(System::new()) };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let block = statistics.allocate(layout(32)).unwrap().cast();
                    // SAFETY: the block is live and not used afterwards.
                    unsafe { statistics.deallocate(block, layout(32)) };
                }
            });
        }
    });
    let snapshot = statistics.snapshot();
    assert_eq!((snapshot.total_allocations, snapshot.total_deallocations), (200, 200));
    assert_eq!(snapshot.bytes_allocated, 0);
    assert!((32..=128).contains(&snapshot.bytes_peak));
}

#[test]
fn the_mirror_catches_up_with_corruption_on_the_next_call() {
    let slab = slab();
    let block = slab.allocate(layout(8)).unwrap().cast::<u8>();
    // SAFETY: the block is live and not used afterwards, except for the write after the free, into storage that is still the
    // slab's: the misuse under test.
    unsafe {
        slab.deallocate(block, layout(8));
        block.cast::<u32>().write(u32::MAX);
    }
    let noticed = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| slab.allocate(layout(8))));
    assert_eq!(noticed.is_err(), cfg!(debug_assertions));
    let stats = slab.stats();
    assert_eq!(stats.corruption_events.load(Relaxed), 1);
    assert_eq!(slab.corruption_events(), 1);
}

#[test]
fn a_collection_frees_with_the_size_that_was_counted() {
    use crate::{HeapBytes, SizeClassed, StdCompat};

    let backing = BumpArena::new(HeapBytes::new(1 << 16).unwrap()).unwrap();
    let statistics = Statistics::new(SizeClassed::with_default_classes(backing, 16).unwrap());
    let mut numbers = hashbrown::HashSet::<u16, hashbrown::DefaultHashBuilder, _>::with_hasher_in(
        hashbrown::DefaultHashBuilder::default(),
        StdCompat::new(&statistics),
    );
    numbers.extend(0..300);
    assert!(statistics.stats().current_bytes() > 0);
    drop(numbers);
    assert_eq!((statistics.stats().live_count(), statistics.stats().current_bytes()), (0, 0));
}

#[test]
fn a_wrapper_is_as_small_as_its_documented_fields_allow() {
    let fields = 7 * forge_alloc_core::CACHE_LINE;
    assert_eq!(size_of::<super::AllocStats>(), fields);
    assert!(size_of::<Statistics<System>>() <= fields + forge_alloc_core::CACHE_LINE);
}

#[test]
fn nobody_carves_the_range_of_a_wrapper() {
    const { assert!(!<Statistics<BumpArena<InlineBacked<64>>> as FixedRange>::CARVABLE) }
    let mut arena = arena();
    assert!(arena.claim().is_err());
    assert_eq!(arena.base(), arena.inner().base());
    assert_eq!(arena.into_inner().allocated(), 0);
}

/// Says of a type whether it is `Sync`, and asserts that an allocator of that type says the same.
macro_rules! assert_tells_threads {
    ($($allocator:expr => $type:ty),* $(,)?) => {{
        struct Of<T>(core::marker::PhantomData<T>);
        trait NotSync {
            const SYNC: bool = false;
        }
        impl<T> NotSync for Of<T> {}
        #[allow(dead_code, reason = "found before the constant of the trait, where the type is `Sync`")]
        impl<T: Sync> Of<T> {
            const SYNC: bool = true;
        }
        $(
            let allocator: $type = $allocator;
            assert_eq!(allocator.is_single_threaded(), !Of::<$type>::SYNC, stringify!($type));
        )*
    }};
}

#[test]
fn an_allocator_is_single_threaded_where_its_type_is_not_sync() {
    use crate::{Arena, HeapBytes, HeapSource, SizeClassed, StackAlloc, WithFallback};

    type Inline = InlineBacked<1024>;
    assert_tells_threads! {
        Inline::new() => Inline,
        System::new() => System,
        BumpArena::new(Inline::new()).unwrap() => BumpArena<Inline>,
        SharedBumpArena::new(Inline::new()).unwrap() => SharedBumpArena<Inline>,
        StackAlloc::new(Inline::new()).unwrap() => StackAlloc<Inline>,
        Arena::new() => Arena<HeapSource>,
        Slab::new(4, Inline::new()).unwrap() => Slab<u64, Inline>,
        SizeClassed::with_default_classes(BumpArena::new(HeapBytes::new(1 << 16).unwrap()).unwrap(), 2).unwrap()
            => SizeClassed<BumpArena<HeapBytes>, 8>,
        WithFallback::new(BumpArena::new(Inline::new()).unwrap(), System::new())
            => WithFallback<BumpArena<Inline>, System>,
        WithFallback::new(SharedBumpArena::new(Inline::new()).unwrap(), System::new())
            => WithFallback<SharedBumpArena<Inline>, System>,
        slab() => Statistics<Slab<u64, InlineBacked<128>>>,
        Statistics::new(System::new()) => Statistics<System>,
    }
    let mut arena = BumpArena::new(Inline::new()).unwrap();
    assert!(Allocator::is_single_threaded(&&arena));
    assert!(arena.scope().is_single_threaded());
    assert!((&arena as &dyn Allocator).is_single_threaded());
}

#[test]
fn a_wrapper_stays_in_place_where_the_inner_allocator_does() {
    fn stable<A: StableAddress>() {}
    stable::<Statistics<System>>();
}
