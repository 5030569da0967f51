//! Frees on other threads: bounded channels, threads that end, more threads than lanes, and every order of dropping.

use core::mem::ManuallyDrop;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use super::*;
use crate::thread_slot::SLOTS;

#[test]
fn the_owner_may_free_through_a_remote_on_its_own_thread_without_a_bound() {
    let owner = with_policy(100, BatchPolicy::Fixed(1000), 4);
    let (remote, blocks) = (owner.remote(), take_all(&owner));
    blocks.iter().for_each(|block| free_remotely(&remote, *block));
    assert_eq!(owner.shared.waiting(), 100);
    assert_nothing_is_lost(&owner, &[]);
}

#[test]
fn a_bounded_channel_does_not_deadlock() {
    let count = if cfg!(miri) { 150 } else { 8192 };
    let owner = owner(count);
    let (sender, receiver) = sync_channel::<Block>(64);
    let remote = owner.remote();
    let freeing = thread::spawn(move || receiver.iter().for_each(|block| free_remotely(&remote, block)));
    (0..count).for_each(|_| sender.send(take(&owner)).unwrap());
    drop(sender);
    freeing.join().unwrap();
    assert_nothing_is_lost(&owner, &[]);
}

#[test]
fn batches_of_several_lanes_wait_and_are_used_one_after_another() {
    const THREADS: usize = 3;
    // Batches shorter and longer than what a chain looks ahead, taken over one by one while none of them is used.
    for lengths in [&[1][..], &[1, 1, 1], &[5, 16, 2], &[20, 1, 40, 3]] {
        let each: usize = lengths.iter().sum();
        let owner = with_policy(each * THREADS + 1, BatchPolicy::Fixed(10_000), 10_000);
        let blocks = take_all(&owner);
        free(&owner, blocks[each * THREADS]);
        thread::scope(|scope| {
            let senders: Vec<_> = (0..THREADS)
                .map(|_| {
                    let (sender, receiver) = sync_channel::<Vec<Block>>(0);
                    let (done, is_done) = sync_channel(0);
                    let remote = owner.remote();
                    scope.spawn(move || {
                        for batch in receiver {
                            batch.into_iter().for_each(|block| free_remotely(&remote, block));
                            done.send(()).unwrap();
                        }
                    });
                    (sender, is_done)
                })
                .collect();
            let (mut rest, mut freed) = (&blocks[..each * THREADS], 1);
            for &length in lengths {
                for (sender, is_done) in &senders {
                    let (batch, others) = rest.split_at(length);
                    sender.send(batch.to_vec()).unwrap();
                    is_done.recv().unwrap();
                    owner.drain();
                    (rest, freed) = (others, freed + length);
                    assert_eq!((owner.len(), owner.shared.waiting()), (blocks.len() - freed, 0));
                }
            }
        });
        assert_nothing_is_lost(&owner, &[]);
    }
}

#[test]
fn a_forgotten_owner_stops_no_remote() {
    let owner = ManuallyDrop::new(with_policy(50, BatchPolicy::Fixed(2), 2));
    let (remote, blocks) = (owner.remote(), take_all(&owner));
    thread::spawn(move || blocks.into_iter().for_each(|block| free_remotely(&remote, block))).join().unwrap();
    assert_nothing_is_lost(&owner, &[]);
    drop(ManuallyDrop::into_inner(owner));
}

#[test]
fn frees_after_the_owner_have_no_effect() {
    let owner = owner(3);
    let (remote, blocks) = (owner.remote(), take_all(&owner));
    drop(owner);
    assert!(!try_free(&remote, blocks[0]));
    // SAFETY: the memory lives until the last handle is gone.
    unsafe { blocks[0].0.cast::<Value>().write([1; 2]) };
    let other = remote.clone();
    blocks.iter().for_each(|block| free_remotely(&other, *block));
    drop(remote);
}

#[test]
fn remotes_may_go_first() {
    let owner = owner(3);
    let blocks = take_all(&owner);
    let remote = owner.remote();
    blocks.iter().for_each(|block| free_remotely(&remote, *block));
    drop(remote);
    assert_nothing_is_lost(&owner, &[]);
}

#[test]
fn threads_that_end_leave_their_frees_and_their_lanes() {
    let threads = SLOTS * 2 + 3;
    let owner = owner(threads * 3);
    for block in take_all(&owner).chunks(3) {
        let (remote, blocks) = (owner.remote(), block.to_vec());
        thread::spawn(move || blocks.into_iter().for_each(|block| free_remotely(&remote, block)))
            .join()
            .unwrap();
    }
    assert_nothing_is_lost(&owner, &[]);
}

#[test]
fn more_threads_than_lanes_lose_nothing() {
    let (threads, each) = (SLOTS + 4, if cfg!(miri) { 5 } else { 500 });
    let owner = owner(threads * each);
    let blocks = take_all(&owner);
    let (remote, start) = (owner.remote(), Barrier::new(threads));
    thread::scope(|scope| {
        for blocks in blocks.chunks(each) {
            let (remote, start) = (remote.clone(), &start);
            let blocks = blocks.to_vec();
            scope.spawn(move || {
                let (first, rest) = blocks.split_first().unwrap();
                free_remotely(&remote, *first);
                // All threads are alive here, so some have no lane of their own.
                start.wait();
                rest.iter().for_each(|block| free_remotely(&remote, *block));
            });
        }
    });
    assert!(owner.shared.lanes().1.waiting() > 0, "no thread used the common lane");
    assert_nothing_is_lost(&owner, &[]);
}

#[test]
fn the_owner_takes_over_while_others_free() {
    let (rounds, capacity) = if cfg!(miri) { (24, 8) } else { (20_000, 200) };
    for policy in [BatchPolicy::Fixed(1), BatchPolicy::Fixed(16), BatchPolicy::Adaptive] {
        let owner = with_policy(capacity, policy, 64);
        thread::scope(|scope| {
            let senders = [(); 3].map(|()| {
                let (sender, receiver) = sync_channel::<Block>(8);
                let remote = owner.remote();
                scope.spawn(move || {
                    for block in receiver {
                        // SAFETY: the block is live until it is freed here.
                        let stamp = unsafe { block.0.cast::<Value>().read() };
                        assert_eq!(stamp[0], !stamp[1], "a live block was overwritten");
                        free_remotely(&remote, block);
                    }
                });
                sender
            });
            for round in 0..rounds {
                let block = loop {
                    if let Ok(block) = owner.allocate(layout()) {
                        break block.cast::<u8>();
                    }
                    thread::yield_now();
                };
                // SAFETY: a live block of this size.
                unsafe { block.cast::<Value>().write([round, !round]) };
                senders[round as usize % 3].send(Block(block)).unwrap();
            }
        });
        assert_nothing_is_lost(&owner, &[]);
    }
}

#[test]
fn the_owner_moves_between_threads() {
    let owner = owner(4);
    let (block, remote) = (take(&owner), owner.remote());
    let owner = thread::spawn(move || {
        free(&owner, block);
        owner
    })
    .join()
    .unwrap();
    let block = take(&owner);
    free_remotely(&remote, block);
    assert_nothing_is_lost(&owner, &[]);
}

#[test]
fn an_owned_value_ends_where_its_box_ends() {
    let drops = AtomicUsize::new(0);
    struct Counted<'a>(&'a AtomicUsize);
    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let make = || SlabOwner::<Counted<'_>, _>::new(2, InlineBacked::<64>::new()).unwrap();
    let (owner, other) = (make(), make());
    let remote = owner.remote();
    let (here, there) = (owner.insert(Counted(&drops)).unwrap(), owner.insert(Counted(&drops)).unwrap());
    assert!(owner.try_insert(Counted(&drops)).is_err());
    assert_eq!(drops.load(Ordering::Relaxed), 1);
    let here = other.remote().adopt(here).map(drop).unwrap_err();
    let sent = remote.adopt(there).unwrap_or_else(|_| panic!("a box of the same slab"));
    thread::scope(|threads| {
        threads.spawn(move || drop(sent)).join().unwrap();
    });
    assert_eq!((owner.len(), drops.load(Ordering::Relaxed)), (1, 2));
    drop(here);
    assert_eq!((owner.len(), drops.load(Ordering::Relaxed)), (0, 3));
}
