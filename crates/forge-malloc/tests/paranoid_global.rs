//! The paranoid allocator as that of a whole process: this test binary, its harness, its threads and its children.
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod process;

use std::thread;

use forge_malloc::paranoid::ParanoidMalloc;

#[global_allocator]
static GLOBAL: ParanoidMalloc = ParanoidMalloc::new();

const EFFORT: process::Effort = process::Effort { keys: 5_000, blocks: 20_000, words: 1_000_000 };

/// Returns how many mappings the process has.
#[cfg(target_os = "linux")]
fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

#[test]
#[cfg(target_os = "linux")]
fn a_hundred_thousand_guarded_blocks_are_a_few_mappings() {
    if ParanoidMalloc::stats().guarded_by_rights > 0 {
        eprintln!("skipped: this system has no guards that are part of a mapping");
        return;
    }
    let before = mappings();
    let blocks: Vec<_> = (0..100_000_u64).map(Box::new).collect();
    let with = mappings();
    assert!(with <= before + 64, "{before} mappings, then {with}");
    assert!(blocks.iter().zip(0..).all(|(block, number)| **block == number));
    assert!(ParanoidMalloc::stats().live_blocks >= 100_000);
}

/// Each child allocates and frees before it ends, blocks of its own and of threads that did not come along.
#[test]
#[cfg(all(unix, not(miri)))]
fn children_of_a_process_with_threads_can_allocate_at_once() {
    use std::hint::black_box;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    static DONE: AtomicBool = AtomicBool::new(false);
    let shared = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for size in [24, 5000] {
            let shared = &shared;
            scope.spawn(move || {
                while !DONE.load(Ordering::Relaxed) {
                    let block = black_box(vec![1_u8; size]);
                    if let Ok(mut blocks) = shared.try_lock() {
                        if blocks.len() < 100 {
                            blocks.push(block);
                        }
                    }
                }
            });
        }
        for _ in 0..20 {
            let mut blocks = shared.lock().unwrap();
            // SAFETY: the child uses nothing that another thread may hold, and the allocator, and ends itself.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // A child that hangs is ended by this.
                // SAFETY: as above.
                unsafe { libc::alarm(60) };
                blocks.clear();
                for size in [1, 100, 5000, 100_000] {
                    drop(black_box(vec![2_u8; size]));
                }
                // SAFETY: as above.
                unsafe { libc::_exit(7) };
            }
            drop(blocks);
            let mut status = 0;
            // SAFETY: a child of this process.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7, "{status}");
        }
        DONE.store(true, Ordering::Relaxed);
    });
}

/// A child draws other addresses than its parent.
#[test]
#[cfg(all(unix, not(miri)))]
fn a_child_does_not_draw_what_its_parent_draws() {
    let addresses = || -> [usize; 8] { std::array::from_fn(|_| Box::into_raw(Box::new(0_u64)).addr()) };
    let mut pipe = [0; 2];
    // SAFETY: there is room for two numbers; the child allocates, writes and ends itself.
    let theirs = unsafe {
        assert_eq!(libc::pipe(pipe.as_mut_ptr()), 0);
        let child = libc::fork();
        if child == 0 {
            let own = addresses();
            libc::write(pipe[1], own.as_ptr().cast(), size_of_val(&own));
            libc::_exit(0);
        }
        let mut theirs = [0_usize; 8];
        assert_eq!(libc::read(pipe[0], theirs.as_mut_ptr().cast(), size_of_val(&theirs)), 64);
        libc::waitpid(child, std::ptr::null_mut(), 0);
        theirs
    };
    assert_ne!(addresses(), theirs);
}

/// A handler allocates and frees while the thread that it interrupts does the same.
#[test]
#[cfg(all(unix, not(miri)))]
fn a_handler_of_a_signal_may_allocate_at_any_time() {
    use std::hint::black_box;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static HANDLED: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn allocate(_: libc::c_int) {
        for size in [8, 5000] {
            drop(black_box(vec![1_u8; size]));
        }
        HANDLED.fetch_add(1, Ordering::Relaxed);
    }

    // SAFETY: the child has one thread, which does nothing but allocate, and ends itself; one that hangs is ended.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: as above.
        unsafe {
            libc::alarm(100);
            libc::signal(libc::SIGPROF, allocate as extern "C" fn(libc::c_int) as libc::sighandler_t);
            let each = libc::timeval { tv_sec: 0, tv_usec: 200 };
            let timer = libc::itimerval { it_interval: each, it_value: each };
            libc::setitimer(libc::ITIMER_PROF, &raw const timer, std::ptr::null_mut());
        }
        let mut blocks = Vec::new();
        let mut step = 0;
        while HANDLED.load(Ordering::Relaxed) < 100 || step < 20_000 {
            blocks.push(black_box(vec![2_u8; 1 + step % 300]));
            if blocks.len() == 50 {
                blocks.clear();
            }
            step += 1;
        }
        // SAFETY: as above.
        unsafe { libc::_exit(7) };
    }
    let mut status = 0;
    // SAFETY: a child of this process.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7, "{status}");
}
