//! Probes: small loops whose instructions are counted, each with its set-up outside the count.
//!
//! # Design
//!
//! Counts repeat to the digit where times do not, so they can gate a change on a busy machine. Everything counted runs
//! inside one function, [`counted`], whose name callgrind is told to start and stop at; which probe runs is chosen by an
//! argument of the process. The loop itself is part of the count, a few instructions per operation that are the same for
//! every contestant; the probes of the limit show them.
#![allow(unsafe_code)]

use core::ptr::NonNull;
use std::time::Duration;

use forge_alloc::{
    Allocator, ArenaPool, Deallocator, HeapBytes, LowestFirst, NonZeroLayout, RoundRobin, StackAlloc,
};

use crate::contestants::bump_scope::{Bytes, Down, Scoped};
use crate::contestants::bumpalo::Bumpalo;
use crate::contestants::caches::{self, Cached};
use crate::contestants::handles::{self, Pool};
use crate::contestants::heaps::{self, Heap, Region};
use crate::contestants::limit::Limit;
use crate::contestants::numbers::{
    BitmapPages, BuddyFrames, BuddyPages, Hinted, IDS, Numbers, OurIds, PAGES, Runs,
};
use crate::contestants::ours::{Fixed, Growing, SharedFixed};
use crate::contestants::reference::{Reference, ReferenceShared};
use crate::contestants::remotes::{self, Owner, Remote};
use crate::contestants::slabs::{
    self, Classes, FineClasses, FreePointers, Mimalloc, Object, OffSlots, Plain, ReferenceClasses,
    ReferenceGrowing, ReferenceSigned, ReferenceSlab, Signed, SizedSlots, Slots, UncheckedClasses,
    UncheckedPointers, Watched, hardened,
};
use crate::contestants::{Arena, Blocks, Copies, Put, PutWide, Scopes, Shared, SharedBatch, Wide};
use crate::harness::Side;
use crate::random::Random;
use crate::rows::cache::make_and_drop;
use crate::rows::handles::{filled, insert_and_remove, look_up};
use crate::rows::heaps::{Fill, Population, grow_alone, make_heap, steps, victims};
use crate::rows::numbers::{BURST, Held, HeldRuns};
use crate::rows::remotes::{Parcel, Trade, give};
use crate::rows::slabs::take_and_give;
use crate::rows::{classes, copies, mixed};
use crate::sink::{exhausted, keep, touch};

mod flat;
mod processes;

/// Operations per probe.
pub const OPERATIONS: u64 = 1000;

/// Room for any probe.
const ROOM: usize = 1 << 20;

/// What is done by the probes of a slab under wrappers.
const LAYERED: &str = "layered slab pair";

/// Probes of which the second takes exactly the instructions of the first: wrappers that add nothing, and worst calls of a
/// heap that are the same whatever its size and however many blocks are live.
pub const EQUAL: [(&str, &str); 7] = [
    ("layered slab pair, ours: bare slab", "layered slab pair, ours: transparent wrappers"),
    ("worst free, ours: Tlsf, 1 MiB, 10 live", "worst free, ours: Tlsf, 16 GiB, 10 live"),
    ("worst free, ours: Tlsf, 1 MiB, 10 live", "worst free, ours: Tlsf, 16 GiB, 1,000,000 live"),
    ("worst request, ours: Tlsf, 1 MiB, 10 live", "worst request, ours: Tlsf, 16 GiB, 10 live"),
    ("worst request, ours: Tlsf, 1 MiB, 10 live", "worst request, ours: Tlsf, 16 GiB, 1,000,000 live"),
    ("worst resize, ours: Tlsf, 1 MiB, 10 live", "worst resize, ours: Tlsf, 16 GiB, 10 live"),
    ("worst resize, ours: Tlsf, 1 MiB, 10 live", "worst resize, ours: Tlsf, 16 GiB, 1,000,000 live"),
];

/// What callgrind starts and stops at.
pub const COUNTED: &str = "*forge_benches*probes*counted*";

/// One loop of [`OPERATIONS`] operations.
pub struct Probe {
    /// What is done, and by whom.
    pub name: String,
    /// Whose code it is; only ours is gated.
    pub side: Side,
    run: fn(),
}

impl Probe {
    /// Runs the loop once, inside [`counted`].
    pub fn run(&self) {
        (self.run)();
    }
}

/// Runs `work`: the one function that is counted.
#[inline(never)]
pub fn counted(work: impl FnOnce()) {
    work();
}

/// Returns every probe.
pub fn all() -> Vec<Probe> {
    vec![
        of::<Fixed>("constant layout", constant::<Fixed>),
        of::<Growing>("constant layout", constant::<Growing>),
        of::<Bumpalo<8>>("constant layout", constant::<Bumpalo<8>>),
        of::<Scoped<Down>>("constant layout", constant::<Scoped<Down>>),
        of::<Reference>("constant layout", constant::<Reference>),
        of::<Limit>("constant layout", constant::<Limit>),
        of::<Fixed>("variable layout", variable::<Fixed>),
        of::<Growing>("variable layout", variable::<Growing>),
        of::<Bumpalo<8>>("variable layout", variable::<Bumpalo<8>>),
        of::<Scoped<Bytes>>("variable layout", variable::<Scoped<Bytes>>),
        of::<Reference>("variable layout", variable::<Reference>),
        of::<Limit>("variable layout", variable::<Limit>),
        of::<Fixed>("slice copy", slice_copy::<Fixed>),
        of::<Growing>("slice copy", slice_copy::<Growing>),
        of::<Bumpalo<1>>("slice copy", slice_copy::<Bumpalo<1>>),
        of::<Reference>("slice copy", slice_copy::<Reference>),
        of::<Limit>("slice copy", slice_copy::<Limit>),
        of::<Fixed>("scope of one value", scope::<Fixed>),
        of::<Growing>("scope of one value", scope::<Growing>),
        of::<Scoped<Down>>("scope of one value", scope::<Scoped<Down>>),
        of::<Reference>("scope of one value", scope::<Reference>),
        of::<Limit>("scope of one value", scope::<Limit>),
        of::<Fixed>("value and reset", reset::<Fixed>),
        of::<Growing>("value and reset", reset::<Growing>),
        of::<Bumpalo<8>>("value and reset", reset::<Bumpalo<8>>),
        of::<Scoped<Down>>("value and reset", reset::<Scoped<Down>>),
        of::<Reference>("value and reset", reset::<Reference>),
        probe("shared arena", SharedFixed::NAME, SharedFixed::SIDE, shared::<SharedFixed>),
        probe("shared arena", ReferenceShared::NAME, ReferenceShared::SIDE, shared::<ReferenceShared>),
        probe("stack push and pop", "ours: StackAlloc", Side::Ours, stack),
        probe("pool cycle", "ours: ArenaPool", Side::Ours, pool),
        probe("pool cycle", "ours: ArenaPool, leased", Side::Ours, lease),
        pair_of::<Plain>("slab pair"),
        pair_of::<OffSlots>("slab pair"),
        pair_of::<slabs::Trust>("slab pair"),
        pair_of::<slabs::OffTrust>("slab pair"),
        gated(pair_of::<Watched>("slab pair")),
        gated(pair_of::<Signed>("slab pair")),
        pair_of::<ReferenceSlab>("slab pair"),
        pair_of::<ReferenceSigned>("slab pair"),
        pair_of::<FreePointers>("slab pair"),
        pair_of::<Mimalloc>("slab pair"),
        pair_of::<UncheckedPointers>("slab pair"),
        pair_of::<hardened::ours::Bare>(LAYERED),
        pair_of::<hardened::Transparent>(LAYERED),
        pair_of::<hardened::ours::Counted>(LAYERED),
        pair_of::<hardened::ours::Marked>(LAYERED),
        pair_of::<hardened::ours::Held>(LAYERED),
        pair_of::<hardened::ours::Poisoned>(LAYERED),
        pair_of::<hardened::ours::Zeroed>(LAYERED),
        pair_of::<hardened::ours::Guarded>(LAYERED),
        pair_of::<hardened::ours::Hardened>(LAYERED),
        pair_of::<hardened::ours::All>(LAYERED),
        pair_of::<hardened::reference::Bare>(LAYERED),
        pair_of::<hardened::reference::Held>(LAYERED),
        pair_of::<hardened::reference::Poisoned>(LAYERED),
        pair_of::<Classes>("size classes pair"),
        pair_of::<ReferenceClasses>("size classes pair"),
        sizes_of::<Classes>(),
        sizes_of::<FineClasses>(),
        sizes_of::<ReferenceClasses>(),
        sizes_of::<Mimalloc>(),
        sizes_of::<UncheckedClasses>(),
        pair_of::<slabs::Growing>("growing slab pair"),
        pair_of::<ReferenceGrowing>("growing slab pair"),
        remote_of::<remotes::Ours>(),
        remote_of::<remotes::Reference>(),
        remote_of::<remotes::Queue>(),
        remote_of::<Mimalloc>(),
        remote_of::<remotes::Chains>(),
        owner_of::<remotes::Ours>(),
        owner_of::<remotes::Reference>(),
        owner_of::<remotes::Queue>(),
        owner_of::<Mimalloc>(),
        owner_of::<remotes::Chains>(),
        boxed_pair::<caches::Local<_>>(),
        boxed_pair::<caches::Spin<_>>(),
        boxed_pair::<caches::Fronted<_>>(),
        boxed_pair::<caches::Rooted<_>>(),
        boxed_pair::<caches::Mi<_>>(),
        boxed_pair::<caches::ReferenceLocal<_>>(),
        boxed_pair::<caches::ReferenceSpin<_>>(),
        named_pair::<handles::Ours>(),
        named_pair::<handles::SlotMap>(),
        named_pair::<handles::Thunderdome>(),
        named_pair::<handles::Reference>(),
        named_pair::<handles::Limit>(),
        named_get::<handles::Ours>(),
        named_get::<handles::SlotMap>(),
        named_get::<handles::Thunderdome>(),
        named_get::<handles::Reference>(),
        named_get::<handles::Limit>(),
        churn_of::<heaps::Tlsf>(),
        churn_of::<heaps::SlabHeap>(),
        churn_of::<heaps::Rlsf>(),
        churn_of::<heaps::Talc>(),
        churn_of::<heaps::Dlmalloc>(),
        grow_of::<heaps::Tlsf>(),
        grow_of::<heaps::SlabHeap>(),
        grow_of::<heaps::Rlsf>(),
        grow_of::<heaps::Talc>(),
        grow_of::<heaps::Dlmalloc>(),
        pair_of_numbers::<BitmapPages, PAGES>("page pair"),
        pair_of_numbers::<Hinted<PAGES>, PAGES>("page pair"),
        pair_of_numbers::<OurIds<LowestFirst>, IDS>("id pair"),
        pair_of_numbers::<OurIds<RoundRobin>, IDS>("id pair"),
        pair_of_numbers::<Hinted<IDS>, IDS>("id pair"),
        burst_of::<BitmapPages>(),
        burst_of::<Hinted<PAGES>>(),
        run_of::<BitmapPages>(),
        run_of::<BuddyPages>(),
        run_of::<BuddyFrames>(),
    ]
    .into_iter()
    .chain(flat::probes())
    .chain(processes::probes())
    .collect()
}

fn probe(what: &str, who: &str, side: Side, run: fn()) -> Probe {
    Probe { name: format!("{what}, {who}"), side, run }
}

fn of<A: Arena>(what: &str, run: fn()) -> Probe {
    probe(what, A::NAME, A::SIDE, run)
}

/// Returns the probe of a slot of `S` that is taken and given back.
fn pair_of<S: Slots>(what: &str) -> Probe {
    probe(what, S::NAME, S::SIDE, slot_pairs::<S>)
}

/// Returns the probe of blocks of 1 to 1024 bytes of `S`.
fn sizes_of<S: SizedSlots>() -> Probe {
    probe("size classes, variable layout", S::NAME, S::SIDE, sized_pairs::<S>)
}

/// Returns the probe of a slot of `O` that another thread gives back.
fn remote_of<O: Owner>() -> Probe {
    probe("remote free", O::NAME, O::SIDE, remote_frees::<O>)
}

/// Returns the probe of a slot of `O` that is taken after remote frees.
fn owner_of<O: Owner>() -> Probe {
    probe("owner's allocation after remote frees", O::NAME, O::SIDE, owner_allocations::<O>)
}

/// Returns a probe of ours that stands beside its row for context as one that is gated.
fn gated(probe: Probe) -> Probe {
    Probe { side: Side::Ours, ..probe }
}

/// Moves a 32-byte value in.
fn constant<A: Put<Wide>>() {
    let mut arena = A::with_capacity(ROOM);
    counted(|| {
        keep(&raw mut arena);
        for value in 0..OPERATIONS {
            keep(arena.put([value; 4]));
        }
    });
}

/// Takes a block of a layout known at run time.
fn variable<A: Blocks>() {
    let layouts: Vec<A::Layout> = mixed::layouts(OPERATIONS as usize).into_iter().map(A::layout).collect();
    let mut arena = A::with_capacity(ROOM);
    counted(|| {
        keep(&raw mut arena);
        for &layout in &layouts {
            // SAFETY: a block has at least one byte.
            unsafe { touch(arena.block(layout), 1) };
        }
    });
}

/// Copies a slice of 1 to 64 bytes.
fn slice_copy<A: Copies>() {
    let sources = copies::strings_of(1, 64);
    let mut arena = A::with_capacity(ROOM);
    counted(|| {
        keep(&raw mut arena);
        for source in &sources[..OPERATIONS as usize] {
            keep(arena.copy_slice(source.as_bytes()));
        }
    });
}

/// Opens a scope, moves one value in and closes it.
fn scope<A: Scopes>() {
    let mut arena = A::with_capacity(ROOM);
    counted(|| {
        keep(&raw mut arena);
        for value in 0..OPERATIONS {
            arena.scoped(|scope| keep(scope.put_wide([value; 4])));
        }
    });
}

/// Moves a value in and resets the arena.
fn reset<A: Put<Wide>>() {
    let mut arena = A::with_capacity(ROOM);
    counted(|| {
        keep(&raw mut arena);
        for value in 0..OPERATIONS {
            keep(arena.put([value; 4]));
            arena.reset();
        }
    });
}

/// Moves a value into a shared arena.
fn shared<S: Shared>() {
    let mut memory = S::with_capacity(ROOM);
    let arena = memory.open();
    let handle = arena.handle();
    keep(handle.put_wide([0; 4]));
    counted(|| {
        keep(&raw const handle);
        for value in 0..OPERATIONS {
            keep(handle.put_wide([value; 4]));
        }
    });
}

/// Pushes a block on the stack and pops it.
fn stack() {
    let stack = HeapBytes::new(ROOM).and_then(StackAlloc::new).unwrap_or_else(|_| exhausted());
    let layout = NonZeroLayout::for_type::<Wide>().unwrap_or_else(|| exhausted());
    counted(|| {
        keep(&raw const stack);
        for _ in 0..OPERATIONS {
            let block: NonNull<u8> = stack.allocate(layout).unwrap_or_else(|_| exhausted()).cast();
            keep(block.as_ptr());
            // SAFETY: the block is live, of this layout, and not used afterwards.
            unsafe { stack.deallocate(block, layout) };
        }
    });
}

/// Checks an arena out of a pool, moves a value in and gives it back.
fn pool() {
    let mut pool = ArenaPool::new(4, || HeapBytes::new(4096));
    let warm = pool.checkout().unwrap_or_else(|_| exhausted());
    pool.give_back(warm);
    counted(|| {
        keep(&raw mut pool);
        for value in 0..OPERATIONS {
            let arena = pool.checkout().unwrap_or_else(|_| exhausted());
            if let Ok(block) = arena.alloc_ref([value; 4]) {
                keep(block);
            }
            pool.give_back(arena);
        }
    });
}

/// Leases an arena from a pool, moves a value in and ends the lease.
fn lease() {
    let mut pool = ArenaPool::new(4, || HeapBytes::new(4096));
    if pool.lease().is_err() {
        exhausted();
    }
    counted(|| {
        keep(&raw mut pool);
        for value in 0..OPERATIONS {
            let arena = pool.lease().unwrap_or_else(|_| exhausted());
            if let Ok(block) = arena.alloc_ref([value; 4]) {
                keep(block);
            }
        }
    });
}

/// Takes a slot and gives it back.
fn slot_pairs<S: Slots>() {
    let mut slots = S::with_capacity(64);
    take_and_give(&mut slots, 64);
    counted(|| take_and_give(&mut slots, OPERATIONS));
}

/// Takes a block of a size known at run time and gives it back.
fn sized_pairs<S: SizedSlots>() {
    let mut slots = S::with_capacity(64);
    let sizes: Vec<S::Size> = classes::sizes().into_iter().map(S::size).collect();
    classes::take_and_give(&mut slots, &sizes);
    counted(|| classes::take_and_give(&mut slots, &sizes[..OPERATIONS as usize]));
}

/// Gives slots back on the one thread that ever does so, which is not the owner's.
fn remote_frees<O: Owner>() {
    let mut trade = Trade::<O>::new(1, OPERATIONS as usize);
    trade.take();
    trade.give_back(give_all);
    trade.take();
    trade.give_back(|remote, parcel| {
        counted(|| {
            give_all(remote, parcel);
        });
        Duration::ZERO
    });
}

/// Takes slots that another thread gave back.
fn owner_allocations<O: Owner>() {
    let mut trade = Trade::<O>::new(1, OPERATIONS as usize);
    trade.take();
    trade.give_back(give_all);
    counted(|| trade.take());
    trade.give_back(give_all);
}

/// Gives objects back and takes no time of it.
fn give_all<R: Remote>(remote: &mut R, parcel: &Parcel) -> Duration {
    // SAFETY: the callers pass what was taken, once.
    unsafe { give(remote, parcel) };
    Duration::ZERO
}

/// Makes a box and drops it.
fn boxed_pair<C: Cached<Object>>() -> Probe {
    probe("object cache pair", C::NAME, C::SIDE, || {
        let mut cache = C::open(64);
        make_and_drop(&mut cache, 64);
        counted(|| make_and_drop(&mut cache, OPERATIONS as usize));
    })
}

/// Inserts a value and removes it by its handle.
fn named_pair<P: Pool>() -> Probe {
    probe("handle pair", P::NAME, P::SIDE, || {
        let mut pool = P::with_capacity(2);
        insert_and_remove(&mut pool, 1);
        counted(|| insert_and_remove(&mut pool, OPERATIONS));
    })
}

/// Looks a value up by its handle.
fn named_get<P: Pool>() -> Probe {
    probe("handle get", P::NAME, P::SIDE, || {
        let (pool, handles) = filled::<P>(OPERATIONS as usize);
        counted(|| look_up(&*pool, &handles, 1));
    })
}

/// Gives a block of a heap back and takes another, among 256.
fn churn_of<H: Heap>() -> Probe {
    probe("heap churn", H::NAME, H::SIDE, || {
        let (mut population, _) = Population::<H>::new(Region::new(1 << 20), Fill::Blocks(256));
        let victims = victims(OPERATIONS as usize, 256, &mut Random::new(1));
        counted(|| {
            population.change(&victims);
        });
    })
}

/// Grows a block by an eighth where there is room behind it.
fn grow_of<H: Heap>() -> Probe {
    probe("block grown in place", H::NAME, H::SIDE, || {
        let (mut heap, _region) = make_heap::<H>();
        let steps = steps();
        grow_alone(&mut *heap, &steps);
        counted(|| (0..OPERATIONS as usize / steps.len()).for_each(|_| grow_alone(&mut *heap, &steps)));
    })
}

/// Gives a number back and takes one, where half of them is taken.
fn pair_of_numbers<N: Numbers, const COUNT: usize>(what: &str) -> Probe {
    probe(what, N::NAME, N::SIDE, || {
        let mut held = Held::<N>::new(COUNT, 50, OPERATIONS as usize);
        // The first passes fill the holes below what is taken.
        (0..COUNT / OPERATIONS as usize).for_each(|_| held.change());
        counted(|| held.change());
    })
}

/// Takes 1024 pages, then gives them back, where half of them is taken.
fn burst_of<N: Numbers>() -> Probe {
    probe("burst of pages", N::NAME, N::SIDE, || {
        let (mut held, mut taken) = (Held::<N>::new(PAGES, 50, 1), [0; BURST]);
        held.burst(&mut taken);
        counted(|| held.burst(&mut taken));
    })
}

/// Gives a run of 1 to 16 pages back and takes one, where half of them is taken.
fn run_of<N: Runs>() -> Probe {
    probe("run of pages", N::NAME, N::SIDE, || {
        let mut held = HeldRuns::<N>::new(50, (1, 16), 1, OPERATIONS as usize);
        held.change();
        counted(|| held.change());
    })
}

#[cfg(test)]
mod tests;
