//! A history that makes sense, and what can be counted on it.
//!
//! # Invariants
//!
//! - (I1) The numbers of the blocks are dense: each of `0..blocks` is allocated exactly once.
//! - (I2) A block is resized and freed only while it is live, and freed at most once.
//! - (I3) Every request has a valid layout once a size of 0 is read as 1 ([`Op::layout_of`]).
//!
//! # Operations
//!
//! Making a trace is O(operations) and holds one byte per block; everything else is a read.
//!
//! # Design
//!
//! Checking happens once, where a history comes in, so that replaying needs neither a hash table nor a check of
//! meaning. The checker takes one operation at a time, so that a reader can name the line that broke a rule.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::{Op, TraceError};

/// A checked history of allocator calls.
///
/// Block numbers are dense from 0 and never used twice, blocks are resized and freed only while they are live, every
/// alignment is a power of two, and every size fits its alignment. A size of 0 is allowed, see [`Op::layout_of`].
///
/// # Examples
///
/// ```
/// use forge_trace::{Op, Trace};
///
/// let block = Op::Allocate { id: 0, size: 64, align: 16, zeroed: false, thread: 0 };
/// let free = Op::Free { id: 0, thread: 0 };
/// assert_eq!(Trace::new("once", vec![block, free]).unwrap().blocks(), 1);
/// assert_eq!(Trace::new("twice", vec![block, free, free]).unwrap_err().operation, Some(2));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    name: String,
    ops: Vec<Op>,
    blocks: usize,
    threads: usize,
}

impl Trace {
    /// Returns the trace of `ops` under `name`. O(operations).
    ///
    /// # Errors
    ///
    /// [`TraceError`] with the index of the first operation that breaks a rule of [`Trace`].
    pub fn new(name: impl Into<String>, ops: Vec<Op>) -> Result<Self, TraceError> {
        let name = name.into();
        let mut checker = Checker::new(ops.len());
        for (index, op) in ops.iter().enumerate() {
            if let Err(fault) = checker.admit(op) {
                return Err(fault.in_file(&name).at_operation(index));
            }
        }
        match checker.finish() {
            Ok((blocks, threads)) => Ok(Self { name, ops, blocks, threads }),
            Err(fault) => Err(fault.in_file(&name)),
        }
    }

    /// Returns the trace of operations that `checker` has admitted one by one.
    pub(crate) fn from_checked(name: &str, ops: Vec<Op>, checker: &Checker) -> Result<Self, TraceError> {
        let (blocks, threads) = checker.finish().map_err(|fault| fault.in_file(name))?;
        Ok(Self { name: name.into(), ops, blocks, threads })
    }

    /// Returns the trace of operations that are valid by construction and allocate `blocks` blocks.
    pub(crate) fn from_valid(name: String, ops: Vec<Op>, blocks: usize) -> Self {
        debug_assert!(Self::new("", ops.clone()).is_ok_and(|trace| trace.blocks == blocks));
        let threads = ops.iter().map(|op| usize::from(op.thread()) + 1).max().unwrap_or(0);
        Self { name, ops, blocks, threads }
    }

    /// Returns the trace in `bytes`, in any of the [formats](crate::format), under `name`. O(bytes).
    ///
    /// # Errors
    ///
    /// [`TraceError`] with the place, if the bytes are not a whole, well-formed trace.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, TraceError> {
        crate::format::parse(name, bytes)
    }

    /// Returns the trace in the file at `path`, in any of the [formats](crate::format). O(size of the file).
    ///
    /// # Errors
    ///
    /// [`TraceError`] if the file cannot be read, or as [`Trace::parse`].
    #[cfg(feature = "std")]
    pub fn read(path: &std::path::Path) -> Result<Self, TraceError> {
        let name = path.display().to_string();
        match std::fs::read(path) {
            Ok(bytes) => Self::parse(&name, &bytes),
            Err(error) => Err(TraceError::new(&name, "a readable trace file", error.to_string())),
        }
    }

    /// Returns the name: the path of the file, or what the maker chose.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the same trace under another name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Returns the operations in their order.
    #[must_use]
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Returns the operations, without the trace.
    #[must_use]
    pub fn into_ops(self) -> Vec<Op> {
        self.ops
    }

    /// Returns the number of blocks that the trace allocates; their numbers are `0..blocks`. O(1).
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Returns one more than the highest thread number, or 0 for an empty trace. O(1).
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Returns what can be counted on the trace. O(operations), with one word per block.
    #[must_use]
    pub fn stats(&self) -> TraceStats {
        TraceStats::count(self)
    }
}

/// Numbers that describe a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceStats {
    /// The number of operations.
    pub events: usize,
    /// The number of blocks, which is the number of allocations.
    pub blocks: usize,
    /// How many of the allocations ask for zero-filled memory.
    pub zeroed: usize,
    /// The number of resizes.
    pub resizes: usize,
    /// The number of frees.
    pub frees: usize,
    /// The number of blocks that are never freed.
    pub live_at_end: usize,
    /// The largest sum of the sizes of live blocks, in bytes as the program asked for them.
    pub peak_live_bytes: u64,
    /// The largest number of live blocks.
    pub peak_live_blocks: usize,
    /// The sum of all requested sizes of allocations and resizes, in bytes.
    pub requested_bytes: u64,
    /// The largest requested size in bytes.
    pub largest: usize,
    /// The largest requested alignment in bytes.
    pub largest_align: usize,
    /// How many allocations and resizes ask for each magnitude: entry 0 counts sizes of 0, entry `k` sizes of
    /// `2^(k-1)` up to `2^k - 1` bytes.
    pub sizes: [u64; usize::BITS as usize + 1],
}

impl TraceStats {
    fn count(trace: &Trace) -> Self {
        let mut stats = Self {
            events: trace.ops.len(),
            blocks: trace.blocks,
            zeroed: 0,
            resizes: 0,
            frees: 0,
            live_at_end: 0,
            peak_live_bytes: 0,
            peak_live_blocks: 0,
            requested_bytes: 0,
            largest: 0,
            largest_align: 0,
            sizes: [0; usize::BITS as usize + 1],
        };
        let mut current = alloc::vec![0usize; trace.blocks];
        let mut live_bytes = 0u64;
        for op in &trace.ops {
            let Some(held) = current.get_mut(op.id() as usize) else { continue };
            match *op {
                Op::Allocate { size, align, zeroed, .. } => {
                    stats.zeroed += usize::from(zeroed);
                    stats.largest_align = stats.largest_align.max(align);
                    stats.live_at_end += 1;
                    stats.request(size);
                    live_bytes = live_bytes.saturating_add(size as u64);
                    *held = size;
                }
                Op::Resize { size, .. } => {
                    stats.resizes += 1;
                    stats.request(size);
                    live_bytes = live_bytes.saturating_sub(*held as u64).saturating_add(size as u64);
                    *held = size;
                }
                Op::Free { .. } => {
                    stats.frees += 1;
                    stats.live_at_end -= 1;
                    live_bytes = live_bytes.saturating_sub(*held as u64);
                }
            }
            stats.peak_live_bytes = stats.peak_live_bytes.max(live_bytes);
            stats.peak_live_blocks = stats.peak_live_blocks.max(stats.live_at_end);
        }
        stats
    }

    fn request(&mut self, size: usize) {
        self.requested_bytes = self.requested_bytes.saturating_add(size as u64);
        self.largest = self.largest.max(size);
        if let Some(bucket) = self.sizes.get_mut((usize::BITS - size.leading_zeros()) as usize) {
            *bucket += 1;
        }
    }
}

/// What is wrong with an operation, before it is known where it stands.
#[derive(Debug)]
pub(crate) struct Fault {
    expected: String,
    found: String,
}

impl Fault {
    fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { expected: expected.into(), found: found.into() }
    }

    pub(crate) fn in_file(self, file: &str) -> TraceError {
        TraceError::new(file, self.expected, self.found)
    }
}

/// The state of a block number that no operation has allocated yet.
const UNSEEN: u8 = 255;

/// The state of a block number whose block is gone.
const FREED: u8 = 254;

/// The checker of (I1) to (I3), fed with one operation at a time.
#[derive(Debug)]
pub(crate) struct Checker {
    /// Per block number: `UNSEEN`, `FREED`, or the binary logarithm of the alignment of a live block.
    states: Vec<u8>,
    /// No valid trace of this length holds more blocks, so no number may be this large.
    limit: usize,
    allocations: usize,
    threads: usize,
}

impl Checker {
    /// Returns the checker of a trace of at most `limit` operations.
    pub(crate) fn new(limit: usize) -> Self {
        Self { states: Vec::new(), limit, allocations: 0, threads: 0 }
    }

    /// Admits the next operation.
    #[inline]
    pub(crate) fn admit(&mut self, op: &Op) -> Result<(), Fault> {
        self.threads = self.threads.max(usize::from(op.thread()) + 1);
        match *op {
            Op::Allocate { id, size, align, .. } => self.allocate(id, size, align),
            Op::Resize { id, size, .. } => {
                let state = self.live(id, "resized")?;
                check_layout(size, 1 << *state)
            }
            Op::Free { id, .. } => {
                *self.live(id, "freed")? = FREED;
                Ok(())
            }
        }
    }

    fn allocate(&mut self, id: u32, size: usize, align: usize) -> Result<(), Fault> {
        check_layout(size, align)?;
        let index = id as usize;
        if index >= self.limit {
            let expected = format!("block numbers that are dense from 0, here below {}", self.limit);
            return Err(Fault::new(expected, format!("block {id}")));
        }
        if index >= self.states.len() {
            self.states.resize(index + 1, UNSEEN);
        }
        match self.states.get_mut(index) {
            Some(state) if *state == UNSEEN => {
                // The logarithm of an alignment is below 64, so it is neither of the two marks.
                *state = align.trailing_zeros() as u8;
                self.allocations += 1;
                Ok(())
            }
            _ => Err(Fault::new("a block number that was not used before", format!("block {id} again"))),
        }
    }

    fn live(&mut self, id: u32, verb: &str) -> Result<&mut u8, Fault> {
        let expected = || format!("a live block to be {verb}");
        match self.states.get_mut(id as usize) {
            None | Some(&mut UNSEEN) => {
                Err(Fault::new(expected(), format!("block {id}, which is not allocated yet")))
            }
            Some(&mut FREED) => Err(Fault::new(expected(), format!("block {id}, which is already freed"))),
            Some(state) => Ok(state),
        }
    }

    /// Returns the number of blocks and of threads, if the block numbers are dense.
    pub(crate) fn finish(&self) -> Result<(usize, usize), Fault> {
        if self.allocations == self.states.len() {
            return Ok((self.allocations, self.threads));
        }
        let missing = self.states.iter().position(|state| *state == UNSEEN).unwrap_or_default();
        let expected = format!("every block number below {} to be allocated", self.states.len());
        Err(Fault::new(expected, format!("no allocation of block {missing}")))
    }
}

fn check_layout(size: usize, align: usize) -> Result<(), Fault> {
    if !align.is_power_of_two() {
        return Err(Fault::new("an alignment that is a power of two", format!("{align}")));
    }
    if Op::layout_of(size, align).is_err() {
        let expected = format!("a size of at most isize::MAX bytes once rounded up to the alignment {align}");
        return Err(Fault::new(expected, format!("{size}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
