//! Slabs against the shadow model: any history, under every policy, with the slab moved between calls.
//!
//! An input names a subject, how many slots it has, and a history. The history is run with the blocks alive across moves
//! where the memory stays in place, and freed before each move where it does not; afterwards no slot may be live or lost.

use arbitrary::{Arbitrary, Result, Unstructured};
use forge_alloc::{
    Allocator, BumpArena, FixedRange, FreelistProtection, HeapBytes, InlineBacked, NoProtection, OffSlab,
    SipHashMAC, Slab, StableAddress, Tracked,
};
use forge_trace::Op;
use forge_trace::shadow::{Checks, Summary, Violation, drive, drive_moving, drive_moving_empty};

use crate::{demand, history};

/// The bytes of a range.
const RANGE: usize = 32 << 10;

/// A slot that most requests fit.
type Slot = [u128; 16];

/// The allocator that a history is run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Arbitrary)]
#[allow(missing_docs, reason = "each name is the policy that it stands for")]
pub enum Subject {
    Linked,
    Signed,
    OffSlab,
    Tracked,
    TrackedSigned,
    TrackedOffSlab,
}

/// Every subject.
pub const SUBJECTS: [Subject; 6] = [
    Subject::Linked,
    Subject::Signed,
    Subject::OffSlab,
    Subject::Tracked,
    Subject::TrackedSigned,
    Subject::TrackedOffSlab,
];

/// What one input says.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The allocator under test.
    pub subject: Subject,
    /// How many slots it has.
    pub slots: u32,
    /// After how many operations the allocator is moved.
    pub move_every: usize,
    /// Whether resizes also change the alignment.
    pub vary_alignment: bool,
    /// The history.
    pub ops: Vec<Op>,
}

impl<'a> Arbitrary<'a> for Plan {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        let (subject, slots, bits): (u8, u8, u8) = input.arbitrary()?;
        Ok(Self {
            subject: SUBJECTS[usize::from(subject) % SUBJECTS.len()],
            slots: u32::from(slots % 64) + 1,
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
    let key = || SipHashMAC::with_key([0x5A; 16]);
    match plan.subject {
        Subject::Linked => plan.slab(|| NoProtection),
        Subject::Signed => plan.slab(key),
        Subject::OffSlab => plan.slab(|| OffSlab),
        Subject::Tracked => plan.slab(|| Tracked(NoProtection)),
        Subject::TrackedSigned => plan.slab(|| Tracked(key())),
        Subject::TrackedOffSlab => plan.slab(|| Tracked(OffSlab)),
    }
}

impl Plan {
    fn checks(&self) -> Checks {
        Checks { sweep_every: 64, vary_alignment: self.vary_alignment, ..Checks::default() }
    }

    fn slab<M: FreelistProtection>(&self, policy: impl Fn() -> M) {
        let slots = self.slots as usize;
        if let Ok(slab) = Slab::<Slot, _, M>::with_protection(slots, InlineBacked::<RANGE>::new(), policy()) {
            demand(drive_moving_empty(slab, &self.ops, self.move_every, |range| Checks {
                range: Checks::within(range).range,
                ..self.checks()
            }));
        }
        let Some(backing) = heap() else { return };
        let Ok(slab) = Slab::<Slot, _, M>::with_protection(slots, backing, policy()) else { return };
        demand(drive(&slab, &self.ops, self.checks()));
        assert_eq!((slab.len(), slab.lost(), slab.iter().count()), (0, 0, 0), "every block was freed");
        demand(self.move_alive(slab));
    }

    fn move_alive<A: Allocator + StableAddress>(
        &self,
        allocator: A,
    ) -> core::result::Result<Summary, Violation> {
        drive_moving(allocator, &self.ops, self.move_every, self.checks())
    }
}

/// Returns a range that stays where it is.
fn heap() -> Option<BumpArena<HeapBytes>> {
    let arena = BumpArena::new(HeapBytes::with_align(RANGE, 4096).ok()?).ok()?;
    assert_eq!(arena.size(), RANGE);
    Some(arena)
}
