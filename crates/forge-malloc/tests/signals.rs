//! A thread that allocates while signals arrive whose handler allocates, too: no deadlock, no block lost or handed out twice.
//!
//! ```text
//!   sender     pthread_kill ... pthread_kill ... pthread_kill ...
//!   worker     alloc  free  al[ handler: alloc  realloc  free ]loc  realloc ...
//!                               ^ the worker holds the lock that its handler needs
//! ```
//!
//! Both use a heap of their own, whose bytes are counted at the end, and the global allocator of this program. Blocks change
//! hands between them on a shelf. Every byte of a block is its mark, which is checked before the block goes.
#![cfg(all(unix, feature = "std", not(miri)))]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use forge_malloc::basic::UnixAllocator;

#[global_allocator]
static ALLOCATOR: UnixAllocator = UnixAllocator::new();

static HEAP: UnixAllocator = UnixAllocator::new();

/// How many signals arrive, unless the machine has too much to do.
const SIGNALS: usize = 20_000;
/// How long they may take to arrive.
const TIME: Duration = Duration::from_secs(10);
/// How many blocks are on the shelf at most.
const PLACES: usize = 64;
/// The bytes at the start of a block that say its size.
const WORD: usize = size_of::<usize>();

/// Blocks that belong to whoever takes them from here.
static SHELF: [AtomicPtr<u8>; PLACES] = [const { AtomicPtr::new(std::ptr::null_mut()) }; PLACES];
static HANDLED: AtomicUsize = AtomicUsize::new(0);
/// How often a signal arrived in the middle of an operation of the heap.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
/// How often a block was not what it should be. A handler must not unwind.
static WRONG: AtomicUsize = AtomicUsize::new(0);
static DONE: AtomicBool = AtomicBool::new(false);

fn random(state: &mut u64, below: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state % below as u64) as usize
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).unwrap_or(Layout::new::<u128>())
}

fn mark(block: *mut u8) -> u8 {
    (block.addr() >> 4) as u8
}

fn expect(right: bool) {
    if !right {
        WRONG.fetch_add(1, SeqCst);
    }
}

/// Writes the size of a block and its mark.
fn sign(block: *mut u8, size: usize) -> *mut u8 {
    // SAFETY: the block is the caller's, has that size, which is larger than a word, and is aligned to 16.
    unsafe {
        block.cast::<usize>().write(size);
        block.add(WORD).write_bytes(mark(block), size - WORD);
    }
    block
}

fn size_of_block(block: *mut u8) -> usize {
    // SAFETY: the block is signed.
    unsafe { block.cast::<usize>().read() }
}

fn is_signed(block: *mut u8, by: u8, size: usize) -> bool {
    // SAFETY: the block is signed, so that long.
    size_of_block(block) == size && (WORD..size).all(|byte| unsafe { block.add(byte).read() } == by)
}

/// Returns a new block, of zeros at first in one case of four.
fn take(state: &mut u64) -> *mut u8 {
    let most = if random(state, 50) == 0 { 20_000 } else { 300 };
    let size = WORD + 1 + random(state, most);
    // SAFETY: the size is not zero, and what is read of the block is in it.
    unsafe {
        let block = if random(state, 4) == 0 {
            let block = HEAP.alloc_zeroed(layout(size));
            expect(block.is_null() || (0..size).all(|byte| block.add(byte).read() == 0));
            block
        } else {
            HEAP.alloc(layout(size))
        };
        if block.is_null() {
            expect(false);
            return block;
        }
        sign(block, size)
    }
}

/// Checks a signed block and frees it, or resizes it first.
fn give(block: *mut u8, state: &mut u64) {
    if block.is_null() {
        return;
    }
    let (mut block, mut size) = (block, size_of_block(block));
    expect(is_signed(block, mark(block), size));
    // SAFETY: the block is the caller's, with this layout, and is signed for as many bytes as are read.
    unsafe {
        if random(state, 3) == 0 {
            let (by, old, new) = (mark(block), size, WORD + 1 + random(state, 600));
            let moved = HEAP.realloc(block, layout(old), new);
            if moved.is_null() {
                expect(false);
            } else {
                expect((WORD..old.min(new)).all(|byte| moved.add(byte).read() == by));
                (block, size) = (moved, new);
            }
        }
        HEAP.dealloc(block, layout(size));
    }
}

/// What both do: a block from the shelf goes, a new one takes its place, and the global allocator serves a collection.
fn step(state: &mut u64) {
    let old = SHELF[random(state, PLACES)].swap(std::ptr::null_mut(), SeqCst);
    give(old, state);
    let new = take(state);
    let other = SHELF[random(state, PLACES)].swap(new, SeqCst);
    give(other, state);
    let mut words: Vec<Box<usize>> = (0..random(state, 6)).map(Box::new).collect();
    words.push(Box::new(words.len()));
    expect(words.iter().enumerate().all(|(index, word)| **word == index));
}

extern "C" fn handler(_: libc::c_int) {
    let number = HANDLED.load(SeqCst);
    // Everything is zero exactly while the interrupted thread holds the lock.
    if HEAP.usage().obtained == 0 {
        INSIDE.fetch_add(1, SeqCst);
    }
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number as u64 + 1) | 1;
    step(&mut state);
    HANDLED.store(number + 1, SeqCst);
}

#[test]
fn handlers_allocate_in_the_middle_of_allocations_and_nothing_is_lost() {
    std::thread::spawn(|| {
        std::thread::sleep(Duration::from_secs(120));
        if !DONE.load(SeqCst) {
            eprintln!("a signal handler hangs after {} signals", HANDLED.load(SeqCst));
            std::process::abort();
        }
    });
    // SAFETY: the handler uses nothing but atomics and the allocators under test, which promise to be fit for it.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_RESTART;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()), 0);
    }
    let mut state = 0x5eed_u64;
    step(&mut state); // the heap has memory from here on
    // SAFETY: no condition.
    let worker = unsafe { libc::pthread_self() } as usize;
    let sender = std::thread::spawn(move || {
        while !DONE.load(SeqCst) {
            std::thread::sleep(Duration::from_micros(20));
            // SAFETY: the worker waits for this thread.
            assert_eq!(unsafe { libc::pthread_kill(worker as libc::pthread_t, libc::SIGUSR1) }, 0);
        }
    });
    let start = Instant::now();
    while HANDLED.load(SeqCst) < SIGNALS && start.elapsed() < TIME {
        step(&mut state);
    }
    DONE.store(true, SeqCst);
    sender.join().unwrap();
    for place in &SHELF {
        give(place.swap(std::ptr::null_mut(), SeqCst), &mut state);
    }
    let (handled, inside) = (HANDLED.load(SeqCst), INSIDE.load(SeqCst));
    println!("{inside} of {handled} signals interrupted an operation of the heap");
    assert!(inside > 0);
    assert_eq!(WRONG.load(SeqCst), 0);
    assert_eq!(HEAP.usage().live, 0, "{:?}", HEAP.usage());
    assert!(HEAP.validate() && ALLOCATOR.validate());
}
