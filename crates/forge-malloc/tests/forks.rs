//! Forks while other threads allocate: the child allocates at once, and frees what threads made that are gone.
//!
//! ```text
//!   three threads    alloc  free  refill  spill  large ..                      whatever they do at that moment
//!   parent           alloc  free  fork ────────────── wait                     in a handler where those may allocate
//!   child                         └ takes and frees from the shelf, trims, starts a thread, forks
//! ```
//!
//! Each profile runs in a process of its own. A child that hangs is ended by its alarm.
//!
//! ```text
//! cargo test --release -p forge-malloc --test forks -- --nocapture forks 10000
//! ```
#![cfg(all(unix, feature = "std", not(miri)))]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod shelf;
mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use forge_malloc::fast::{ForgeMalloc, HardenedMalloc, InterruptibleMalloc};
use shelf::{REQUEST, Random, Subject, WRONG, burst, clear, expect, request, step};
use support::apart;

/// The variable that tells this program that it is the process under test.
const CHILD: &str = "FORGE_FORKS";
/// How many forks there are where no number of them is asked for.
const FORKS: usize = 30;
/// The seconds that a child has.
const MOST: libc::c_uint = 60;

static FORKED: AtomicUsize = AtomicUsize::new(0);
/// How many forks interrupted a request.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
/// The thread that forks, once it runs.
static FORKING: AtomicUsize = AtomicUsize::new(0);
static DONE: AtomicBool = AtomicBool::new(false);

/// Waits for a child and returns whether it found everything right.
fn is_well(child: libc::pid_t) -> bool {
    let mut status = 1;
    // SAFETY: the status is written to a local.
    while unsafe { libc::waitpid(child, &raw mut status, 0) } < 0 {}
    status == 0
}

/// Forks, and lets the child use what it inherited.
fn fork<A: Subject>() {
    let number = FORKED.load(SeqCst);
    // SAFETY: the child uses the allocator under test, atomics and functions that are safe after a fork, and does not return.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: no condition.
        unsafe { libc::alarm(MOST) };
        DONE.store(true, SeqCst);
        let mut random = Random(number as u64 * 2 + 1);
        (0..60).for_each(|_| step::<A>(&mut random));
        if number % 4 == 0 {
            burst::<A>(&mut random);
            request(A::trim);
            expect(request(A::stats).peak > 0);
        }
        if number % 8 == 1 {
            // SAFETY: as above.
            let grandchild = unsafe { libc::fork() };
            if grandchild != 0 {
                expect(is_well(grandchild));
            }
            (0..60).for_each(|_| step::<A>(&mut random));
        }
        // SAFETY: no condition.
        unsafe { libc::_exit(i32::from(WRONG.load(SeqCst) != 0)) };
    }
    expect(child > 0 && is_well(child));
    FORKED.fetch_add(1, SeqCst);
}

fn churn<A: Subject>(seed: u64) {
    let mut random = Random(seed);
    while !DONE.load(SeqCst) {
        step::<A>(&mut random);
        if random.below(200) == 0 {
            burst::<A>(&mut random);
        }
        if random.below(2000) == 0 {
            request(A::trim);
        }
    }
}

extern "C" fn handler<A: Subject>(_: libc::c_int) {
    let inside = REQUEST.replace(false);
    INSIDE.fetch_add(usize::from(inside), SeqCst);
    fork::<A>();
    REQUEST.set(inside);
}

/// Forks, between requests or, in handlers, anywhere.
fn run<A: Subject>(forks: usize, in_handlers: bool) {
    // SAFETY: the handler does what the allocator under test promises to be fit for.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler::<A> as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_RESTART;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()), 0);
    }
    let start = Instant::now();
    thread::scope(|scope| {
        let churning: Vec<_> = (1..4).map(|seed| scope.spawn(move || churn::<A>(seed))).collect();
        let forking = scope.spawn(|| {
            let mut random = Random(99);
            // SAFETY: no condition.
            FORKING.store(unsafe { libc::pthread_self() } as usize, SeqCst);
            while FORKED.load(SeqCst) < forks {
                step::<A>(&mut random);
                if random.below(50) == 0 {
                    burst::<A>(&mut random);
                }
                if !in_handlers && random.below(10) == 0 {
                    fork::<A>();
                }
            }
        });
        let mut sent = 0;
        while in_handlers && !forking.is_finished() {
            let thread = FORKING.load(SeqCst);
            if thread != 0 && sent == FORKED.load(SeqCst) {
                sent += 1;
                // SAFETY: the thread is joined later.
                unsafe { libc::pthread_kill(thread as libc::pthread_t, libc::SIGUSR1) };
            }
            thread::sleep(Duration::from_micros(100));
        }
        forking.join().unwrap();
        DONE.store(true, SeqCst);
        // Until a thread is joined it may have blocks in its cache.
        churning.into_iter().for_each(|thread| thread.join().unwrap());
    });
    let (forked, inside) = (FORKED.load(SeqCst), INSIDE.load(SeqCst));
    eprintln!("{forked} forks, of which {inside} interrupted a request, in {:?}", start.elapsed());
    clear::<A>();
}

#[test]
fn forks_of_the_fast_profile() {
    apart("forks_of_the_fast_profile", CHILD, |forks| run::<ForgeMalloc>(forks.unwrap_or(FORKS), false));
}

#[test]
fn forks_of_the_hardened_profile() {
    apart("forks_of_the_hardened_profile", CHILD, |forks| {
        run::<HardenedMalloc>(forks.unwrap_or(FORKS), true);
    });
}

#[test]
fn forks_in_handlers_of_the_fast_profile() {
    apart("forks_in_handlers_of_the_fast_profile", CHILD, |forks| {
        run::<InterruptibleMalloc>(forks.unwrap_or(FORKS), true);
    });
}
