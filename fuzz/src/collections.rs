//! Collections over arenas against the same collections of the standard library.
//!
//! An input names an arena and the steps of a program in safe code: a vector that owns strings, a vector of plain bytes,
//! and a map, which push, insert, remove, reserve, shrink, are cleared, and are copied. After every step each must equal its
//! twin from `std`; after a refused reservation too.
//!
//! # Design
//!
//! A collection that must grow and cannot ends the process, so over a range of fixed size the steps reserve first and are
//! left out where that fails; steps that allocate without saying so (a shrinking map, a copy) happen only where the arena
//! grows. The strings own memory of the global allocator: a lost or a doubled element is seen by the leak checker or by the
//! address sanitizer.

use std::collections::HashMap as StdMap;

use allocator_api2::alloc::Allocator as StdAllocator;
use allocator_api2::vec::Vec as VecIn;
use arbitrary::{Arbitrary, Result, Unstructured};
use forge_alloc::{Arena, BumpArena, HeapBytes, HeapSource, SharedBumpArena, StackAlloc, StdCompat, System};
use hashbrown::{DefaultHashBuilder, HashMap};

/// The largest number of steps of one program.
const LONGEST: usize = 300;

/// The largest number of elements that are added or reserved at once.
const MANY: usize = 300;

/// What the collections allocate from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Arbitrary)]
#[allow(missing_docs, reason = "each name is the type that it stands for")]
pub enum Subject {
    System,
    Arena,
    ArenaPacked,
    ArenaScope,
    ArenaLimited,
    Bump,
    BumpScope,
    Stack,
    Shared,
}

/// Every subject.
pub const SUBJECTS: [Subject; 9] = [
    Subject::System,
    Subject::Arena,
    Subject::ArenaPacked,
    Subject::ArenaScope,
    Subject::ArenaLimited,
    Subject::Bump,
    Subject::BumpScope,
    Subject::Stack,
    Subject::Shared,
];

/// One step of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Arbitrary)]
#[allow(missing_docs, reason = "each name is the method that is called")]
pub enum Step {
    Push(u8),
    Insert(u8, u8),
    Remove(u8),
    SwapRemove(u8),
    Truncate(u8),
    Drain(u8, u8),
    Clear,
    Reserve(u16),
    ReserveExact(u16),
    ShrinkToFit,
    ShrinkTo(u16),
    Copy,
    Bytes(u8, u16),
    BytesTruncate(u16),
    BytesShrink,
    MapInsert(u8, u32),
    MapRemove(u8),
    MapRetain(u8),
    MapReserve(u16),
    MapShrink,
    MapClear,
    MapCopy,
}

/// What one input says.
#[derive(Clone, Debug)]
pub struct Program {
    /// What the collections allocate from.
    pub subject: Subject,
    /// The size of its range, or its limit, in bytes.
    pub capacity: usize,
    /// What they do.
    pub steps: Vec<Step>,
}

impl<'a> Arbitrary<'a> for Program {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        let subject: u8 = input.arbitrary()?;
        let capacity: u16 = input.arbitrary()?;
        let mut steps = Vec::new();
        while steps.len() < LONGEST && !input.is_empty() {
            steps.push(input.arbitrary()?);
        }
        let subject = SUBJECTS[usize::from(subject) % SUBJECTS.len()];
        Ok(Self { subject, capacity: usize::from(capacity) + 1, steps })
    }
}

/// Runs one input.
///
/// # Panics
///
/// If a collection differs from its twin.
#[inline]
pub fn run(program: &Program) {
    let steps = &program.steps;
    let Ok(heap) = HeapBytes::new(program.capacity) else { return };
    match program.subject {
        Subject::System => twins(StdCompat::new(System::new()), steps, true),
        Subject::Arena => twins(StdCompat::new(&Arena::new()), steps, true),
        Subject::ArenaPacked => {
            twins(StdCompat::new(&Arena::<_, 1>::with_source(HeapSource)), steps, true);
        }
        Subject::ArenaScope => {
            let mut arena = Arena::new();
            twins(StdCompat::new(&arena.scope()), steps, true);
            assert_eq!(arena.allocated_bytes(), 0, "a scope left something behind");
        }
        Subject::ArenaLimited => {
            twins(StdCompat::new(&Arena::new().limited_to(program.capacity)), steps, false);
        }
        Subject::Bump => {
            if let Ok(arena) = BumpArena::new(heap) {
                twins(StdCompat::new(&arena), steps, false);
            }
        }
        Subject::BumpScope => {
            if let Ok(mut arena) = BumpArena::new(heap) {
                twins(StdCompat::new(&arena.scope()), steps, false);
                assert_eq!(arena.allocated(), 0, "a scope left something behind");
            }
        }
        Subject::Stack => {
            if let Ok(stack) = StackAlloc::new(heap) {
                twins(StdCompat::new(&stack), steps, false);
                assert_eq!(stack.allocated(), 0, "every block was freed");
            }
        }
        Subject::Shared => {
            if let Ok(arena) = SharedBumpArena::new(heap) {
                twins(StdCompat::new(&arena), steps, false);
            }
        }
    }
}

fn twins<A: StdAllocator + Clone>(allocator: A, steps: &[Step], grows: bool) {
    let mut twins = Twins {
        words: VecIn::new_in(allocator.clone()),
        words_std: Vec::new(),
        bytes: VecIn::new_in(allocator.clone()),
        bytes_std: Vec::new(),
        map: HashMap::with_hasher_in(DefaultHashBuilder::default(), allocator),
        map_std: StdMap::new(),
        grows,
    };
    for step in steps {
        twins.step(*step);
        twins.compare(*step);
    }
}

/// Each collection over the arena beside its twin.
struct Twins<A: StdAllocator + Clone> {
    words: VecIn<String, A>,
    words_std: Vec<String>,
    bytes: VecIn<u8, A>,
    bytes_std: Vec<u8>,
    map: HashMap<u16, [u32; 3], DefaultHashBuilder, A>,
    map_std: StdMap<u16, [u32; 3]>,
    /// Whether the arena always has room.
    grows: bool,
}

impl<A: StdAllocator + Clone> Twins<A> {
    fn step(&mut self, step: Step) {
        match step {
            Step::Push(_) | Step::Insert(..) | Step::Remove(_) | Step::SwapRemove(_) => self.one_word(step),
            Step::Truncate(_) | Step::Drain(..) | Step::Clear => self.fewer_words(step),
            Step::Reserve(_) | Step::ReserveExact(_) | Step::ShrinkToFit | Step::ShrinkTo(_) | Step::Copy => {
                self.room_for_words(step);
            }
            Step::Bytes(..) | Step::BytesTruncate(_) | Step::BytesShrink => self.some_bytes(step),
            _ => self.entries(step),
        }
    }

    fn one_word(&mut self, step: Step) {
        let place = |value: u8, length: usize| usize::from(value) % length.max(1);
        let length = self.words.len();
        match step {
            Step::Push(value) if self.words.try_reserve(1).is_ok() => {
                self.words.push(format!("word {value}"));
                self.words_std.push(format!("word {value}"));
            }
            Step::Insert(at, value) if self.words.try_reserve(1).is_ok() => {
                let at = place(at, length + 1);
                self.words.insert(at, format!("inserted {value}"));
                self.words_std.insert(at, format!("inserted {value}"));
            }
            Step::Remove(at) if length > 0 => {
                let at = place(at, length);
                assert_eq!(self.words.remove(at), self.words_std.remove(at));
            }
            Step::SwapRemove(at) if length > 0 => {
                let at = place(at, length);
                assert_eq!(self.words.swap_remove(at), self.words_std.swap_remove(at));
            }
            _ => {}
        }
    }

    fn fewer_words(&mut self, step: Step) {
        match step {
            Step::Truncate(length) => {
                self.words.truncate(usize::from(length));
                self.words_std.truncate(usize::from(length));
            }
            Step::Drain(from, to) => {
                let from = usize::from(from) % (self.words.len() + 1);
                let to = from + usize::from(to) % (self.words.len() - from + 1);
                assert!(self.words.drain(from..to).eq(self.words_std.drain(from..to)));
            }
            _ => {
                self.words.clear();
                self.words_std.clear();
            }
        }
    }

    fn room_for_words(&mut self, step: Step) {
        match step {
            Step::Reserve(more) => {
                let more = usize::from(more) % MANY;
                if self.words.try_reserve(more).is_ok() {
                    assert!(self.words.capacity() - self.words.len() >= more);
                } else {
                    assert!(!self.grows, "an arena that grows refused {more} elements");
                }
            }
            Step::ReserveExact(more) => {
                let more = usize::from(more) % MANY;
                if self.words.try_reserve_exact(more).is_ok() {
                    assert!(self.words.capacity() - self.words.len() >= more);
                } else {
                    assert!(!self.grows, "an arena that grows refused {more} elements");
                }
            }
            Step::ShrinkToFit => self.words.shrink_to_fit(),
            Step::ShrinkTo(capacity) => self.words.shrink_to(usize::from(capacity) % MANY),
            // The old vector is freed after the copy: out of order, as far as the arena is concerned.
            _ if self.grows => self.words = self.words.clone(),
            _ => {}
        }
    }

    fn some_bytes(&mut self, step: Step) {
        match step {
            Step::Bytes(value, count) => {
                let count = usize::from(count) % MANY;
                if self.bytes.try_reserve(count).is_ok() {
                    self.bytes.extend(core::iter::repeat_n(value, count));
                    self.bytes_std.extend(core::iter::repeat_n(value, count));
                }
            }
            Step::BytesTruncate(length) => {
                self.bytes.truncate(usize::from(length));
                self.bytes_std.truncate(usize::from(length));
            }
            _ => self.bytes.shrink_to_fit(),
        }
    }

    fn entries(&mut self, step: Step) {
        match step {
            Step::MapInsert(key, value) if self.map.try_reserve(1).is_ok() => {
                let (key, value) = (u16::from(key), [value, !value, 0]);
                assert_eq!(self.map.insert(key, value), self.map_std.insert(key, value));
            }
            Step::MapRemove(key) => {
                let key = u16::from(key);
                assert_eq!(self.map.remove(&key), self.map_std.remove(&key));
            }
            Step::MapRetain(divisor) => {
                let keep = |key: &u16| !key.is_multiple_of(u16::from(divisor) + 1);
                self.map.retain(|key, _| keep(key));
                self.map_std.retain(|key, _| keep(key));
            }
            Step::MapReserve(more) => {
                let reserved = self.map.try_reserve(usize::from(more) % MANY);
                assert!(reserved.is_ok() || !self.grows, "an arena that grows refused {more} entries");
            }
            Step::MapShrink if self.grows => self.map.shrink_to_fit(),
            Step::MapCopy if self.grows => self.map = self.map.clone(),
            Step::MapClear => {
                self.map.clear();
                self.map_std.clear();
            }
            _ => {}
        }
    }

    fn compare(&self, step: Step) {
        assert!(self.words.as_slice() == self.words_std.as_slice(), "the words differ after {step:?}");
        assert!(self.bytes.as_slice() == self.bytes_std.as_slice(), "the bytes differ after {step:?}");
        let same = |(key, value)| self.map.get(key) == Some(value);
        let equal = self.map.len() == self.map_std.len() && self.map_std.iter().all(same);
        assert!(equal, "the maps differ after {step:?}");
    }
}

#[cfg(test)]
mod tests;
