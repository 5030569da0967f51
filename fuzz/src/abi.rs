//! Histories of calls of the functions of C, over the sources of the shared object, against a map of the live blocks.
//!
//! ```text
//!   history ──▶ malloc, calloc, realloc, memalign, .. ──▶ heap of the process
//!        └────▶ map of live blocks: address, size, alignment, what they hold
//! ```
//!
//! # Design
//!
//! The sources are included, since a shared object cannot be depended on, under their Rust names, so that the fuzzer keeps its own
//! allocator. The heap is one for all inputs, as that of a process is: an input meets what earlier ones left behind, and at
//! the end of each nothing may be live. Of large blocks both ends are written and read.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::{ptr, thread};

use arbitrary::{Arbitrary, Result, Unstructured};
use forge_os::{OsError, posix};
use forge_trace::Op;

use crate::history;

#[allow(dead_code, unreachable_pub, reason = "the target calls some of the functions")]
#[path = "../../crates/forge-malloc-abi/src/c.rs"]
mod c;
#[path = "../../crates/forge-malloc-abi/src/process.rs"]
mod process;
#[path = "../../crates/forge-malloc-abi/src/word.rs"]
mod word;

/// A history of calls.
#[derive(Debug)]
pub struct Plan {
    ops: Vec<Op>,
}

impl<'a> Arbitrary<'a> for Plan {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self { ops: history::decode(input)? })
    }
}

/// What the allocator keeps for itself and for a cache, at most, when nothing is live.
const OWN: usize = 64 << 10;

/// Sizes from which the system may have too little memory.
const MAY_FAIL: usize = 1 << 28;

const NO_MEMORY: c_int = OsError::out_of_memory("").code();
const INVALID: c_int = OsError::invalid_argument("").code();

/// How many bytes at each end of a block are written and read.
const END: usize = 8 << 10;

#[derive(Debug)]
struct Block {
    start: *mut c_void,
    size: usize,
    seed: u8,
}

// SAFETY: a block is memory of the heap, which any thread may free.
unsafe impl Send for Block {}

impl Block {
    /// Returns the places of the block that are looked at.
    fn places(&self, size: usize) -> impl Iterator<Item = usize> {
        (0..size.min(END)).chain(size.saturating_sub(END).max(size.min(END))..size)
    }

    fn byte(&self, at: usize) -> *mut u8 {
        self.start.cast::<u8>().wrapping_add(at)
    }

    fn fill(&self) {
        // SAFETY: the block is live and has these bytes.
        self.places(self.size).for_each(|at| unsafe { self.byte(at).write(self.seed ^ at as u8) });
    }

    fn check(&self) {
        // SAFETY: as above.
        let right = |at: &usize| unsafe { self.byte(*at).read() } == self.seed ^ *at as u8;
        assert_eq!(self.places(self.size).find(|at| !right(at)), None, "{self:?}");
        assert!(c::malloc_usable_size(self.start) >= self.size, "{self:?}");
    }

    /// Returns whether the first bytes, which a resize keeps, hold what they held in `old`.
    fn continues(&self, old: &Self) -> bool {
        let kept = self.size.min(old.size).min(END);
        // SAFETY: the block is live and has these bytes.
        (0..kept).all(|at| unsafe { self.byte(at).read() } == old.seed ^ at as u8)
    }

    fn free(self, way: usize) {
        self.check();
        // SAFETY: the block is live, and forgotten.
        unsafe {
            match way % 4 {
                0 => c::free_sized(self.start, self.size),
                1 => c::cfree(self.start),
                2 => assert!(c::realloc(self.start, 0).is_null()),
                _ => c::free(self.start),
            }
        }
    }
}

/// Calls `work` and checks that it leaves `errno` alone if it succeeds.
fn call(work: impl FnOnce() -> *mut c_void) -> std::result::Result<*mut c_void, c_int> {
    posix::set_errno(77);
    let block = work();
    let code = OsError::last("").code();
    if block.is_null() {
        return Err(code);
    }
    assert_eq!(code, 77, "a call that succeeds leaves errno alone");
    Ok(block)
}

fn allocate(size: usize, align: usize, zeroed: bool, way: u16) -> std::result::Result<*mut c_void, c_int> {
    match way % 4 {
        _ if zeroed => call(|| c::calloc(size.div_ceil(2), 2)),
        _ if align <= 16 && align.is_power_of_two() => match way % 2 {
            0 => call(|| c::malloc(size)),
            // SAFETY: null is allowed.
            _ => call(|| unsafe { c::reallocarray(ptr::null_mut(), size, 1) }),
        },
        0 => call(|| c::memalign(align, size)),
        1 => call(|| c::aligned_alloc(align, size)),
        _ => {
            let mut place = ptr::null_mut();
            posix::set_errno(77);
            // SAFETY: the place is writable.
            let code = unsafe { c::posix_memalign(&raw mut place, align, size) };
            assert_eq!(OsError::last("").code(), 77, "posix_memalign leaves errno alone");
            if code == 0 { Ok(place) } else { Err(code) }
        }
    }
}

/// The blocks that are live, by their numbers and by their addresses.
#[derive(Default)]
struct Model {
    blocks: BTreeMap<u32, Block>,
    ends: BTreeMap<usize, usize>,
    seed: u8,
}

impl Model {
    fn enter(&mut self, id: u32, start: *mut c_void, size: usize, old: Option<&Block>) {
        let (address, end) = (start.addr(), start.addr() + size.max(1));
        let before = self.ends.range(..end).next_back();
        assert!(before.is_none_or(|(_, &other)| other <= address), "{address:#x} overlaps");
        self.ends.insert(address, end);
        self.seed = self.seed.wrapping_add(37);
        let block = Block { start, size, seed: self.seed };
        assert!(old.is_none_or(|old| block.continues(old)), "{block:?} lost what it held");
        block.fill();
        self.blocks.insert(id, block);
    }

    fn leave(&mut self, id: u32) -> Option<Block> {
        let block = self.blocks.remove(&id)?;
        self.ends.remove(&block.start.addr());
        Some(block)
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Allocate { id, size, align, zeroed, thread } if !self.blocks.contains_key(&id) => {
                let align = if zeroed { 16 } else { align };
                match allocate(size, align, zeroed, thread) {
                    Ok(start) => {
                        assert!(size <= isize::MAX as usize && align.is_power_of_two());
                        assert_eq!(start.addr() % align.max(16), 0);
                        let block = Block { start, size, seed: 0 };
                        // SAFETY: the block is live and has these bytes.
                        let zero = |at: usize| unsafe { block.byte(at).read() } == 0;
                        assert!(!zeroed || block.places(size).all(zero));
                        self.enter(id, start, size, None);
                    }
                    Err(INVALID) => assert!(!align.is_power_of_two()),
                    Err(code) => assert!(code == NO_MEMORY && (size >= MAY_FAIL || align >= MAY_FAIL)),
                }
            }
            Op::Resize { id, size, .. } => {
                let Some(old) = self.leave(id) else { return };
                old.check();
                let size = size.max(1);
                // SAFETY: the block is live, and forgotten unless the call fails.
                match call(|| unsafe { c::realloc(old.start, size) }) {
                    Ok(start) => self.enter(id, start, size, Some(&old)),
                    Err(code) => {
                        assert!(code == NO_MEMORY && size >= MAY_FAIL);
                        self.enter(id, old.start, old.size, Some(&old));
                    }
                }
            }
            Op::Free { id, thread } => {
                if let Some(block) = self.leave(id) {
                    block.free(thread.into());
                }
            }
            Op::Allocate { .. } => {}
        }
    }
}

/// Runs a history.
///
/// # Panics
///
/// If a block overlaps another one, is too short or not aligned, loses what it holds or is not zero where it should be; if an error or
/// `errno` is not the documented one; if something is live in the end.
pub fn run(plan: &Plan) {
    let mut model = Model::default();
    plan.ops.iter().for_each(|op| model.step(*op));
    let mut rest: Vec<Block> = std::mem::take(&mut model.blocks).into_values().collect();
    let others = rest.split_off(rest.len() / 2);
    rest.into_iter().enumerate().for_each(|(way, block)| block.free(way));
    if plan.ops.len() % 16 == 0 {
        let thread =
            thread::spawn(|| others.into_iter().enumerate().for_each(|(way, block)| block.free(way)));
        assert!(thread.join().is_ok());
    } else {
        others.into_iter().enumerate().for_each(|(way, block)| block.free(way));
    }
    if plan.ops.len() % 64 == 0 {
        c::malloc_trim(0);
        assert!(c::mallinfo2().uordblks <= OWN, "{:?}", c::mallinfo2());
    }
}
