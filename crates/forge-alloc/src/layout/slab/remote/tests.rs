//! The owner and its handles: order, the law of the batches, drop orders, misuse, threads that come and go.
#![allow(unsafe_code)]

mod threads;

use core::ptr::NonNull;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::vec::Vec;

use forge_alloc_core::testing::{assert_allocator_contract, assert_combined_invariants};
use forge_alloc_core::{Allocator, Deallocator, FixedRange, NonZeroLayout};
use forge_trace::shadow::{Checks, Limits, drive, drive_moving, random_ops};

use super::policy::{ADAPTIVE_COOLDOWN_TICKS, BatchPolicy};
use super::{SlabOwner, SlabRemote};
use crate::{BumpArena, HeapBytes, InlineBacked};

type Value = [u64; 2];
type Heap = BumpArena<HeapBytes>;
type Owner = SlabOwner<Value, Heap>;
type Remote = SlabRemote<Value, Heap>;

/// A block on its way to another thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Block(NonNull<u8>);

// SAFETY: an address; what is done with it argues for itself.
unsafe impl Send for Block {}

fn layout() -> NonZeroLayout {
    NonZeroLayout::for_type::<Value>().unwrap()
}

fn heap(bytes: usize) -> Heap {
    BumpArena::new(HeapBytes::with_align(bytes, 16).unwrap()).unwrap()
}

fn owner(capacity: usize) -> Owner {
    SlabOwner::new(capacity, heap(capacity * size_of::<Value>())).unwrap()
}

fn with_policy(capacity: usize, policy: BatchPolicy, queue_capacity: usize) -> Owner {
    let backing = heap(capacity * size_of::<Value>());
    SlabOwner::with_batch_policy(capacity, backing, policy, queue_capacity).unwrap()
}

fn take(owner: &Owner) -> Block {
    Block(owner.allocate(layout()).unwrap().cast())
}

fn take_all(owner: &Owner) -> Vec<Block> {
    core::iter::from_fn(|| owner.allocate(layout()).ok()).map(|block| Block(block.cast())).collect()
}

fn free(owner: &Owner, block: Block) {
    // SAFETY: the tests free live blocks.
    unsafe { owner.deallocate(block.0, layout()) };
}

fn free_remotely(remote: &Remote, block: Block) {
    // SAFETY: the tests free live blocks.
    unsafe { remote.deallocate(block.0, layout()) };
}

fn try_free(remote: &Remote, block: Block) -> bool {
    // SAFETY: the tests free live blocks.
    unsafe { remote.try_deallocate(block.0, layout()) }.is_ok()
}

/// Asserts that every slot of the owner can be taken, each once.
fn assert_nothing_is_lost(owner: &Owner, live: &[Block]) {
    let mut blocks: BTreeSet<Block> = live.iter().copied().collect();
    assert_eq!(owner.len(), live.len());
    for block in take_all(owner) {
        assert!(blocks.insert(block), "a slot is issued twice");
    }
    assert_eq!(blocks.len(), owner.capacity(), "a slot is lost");
    assert_eq!(owner.corruption_events(), 0);
}

#[test]
fn a_remote_free_returns_the_slot() {
    let owner = owner(1);
    let remote = owner.remote();
    for _ in 0..100 {
        let block = take(&owner);
        assert!(owner.allocate(layout()).is_err());
        free_remotely(&remote, block);
    }
    assert!(owner.is_empty());
}

#[test]
fn the_owner_frees_last_in_first_out() {
    let owner = owner(8);
    let blocks = take_all(&owner);
    blocks.iter().for_each(|block| free(&owner, *block));
    let again = take_all(&owner);
    assert!(again.iter().eq(blocks.iter().rev()));
}

#[test]
fn a_drained_burst_is_last_in_first_out() {
    for count in [1, 2, 15, 16, 17, 40] {
        let (owner, mut blocks) = (owner(count), Vec::new());
        blocks.extend(take_all(&owner));
        let remote = owner.remote();
        blocks.iter().for_each(|block| free_remotely(&remote, *block));
        owner.drain();
        assert!(take_all(&owner).iter().eq(blocks.iter().rev()));
    }
}

#[test]
fn fresh_slots_are_consecutive_and_whole() {
    let owner = SlabOwner::<[u8; 24], _>::new(3, InlineBacked::<128>::new()).unwrap();
    let one = NonZeroLayout::from_size_align(1, 1).unwrap();
    let blocks = [(); 3].map(|()| owner.allocate(one).unwrap());
    assert_eq!(blocks.map(NonNull::len), [24; 3]);
    assert_eq!(blocks[0].cast::<u8>(), owner.base());
    assert_eq!(blocks[2].addr().get() - blocks[0].addr().get(), 48);
    // SAFETY: a live block of this layout.
    assert_eq!(unsafe { owner.usable_size(blocks[0].cast(), one) }, Some(24));
    assert_eq!((owner.capacity_bytes(), owner.size(), owner.capacity()), (Some(72), 72, 3));
}

#[test]
fn a_layout_that_fits_no_slot_is_refused_and_costs_nothing() {
    let owner = owner(2);
    for (size, align) in [(17, 8), (8, 16), (usize::MAX >> 1, 1)] {
        assert!(owner.allocate(NonZeroLayout::from_size_align(size, align).unwrap()).is_err());
    }
    assert_nothing_is_lost(&owner, &[]);
}

#[test]
fn an_owner_needs_slots_and_room() {
    assert!(Owner::new(0, heap(16)).is_err());
    assert!(Owner::new(2, heap(31)).is_err());
    assert!(Owner::new(usize::MAX, heap(16)).is_err());
}

#[test]
fn a_fixed_batch_is_taken_at_its_threshold() {
    let all = [0, 1, 7, 2, 64];
    for threshold in all.into_iter().take(if cfg!(miri) { 3 } else { all.len() }) {
        let owner = with_policy(200, BatchPolicy::Fixed(threshold), 1024);
        let (remote, spare) = (owner.remote(), take(&owner));
        let due = threshold.max(1) as u64;
        for round in 0..3 {
            let blocks: Vec<Block> = (0..due).map(|_| take(&owner)).collect();
            for (number, block) in blocks.into_iter().enumerate() {
                assert_eq!(owner.shared.waiting(), number as u64, "round {round}");
                free_remotely(&remote, block);
                if number as u64 + 1 < due {
                    free(&owner, spare);
                    assert_eq!(take(&owner), spare, "nothing was taken over, so the spare is on top");
                }
            }
            assert_eq!(owner.shared.waiting(), due);
            let block = take(&owner);
            assert_eq!(owner.shared.waiting(), 0, "the first operation at the threshold takes all over");
            free(&owner, block);
        }
        assert_nothing_is_lost(&owner, &[spare]);
    }
}

#[test]
fn a_batch_larger_than_the_threshold_is_taken_whole() {
    let owner = with_policy(100, BatchPolicy::Fixed(10), 1024);
    let (remote, blocks) = (owner.remote(), take_all(&owner));
    blocks[..99].iter().for_each(|block| free_remotely(&remote, *block));
    free(&owner, blocks[99]);
    assert_eq!(owner.shared.waiting(), 0);
    assert_nothing_is_lost(&owner, &[]);
}

#[test]
fn the_adaptive_batch_grows_on_an_empty_queue() {
    let owner = with_policy(4, BatchPolicy::Adaptive, 1024);
    assert_eq!(owner.adaptive_threshold_snapshot(), Some(64));
    let block = take(&owner);
    assert_eq!(owner.adaptive_threshold_snapshot(), Some(128));
    free(&owner, block);
    assert_eq!(with_policy(4, BatchPolicy::Fixed(8), 4).adaptive_threshold_snapshot(), None);
}

/// What the law says after each operation of the owner, of which `frees` remote frees come before the one at an index.
fn law_of(queue_capacity: u64, frees: &[u64]) -> (Vec<usize>, Vec<u64>) {
    let (mut level, mut cooldown, mut queue) = (3, 0, 0);
    let (mut thresholds, mut queues) = (Vec::new(), Vec::new());
    for freed in frees {
        queue += freed;
        if cooldown > 0 {
            cooldown -= 1;
        } else if 4 * queue > 3 * queue_capacity && level > 0 {
            (level, cooldown) = (level - 1, ADAPTIVE_COOLDOWN_TICKS);
        } else if 4 * queue < queue_capacity && level < 4 {
            (level, cooldown) = (level + 1, ADAPTIVE_COOLDOWN_TICKS);
        }
        let threshold = [8, 16, 32, 64, 128][level];
        if queue >= threshold as u64 {
            queue = 0;
        }
        thresholds.push(threshold);
        queues.push(queue);
    }
    (thresholds, queues)
}

#[test]
fn the_adaptive_batch_follows_the_law_in_both_directions() {
    const CAPACITY: usize = 1000;
    let all = [(16, 14), (4, 20), (64, 60), (100, 90), (1024, 120), (24, 3), (400, 101)];
    for (queue_capacity, burst) in all.into_iter().take(if cfg!(miri) { 1 } else { all.len() }) {
        // A quiet start, bursts without a pause, and quiet again; with single frees and pauses between.
        let mut frees = std::vec![0; 20];
        frees.extend([burst; 60]);
        frees.extend((0..150).map(|tick| u64::from(tick % 3 == 0)));
        frees.extend([0; 100]);
        let (thresholds, queues) = law_of(queue_capacity as u64, &frees);
        let owner = with_policy(CAPACITY, BatchPolicy::Adaptive, queue_capacity);
        let remote = owner.remote();
        let mut live = (0..200).map(|_| take_quietly(&owner)).collect::<Vec<_>>();
        let spare = take_quietly(&owner);
        let mut allocated = false;
        for (tick, count) in frees.iter().enumerate() {
            for _ in 0..*count {
                live.push(take_quietly(&owner));
                free_remotely(&remote, live.swap_remove(0));
            }
            // One operation of the owner: a free and an allocation in turn.
            if allocated {
                live.push(take(&owner));
                free_quietly(&owner, live.remove(live.len() - 1));
            } else {
                free(&owner, spare);
                assert_eq!(take_quietly(&owner), spare);
            }
            allocated = !allocated;
            let threshold = owner.adaptive_threshold_snapshot().unwrap();
            assert_eq!((threshold, owner.shared.waiting()), (thresholds[tick], queues[tick]), "tick {tick}");
        }
        if [4, 16, 64, 100].contains(&queue_capacity) {
            let down = thresholds.windows(2).any(|pair| pair[1] < pair[0]);
            let up = thresholds.windows(2).skip(80).any(|pair| pair[1] > pair[0]);
            assert!(down && up, "{queue_capacity}: {thresholds:?}");
        }
    }
}

/// Takes a slot without a tick.
fn take_quietly(owner: &Owner) -> Block {
    Block(owner.take().unwrap())
}

/// Frees a slot without a tick.
fn free_quietly(owner: &Owner, block: Block) {
    let (place, number) = owner.slots.find(block.0).unwrap();
    owner.push(place, number);
}

#[test]
fn a_full_queue_refuses_and_leaves_the_block_alone() {
    let owner = with_policy(8, BatchPolicy::Fixed(64), 3);
    let (remote, blocks) = (owner.remote(), take_all(&owner));
    // SAFETY: live blocks of this size.
    unsafe { blocks[3].0.cast::<Value>().write([7; 2]) };
    assert!(blocks[..3].iter().all(|block| try_free(&remote, *block)));
    assert!(!try_free(&remote, blocks[3]));
    // SAFETY: the block was not freed.
    assert_eq!(unsafe { blocks[3].0.cast::<Value>().read() }, [7; 2]);
    owner.drain();
    assert!(try_free(&remote, blocks[3]));
    assert_nothing_is_lost(&owner, &blocks[4..]);
}

#[test]
fn a_queue_without_capacity_refuses_always_but_never_hangs() {
    let owner = with_policy(2, BatchPolicy::Fixed(64), 0);
    let (remote, block) = (owner.remote(), take(&owner));
    assert!(!try_free(&remote, block));
    free_remotely(&remote, block);
    assert_nothing_is_lost(&owner, &[]);
}

#[test]
fn a_foreign_pointer_is_handed_back() {
    let (owner, mut word) = (owner(2), [0_u64; 2]);
    let block = take(&owner);
    // SAFETY: an address beside the block; it is refused, not used.
    let inside = unsafe { block.0.add(8) };
    let remote = owner.remote();
    assert!(!try_free(&remote, Block(inside)));
    assert!(!try_free(&remote, Block(NonNull::from(&mut word).cast())));
    assert_eq!(owner.corruption_events(), 0);
    free(&owner, block);
    assert_nothing_is_lost(&owner, &[]);
}

#[test]
fn a_foreign_free_is_counted_and_ignored() {
    let (owner, mut word) = (owner(2), [0_u64; 2]);
    let (remote, foreign) = (owner.remote(), Block(NonNull::from(&mut word).cast()));
    for free in [&|| free_remotely(&remote, foreign), &|| free(&owner, foreign)] as [&dyn Fn(); 2] {
        let unwound = catch_unwind(AssertUnwindSafe(free)).is_err();
        assert_eq!(unwound, cfg!(debug_assertions));
    }
    assert_eq!(owner.corruption_events(), 2);
    assert_eq!(take_all(&owner).len(), 2);
}

#[test]
fn a_slot_that_was_never_issued_cannot_be_freed_by_the_owner() {
    let owner = owner(2);
    let never = Block(owner.slots.place(1));
    assert_eq!(catch_unwind(AssertUnwindSafe(|| free(&owner, never))).is_err(), cfg!(debug_assertions));
    assert_eq!(owner.corruption_events(), 1);
    assert_eq!(take_all(&owner).into_iter().collect::<BTreeSet<_>>().len(), 2);
}

#[test]
fn a_use_after_free_is_counted_and_stays_in_bounds() {
    for forged in [[u32::MAX, u32::MAX], [1_000_000, 0], [64, 64]] {
        let owner = owner(64);
        let (remote, blocks) = (owner.remote(), take_all(&owner));
        blocks[..40].iter().for_each(|block| free_remotely(&remote, *block));
        // SAFETY: memory of the slab; that the block is freed is the point.
        unsafe { blocks[30].0.cast::<[u32; 2]>().write(forged) };
        let mut seen = BTreeSet::new();
        for _ in 0..100 {
            let taken = catch_unwind(AssertUnwindSafe(|| owner.allocate(layout())));
            if let Ok(Ok(block)) = taken {
                assert!(seen.insert(Block(block.cast())), "issued twice");
            }
        }
        assert!(owner.corruption_events() > 0);
        assert!(seen.iter().all(|block| blocks[..40].contains(block)));
        assert_eq!(owner.len(), 24 + seen.len());
    }
}

#[test]
fn every_slot_grows_and_shrinks_in_place() {
    let owner = owner(1);
    let [small, large, beyond] = [1, 16, 17].map(|size| NonZeroLayout::from_size_align(size, 4).unwrap());
    let block = owner.allocate(small).unwrap().cast::<u8>();
    // SAFETY: a live block with these layouts in turn.
    unsafe {
        assert_eq!(owner.grow(block, small, large).unwrap().cast(), block);
        assert_eq!(owner.shrink(block, large, small).unwrap().cast(), block);
        assert!(owner.grow(block, small, beyond).is_err());
        owner.deallocate(block, small);
    }
    assert_nothing_is_lost(&owner, &[]);
}

#[test]
fn handles_clone_for_every_value_and_backing() {
    fn shared<R: Clone + Send + Sync>(_: R) {}
    fn cloned<R: Clone>(_: R) {}
    struct NotClone([u64; 2]);
    let owner = SlabOwner::<NotClone, _>::new(1, InlineBacked::<64>::new()).unwrap();
    let block = owner.allocate(NonZeroLayout::for_type::<NotClone>().unwrap()).unwrap().cast::<NotClone>();
    // SAFETY: a live block for a `NotClone`.
    let value = unsafe {
        block.write(NotClone([1, 2]));
        block.read()
    };
    assert_eq!(value.0, [1, 2]);
    shared(owner.remote());
    shared(SlabOwner::<NotClone, _>::new(1, heap(64)).unwrap().remote());
    cloned(SlabOwner::<Rc<u64>, _>::new(1, heap(64)).unwrap().remote());
}

#[test]
fn the_contract_holds_in_place_moved_and_in_range() {
    let limits = Limits { align: 8, ..Limits::small() };
    let make = || SlabOwner::<[u128; 8], _>::new(64, heap(64 * 128)).unwrap();
    assert_allocator_contract(&make());
    assert_combined_invariants(&make());
    for seed in 0..if cfg!(miri) { 1 } else { 8 } {
        for hostile in [false, true] {
            let history = random_ops(seed, if cfg!(miri) { 40 } else { 3000 }, &limits.hostile(hostile));
            let owner = make();
            let checks = Checks { vary_alignment: true, ..Checks::within(&owner) };
            assert!(drive(&owner, &history, checks.clone()).unwrap().done > 0);
            assert!(drive_moving(owner, &history, 17, checks).unwrap().done > 0);
        }
    }
}
