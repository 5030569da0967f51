use std::collections::BTreeSet;
#[cfg(feature = "libc")]
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::{thread, vec::Vec};

use super::*;

#[test]
fn live_threads_have_different_numbers_that_stay() {
    let all_alive = Arc::new(Barrier::new(8));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let all_alive = Arc::clone(&all_alive);
            thread::spawn(move || {
                let number = thread_id();
                all_alive.wait();
                assert_eq!(number, thread_id());
                number
            })
        })
        .collect();
    let numbers: BTreeSet<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(numbers.len(), 8);
}

#[cfg(feature = "libc")]
mod hooks {
    use super::*;

    #[test]
    fn a_hook_runs_once_for_each_thread_that_registered_it() {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        static HOOK: ExitHook = ExitHook::new(hook);
        fn hook() {
            RUNS.fetch_add(1, Ordering::Relaxed);
        }
        for _ in 0..4 {
            thread::spawn(|| {
                on_thread_exit(&HOOK).unwrap();
                on_thread_exit(&HOOK).unwrap();
            })
            .join()
            .unwrap();
        }
        thread::spawn(|| {}).join().unwrap();
        assert_eq!(RUNS.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn several_hooks_run_and_after_the_thread_locals() {
        static LOCALS_DROPPED: AtomicUsize = AtomicUsize::new(0);
        static SEEN: AtomicUsize = AtomicUsize::new(usize::MAX);
        static OTHER: AtomicUsize = AtomicUsize::new(0);
        struct Local;
        impl Drop for Local {
            fn drop(&mut self) {
                LOCALS_DROPPED.fetch_add(1, Ordering::Relaxed);
            }
        }
        std::thread_local!(static LOCAL: Local = const { Local });
        static OBSERVE: ExitHook = ExitHook::new(observe);
        static COUNT: ExitHook = ExitHook::new(other);
        fn observe() {
            SEEN.store(LOCALS_DROPPED.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        fn other() {
            OTHER.fetch_add(1, Ordering::Relaxed);
        }
        thread::spawn(|| {
            on_thread_exit(&OBSERVE).unwrap();
            on_thread_exit(&COUNT).unwrap();
            LOCAL.with(|_| {});
        })
        .join()
        .unwrap();
        assert_eq!(OTHER.load(Ordering::Relaxed), 1);
        if cfg!(all(target_os = "linux", not(miri))) {
            assert_eq!(SEEN.load(Ordering::Relaxed), 1);
        } else {
            assert_ne!(SEEN.load(Ordering::Relaxed), usize::MAX);
        }
    }

    #[test]
    fn a_hook_may_register_itself_again() {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        static HOOK: ExitHook = ExitHook::new(hook);
        fn hook() {
            if RUNS.fetch_add(1, Ordering::Relaxed) == 0 {
                on_thread_exit(&HOOK).unwrap();
            }
        }
        thread::spawn(|| on_thread_exit(&HOOK).unwrap()).join().unwrap();
        assert_eq!(RUNS.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn threads_that_register_at_once_share_the_table() {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        static HOOK: ExitHook = ExitHook::new(hook);
        fn hook() {
            RUNS.fetch_add(1, Ordering::Relaxed);
        }
        let together = Arc::new(Barrier::new(4));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let together = Arc::clone(&together);
                thread::spawn(move || {
                    together.wait();
                    on_thread_exit(&HOOK).unwrap();
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(RUNS.load(Ordering::Relaxed), 4);
        let taken =
            HOOKS.iter().filter(|slot| ptr::eq(slot.load(Ordering::Relaxed), &raw const HOOK)).count();
        assert_eq!(taken, 1);
    }
}

#[cfg(all(system = "linux", not(feature = "libc")))]
#[test]
fn without_the_c_library_a_hook_is_refused() {
    static HOOK: ExitHook = ExitHook::new(|| {});
    assert!(on_thread_exit(&HOOK).unwrap_err().is_unsupported());
}

/// Fills the table, which other tests share, so it runs in a process of its own.
#[cfg(all(unix, feature = "libc", not(miri)))]
#[test]
fn a_full_table_is_an_error() {
    const CHILD: &str = "FORGE_OS_HOOK_TABLE_TEST";
    static WHICH: [AtomicUsize; MAX_EXIT_HOOKS + 1] = [const { AtomicUsize::new(0) }; MAX_EXIT_HOOKS + 1];
    fn hook<const N: usize>() {
        WHICH[N].fetch_add(N + 1, Ordering::Relaxed);
    }
    if std::env::var(CHILD).is_err() {
        let status = crate::test_process::only("thread::tests::a_full_table_is_an_error")
            .unwrap()
            .env(CHILD, "1")
            .output()
            .unwrap();
        assert!(status.status.success(), "{status:?}");
        return;
    }
    static HOOKS: [ExitHook; MAX_EXIT_HOOKS + 1] = [
        ExitHook::new(hook::<0>),
        ExitHook::new(hook::<1>),
        ExitHook::new(hook::<2>),
        ExitHook::new(hook::<3>),
        ExitHook::new(hook::<4>),
        ExitHook::new(hook::<5>),
        ExitHook::new(hook::<6>),
        ExitHook::new(hook::<7>),
        ExitHook::new(hook::<8>),
        ExitHook::new(hook::<9>),
        ExitHook::new(hook::<10>),
        ExitHook::new(hook::<11>),
        ExitHook::new(hook::<12>),
        ExitHook::new(hook::<13>),
        ExitHook::new(hook::<14>),
        ExitHook::new(hook::<15>),
        ExitHook::new(hook::<16>),
    ];
    thread::spawn(|| {
        let (last, others) = HOOKS.split_last().unwrap();
        for hook in others {
            on_thread_exit(hook).unwrap();
        }
        assert_eq!(on_thread_exit(last), Err(OsError::out_of_memory("on_thread_exit")));
    })
    .join()
    .unwrap();
    let runs: Vec<_> = WHICH.iter().map(|runs| runs.load(Ordering::Relaxed)).collect();
    let expected: Vec<_> = (1..=MAX_EXIT_HOOKS).chain([0]).collect();
    assert_eq!(runs, expected);
}
