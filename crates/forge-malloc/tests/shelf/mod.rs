//! What the threads, handlers and children of a test do with an allocator: blocks that change hands on a shelf.
//!
//! ```text
//!   shelf    | block | - | block | ..      who takes a block from it checks it and frees it
//!   block    | size | marks .. | .. | .. marks |
//! ```
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::SeqCst};

use forge_malloc::fast::{ForgeMalloc, HardenedMalloc, InterruptibleMalloc, Stats};

/// How many blocks are on the shelf at most.
const PLACES: usize = 128;
/// The bytes at each end of a block that are marked.
const MARKED: usize = 64;
/// The bytes at the start of a block that say its size.
const WORD: usize = size_of::<usize>();
/// The alignment of every block.
const ALIGN: usize = 16;

/// An allocator of a process.
pub(crate) trait Subject: GlobalAlloc + Default + 'static {
    fn stats() -> Stats;
    fn trim();
}

macro_rules! subjects {
    ($($name:ident)*) => {
        $(
            impl Subject for $name {
                fn stats() -> Stats {
                    Self::stats()
                }
                fn trim() {
                    Self::trim();
                }
            }
        )*
    };
}

subjects! { ForgeMalloc HardenedMalloc InterruptibleMalloc }

static SHELF: [AtomicPtr<u8>; PLACES] = [const { AtomicPtr::new(std::ptr::null_mut()) }; PLACES];
/// How often a block was not what it should be. Neither a handler nor a child unwinds.
pub(crate) static WRONG: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether the thread is in a request. It has no destructor, so that a handler may look at any time.
    pub(crate) static REQUEST: Cell<bool> = const { Cell::new(false) };
}

/// Random numbers (xorshift, Marsaglia 2003).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
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

pub(crate) fn expect(right: bool) {
    if !right {
        WRONG.fetch_add(1, SeqCst);
    }
}

/// Makes a request, and lets handlers know that they interrupt one.
pub(crate) fn request<R>(work: impl FnOnce() -> R) -> R {
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
pub(crate) fn step<A: Subject>(random: &mut Random) {
    give::<A>(SHELF[random.below(PLACES)].swap(std::ptr::null_mut(), SeqCst), random);
    let new = take::<A>(random);
    give::<A>(SHELF[random.below(PLACES)].swap(new, SeqCst), random);
}

/// More blocks of one size than a thread has at hand, so that bins are filled and emptied.
pub(crate) fn burst<A: Subject>(random: &mut Random) {
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

/// Frees what is on the shelf, and asserts that all was right and nothing is live.
pub(crate) fn clear<A: Subject>() {
    let mut random = Random(1);
    SHELF.iter().for_each(|place| give::<A>(place.swap(std::ptr::null_mut(), SeqCst), &mut random));
    A::trim();
    assert_eq!(WRONG.load(SeqCst), 0);
    assert_eq!(A::stats().live, 0, "{:?}", A::stats());
}
