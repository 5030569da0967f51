//! Handles: 32-byte values put in, taken out and looked up by name.
//!
//! ```text
//!   handle-pair           one value in, and out again, over a pool of a thousand others
//!   handle-churn          runs of removals in random order, runs of insertions: about 50 000 of 100 000 live
//!   handle-get            512 live values, looked up in random order
//!   handle-get-dependent  the same, where each value says which handle comes next
//!   handle-get-wide       50 000 live values scattered over 100 000 slots, in random order
//!   handle-get-stale      512 handles of removed values, whose slots hold other values
//! ```
//!
//! # Design
//!
//! A lookup reads the first word of the value, the least that a program does with it. The pool's address escapes before
//! each pass and not within it: a pass over handles that changes nothing in between may keep the pool's fields in
//! registers, for every contestant alike. An insertion and a removal each see the pool as after a call of unknown code.
//!
//! Eight lookups stand between two turns of their loop, whose own branch would else bound them all alike; each is made to
//! end in a register before the next, so that the compiler neither reorders nor merges them.
//!
//! The churn walks: runs of random length move the number of live values, so that insertions reach slots freed long ago.
//! Each batch runs once before the timed part, since the other contestants have emptied the caches.

use crate::contestants::Wide;
use crate::contestants::handles::{Dense, Limit, Ours, Pool, Reference, SlotMap, Thunderdome, Unguarded};
use crate::harness::{Contestant, Row, Statistic, timed};
use crate::random::Random;
use crate::sink::{exhausted, keep, settled};

/// Live values of the small rows.
const FEW: usize = 512;
/// Lookups per batch of the small rows.
const LOOKUPS: usize = FEW * 128;
/// Lookups between two branches of the loop around them.
const GROUP: usize = 8;
/// Pairs per batch.
const PAIRS: usize = 1 << 15;
/// Other values in the pool of the pairs.
const OTHERS: usize = 1000;
/// Slots of the large pool.
const SLOTS: usize = 100_000;
/// Live values of the large pool.
const MANY: usize = SLOTS / 2;
/// Removals per batch of the churn, and insertions.
const CHANGES: usize = 1 << 15;
/// The longest run of removals or insertions.
const LONGEST_RUN: usize = 128;

/// Returns the rows of this file.
pub fn rows() -> Vec<Row> {
    let row = |id, title, unit, operations: usize, goal, contestants| {
        let (operations, statistic) = (operations as u64, Statistic::Minimum);
        Row { id, title, unit, operations, goal, statistic, contestants }
    };
    vec![
        row("handle-pair", "32 B value inserted and removed", "pair", PAIRS, 0.85, pairs),
        row("handle-churn", "churn, about 50,000 of 100,000 slots live", "pair", CHANGES, 0.85, churns),
        row("handle-get", "get, 512 live, random order", "get", LOOKUPS, 0.8, random_gets),
        row("handle-get-dependent", "get, each value names the next", "get", LOOKUPS, 0.95, chained_gets),
        row("handle-get-wide", "get, 50,000 live of 100,000 slots", "get", MANY, 0.85, wide_gets),
        row("handle-get-stale", "get, stale handles", "get", LOOKUPS, 0.9, stale_gets),
    ]
}

/// Calls a function for every library that tells a removed value's handle from a live one, and for the limit.
macro_rules! guarded {
    ($contestant:ident) => {
        vec![
            $contestant::<Ours>(),
            $contestant::<SlotMap>(),
            $contestant::<Dense>(),
            $contestant::<Thunderdome>(),
            $contestant::<Reference>(),
            $contestant::<Limit>(),
        ]
    };
}

/// Calls a function for every library.
macro_rules! everyone {
    ($contestant:ident) => {{
        let mut contestants = guarded!($contestant);
        contestants.push($contestant::<Unguarded>());
        contestants
    }};
}

fn pairs() -> Vec<Contestant> {
    everyone!(pair)
}

fn churns() -> Vec<Contestant> {
    everyone!(churn)
}

fn random_gets() -> Vec<Contestant> {
    everyone!(random_get)
}

fn chained_gets() -> Vec<Contestant> {
    everyone!(chained_get)
}

fn wide_gets() -> Vec<Contestant> {
    everyone!(wide_get)
}

fn stale_gets() -> Vec<Contestant> {
    guarded!(stale_get)
}

fn pair<P: Pool>() -> Contestant {
    let mut pool = Box::new(P::with_capacity(OTHERS + 1));
    for value in 0..OTHERS as u64 {
        pool.insert([value; 4]);
    }
    Contestant::new(P::NAME, P::SIDE, check::<P>, move || {
        insert_and_remove(&mut *pool, FEW as u64);
        timed(|| insert_and_remove(&mut *pool, PAIRS as u64))
    })
}

/// Inserts a value and removes it, `count` times.
#[inline(never)]
pub fn insert_and_remove<P: Pool>(pool: &mut P, count: u64) {
    let mut sum = 0;
    for value in 0..count {
        keep(pool);
        let handle = pool.insert([value; 4]);
        keep(pool);
        sum = settled(sum + first_word(pool.remove(handle).as_ref()));
    }
    keep(pool);
}

fn churn<P: Pool>() -> Contestant {
    let (mut pool, mut live) = scattered::<P>();
    live.reserve(MANY);
    let schedule = schedule();
    Contestant::new(P::NAME, P::SIDE, check::<P>, move || {
        change(&mut *pool, &mut live, &schedule);
        timed(|| change(&mut *pool, &mut live, &schedule))
    })
}

/// Removes and inserts as `schedule` says: runs of the removals of these positions, then that many insertions.
#[inline(never)]
fn change<P: Pool>(pool: &mut P, live: &mut Vec<P::Handle>, schedule: &[(Vec<u32>, u64)]) {
    for (victims, insertions) in schedule {
        let mut sum = 0_u64;
        for &victim in victims {
            keep(pool);
            sum = sum.wrapping_add(first_word(pool.remove(live.swap_remove(victim as usize)).as_ref()));
        }
        for value in 0..*insertions {
            keep(pool);
            live.push(pool.insert([sum.wrapping_add(value); 4]));
        }
    }
}

/// Returns runs of removals at random positions and of insertions, as many of the ones as of the others in all.
fn schedule() -> Vec<(Vec<u32>, u64)> {
    let mut random = Random::new(7);
    let (mut live, mut removals, mut insertions) = (MANY, 0, 0);
    let mut runs = Vec::new();
    while insertions < CHANGES {
        let removed = random.between(1, LONGEST_RUN).min(CHANGES - removals);
        let victims = (1..=removed).map(|nth| random.between(0, live - nth) as u32).collect();
        removals += removed;
        let left = CHANGES - insertions;
        let inserted = if removals == CHANGES { left } else { random.between(1, LONGEST_RUN).min(left - 1) };
        insertions += inserted;
        live = live - removed + inserted;
        runs.push((victims, inserted as u64));
    }
    runs
}

fn random_get<P: Pool>() -> Contestant {
    let (pool, mut handles) = filled::<P>(FEW);
    shuffle(&mut handles);
    Contestant::new(P::NAME, P::SIDE, check::<P>, move || {
        look_up(&*pool, &handles, 1);
        timed(|| look_up(&*pool, &handles, LOOKUPS / FEW))
    })
}

fn wide_get<P: Pool>() -> Contestant {
    let (pool, mut handles) = scattered::<P>();
    shuffle(&mut handles);
    Contestant::new(P::NAME, P::SIDE, check::<P>, move || {
        look_up(&*pool, &handles, 1);
        timed(|| look_up(&*pool, &handles, 1))
    })
}

/// Looks each of `handles` up, `passes` times.
#[inline(never)]
pub fn look_up<P: Pool>(pool: &P, handles: &[P::Handle], passes: usize) {
    for _ in 0..passes {
        keep(pool);
        let mut sum = 0_u64;
        for group in handles.chunks_exact(GROUP) {
            for &handle in group {
                sum = settled(sum.wrapping_add(first_word(pool.get(handle))));
            }
        }
    }
}

fn chained_get<P: Pool>() -> Contestant {
    let (pool, handles) = chain::<P>();
    let check = || {
        let (pool, handles) = chain::<P>();
        let end = follow(&*pool, &handles, FEW);
        let all_seen = (1..FEW).all(|steps| follow(&*pool, &handles, steps) != 0);
        if end == 0 && all_seen { check::<P>() } else { Err("the chain is not one cycle".to_string()) }
    };
    Contestant::new(P::NAME, P::SIDE, check, move || {
        follow(&*pool, &handles, FEW);
        timed(|| {
            follow(&*pool, &handles, LOOKUPS);
        })
    })
}

/// Returns a pool of [`FEW`] values, each of which holds the position of the next one's handle, in one cycle.
fn chain<P: Pool>() -> (Box<P>, Vec<P::Handle>) {
    let mut order: Vec<u64> = (0..FEW as u64).collect();
    shuffle(&mut order);
    let mut next = vec![0; FEW];
    for (position, &here) in order.iter().enumerate() {
        next[here as usize] = order[(position + 1) % FEW];
    }
    let mut pool = Box::new(P::with_capacity(FEW));
    let handles = next.iter().map(|&next| pool.insert([next; 4])).collect();
    (pool, handles)
}

/// Follows the chain for `steps` values and returns the position of the next.
#[inline(never)]
pub fn follow<P: Pool>(pool: &P, handles: &[P::Handle], steps: usize) -> u64 {
    keep(pool);
    let mut position = 0;
    for _ in 0..steps {
        let Some(&handle) = handles.get(position as usize) else { exhausted() };
        position = first_word(pool.get(handle));
    }
    settled(position)
}

fn stale_get<P: Pool>() -> Contestant {
    let (mut pool, mut handles) = filled::<P>(FEW);
    for &handle in &handles {
        pool.remove(handle);
    }
    for value in 0..FEW as u64 {
        pool.insert([value; 4]);
    }
    shuffle(&mut handles);
    Contestant::new(P::NAME, P::SIDE, check_stale::<P>, move || {
        present(&*pool, &handles, 1);
        timed(|| {
            present(&*pool, &handles, LOOKUPS / FEW);
        })
    })
}

/// Looks each of `handles` up, `passes` times, adds up what it finds and returns how often there was no value.
#[inline(never)]
pub fn present<P: Pool>(pool: &P, handles: &[P::Handle], passes: usize) -> u64 {
    let (mut refused, mut sum) = (0, 0_u64);
    for _ in 0..passes {
        keep(pool);
        for group in handles.chunks_exact(GROUP) {
            for &handle in group {
                match pool.get(handle) {
                    None => refused = settled(refused + 1),
                    Some(value) => sum = settled(sum.wrapping_add(value[0])),
                }
            }
        }
    }
    settled(sum);
    refused
}

/// Returns the first word of a value that must be there.
#[inline(always)]
fn first_word(value: Option<&Wide>) -> u64 {
    match value {
        Some(value) => value[0],
        None => exhausted(),
    }
}

/// Returns a full pool of `count` values, and their handles in the order of insertion.
pub fn filled<P: Pool>(count: usize) -> (Box<P>, Vec<P::Handle>) {
    let mut pool = Box::new(P::with_capacity(count));
    let handles = (0..count as u64).map(|value| pool.insert([value; 4])).collect();
    (pool, handles)
}

/// Returns a pool of [`SLOTS`] slots, of which [`MANY`] at random places hold values, and the handles of those.
fn scattered<P: Pool>() -> (Box<P>, Vec<P::Handle>) {
    let (mut pool, mut handles) = filled::<P>(SLOTS);
    shuffle(&mut handles);
    for handle in handles.drain(MANY..) {
        pool.remove(handle);
    }
    (pool, handles)
}

/// Puts `items` into a random order, the same in every run.
fn shuffle<T>(items: &mut [T]) {
    let mut random = Random::new(11);
    for last in (1..items.len()).rev() {
        items.swap(last, random.between(0, last));
    }
}

/// Returns an error unless each handle reaches its own value, before and after others come and go.
fn check<P: Pool>() -> Result<(), String> {
    let (mut pool, mut handles) = filled::<P>(FEW);
    let mut values: Vec<u64> = (0..FEW as u64).collect();
    let mut random = Random::new(3);
    for value in 1000..2000 {
        let position = random.between(0, FEW - 1);
        let removed = pool.remove(handles[position]);
        if removed != Some([values[position]; 4]) {
            return Err(format!("value {} comes out as {removed:?}", values[position]));
        }
        (handles[position], values[position]) = (pool.insert([value; 4]), value);
    }
    for (&handle, &value) in handles.iter().zip(&values) {
        if pool.get(handle) != Some(&[value; 4]) {
            return Err(format!("value {value} reads {:?}", pool.get(handle)));
        }
    }
    Ok(())
}

/// Does as [`check`], and returns an error if a removed value's handle reaches anything.
fn check_stale<P: Pool>() -> Result<(), String> {
    let (mut pool, handles) = filled::<P>(FEW);
    for (&handle, value) in handles.iter().zip(0..) {
        pool.remove(handle);
        pool.insert([value; 4]);
    }
    if present(&*pool, &handles, 1) == FEW as u64 {
        check::<P>()
    } else {
        Err("a stale handle reads a value".into())
    }
}
