//! Signal handlers that allocate, resize and free, whatever they interrupt, in each profile that allows it: nothing hangs, no block is
//! handed out twice, and none is lost.
//!
//! ```text
//!   sender     kill USR1  kill USR2  kill USR1 ..                        as fast as it can
//!   worker     alloc  fr[ handler: alloc  re[ handler: alloc free ]alloc ]ee  refill  large  ..  ends, its cache is closed
//!   worker                                                                      the next one begins
//! ```
//!
//! Blocks change hands between workers and handlers on a shelf. Each is signed with its size and marks at both ends, which are
//! checked before it goes. What interrupts what is up to the machine, so each profile runs in a process of its own, for a while, or
//! until so many handlers ran; a process that hangs ends itself.
//!
//! ```text
//! cargo test --release -p forge-malloc --test handlers -- --nocapture handlers 1000000
//! ```
#![cfg(all(unix, feature = "std", not(miri)))]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod shelf;
mod support;

use std::os::unix::thread::JoinHandleExt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use forge_malloc::fast::{HardenedMalloc, InterruptibleMalloc};
use shelf::{REQUEST, Random, Subject, burst, clear, expect, request, step};
use support::apart;

/// The variable that tells this program that it is the process under test.
const CHILD: &str = "FORGE_HANDLERS";
/// How long signals are sent where no number of them is asked for.
const TIME: Duration = Duration::from_millis(700);
/// How long a process may take that has many of them to handle.
const MOST: Duration = Duration::from_secs(1800);
/// How many steps a worker takes before it ends.
const STEPS: usize = 3000;

static HANDLED: AtomicUsize = AtomicUsize::new(0);
/// How many handlers interrupted a request.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
static SEED: AtomicU64 = AtomicU64::new(1);
static DONE: AtomicBool = AtomicBool::new(false);

extern "C" fn handler<A: Subject>(_: libc::c_int) {
    let (number, inside) = (HANDLED.fetch_add(1, SeqCst), REQUEST.replace(false));
    INSIDE.fetch_add(usize::from(inside), SeqCst);
    let mut random = Random(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(number as u64 + 1) | 1);
    (0..1 + random.below(3)).for_each(|_| step::<A>(&mut random));
    REQUEST.set(inside);
}

/// What one worker does in its life.
fn work<A: Subject>() {
    let mut random = Random(SEED.fetch_add(2, SeqCst).wrapping_mul(0xD134_2543_DE82_EF95) | 1);
    for number in 0..STEPS {
        step::<A>(&mut random);
        if number % 300 == 0 {
            burst::<A>(&mut random);
        }
        if number % 1000 == 999 {
            request(A::trim);
            expect(request(A::stats).peak > 0);
        }
    }
}

fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Workers one after the other, with signals from another thread, until so many were handled, or time is up if no number is given.
fn run<A: Subject>(signals: Option<usize>) {
    for signal in [libc::SIGUSR1, libc::SIGUSR2] {
        // SAFETY: the handler uses atomics and the allocator under test, which promises to be fit for it. Each signal may interrupt
        // the handler of the other.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler::<A> as extern "C" fn(libc::c_int) as usize;
            action.sa_flags = libc::SA_RESTART;
            assert_eq!(libc::sigaction(signal, &raw const action, std::ptr::null_mut()), 0);
        }
    }
    thread::spawn(|| {
        thread::sleep(MOST);
        eprintln!("it hangs after {} signals", HANDLED.load(SeqCst));
        std::process::abort();
    });
    // The thread that signals are sent to: until it is joined its name is its own.
    let target = Mutex::new(None::<libc::pthread_t>);
    let start = Instant::now();
    let goes_on = || match signals {
        Some(number) => HANDLED.load(SeqCst) < number,
        None => start.elapsed() < TIME,
    };
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            for number in 0.. {
                if DONE.load(SeqCst) {
                    return;
                }
                let signal = if number % 3 == 0 { libc::SIGUSR2 } else { libc::SIGUSR1 };
                if let Some(worker) = *locked(&target) {
                    // SAFETY: the thread was not joined.
                    unsafe { libc::pthread_kill(worker, signal) };
                }
                (0..number % 64).for_each(|_| std::hint::spin_loop());
            }
        });
        while goes_on() {
            let worker = thread::spawn(work::<A>);
            *locked(&target) = Some(worker.as_pthread_t());
            while !worker.is_finished() {
                thread::sleep(Duration::from_micros(500));
            }
            // Signals arrive while it closes its cache, too.
            thread::sleep(Duration::from_micros(300));
            *locked(&target) = None;
            worker.join().unwrap();
        }
        DONE.store(true, SeqCst);
        sender.join().unwrap();
    });
    let (handled, inside) = (HANDLED.load(SeqCst), INSIDE.load(SeqCst));
    eprintln!("{inside} of {handled} handlers interrupted a request, in {:?}", start.elapsed());
    assert!(inside > 0);
    clear::<A>();
}

#[test]
fn handlers_allocate_in_the_fast_profile() {
    apart("handlers_allocate_in_the_fast_profile", CHILD, run::<InterruptibleMalloc>);
}

#[test]
fn handlers_allocate_in_the_hardened_profile() {
    apart("handlers_allocate_in_the_hardened_profile", CHILD, run::<HardenedMalloc>);
}
