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

mod support;

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::os::unix::thread::JoinHandleExt;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use forge_malloc::fast::{HardenedMalloc, InterruptibleMalloc, Stats};

/// The variable that tells this program that it is the process under test.
const CHILD: &str = "FORGE_HANDLERS";
/// How long signals are sent where no number of them is asked for.
const TIME: Duration = Duration::from_millis(700);
/// How long a process may take that has many of them to handle.
const MOST: Duration = Duration::from_secs(540);
/// How many blocks are on the shelf at most.
const PLACES: usize = 128;
/// How many steps a worker takes before it ends.
const STEPS: usize = 3000;
/// The bytes at each end of a block that are marked.
const MARKED: usize = 64;
/// The bytes at the start of a block that say its size.
const WORD: usize = size_of::<usize>();
/// The alignment of every block.
const ALIGN: usize = 16;

/// An allocator of a process that a handler may use.
trait Subject: GlobalAlloc + Default + 'static {
    fn stats() -> Stats;
    fn trim();
}

impl Subject for InterruptibleMalloc {
    fn stats() -> Stats {
        Self::stats()
    }
    fn trim() {
        Self::trim();
    }
}

impl Subject for HardenedMalloc {
    fn stats() -> Stats {
        Self::stats()
    }
    fn trim() {
        Self::trim();
    }
}

static SHELF: [AtomicPtr<u8>; PLACES] = [const { AtomicPtr::new(std::ptr::null_mut()) }; PLACES];
static HANDLED: AtomicUsize = AtomicUsize::new(0);
/// How many handlers interrupted a request.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
/// How often a block was not what it should be. A handler must not unwind.
static WRONG: AtomicUsize = AtomicUsize::new(0);
static SEED: AtomicU64 = AtomicU64::new(1);
static DONE: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Whether the thread is in a request. It has no destructor, so that a handler may look at any time.
    static REQUEST: Cell<bool> = const { Cell::new(false) };
}

/// Random numbers (xorshift, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    /// A size that fills bins often, takes spans now and then and mappings seldom.
    fn size(&mut self) -> usize {
        WORD + 1
            + match self.below(200) {
                0 => self.below(3 << 20),
                1..8 => self.below(200_000),
                8..40 => self.below(9000),
                _ => self.below(200),
            }
    }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, ALIGN).unwrap_or(Layout::new::<u128>())
}

fn expect(right: bool) {
    if !right {
        WRONG.fetch_add(1, SeqCst);
    }
}

/// Makes a request, and lets handlers know that they interrupt one.
fn request<R>(work: impl FnOnce() -> R) -> R {
    let outer = REQUEST.replace(true);
    let result = work();
    REQUEST.set(outer);
    result
}

/// The marked bytes of a block: the first and the last ones behind the size.
fn marked(size: usize) -> impl Iterator<Item = usize> {
    let last = (size - WORD).min(MARKED);
    (WORD..WORD + last).chain(size - last..size)
}

fn mark(block: *mut u8) -> u8 {
    (block.addr() >> 4) as u8 | 1
}

fn sign(block: *mut u8, size: usize) {
    // SAFETY: the block is the caller's, has that size, which is larger than a word, and is aligned to 16.
    unsafe {
        block.cast::<usize>().write(size);
        marked(size).for_each(|byte| block.add(byte).write(mark(block)));
    }
}

fn take<A: Subject>(random: &mut Random) -> *mut u8 {
    let (size, zeroed) = (random.size(), random.below(4) == 0);
    // SAFETY: the size is not zero, and what is read of the block is in it.
    unsafe {
        let subject = A::default();
        let block =
            request(|| if zeroed { subject.alloc_zeroed(layout(size)) } else { subject.alloc(layout(size)) });
        if block.is_null() {
            expect(false);
            return block;
        }
        expect(
            block.addr() % ALIGN == 0 && (!zeroed || marked(size).all(|byte| block.add(byte).read() == 0)),
        );
        sign(block, size);
        block
    }
}

/// Checks a block and frees it, or resizes it first.
fn give<A: Subject>(mut block: *mut u8, random: &mut Random) {
    if block.is_null() {
        return;
    }
    // SAFETY: the block is the caller's, and signed with its size; what is read lies in it.
    unsafe {
        let subject = A::default();
        let (mut size, by) = (block.cast::<usize>().read(), mark(block));
        expect(marked(size).all(|byte| block.add(byte).read() == by));
        if random.below(3) == 0 {
            let new = random.size();
            let moved = request(|| subject.realloc(block, layout(size), new));
            if moved.is_null() {
                expect(false);
            } else {
                let kept = WORD + (size.min(new) - WORD).min(MARKED);
                expect((WORD..kept).all(|byte| moved.add(byte).read() == by));
                (block, size) = (moved, new);
            }
        }
        request(|| subject.dealloc(block, layout(size)));
    }
}

/// A block from the shelf goes, and a new one takes the place of another.
fn step<A: Subject>(random: &mut Random) {
    give::<A>(SHELF[random.below(PLACES)].swap(std::ptr::null_mut(), SeqCst), random);
    let new = take::<A>(random);
    give::<A>(SHELF[random.below(PLACES)].swap(new, SeqCst), random);
}

/// More blocks of one size than a thread has at hand, so that bins are filled and emptied.
fn burst<A: Subject>(random: &mut Random) {
    let mut blocks = [std::ptr::null_mut(); 700];
    let size = WORD + 1 + random.below(700);
    let subject = A::default();
    for place in &mut blocks {
        // SAFETY: the size is not zero.
        *place = request(|| unsafe { subject.alloc(layout(size)) });
        expect(!place.is_null());
        sign(*place, size);
    }
    for block in blocks {
        // SAFETY: the blocks are signed, and live with this layout.
        unsafe {
            expect(marked(size).all(|byte| block.add(byte).read() == mark(block)));
            request(|| subject.dealloc(block, layout(size)));
        }
    }
}

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
    let mut random = Random(1);
    SHELF.iter().for_each(|place| give::<A>(place.swap(std::ptr::null_mut(), SeqCst), &mut random));
    A::trim();
    let (handled, inside) = (HANDLED.load(SeqCst), INSIDE.load(SeqCst));
    eprintln!("{inside} of {handled} handlers interrupted a request, in {:?}", start.elapsed());
    assert!(inside > 0);
    assert_eq!(WRONG.load(SeqCst), 0);
    assert_eq!(A::stats().live, 0, "{:?}", A::stats());
}

/// Runs in a process of its own, which runs only the test `name`.
fn apart<A: Subject>(name: &str) {
    if let Some(signals) = std::env::var_os(CHILD) {
        return run::<A>(signals.to_str().and_then(|signals| signals.parse().ok()));
    }
    // To the harness the number is one more name to look for.
    let signals = std::env::args().find(|argument| argument.parse::<usize>().is_ok()).unwrap_or_default();
    let output = support::only(name).env(CHILD, signals).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {errors}", support::signal_of(output.status));
    eprint!("{errors}");
}

#[test]
fn handlers_allocate_in_the_fast_profile() {
    apart::<InterruptibleMalloc>("handlers_allocate_in_the_fast_profile");
}

#[test]
fn handlers_allocate_in_the_hardened_profile() {
    apart::<HardenedMalloc>("handlers_allocate_in_the_hardened_profile");
}
