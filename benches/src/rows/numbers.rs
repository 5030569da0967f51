//! Pages and ids: numbers taken and given back, one at a time and in a row.
//!
//! ```text
//!   page-10, -50, -95       so much of 1 Mi pages is taken, at random; one of them given back, one taken
//!   page-burst              1024 pages taken, then given back in order, where half of the pages is taken
//!   pages-16-10, ..         so much is taken in runs of 1 to 16 pages; one run given back, one taken
//!   pages-8-10, ..          the same in runs of 8 aligned to 8
//!   pages-512               half is taken in runs of 512 aligned to 512
//!   id-10, -50, -95, -burst the same as for single pages, of 64 Ki ids
//! ```
//!
//! # Design
//!
//! The run that is taken has the length of the run that was given back the time before, so what is taken stays what it is, and
//! everyone sees the same requests. A run that is refused is a hole until its turn comes again.
//!
//! Numbers that are given back at random and taken in order become ordered again; so the victims are the same random
//! places of the table of what is held in every pass, whatever numbers are there.

use crate::contestants::numbers::{
    BitmapPages, BuddyFrames, BuddyPages, Hinted, IDS, Numbers, OurIds, PAGES, Runs, SeedPages, TreeIds,
    TreePages,
};
use crate::harness::{Contestant, Row, Statistic, timed};
use crate::random::Random;
use crate::rows::slabs::shuffled;
use crate::sink::{exhausted, keep};
use forge_alloc::{LowestFirst, RoundRobin};

/// Pairs per batch.
const CHANGES: usize = 1 << 14;
/// Pairs per batch where some contestants take tens of microseconds for one.
const SLOW_CHANGES: usize = 256;
/// Numbers taken before as many are given back.
pub const BURST: usize = 1024;

/// Returns the rows of this file.
pub fn rows() -> Vec<Row> {
    let row = |id, title, operations: usize, goal, contestants| {
        let (operations, statistic) = (operations as u64, Statistic::Minimum);
        Row { id, title, unit: "pair", operations, goal, statistic, contestants }
    };
    let single = |id, title, goal, contestants| row(id, title, CHANGES, goal, contestants);
    let several = |id, title, goal, contestants| row(id, title, SLOW_CHANGES, goal, contestants);
    vec![
        single("page-10", "pages, one, 10 % taken", 0.90, pages::<10>),
        single("page-50", "pages, one, 50 % taken", 0.80, pages::<50>),
        single("page-95", "pages, one, 95 % taken", 0.75, pages::<95>),
        row("page-burst", "pages, 1024 taken, then given back", 16 * BURST, 0.60, page_bursts),
        several("pages-16-10", "pages, runs of 1..16, 10 % taken", 0.40, runs::<10>),
        several("pages-16-50", "pages, runs of 1..16, 50 % taken", 0.40, runs::<50>),
        several("pages-16-95", "pages, runs of 1..16, 95 % taken", 0.50, runs::<95>),
        several("pages-8-10", "pages, 8 aligned to 8, 10 % taken", 0.60, eights::<10>),
        several("pages-8-50", "pages, 8 aligned to 8, 50 % taken", 0.35, eights::<50>),
        several("pages-8-95", "pages, 8 aligned to 8, 95 % taken", 0.30, eights::<95>),
        several("pages-512", "pages, 512 aligned to 512", 0.40, large),
        single("id-10", "ids, one, 10 % taken", 0.90, ids::<10>),
        single("id-50", "ids, one, 50 % taken", 0.90, ids::<50>),
        single("id-95", "ids, one, 95 % taken", 0.80, ids::<95>),
        row("id-burst", "ids, 1024 taken, then given back", 16 * BURST, 0.60, id_bursts),
    ]
}

macro_rules! each_pages {
    ($contestant:ident, $arguments:tt $(, $more:ty)*) => {
        vec![
            $contestant::<BitmapPages>$arguments,
            $contestant::<BuddyPages>$arguments,
            $contestant::<SeedPages>$arguments,
            $contestant::<TreePages>$arguments,
            $contestant::<BuddyFrames>$arguments,
            $($contestant::<$more>$arguments,)*
        ]
    };
}

macro_rules! each_ids {
    ($contestant:ident, $arguments:tt) => {
        vec![
            $contestant::<OurIds<LowestFirst>>$arguments,
            $contestant::<OurIds<RoundRobin>>$arguments,
            $contestant::<TreeIds>$arguments,
            $contestant::<Hinted<IDS>>$arguments,
        ]
    };
}

fn pages<const PERCENT: usize>() -> Vec<Contestant> {
    each_pages!(singles, (PAGES, PERCENT), Hinted<PAGES>)
}

fn ids<const PERCENT: usize>() -> Vec<Contestant> {
    each_ids!(singles, (IDS, PERCENT))
}

fn page_bursts() -> Vec<Contestant> {
    each_pages!(bursts, (PAGES), Hinted<PAGES>)
}

fn id_bursts() -> Vec<Contestant> {
    each_ids!(bursts, (IDS))
}

fn runs<const PERCENT: usize>() -> Vec<Contestant> {
    each_pages!(several, (PERCENT, 1, 16, 1))
}

fn eights<const PERCENT: usize>() -> Vec<Contestant> {
    each_pages!(several, (PERCENT, 8, 8, 8))
}

fn large() -> Vec<Contestant> {
    each_pages!(several, (50, 512, 512, 512))
}

/// What is taken of an allocator, one number at a time.
pub struct Held<N> {
    numbers: N,
    held: Vec<usize>,
    victims: Vec<u32>,
}

impl<N: Numbers> Held<N> {
    /// Returns an allocator of `count` numbers of which `percent` are taken, at random, for as many `changes`.
    pub fn new(count: usize, percent: usize, changes: usize) -> Self {
        let mut numbers = N::full();
        let mut held: Vec<_> = (0..count).map(|_| numbers.take().unwrap_or_else(|| exhausted())).collect();
        let mut random = Random::new(0x9a6e);
        while held.len() > count * percent / 100 {
            numbers.give(held.swap_remove(random.between(0, held.len() - 1)));
        }
        let victims = (0..changes).map(|_| random.between(0, held.len() - 1) as u32).collect();
        Self { numbers, held, victims }
    }

    /// Gives one number back and takes one, for each victim.
    #[inline(never)]
    pub fn change(&mut self) {
        let numbers = &mut self.numbers;
        keep(numbers);
        for &victim in &self.victims {
            let place = &mut self.held[victim as usize];
            numbers.give(*place);
            keep(numbers);
            *place = numbers.take().unwrap_or_else(|| exhausted());
            keep(numbers);
        }
    }

    /// Takes numbers, then gives them back.
    #[inline(never)]
    pub fn burst(&mut self, taken: &mut [usize; BURST]) {
        let numbers = &mut self.numbers;
        keep(numbers);
        for place in taken.iter_mut() {
            *place = numbers.take().unwrap_or_else(|| exhausted());
            keep(numbers);
        }
        for &number in taken.iter() {
            numbers.give(number);
            keep(numbers);
        }
    }
}

fn singles<N: Numbers>(count: usize, percent: usize) -> Contestant {
    let mut held = None;
    Contestant::new(N::NAME, N::SIDE, check_singles::<N>, move || {
        let held = held.get_or_insert_with(|| Held::<N>::new(count, percent, CHANGES));
        held.change();
        timed(|| held.change())
    })
}

fn bursts<N: Numbers>(count: usize) -> Contestant {
    let (mut held, mut taken) = (None, Box::new([0; BURST]));
    Contestant::new(N::NAME, N::SIDE, check_singles::<N>, move || {
        let held = held.get_or_insert_with(|| Held::<N>::new(count, 50, CHANGES));
        held.burst(&mut taken);
        timed(|| (0..16).for_each(|_| held.burst(&mut taken)))
    })
}

/// What is taken of an allocator, in runs.
pub struct HeldRuns<N> {
    numbers: N,
    held: Vec<(Option<usize>, usize)>,
    hand: usize,
    align: usize,
    victims: Vec<u32>,
}

impl<N: Runs> HeldRuns<N> {
    /// Returns an allocator of which `percent` of the pages are taken in runs that came and went, of so many pages from the
    /// least to the most, for as many `changes`.
    pub fn new(percent: usize, (low, high): (usize, usize), align: usize, changes: usize) -> Self {
        let mut numbers = N::full();
        let mut random = Random::new(0x6f1c);
        let (mut held, mut taken) = (Vec::new(), 0);
        while taken < PAGES * percent / 100 {
            let count = random.between(low, high);
            let Some(first) = numbers.take_run(count, align) else { break };
            held.push((Some(first), count));
            taken += count;
        }
        let order = shuffled(held.len());
        // A third of the runs comes and goes at once, so that free runs have many lengths.
        for part in 0..3 {
            let part = order.iter().skip(part).step_by(3);
            for &place in part.clone() {
                let (first, count) = &mut held[place as usize];
                if let Some(first) = first.take() {
                    numbers.give_run(first, *count, align);
                }
            }
            for &place in part {
                let (first, count) = &mut held[place as usize];
                *first = numbers.take_run(*count, align);
            }
        }
        let victims = (0..changes).map(|_| random.between(0, held.len() - 1) as u32).collect();
        let hand = random.between(low, high);
        Self { numbers, held, hand, align, victims }
    }

    /// Gives one run back and takes one, for each victim.
    #[inline(never)]
    pub fn change(&mut self) {
        let (numbers, align) = (&mut self.numbers, self.align);
        keep(numbers);
        for &victim in &self.victims {
            let (first, count) = &mut self.held[victim as usize];
            if let Some(first) = *first {
                numbers.give_run(first, *count, align);
            }
            keep(numbers);
            core::mem::swap(count, &mut self.hand);
            *first = numbers.take_run(*count, align);
            keep(numbers);
        }
    }
}

fn several<N: Runs>(percent: usize, low: usize, high: usize, align: usize) -> Contestant {
    let mut held = None;
    Contestant::new(N::NAME, N::SIDE, check_runs::<N>, move || {
        let held = held.get_or_insert_with(|| HeldRuns::<N>::new(percent, (low, high), align, SLOW_CHANGES));
        held.change();
        timed(|| held.change())
    })
}

/// Returns an error if a number is handed out twice.
fn check_singles<N: Numbers>() -> Result<(), String> {
    let (mut numbers, mut random) = (N::full(), Random::new(3));
    let (mut held, mut seen) = (Vec::new(), vec![false; PAGES]);
    for _ in 0..4000 {
        if random.between(0, 2) < 2 {
            let number = numbers.take().ok_or("an allocator with free numbers refuses one")?;
            if core::mem::replace(&mut seen[number], true) {
                return Err(format!("{number} is handed out twice"));
            }
            held.push(number);
        } else if !held.is_empty() {
            let number = held.swap_remove(random.between(0, held.len() - 1));
            seen[number] = false;
            numbers.give(number);
        }
    }
    Ok(())
}

/// Returns an error if runs overlap or lie wrong. Single pages ask for no alignment, which the crate of the seed ignores.
fn check_runs<N: Runs>() -> Result<(), String> {
    let (mut numbers, mut random) = (N::full(), Random::new(5));
    let (mut held, mut seen) = (Vec::new(), vec![false; PAGES]);
    for _ in 0..500 {
        if random.between(0, 2) < 2 {
            let count = random.between(1, 40);
            let align = if count == 1 { 1 } else { 1 << random.between(0, 9) };
            let first = numbers.take_run(count, align).ok_or("a run is refused")?;
            let places = seen.get_mut(first..first + count).ok_or("a run is out of range")?;
            if first % align != 0 || places.contains(&true) {
                return Err(format!("{count} from {first} aligned to {align} is wrong"));
            }
            places.fill(true);
            held.push((first, count, align));
        } else if !held.is_empty() {
            let (first, count, align) = held.swap_remove(random.between(0, held.len() - 1));
            seen[first..first + count].fill(false);
            numbers.give_run(first, count, align);
        }
    }
    Ok(())
}
