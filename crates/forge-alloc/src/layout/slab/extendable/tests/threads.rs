//! Several threads, and the magazines that they leave behind.
#![allow(unsafe_code)]

use super::*;
use crate::thread_slot::SLOTS;

#[test]
fn only_its_own_magazine_keeps_slots_from_a_thread() {
    let capacity = 4 * MAGAZINE;
    let slab = growing(sim(), capacity);
    let blocks = take_all(&slab, capacity);
    // At most a quarter of the segment stays with this thread.
    blocks.into_iter().for_each(|block| free(&slab, block));
    let elsewhere = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                (0..).take_while(|_| take(&slab).addr().get() != 0 && slab.segment_count() == 1).count()
            })
            .join()
    });
    assert!(elsewhere.unwrap() >= capacity - MAGAZINE);
}

#[test]
fn slots_of_several_segments_leave_a_magazine_together() {
    for capacity in [16, 40, 4 * MAGAZINE] {
        // How many slots of a segment follow each other when they are freed.
        for run in [1, 2, 3, 7, capacity] {
            let os = sim();
            let mut slab = growing(os, capacity);
            let mut blocks = take_all(&slab, 3 * capacity);
            blocks.sort_by_key(|block| block.addr());
            let mut order: Vec<_> = (0..3 * capacity).collect();
            order.sort_by_key(|place| (place % capacity / run, place / capacity));
            for (freed, place) in order.into_iter().enumerate() {
                free(&slab, blocks[place]);
                assert_eq!(slab.len(), 3 * capacity - freed - 1);
            }
            assert_eq!(slab.corruption_events(), 0);
            let again: BTreeSet<_> = take_all(&slab, 3 * capacity).into_iter().collect();
            assert_eq!((again.len(), slab.segment_count()), (3 * capacity, 3));
            again.into_iter().for_each(|block| free(&slab, block));
            slab.shrink_to_fit();
            assert_eq!(os.live_mappings(), 0);
        }
    }
}

#[test]
fn a_thread_that_ends_leaves_its_magazine_to_the_slab() {
    let slab = growing(sim(), 64);
    for _ in 0..if cfg!(miri) { 3 } else { 100 } {
        std::thread::scope(|scope| {
            scope.spawn(|| take_all(&slab, 40).into_iter().for_each(|block| free(&slab, block)));
        });
    }
    assert_eq!((slab.len(), slab.corruption_events()), (0, 0));
    // Other tests take thread slots as well, so successive threads need not get the same one.
    assert!(slab.segment_count() <= 1 + SLOTS / MAGAZINES_PER_SEGMENT);
}

#[test]
fn threads_share_the_slab() {
    const THREADS: usize = if cfg!(miri) { 3 } else { 4 };
    let rounds = if cfg!(miri) { 60 } else { 60_000 };
    for capacity in [3, 40, 4 * MAGAZINE] {
        let os = sim();
        let mut slab = growing(os, capacity);
        // Blocks change hands here: each holds the number of the thread that filled it, twice.
        let market: Vec<AtomicPtr<u8>> = (0..64).map(|_| AtomicPtr::default()).collect();
        std::thread::scope(|scope| {
            for thread in 1..=THREADS as u64 {
                let (slab, market) = (&slab, &market);
                scope.spawn(move || {
                    let mut state = thread;
                    for _ in 0..rounds {
                        state = state
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1_442_695_040_888_963_407);
                        let block = take(slab);
                        // SAFETY: the block is ours and 16 bytes long.
                        unsafe { block.cast::<Value>().write([thread, !thread]) };
                        let stand = &market[(state >> 40) as usize % market.len()];
                        // AcqRel: hands our block over and takes the other one in.
                        let Some(other) = NonNull::new(stand.swap(block.as_ptr(), Ordering::AcqRel)) else {
                            continue;
                        };
                        // SAFETY: the block was handed over by the thread that filled it.
                        let [stamp, inverse] = unsafe { other.cast::<Value>().read() };
                        assert_eq!(stamp, !inverse, "a block was issued twice");
                        free(slab, other);
                    }
                });
            }
        });
        let left = market.iter().filter_map(|stand| NonNull::new(stand.load(Ordering::Relaxed)));
        assert_eq!(slab.len(), left.clone().count());
        left.for_each(|block| free(&slab, block));
        assert_eq!((slab.len(), slab.corruption_events()), (0, 0));
        slab.shrink_to_fit();
        assert_eq!(os.live_mappings(), 0);
    }
}

#[test]
fn threads_that_grow_at_once_make_one_segment_more_each_at_most() {
    const THREADS: usize = 4;
    let each = if cfg!(miri) { 30 } else { 3000 };
    for capacity in [3, 64, 1000] {
        let slab = growing(sim(), capacity);
        let start = std::sync::Barrier::new(THREADS);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    take_all(&slab, each);
                });
            }
        });
        let needed = (THREADS * each).div_ceil(capacity);
        assert_eq!(slab.len(), THREADS * each);
        assert!(slab.segment_count() <= needed + THREADS, "{} of {needed}", slab.segment_count());
    }
}

#[test]
fn an_owned_value_ends_with_its_box_on_any_thread() {
    let slab = ExtendableSlab::<String, _, _>::on(SimOs::new(4096), 64, || NoProtection);
    let (here, there) = (slab.insert("here".into()).unwrap(), slab.insert("there".into()).unwrap());
    std::thread::scope(|threads| {
        threads.spawn(move || assert_eq!(*there, "there")).join().unwrap();
    });
    assert_eq!((here.as_str(), slab.len()), ("here", 1));
    drop(here);
    assert!(slab.is_empty());
}
