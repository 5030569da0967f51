//! Two threads: one takes 64-byte objects, another gives them back.
//!
//! ```text
//!   remote-free      the owner takes 8192; the other thread uses them, then gives them back     timed: giving back
//!   remote-alloc     the same, then the owner takes 8192                                        timed: taking
//!   remote-pipeline  32,768 objects go from the owner through a ring to the other thread,
//!                    which gives them back while the owner takes more                           timed: wall clock
//!   remotes-N        N other threads give 8192 / N back each, one thread after another,
//!                    then the owner takes 8192                              timed: giving back and taking, added up
//! ```
//!
//! # Design
//!
//! A consumer that frees an object has used it: before the timed part of the first two kinds of rows, the other thread
//! writes the second word of each object, so that the row is about the free and not about the way of the object's line
//! from core to core. In the pipeline, the consumer only reads the first word, and all transfers count.
//!
//! One after another, so that eight threads on a machine with two cores measure what eight remotes cost, and not how the
//! system schedules them. Medians are compared: the shortest sample is a lucky placement of threads.
#![allow(unsafe_code)]

use core::ptr::NonNull;
use std::time::Duration;

use crate::contestants::remotes::{Chains, Ours, Owner, Queue, Reference, Remote};
#[cfg(feature = "snmalloc")]
use crate::contestants::slabs::Snmalloc;
use crate::contestants::slabs::{Mimalloc, Object, SystemMalloc, read_word};
use crate::harness::{Contestant, Row, Statistic, timed};
use crate::ring::{GROUP, Receiver, Sender, ring};
use crate::sink::keep;
use crate::threads::Helper;

/// Objects that travel at once: half of a second-level cache.
const COUNT: usize = 8 * 1024;
/// Objects that go through the pipeline per batch.
const FLOW: usize = 32 * 1024;

const _: () = assert!(FLOW & (GROUP - 1) == 0);

/// Returns the rows of this file.
pub fn rows() -> Vec<Row> {
    let row = |id, title, operations: usize, goal, contestants| {
        let (unit, operations, statistic) = ("object", operations as u64, Statistic::Median);
        Row { id, title, unit, operations, goal, statistic, contestants }
    };
    vec![
        row("remote-free", "two threads, remote free", COUNT, 0.36, frees),
        row("remote-alloc", "two threads, owner's allocation after remote frees", COUNT, 0.75, allocations),
        row("remote-pipeline", "two threads, pipeline", FLOW, 0.75, pipelines),
        row("remotes-1", "1 remote, freed and allocated again", COUNT, 0.6, several::<1>),
        row("remotes-2", "2 remotes in turn, freed and allocated again", COUNT, 0.6, several::<2>),
        row("remotes-4", "4 remotes in turn, freed and allocated again", COUNT, 0.6, several::<4>),
        row("remotes-8", "8 remotes in turn, freed and allocated again", COUNT, 0.6, several::<8>),
    ]
}

macro_rules! everyone {
    ($contestant:ident $(, $remotes:ident)?) => {
        vec![
            $contestant::<Ours $(, $remotes)?>(),
            $contestant::<Reference $(, $remotes)?>(),
            $contestant::<Queue $(, $remotes)?>(),
            $contestant::<Mimalloc $(, $remotes)?>(),
            $contestant::<SystemMalloc $(, $remotes)?>(),
            #[cfg(feature = "snmalloc")]
            $contestant::<Snmalloc $(, $remotes)?>(),
            $contestant::<Chains $(, $remotes)?>(),
        ]
    };
}

fn frees() -> Vec<Contestant> {
    everyone!(free)
}

fn allocations() -> Vec<Contestant> {
    everyone!(allocation)
}

fn pipelines() -> Vec<Contestant> {
    everyone!(pipeline)
}

fn several<const REMOTES: usize>() -> Vec<Contestant> {
    everyone!(in_turn, REMOTES)
}

/// The time of each side's part.
#[derive(Clone, Copy)]
struct Times {
    giving: Duration,
    taking: Duration,
}

/// An owner, the threads that give back what it takes, and what it took.
pub struct Trade<O: Owner> {
    helpers: Vec<Helper<O::Remote>>,
    taken: Vec<NonNull<Object>>,
    owner: Box<O>,
}

impl<O: Owner> Trade<O> {
    /// Returns an owner of `count` objects and `remotes` threads.
    pub fn new(remotes: usize, count: usize) -> Self {
        let owner = Box::new(O::with_capacity(count));
        let helpers = (0..remotes).map(|_| Helper::new(owner.remote())).collect();
        Self { helpers, taken: vec![NonNull::dangling(); count], owner }
    }

    /// Takes every object.
    pub fn take(&mut self) {
        take(&mut *self.owner, &mut self.taken);
    }

    /// Has each thread in turn do `work` with a share of the objects, which must give them back; adds up the times.
    pub fn give_back(&mut self, work: fn(&mut O::Remote, &Parcel) -> Duration) -> Duration {
        let shares = self.taken.chunks(self.taken.len() / self.helpers.len());
        let times = self.helpers.iter().zip(shares).map(|(helper, share)| {
            let parcel = Parcel(share.to_vec());
            helper.run(move |remote| work(remote, &parcel))
        });
        times.sum()
    }

    /// Takes every object and has each thread use and give back a share of them.
    fn cycle(&mut self) -> Times {
        let taking = timed(|| self.take());
        let giving = self.give_back(|remote, parcel| {
            parcel.used();
            // SAFETY: the objects were taken and are given back once, by this thread.
            timed(|| unsafe { give(remote, parcel) })
        });
        Times { giving, taking }
    }
}

/// Objects on their way to another thread.
pub struct Parcel(Vec<NonNull<Object>>);

// SAFETY: whoever has the parcel owns the objects.
unsafe impl Send for Parcel {}

impl Parcel {
    /// Writes to each object, as a consumer does.
    fn used(&self) {
        for object in &self.0 {
            // SAFETY: the objects are live and ours, and larger than two words.
            unsafe { object.cast::<u64>().add(1).write(1) };
        }
    }

    /// Gives the objects back and returns whether they hold `expected` and the numbers after it.
    ///
    /// # Safety
    ///
    /// As for [`give`].
    unsafe fn return_to<R: Remote>(&self, remote: &mut R, expected: u64) -> bool {
        // SAFETY: the caller's contract.
        let word_of = |&object: &NonNull<Object>| unsafe { remote.give(object) };
        let words: Vec<u64> = self.0.iter().map(word_of).collect();
        remote.flush();
        words.into_iter().eq((expected..).take(self.0.len()))
    }
}

/// Takes as many objects as there are places.
#[inline(never)]
fn take<O: Owner>(owner: &mut O, places: &mut [NonNull<Object>]) {
    keep(owner);
    for (place, word) in places.iter_mut().zip(0..) {
        *place = owner.take(word);
        keep(owner);
    }
}

/// Gives the objects back.
///
/// # Safety
///
/// The objects were taken from the owner of `remote` and not given back since.
#[inline(never)]
pub unsafe fn give<R: Remote>(remote: &mut R, objects: &Parcel) {
    keep(remote);
    let mut sum = 0_u64;
    for &object in &objects.0 {
        // SAFETY: the caller's contract.
        sum = sum.wrapping_add(unsafe { remote.give(object) });
        keep(remote);
    }
    remote.flush();
    keep(&raw const sum);
}

/// Returns a contestant whose batch is `time` of the second of two cycles.
fn cycles<O: Owner>(remotes: usize, time: fn(Times) -> Duration) -> Contestant {
    let mut trade = None;
    Contestant::new(
        O::NAME,
        O::SIDE,
        move || check::<O>(remotes),
        move || {
            let trade = trade.get_or_insert_with(|| Trade::<O>::new(remotes, COUNT));
            trade.cycle();
            time(trade.cycle())
        },
    )
}

fn free<O: Owner>() -> Contestant {
    cycles::<O>(1, |times| times.giving)
}

fn allocation<O: Owner>() -> Contestant {
    cycles::<O>(1, |times| times.taking)
}

fn in_turn<O: Owner, const REMOTES: usize>() -> Contestant {
    cycles::<O>(REMOTES, |times| times.giving + times.taking)
}

fn pipeline<O: Owner>() -> Contestant {
    let mut flow = None;
    Contestant::new(
        O::NAME,
        O::SIDE,
        || check::<O>(1),
        move || {
            let flow = flow.get_or_insert_with(Flow::<O>::new);
            flow.run(FLOW / 4);
            flow.run(FLOW)
        },
    )
}

/// An owner, a thread that gives back, and the ring between them.
struct Flow<O: Owner> {
    helper: Helper<(O::Remote, Receiver<Object>)>,
    sender: Sender<Object>,
    owner: Box<O>,
}

impl<O: Owner> Flow<O> {
    fn new() -> Self {
        let owner = Box::new(O::with_capacity(COUNT));
        let (sender, receiver) = ring();
        Self { helper: Helper::new((owner.remote(), receiver)), sender, owner }
    }

    /// Sends `count` objects through the pipeline.
    fn run(&mut self, count: usize) -> Duration {
        let (owner, sender) = (&mut *self.owner, &mut self.sender);
        self.helper.at_once(
            || produce(owner, sender, count),
            move |(remote, receiver)| consume(remote, receiver, count),
        )
    }
}

/// Takes objects and sends them.
#[inline(never)]
fn produce<O: Owner>(owner: &mut O, sender: &mut Sender<Object>, count: usize) {
    keep(owner);
    for word in 0..count as u64 {
        let object = owner.take(word);
        keep(owner);
        sender.send(object);
    }
}

/// Receives objects and gives them back.
#[inline(never)]
fn consume<R: Remote>(remote: &mut R, receiver: &mut Receiver<Object>, count: usize) {
    keep(remote);
    let mut sum = 0_u64;
    for _ in 0..count {
        let object = receiver.receive();
        // SAFETY: the owner took the object, and it comes through the ring once.
        sum = sum.wrapping_add(unsafe { remote.give(object) });
        keep(remote);
    }
    remote.flush();
    keep(&raw const sum);
}

/// Returns an error unless objects keep their words until another thread gives them back, over several cycles.
fn check<O: Owner>(remotes: usize) -> Result<(), String> {
    const FEW: usize = 1024;
    let mut owner = O::with_capacity(FEW);
    let helpers: Vec<_> = (0..remotes).map(|_| Helper::new(owner.remote())).collect();
    for first in [0, 1 << 20, 1 << 40] {
        let objects: Vec<_> = (first..first + FEW as u64).map(|word| owner.take(word)).collect();
        // SAFETY: the objects are live.
        let word_of = |&object: &NonNull<Object>| unsafe { read_word(object) };
        if !objects.iter().map(word_of).eq(first..first + FEW as u64) {
            return Err("an object was overwritten before it was given back".to_string());
        }
        for (number, helper) in helpers.iter().enumerate() {
            let share = FEW / remotes;
            let parcel = Parcel(objects[number * share..][..share].to_vec());
            let expected = first + (number * share) as u64;
            // SAFETY: the objects were taken and are given back once.
            if !helper.run(move |remote| unsafe { parcel.return_to(remote, expected) }) {
                return Err("an object was overwritten on its way".to_string());
            }
        }
    }
    Ok(())
}
