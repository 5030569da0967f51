//! Arenas against the shadow model: any history, over any backing, with a system call that fails.
//!
//! An input names a subject, its range, and a history. The history is run several times:
//!
//! 1. in a first life, with every block in the range and disjoint from all others;
//! 2. after a reset, which must bring the arena back to where it began: the same operations succeed and fail;
//! 3. with the arena moved between calls, its blocks alive where the type promises that they survive, freed before the
//!    move where it does not.
//!
//! What is over a simulated system also meets the failure of one call, chosen by its kind and its place; whatever fails,
//! nothing stays mapped in the end. What is shared runs a second history on another thread while the blocks of the first
//! are alive: the other thread's blocks must leave them alone, though its model does not know them.
//!
//! # Design
//!
//! The simulated systems live as long as the process, one per page size, because a `SimOs` is never taken down: one per
//! input would be a leak. The second thread runs while the first one waits, so that an input always means the same.
#![allow(unsafe_code)]

use std::sync::LazyLock;

use arbitrary::{Arbitrary, Result, Unstructured};
use forge_alloc::{
    Allocator, Arena, BumpArena, FixedRange, HeapBytes, HeapSource, InlineBacked, MmapBacked, MmapFlags,
    MmapSource, RegionSource, SharedBumpArena, StableAddress, StackAlloc,
};
use forge_os::Os;
use forge_os::sim::{SimCall, SimOs};
use forge_trace::Op;
use forge_trace::shadow::{Checks, Shadow, Violation, drive, drive_moving, drive_moving_empty};

use crate::history;

/// The bytes of an inline range: one that is soon full, so that refusals are common, and one with room.
const SMALL: usize = 256;
const LARGE: usize = 8 << 10;

/// The page sizes of the simulated systems in bytes.
const PAGE_SIZES: [usize; 3] = [4096, 16 << 10, 64 << 10];

/// What a failing call reports: Linux' number for exhausted memory.
const OUT_OF_MEMORY: i32 = 12;

/// The number from which the blocks of the second thread count, beyond those of any history.
const OTHERS: u32 = 1 << 16;

static SYSTEMS: LazyLock<[SimOs; PAGE_SIZES.len()]> = LazyLock::new(|| PAGE_SIZES.map(SimOs::new));

/// The allocator that a history is run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Arbitrary)]
#[allow(missing_docs, reason = "each name is the type that it stands for")]
pub enum Subject {
    InlineBacked,
    BumpInlineSmall,
    BumpInlineLarge,
    BumpHeap,
    BumpNested,
    BumpScope,
    BumpMapped,
    Arena,
    ArenaPacked,
    ArenaScope,
    ArenaMapped,
    StackInline,
    StackHeap,
    StackMapped,
    SharedInline,
    SharedHeap,
    SharedMapped,
    SharedOnTwoThreads,
    Mapped,
}

/// Every subject.
pub const SUBJECTS: [Subject; 19] = [
    Subject::InlineBacked,
    Subject::BumpInlineSmall,
    Subject::BumpInlineLarge,
    Subject::BumpHeap,
    Subject::BumpNested,
    Subject::BumpScope,
    Subject::BumpMapped,
    Subject::Arena,
    Subject::ArenaPacked,
    Subject::ArenaScope,
    Subject::ArenaMapped,
    Subject::StackInline,
    Subject::StackHeap,
    Subject::StackMapped,
    Subject::SharedInline,
    Subject::SharedHeap,
    Subject::SharedMapped,
    Subject::SharedOnTwoThreads,
    Subject::Mapped,
];

/// What one input says.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The allocator under test.
    pub subject: Subject,
    /// The size of its range, or its limit, in bytes.
    pub capacity: usize,
    /// The alignment of a range from the heap, a power of two.
    pub align: usize,
    /// Which of the page sizes a simulated system has.
    pub system: usize,
    /// Whether a mapping is committed as it is used.
    pub lazy_commit: bool,
    /// Whether a mapping ends in a guard page.
    pub guard_at_end: bool,
    /// The system call that fails, and which one of its kind.
    pub failure: Option<(SimCall, usize)>,
    /// After how many operations the allocator is moved.
    pub move_every: usize,
    /// Whether resizes also change the alignment.
    pub vary_alignment: bool,
    /// The history.
    pub ops: Vec<Op>,
}

impl<'a> Arbitrary<'a> for Plan {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        let subject: u8 = input.arbitrary()?;
        let capacity: u16 = input.arbitrary()?;
        let bits: u8 = input.arbitrary()?;
        let failure: u8 = input.arbitrary()?;
        let shape: u8 = input.arbitrary()?;
        let calls = [SimCall::Map, SimCall::Commit, SimCall::Protect, SimCall::Unmap, SimCall::Advise];
        Ok(Self {
            subject: SUBJECTS[usize::from(subject) % SUBJECTS.len()],
            capacity: usize::from(capacity) + 1,
            align: 1 << (shape % 14),
            system: usize::from(shape) % PAGE_SIZES.len(),
            lazy_commit: bits & 1 != 0,
            guard_at_end: bits & 2 != 0,
            failure: (bits & 4 != 0)
                .then(|| (calls[usize::from(failure) % calls.len()], usize::from(failure) / calls.len() + 1)),
            move_every: usize::from(bits >> 4) * 3 + 1,
            vary_alignment: bits & 8 != 0,
            ops: history::decode(input)?,
        })
    }
}

/// Runs one input.
///
/// # Panics
///
/// If a promise is broken.
#[inline]
pub fn run(plan: &Plan) {
    let heap = || HeapBytes::with_align(plan.capacity, plan.align).ok();
    let inline = InlineBacked::<LARGE>::new;
    match plan.subject {
        Subject::InlineBacked => plan.range(|| Some(inline())),
        Subject::BumpInlineSmall => plan.range(|| BumpArena::new(InlineBacked::<SMALL>::new()).ok()),
        Subject::BumpInlineLarge => plan.range(|| BumpArena::new(inline()).ok()),
        Subject::BumpHeap => plan.stable_range(|| BumpArena::new(heap()?).ok()),
        Subject::BumpNested => plan.range(|| BumpArena::new(BumpArena::new(inline()).ok()?).ok()),
        Subject::BumpScope => plan.bump_scope(heap()),
        Subject::BumpMapped => plan.mapped(|backing| BumpArena::new(backing).ok()),
        Subject::Arena => plan.growing(|| Arena::new().limited_to(plan.limit())),
        Subject::ArenaPacked => {
            plan.growing(|| Arena::<_, 1>::with_source(HeapSource).limited_to(plan.limit()));
        }
        Subject::ArenaScope => plan.arena_scope(),
        Subject::ArenaMapped => plan.arena_mapped(),
        Subject::StackInline => plan.range(|| StackAlloc::new(inline()).ok()),
        Subject::StackHeap => plan.stack(heap()),
        Subject::StackMapped => plan.mapped(|backing| StackAlloc::new(backing).ok()),
        Subject::SharedInline => plan.range(|| SharedBumpArena::new(inline()).ok()),
        Subject::SharedHeap => plan.stable_range(|| SharedBumpArena::new(heap()?).ok()),
        Subject::SharedMapped => plan.mapped(|backing| SharedBumpArena::new(backing).ok()),
        Subject::SharedOnTwoThreads => plan.two_threads(heap()),
        Subject::Mapped => plan.mapped(Some),
    }
}

impl Plan {
    fn checks(&self) -> Checks {
        Checks { sweep_every: 64, vary_alignment: self.vary_alignment, ..Checks::default() }
    }

    fn within<R: FixedRange>(&self, range: &R) -> Checks {
        Checks { range: Checks::within(range).range, ..self.checks() }
    }

    /// Runs the history, resets the allocator, and runs it again.
    fn two_lives<A: Allocator>(&self, allocator: &mut A, checks: &Checks) {
        let first = demand(drive(&*allocator, &self.ops, checks.clone()));
        assert!(Allocator::reset(allocator).is_ok(), "an arena refused to be reset");
        let second = demand(drive(&*allocator, &self.ops, checks.clone()));
        // A planned failure happens once, so two lives may differ by what it hits.
        if self.failure.is_none() {
            assert_eq!(first, second, "a reset arena is not as a new one");
        }
    }

    /// Returns how many bytes an arena that grows may hold.
    fn limit(&self) -> usize {
        self.capacity * 8
    }

    /// Checks an arena that owns a range, which may move with it.
    fn range<A: Allocator + FixedRange>(&self, make: impl Fn() -> Option<A>) {
        let Some(mut allocator) = make() else { return };
        let checks = self.within(&allocator);
        self.two_lives(&mut allocator, &checks);
        assert!(Allocator::reset(&mut allocator).is_ok(), "an arena refused to be reset");
        demand(drive_moving_empty(allocator, &self.ops, self.move_every, |range| self.within(range)));
    }

    /// Checks an arena that owns a range, which stays where it is.
    fn stable_range<A: Allocator + FixedRange + StableAddress>(&self, make: impl Fn() -> Option<A>) {
        self.range(&make);
        if let Some(allocator) = make() {
            let checks = self.within(&allocator);
            demand(drive_moving(allocator, &self.ops, self.move_every, checks));
        }
    }

    /// Checks an arena that takes chunks as it needs them.
    fn growing<S: RegionSource, const MIN_ALIGN: usize>(&self, make: impl Fn() -> Arena<S, MIN_ALIGN>) {
        let mut arena = make();
        let first = demand(drive(&arena, &self.ops, self.checks()));
        let held = arena.held_bytes();
        assert!(held <= self.limit(), "{held} bytes held");
        arena.reset();
        let second = demand(drive(&arena, &self.ops, self.checks()));
        if self.failure.is_none() {
            assert_eq!((first, held), (second, arena.held_bytes()), "the same work met another arena");
        }
        arena.release_all();
        assert_eq!((arena.held_bytes(), arena.allocated_bytes()), (0, 0));
        demand(drive_moving(arena, &self.ops, self.move_every, self.checks()));
    }

    fn stack(&self, backing: Option<HeapBytes>) {
        if let Some(stack) = backing.and_then(|backing| StackAlloc::new(backing).ok()) {
            demand(drive(&stack, &self.ops, self.within(&stack)));
            assert_eq!(stack.allocated(), 0, "every block was freed");
        }
        self.stable_range(|| StackAlloc::new(HeapBytes::with_align(self.capacity, self.align).ok()?).ok());
    }

    fn bump_scope(&self, backing: Option<HeapBytes>) {
        let Some(mut arena) = backing.and_then(|backing| BumpArena::new(backing).ok()) else { return };
        let (before, after) = self.ops.split_at(self.ops.len() / 2);
        let checks = self.within(&arena);
        demand(drive(&arena, before, checks.clone()));
        let mark = arena.allocated();
        for _ in 0..2 {
            demand(drive_moving(arena.scope(), after, self.move_every, checks.clone()));
            assert_eq!(arena.allocated(), mark, "a scope left something behind");
        }
    }

    fn arena_scope(&self) {
        let mut arena = Arena::new().limited_to(self.limit());
        let (before, after) = self.ops.split_at(self.ops.len() / 2);
        demand(drive(&arena, before, self.checks()));
        let mark = arena.allocated_bytes();
        for _ in 0..2 {
            demand(drive_moving(arena.scope(), after, self.move_every, self.checks()));
            assert_eq!(arena.allocated_bytes(), mark, "a scope left something behind");
        }
    }

    /// Returns the simulated system of this input, with the failure planned.
    ///
    /// A source of chunks forgets a chunk whose unmapping failed, so that failure is left out for it.
    fn system(&self, may_fail_to_unmap: bool) -> SimOs {
        let system = SYSTEMS[self.system];
        system.clear_failures();
        match self.failure {
            Some((SimCall::Unmap, _)) if !may_fail_to_unmap => {}
            Some((call, n)) => system.fail_nth(Some(call), n, OUT_OF_MEMORY),
            None => {}
        }
        system
    }

    fn arena_mapped(&self) {
        let system = self.system(false);
        self.growing(|| Arena::<_, 16>::with_source(MmapSource::on(system)).limited_to(self.limit()));
        assert_eq!(system.live_mappings(), 0, "a chunk stayed mapped");
    }

    /// Checks an arena over a mapping, which stays where it is.
    fn mapped<A: Allocator + FixedRange + StableAddress>(
        &self,
        over: impl Fn(MmapBacked<SimOs>) -> Option<A>,
    ) {
        let system = self.system(true);
        let mut flags = MmapFlags::NONE;
        (flags.lazy_commit, flags.guard_at_end) = (self.lazy_commit, self.guard_at_end);
        let make = || {
            let backing = MmapBacked::map_on(system, self.capacity, flags).ok()?;
            let unused = (backing.base(), backing.size());
            let allocator = over(backing)?;
            assert_eq!((allocator.base(), allocator.size()), unused, "an arena over another range");
            Some(allocator)
        };
        if let Some(allocator) = make() {
            self.live_and_unmap(system, allocator);
        }
        if let Some(allocator) = make() {
            let checks = self.within(&allocator);
            let range = (allocator.base(), allocator.size());
            demand(drive_moving(allocator, &self.ops, self.move_every, checks));
            self.collect(system, range);
        }
        system.clear_failures();
        assert_eq!(system.live_mappings(), 0, "a mapping outlived its owner");
    }

    fn live_and_unmap<A: Allocator + FixedRange>(&self, system: SimOs, mut allocator: A) {
        let range = (allocator.base(), allocator.size());
        let checks = self.within(&allocator);
        self.two_lives(&mut allocator, &checks);
        drop(allocator);
        self.collect(system, range);
    }

    /// Unmaps what a planned failure of unmapping has left behind.
    fn collect(&self, system: SimOs, (base, size): (core::ptr::NonNull<u8>, usize)) {
        if !matches!(self.failure, Some((SimCall::Unmap, _))) || system.live_mappings() == 0 {
            return;
        }
        let guard = if self.guard_at_end { system.page_size() } else { 0 };
        // SAFETY: the owner of the mapping is gone, and with it every block; the system checks the span.
        let unmapped = unsafe { system.unmap(base, size + guard) };
        assert!(unmapped.is_ok(), "what stayed mapped is not the mapping: {unmapped:?}");
    }

    /// Runs half of the history on this thread and the other half on another one, before the blocks of the first are freed.
    fn two_threads(&self, backing: Option<HeapBytes>) {
        let Some(arena) = backing.and_then(|backing| SharedBumpArena::new(backing).ok()) else { return };
        let (own, rest) = self.ops.split_at(self.ops.len() / 2);
        let others: Vec<Op> = rest.iter().map(|op| renumbered(*op)).collect();
        let mut shadow = Shadow::with_checks(&arena, self.within(&arena));
        demand(shadow.run(own));
        std::thread::scope(|threads| {
            let other = threads.spawn(|| demand(drive(&arena, &others, self.within(&arena))));
            assert!(other.join().is_ok(), "the other thread found a violation");
        });
        demand(shadow.run(rest));
        demand(shadow.finish());
    }
}

/// Returns the operation on a block of the second thread.
fn renumbered(op: Op) -> Op {
    match op {
        Op::Allocate { id, size, align, zeroed, thread } => {
            Op::Allocate { id: id.wrapping_add(OTHERS), size, align, zeroed, thread }
        }
        Op::Resize { id, size, thread } => Op::Resize { id: id.wrapping_add(OTHERS), size, thread },
        Op::Free { id, thread } => Op::Free { id: id.wrapping_add(OTHERS), thread },
    }
}

/// Returns the value, or panics with the violation.
#[track_caller]
fn demand<T>(result: core::result::Result<T, Violation>) -> T {
    result.unwrap_or_else(|violation| panic!("{violation}"))
}

#[cfg(test)]
mod tests;
