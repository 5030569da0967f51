use std::sync::Barrier;
use std::vec::Vec;

use super::{SLOTS, acquire, current};

#[test]
fn living_threads_hold_different_slots() {
    let all = Barrier::new(SLOTS + 4);
    let slots: Vec<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..SLOTS + 4)
            .map(|_| {
                scope.spawn(|| {
                    let slot = acquire();
                    assert!(slot >= SLOTS || slot == current());
                    assert!(slot >= SLOTS || slot == acquire());
                    all.wait();
                    slot
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut held: Vec<usize> = slots.into_iter().filter(|&slot| slot < SLOTS).collect();
    held.sort_unstable();
    held.dedup();
    // Other tests may hold slots of their own; whoever did get one here got it alone.
    assert!(held.len() <= SLOTS);
}

#[test]
fn ended_threads_give_their_slots_back() {
    // Far more threads than slots, one after another: were slots lost, the later ones would find none. Other tests
    // hold some for a while, so a thread asks until it gets one.
    for _ in 0..4 * SLOTS {
        std::thread::spawn(|| {
            while acquire() >= SLOTS {
                std::thread::yield_now();
            }
        })
        .join()
        .unwrap();
    }
}

#[test]
fn thread_local_destructors_find_no_slot_after_ours_ran() {
    struct Late;
    impl Drop for Late {
        fn drop(&mut self) {
            // Either our destructor has not run and the slot is the thread's, or it has and there is none.
            let before = current();
            assert!(acquire() == before || before >= SLOTS);
        }
    }
    std::thread_local! {
        static LATE: Late = const { Late };
    }
    std::thread::spawn(|| {
        LATE.with(|_| ());
        acquire();
    })
    .join()
    .unwrap();
}
