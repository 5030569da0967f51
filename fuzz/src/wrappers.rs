//! Wrappers against the shadow model: any history, through stacks of wrappers over any of four layouts.
//!
//! An input names a layout, two wrappers and a history. What a stack is made of is known to the compiler only, so
//! the wrappers of an input become a type one by one; the last step runs the history on the stack where it stands, and
//! on a stack that is moved between calls.

use arbitrary::{Arbitrary, Result, Unstructured};
use forge_alloc::{
    Allocator, BumpArena, CacheJitter, Canary, FailEveryNth, Faulty, HeapBytes, InlineBacked, NullHandler,
    PoisonOnFree, Quarantine, SizeClassed, Slab, StableAddress, StackAlloc, Statistics, Tracked, Watermark,
    ZeroizeOnFree,
};
use forge_trace::Op;
use forge_trace::shadow::{Checks, drive, drive_moving, drive_moving_empty};

use crate::{demand, history};

/// The bytes of a range.
const RANGE: usize = 32 << 10;

/// A slot that most requests fit, with the words that wrappers add.
type Slot = [u128; 24];

/// The layout under the wrappers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each name is the layout that it stands for")]
pub enum Subject {
    Bump,
    Stack,
    Slab,
    SizeClassed,
}

/// Every subject.
pub const SUBJECTS: [Subject; 4] = [Subject::Bump, Subject::Stack, Subject::Slab, Subject::SizeClassed];

/// One wrapper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each name is the wrapper that it stands for")]
pub enum Layer {
    Statistics,
    Watermark,
    Faulty,
    Poison,
    Zeroize,
    Quarantine,
    Canary,
    Jitter,
}

const LAYERS: [Layer; 8] = [
    Layer::Statistics,
    Layer::Watermark,
    Layer::Faulty,
    Layer::Poison,
    Layer::Zeroize,
    Layer::Quarantine,
    Layer::Canary,
    Layer::Jitter,
];

/// What one input says.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The layout at the bottom.
    pub subject: Subject,
    /// The wrappers, from the inside out.
    pub layers: [Layer; 2],
    /// After how many operations the stack is moved.
    pub move_every: usize,
    /// Whether resizes also change the alignment.
    pub vary_alignment: bool,
    /// The history.
    pub ops: Vec<Op>,
}

impl<'a> Arbitrary<'a> for Plan {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        let (subject, layers, bits): (u8, [u8; 2], u8) = input.arbitrary()?;
        Ok(Self {
            subject: SUBJECTS[usize::from(subject) % SUBJECTS.len()],
            layers: layers.map(|layer| LAYERS[usize::from(layer) % LAYERS.len()]),
            move_every: usize::from(bits >> 1) + 1,
            vary_alignment: bits & 1 != 0,
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
    match plan.subject {
        Subject::Bump => {
            plan.over(&|| BumpArena::new(heap()?).ok());
            plan.over_inline(&|| BumpArena::new(InlineBacked::<RANGE>::new()).ok());
        }
        Subject::Stack => {
            plan.over(&|| StackAlloc::new(heap()?).ok());
            plan.over_inline(&|| StackAlloc::new(InlineBacked::<RANGE>::new()).ok());
        }
        Subject::Slab => {
            plan.over(&|| {
                Slab::<Slot, _, _>::with_protection(
                    60,
                    arena()?,
                    Tracked::<forge_alloc::NoProtection>::default(),
                )
                .ok()
            });
            plan.over_inline(&|| Slab::<Slot, _>::new(60, InlineBacked::<RANGE>::new()).ok());
        }
        Subject::SizeClassed => plan.over(&|| SizeClassed::with_default_classes(arena()?, 8).ok()),
    }
}

/// Puts the wrappers of a plan around a layout, one a call; `$bound` is what every stage promises.
macro_rules! stages {
    ($first:ident, $second:ident, $finish:ident, $($bound:tt)*) => {
        fn $first<A: $($bound)*>(&self, make: &dyn Fn() -> Option<A>) {
            stages!(@wrap self, self.layers[0], make, $second);
        }

        fn $second<A: $($bound)*>(&self, make: &dyn Fn() -> Option<A>) {
            stages!(@wrap self, self.layers[1], make, $finish);
        }
    };
    (@wrap $plan:ident, $layer:expr, $make:ident, $next:ident) => {
        match $layer {
            Layer::Statistics => $plan.$next(&|| $make().map(Statistics::new)),
            Layer::Watermark => $plan.$next(&|| $make().map(|inner| Watermark::new(inner, NullHandler))),
            Layer::Faulty => $plan.$next(&|| $make().map(|inner| Faulty::new(inner, FailEveryNth::new(5)))),
            Layer::Poison => $plan.$next(&|| $make().map(PoisonOnFree::new)),
            Layer::Zeroize => $plan.$next(&|| $make().map(ZeroizeOnFree::new)),
            Layer::Quarantine => $plan.$next(&|| $make().map(Quarantine::<_, 3>::new)),
            Layer::Canary => $plan.$next(&|| $make().map(|inner| Canary::new_with_seed(inner, 5))),
            Layer::Jitter => $plan.$next(&|| $make().and_then(|inner| CacheJitter::with_params(inner, 16, 4, 5))),
        }
    };
}

impl Plan {
    stages!(over, over_second, alive, Allocator + StableAddress);
    stages!(over_inline, over_inline_second, moved, Allocator);

    fn checks(&self) -> Checks {
        Checks { sweep_every: 64, vary_alignment: self.vary_alignment, ..Checks::default() }
    }

    /// Runs the history on a stack whose blocks survive its moves.
    fn alive<A: Allocator + StableAddress>(&self, make: &dyn Fn() -> Option<A>) {
        if let Some(stack) = make() {
            demand(drive(&stack, &self.ops, self.checks()));
        }
        if let Some(stack) = make() {
            demand(drive_moving(stack, &self.ops, self.move_every, self.checks()));
        }
    }

    /// Runs the history on a stack that is moved between two lives of it.
    fn moved<A: Allocator>(&self, make: &dyn Fn() -> Option<A>) {
        if let Some(stack) = make() {
            demand(drive_moving_empty(stack, &self.ops, self.move_every, |_| self.checks()));
        }
    }
}

fn heap() -> Option<HeapBytes> {
    HeapBytes::with_align(RANGE, 4096).ok()
}

fn arena() -> Option<BumpArena<HeapBytes>> {
    BumpArena::new(heap()?).ok()
}
