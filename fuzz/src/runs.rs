//! Allocators of pages and of ids against a list of their units: any history on any number of ranges, wherever they lie.
//!
//! ```text
//!   units     |    |  range 0  | range 1 |      | range 2 |          pages or ids; ranges may touch
//!   model     | -  | .xxx..x.. | ....... |  -   | xx..... |          not managed, free, taken
//! ```
//!
//! The model says which answer is right. Where the order is documented it says which unit, too: the lowest that fits, or the
//! lowest from the end of the last run on. A buddy system chooses for itself, but may not fail while one of its blocks fits.

use arbitrary::{Arbitrary, Result, Unstructured};
use forge_alloc::{
    AllocResult, BitmapIdAllocator, BitmapPageAllocator, BuddyPageAllocator, HeapError, IdAllocator, IdOrder,
    LowestFirst, PageAllocator, RoundRobin, buddy_words, page_words,
};

const PAGE: usize = 4096;

/// The number of units that a history is about.
const UNITS: usize = 1500;

/// The largest number of steps: what follows adds time and no new states.
const LONGEST: usize = 256;

/// After how many steps every unit is looked at: most of the time of an input would be that otherwise.
const LOOK: usize = 8;

/// Where the units lie: at the first page, in the middle, and up to the end of the address space.
const BASES: [usize; 3] = [0, 1 << 12, usize::MAX / PAGE - UNITS];

/// The name of an allocator, and what runs a history on one.
pub type Subject = (&'static str, fn(&Plan));

/// The subjects that are allocators of pages.
pub const PAGES: [Subject; 2] =
    [("BitmapPages", on::<BitmapPageAllocator<PAGE, Bits>>), ("BuddyPages", on::<Buddies>)];

/// The subjects that are allocators of ids.
pub const IDS: [Subject; 2] = [
    ("LowestIds", on::<BitmapIdAllocator<LowestFirst, Bits>>),
    ("RoundRobinIds", on::<BitmapIdAllocator<RoundRobin, Bits>>),
];

/// The bits of allocators by a bitmap.
type Bits = [u64; page_words(UNITS)];

/// The words of the allocator by the buddy system, for several ranges.
type Words = [u64; 8 * buddy_words(UNITS)];

/// The allocator by the buddy system.
type Buddies = BuddyPageAllocator<PAGE, Words>;

/// A call. Places count from the first unit, alignments are exponents, except for those that are no power of two.
#[derive(Clone, Copy, Debug, Arbitrary)]
enum Step {
    Take { count: u8, align: u8 },
    TakeOne,
    TakeAt { at: u16, count: u8, align: u8 },
    GiveRun { choice: u16, part: bool },
    Give { at: u16, count: u16 },
    Add { at: u16, count: u16 },
}

/// What one input says.
#[derive(Clone, Debug)]
pub struct Plan {
    subject: u8,
    base: u8,
    steps: Vec<Step>,
}

impl<'a> Arbitrary<'a> for Plan {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        let (subject, base) = input.arbitrary()?;
        let mut steps = vec![Step::Add { at: input.arbitrary()?, count: input.arbitrary()? }];
        while steps.len() < LONGEST && !input.is_empty() {
            steps.push(input.arbitrary()?);
        }
        Ok(Self { subject, base, steps })
    }
}

/// Runs one input on one of the `subjects`.
///
/// # Panics
///
/// If a promise is broken.
pub fn run(plan: &Plan, subjects: &[Subject]) {
    let (_, play) = subjects[usize::from(plan.subject) % subjects.len()];
    play(plan);
}

/// Runs one input on an `R`.
fn on<R: Runs>(plan: &Plan) {
    play(R::empty(), BASES[usize::from(plan.base) % BASES.len()], plan);
}

/// Which of the runs that fit is right.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Lowest,
    FromTheLast,
    Blocks,
}

/// An allocator of runs of units.
trait Runs {
    const ORDER: Order;

    /// The allocator without units.
    fn empty() -> Self;
    fn add(&mut self, start: usize, count: usize) -> AllocResult;
    fn take(&mut self, count: usize, align: usize) -> AllocResult<usize>;
    /// Takes exactly these units, or answers `None` if there is no such request.
    fn take_at(&mut self, at: usize, count: usize, align: usize) -> Option<AllocResult>;
    fn give(&mut self, at: usize, count: usize) -> AllocResult;
    /// Total, used, available.
    fn counts(&self) -> (usize, usize, usize);
    /// Whether a unit is taken, if the allocator tells.
    fn is_taken(&self, at: usize) -> Option<bool>;
}

/// Implements [`Runs`] for an allocator of pages.
macro_rules! pages {
    ([$($generics:tt)*] $allocator:ty, $order:expr, $is_taken:expr) => {
        impl<$($generics)*> Runs for $allocator {
            const ORDER: Order = $order;

            fn empty() -> Self {
                Self::over([0; N])
            }

            fn add(&mut self, start: usize, count: usize) -> AllocResult {
                self.add_range(start * PAGE, count * PAGE)
            }

            fn take(&mut self, count: usize, align: usize) -> AllocResult<usize> {
                let pos = self.alloc_pages(count, align.wrapping_mul(PAGE))?;
                assert_eq!(pos % PAGE, 0, "a page starts at a multiple of its size");
                Ok(pos / PAGE)
            }

            fn take_at(&mut self, at: usize, count: usize, align: usize) -> Option<AllocResult> {
                let taken = self.alloc_pages_at(at * PAGE, count, align.wrapping_mul(PAGE));
                Some(taken.map(|pos| assert_eq!(pos, at * PAGE)))
            }

            fn give(&mut self, at: usize, count: usize) -> AllocResult {
                self.try_dealloc_pages(at * PAGE, count)
            }

            fn counts(&self) -> (usize, usize, usize) {
                (self.total_pages(), self.used_pages(), self.available_pages())
            }

            fn is_taken(&self, at: usize) -> Option<bool> {
                $is_taken(self, at)
            }
        }
    };
}

pages!([const N: usize] BitmapPageAllocator<PAGE, [u64; N]>, Order::Lowest, |pages: &Self, at| {
    Some(pages.is_allocated(at * PAGE))
});
pages!([const N: usize] BuddyPageAllocator<PAGE, [u64; N]>, Order::Blocks, |_: &Self, _| None);

impl<O: IdOrder, const N: usize> Runs for BitmapIdAllocator<O, [u64; N]> {
    const ORDER: Order = if O::ROUND_ROBIN { Order::FromTheLast } else { Order::Lowest };

    fn empty() -> Self {
        Self::over([0; N])
    }

    fn add(&mut self, start: usize, count: usize) -> AllocResult {
        self.add_range(start, count)
    }

    fn take(&mut self, count: usize, align: usize) -> AllocResult<usize> {
        self.alloc_id(count, align)
    }

    fn take_at(&mut self, at: usize, count: usize, align: usize) -> Option<AllocResult> {
        (count == 1 && align == 1).then(|| match self.alloc_fixed_id(at) {
            Err(HeapError::InvalidParam) => Err(HeapError::NoMemory),
            taken => taken,
        })
    }

    fn give(&mut self, at: usize, count: usize) -> AllocResult {
        self.try_dealloc_id(at, count)
    }

    fn counts(&self) -> (usize, usize, usize) {
        (self.size(), self.used(), self.available())
    }

    fn is_taken(&self, at: usize) -> Option<bool> {
        Some(self.is_allocated(at))
    }
}

/// What a unit is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Absent,
    Free(Range),
    Taken(Range),
}

/// The range that a unit came with.
type Range = usize;

/// An allocator, and what it should answer.
struct Model<R> {
    runs: R,
    base: usize,
    units: Vec<Unit>,
    ranges: usize,
    /// What is handed out, as place and count.
    taken: Vec<(usize, usize)>,
    /// Where the last run ended.
    cursor: usize,
}

/// Plays the steps, then gives everything back.
fn play<R: Runs>(runs: R, base: usize, plan: &Plan) {
    let units = vec![Unit::Absent; UNITS];
    let mut model = Model { runs, base, units, ranges: 0, taken: Vec::new(), cursor: 0 };
    for (number, step) in plan.steps.iter().enumerate() {
        model.step(*step);
        if number % LOOK == 0 {
            model.check();
        }
    }
    model.check();
    while let Some((at, count)) = model.taken.pop() {
        model.give(at, count);
    }
    let (total, used, available) = model.runs.counts();
    assert_eq!((used, available), (0, total), "units were lost");
}

impl<R: Runs> Model<R> {
    fn step(&mut self, step: Step) {
        match step {
            Step::Take { count, align } => self.take(usize::from(count), alignment(align)),
            Step::TakeOne => self.take(1, 1),
            Step::TakeAt { at, count, align } => {
                self.take_at(usize::from(at) % UNITS, usize::from(count), alignment(align));
            }
            Step::GiveRun { choice, part } => self.give_run(usize::from(choice), part),
            Step::Give { at, count } => self.give_any(usize::from(at) % UNITS, usize::from(count)),
            Step::Add { at, count } => self.add(usize::from(at) % UNITS, usize::from(count)),
        }
    }

    /// Returns whether the units are all free, and of one range where the allocator keeps ranges apart.
    fn are_free(&self, at: usize, count: usize) -> bool {
        self.are(at, count, |unit| if let Unit::Free(range) = unit { Some(range) } else { None })
    }

    fn are_taken(&self, at: usize, count: usize) -> bool {
        self.are(at, count, |unit| if let Unit::Taken(range) = unit { Some(range) } else { None })
    }

    fn are(&self, at: usize, count: usize, of: impl Fn(Unit) -> Option<Range>) -> bool {
        let Some(units) = self.units.get(at..at + count) else { return false };
        let first = units.first().copied().and_then(&of);
        let apart = R::ORDER == Order::Blocks;
        units.iter().all(|unit| of(*unit).is_some_and(|range| !apart || Some(range) == first))
    }

    fn available(&self) -> usize {
        self.units.iter().filter(|unit| matches!(unit, Unit::Free(_))).count()
    }

    fn add(&mut self, at: usize, count: usize) {
        let count = count.min(UNITS - at);
        let added = self.runs.add(self.base + at, count);
        let overlaps = self.units[at..at + count].iter().any(|unit| *unit != Unit::Absent);
        match added {
            Ok(()) => {
                assert!(count != 0 && !overlaps, "a range is not empty and overlaps none");
                self.units[at..at + count].fill(Unit::Free(self.ranges));
                self.ranges += 1;
            }
            Err(error) if count == 0 => assert_eq!(error, HeapError::InvalidParam),
            Err(error) if overlaps => assert_eq!(error, HeapError::MemoryOverlap),
            Err(error) => {
                assert_eq!(error, HeapError::NoMemory);
                assert!(self.ranges >= 8, "there is room for eight ranges");
            }
        }
    }

    fn take(&mut self, count: usize, align: usize) {
        let taken = self.runs.take(count, align);
        if !align.is_power_of_two() {
            return assert_eq!(taken, Err(HeapError::InvalidParam));
        }
        if count == 0 {
            return assert_eq!(taken, Err(HeapError::InvalidParam));
        }
        let right = match R::ORDER {
            Order::Lowest => self.lowest(0, count, align),
            Order::FromTheLast => {
                self.lowest(self.cursor, count, align).or_else(|| self.lowest(0, count, align))
            }
            Order::Blocks => taken.ok().map(|at| at - self.base).or_else(|| self.block(count, align)),
        };
        assert_eq!(taken, right.map(|at| self.base + at).ok_or(HeapError::NoMemory), "the run");
        let Some(at) = right else { return };
        assert!(
            (self.base + at).is_multiple_of(align) && self.are_free(at, count),
            "a run is aligned and was free"
        );
        self.cursor = at + count;
        self.hand_out(at, count);
    }

    /// Returns the lowest place from `from` on where the request fits.
    fn lowest(&self, from: usize, count: usize, align: usize) -> Option<usize> {
        (from..UNITS).find(|at| (self.base + at).is_multiple_of(align) && self.are_free(*at, count))
    }

    /// Returns a free block of a power of two that holds the request.
    fn block(&self, count: usize, align: usize) -> Option<usize> {
        let size = count.next_power_of_two().max(align);
        (0..UNITS).find(|at| (self.base + at).is_multiple_of(size) && self.are_free(*at, size))
    }

    fn take_at(&mut self, at: usize, count: usize, align: usize) {
        let Some(taken) = self.runs.take_at(self.base + at, count, align) else { return };
        if !align.is_power_of_two() || !(self.base + at).is_multiple_of(align) {
            return assert_eq!(taken, Err(HeapError::InvalidParam));
        }
        let right = count != 0 && self.are_free(at, count);
        assert_eq!(taken, if right { Ok(()) } else { Err(HeapError::NoMemory) });
        if right {
            self.hand_out(at, count);
        }
    }

    fn hand_out(&mut self, at: usize, count: usize) {
        for unit in &mut self.units[at..at + count] {
            if let Unit::Free(range) = *unit {
                *unit = Unit::Taken(range);
            }
        }
        self.taken.push((at, count));
    }

    /// Gives a run back, or its first half.
    fn give_run(&mut self, choice: usize, part: bool) {
        if self.taken.is_empty() {
            return;
        }
        let (at, count) = self.taken.swap_remove(choice % self.taken.len());
        let given = if part { count.div_ceil(2) } else { count };
        self.give(at, given);
        assert_eq!(self.runs.give(self.base + at, given), Err(HeapError::NotAllocated), "a second time");
        if given < count {
            self.taken.push((at + given, count - given));
        }
    }

    fn give(&mut self, at: usize, count: usize) {
        assert_eq!(self.runs.give(self.base + at, count), Ok(()));
        for unit in &mut self.units[at..at + count] {
            if let Unit::Taken(range) = *unit {
                *unit = Unit::Free(range);
            }
        }
    }

    /// Gives back what may be no run at all, or parts of several.
    fn give_any(&mut self, at: usize, count: usize) {
        if count == 0 || !self.are_taken(at, count) {
            let right = if count == 0 { Ok(()) } else { Err(HeapError::NotAllocated) };
            return assert_eq!(self.runs.give(self.base + at, count), right);
        }
        self.give(at, count);
        let end = at + count;
        let mut rest = Vec::new();
        for (from, length) in self.taken.drain(..) {
            let to = from + length;
            rest.extend([(from, to.min(at)), (from.max(end), to)].into_iter().filter(|(from, to)| from < to));
        }
        self.taken = rest.into_iter().map(|(from, to)| (from, to - from)).collect();
    }

    fn check(&self) {
        let total = self.units.iter().filter(|unit| **unit != Unit::Absent).count();
        let available = self.available();
        assert_eq!(self.runs.counts(), (total, total - available, available), "total, used, available");
        for (at, unit) in self.units.iter().enumerate() {
            if let Some(taken) = self.runs.is_taken(self.base + at) {
                assert_eq!(taken, matches!(unit, Unit::Taken(_)), "unit {at}");
            }
        }
    }
}

/// Returns an alignment in units: mostly a power of two.
fn alignment(align: u8) -> usize {
    match align {
        0..=127 => 1,
        128..=247 => 1 << (align % 12),
        248 => 0,
        _ => usize::from(align - 246) | 1,
    }
}
