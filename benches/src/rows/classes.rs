//! Size classes: a 64-byte object taken and given back, and blocks of 1 to 1024 bytes with sizes known only at run time.
#![allow(unsafe_code)]

#[cfg(feature = "snmalloc")]
use crate::contestants::slabs::Snmalloc;
use crate::contestants::slabs::{
    Classes, FineClasses, Mimalloc, ReferenceClasses, SizedSlots, SystemMalloc, UncheckedClasses,
    UncheckedPointers,
};
use crate::harness::{Contestant, Row, Statistic, timed};
use crate::random::Random;
use crate::rows::slabs::pair;
use crate::sink::keep;

/// Sizes in turn.
const SIZES: usize = 1024;
/// Passes over the sizes per batch.
const PASSES: usize = 16;

/// Returns the rows of this file.
pub fn rows() -> Vec<Row> {
    let row = |id, title, contestants| {
        let (unit, operations, goal) = ("pair", (SIZES * PASSES) as u64, 0.60);
        Row { id, title, unit, operations, goal, statistic: Statistic::Minimum, contestants }
    };
    vec![
        row("classes-pair", "size classes, 64 B, taken and given back", one_size),
        row("classes-mixed", "size classes, 1..1024 B, taken and given back", any_size),
    ]
}

fn one_size() -> Vec<Contestant> {
    vec![
        pair::<Classes>(),
        pair::<FineClasses>(),
        pair::<ReferenceClasses>(),
        pair::<Mimalloc>(),
        pair::<SystemMalloc>(),
        #[cfg(feature = "snmalloc")]
        pair::<Snmalloc>(),
        pair::<UncheckedPointers>(),
    ]
}

fn any_size() -> Vec<Contestant> {
    vec![
        mixed::<Classes>(),
        mixed::<FineClasses>(),
        mixed::<ReferenceClasses>(),
        mixed::<Mimalloc>(),
        mixed::<SystemMalloc>(),
        #[cfg(feature = "snmalloc")]
        mixed::<Snmalloc>(),
        mixed::<UncheckedClasses>(),
    ]
}

/// Returns the sizes, the same in every run: as many of them up to 32 as between 32 and 1024.
pub fn sizes() -> Vec<usize> {
    let mut random = Random::new(0x512e);
    (0..SIZES).map(|index| random.between(1, if index % 2 == 0 { 32 } else { 1024 })).collect()
}

fn mixed<S: SizedSlots>() -> Contestant {
    let mut slots = Box::new(S::with_capacity(64));
    let sizes: Vec<S::Size> = sizes().into_iter().map(S::size).collect();
    Contestant::new(S::NAME, S::SIDE, check::<S>, move || {
        take_and_give(&mut *slots, &sizes);
        timed(|| (0..PASSES).for_each(|_| take_and_give(&mut *slots, &sizes)))
    })
}

/// Takes a block of each size, writes its first byte and gives it back.
#[inline(never)]
pub fn take_and_give<S: SizedSlots>(slots: &mut S, sizes: &[S::Size]) {
    keep(slots);
    for &size in sizes {
        let block = slots.take_sized(size);
        // SAFETY: the block is live, has at least one byte, and is given back once, with its size.
        unsafe {
            block.write(1);
            keep(slots);
            slots.give_sized(block, size);
        }
        keep(slots);
    }
}

/// Returns an error unless blocks of all sizes keep their bytes beside one another.
fn check<S: SizedSlots>() -> Result<(), String> {
    let mut slots = S::with_capacity(64);
    let sizes = &sizes()[..60];
    let mut live = Vec::new();
    for (byte, &bytes) in (0..).zip(sizes) {
        let size = S::size(bytes);
        let block = slots.take_sized(size);
        // SAFETY: the block has this many bytes.
        unsafe { block.write_bytes(byte, bytes) };
        live.push((block, bytes, size, byte));
    }
    for (block, bytes, size, byte) in live {
        // SAFETY: the block was written whole, is live, and is given back once, with its size.
        let equal = unsafe {
            let equal = core::slice::from_raw_parts(block.as_ptr(), bytes).iter().all(|&other| other == byte);
            slots.give_sized(block, size);
            equal
        };
        if !equal {
            return Err(format!("a block of {bytes} bytes was overwritten"));
        }
    }
    Ok(())
}
