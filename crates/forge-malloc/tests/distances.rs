//! Writes at a guessed distance from a block meet none of the heap's own memory (A21).
//!
//! ```text
//!   one process     allocates, and tells how far each mapping that is no block's lies from a block
//!   another one     allocates the same, and writes that far from its block          a fault
//! ```
//!
//! What distances there are is read in `/proc/self/maps`: each mapping that came with the blocks, is writable, and has none of them. A machine
//! without that file says `SKIPPED`.
#![cfg(all(unix, not(miri)))]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::alloc::Layout;
use std::ops::Range;

use forge_malloc::fast::{Fast, Hardened, Heap, Profile, ThreadCache};
use forge_os::Native;
use support::{only, signal_of};

/// The variable that tells this program that it is one of the two processes: `measure`, or the distance.
const CHILD: &str = "FORGE_DISTANCES";

/// Returns the mappings that may be written and have no name of the system's; none where that cannot be known.
fn mappings() -> Option<Vec<Range<usize>>> {
    let text = std::fs::read_to_string("/proc/self/maps").ok()?;
    let range = |line: &str| {
        let (addresses, rest) = line.split_once(' ')?;
        let (start, end) = addresses.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        (rest.starts_with("rw") && !line.ends_with(']')).then_some(address(start)?..address(end)?)
    };
    Some(text.lines().filter_map(range).collect())
}

/// Allocates blocks of many sizes, in an order that is the same in each process.
fn blocks<P: Profile>(heap: &'static Heap<P, Native>) -> Vec<usize> {
    let cache = ThreadCache::new();
    let sizes = [8, 64, 600, 5000, 40_000, 300_000, 3 << 20];
    let layouts = sizes.map(|size| Layout::from_size_align(size, 8).unwrap());
    // So many that batches travel, too.
    let blocks: Vec<_> = layouts
        .into_iter()
        .flat_map(|layout| std::iter::repeat_n(layout, if layout.size() < 1000 { 1500 } else { 2 }))
        // SAFETY: the cache has one heap, which lives as long as the process.
        .map(|layout| (unsafe { cache.allocate(heap, layout) }, layout))
        .collect();
    for &(block, layout) in blocks.iter().filter(|(_, layout)| layout.size() == 64).skip(1) {
        // SAFETY: live blocks of this layout, freed once.
        unsafe { cache.deallocate(heap, block, layout) };
    }
    assert!(blocks.iter().all(|(block, _)| !block.is_null()));
    blocks.iter().filter(|(_, layout)| layout.size() != 64).map(|(block, _)| block.addr()).collect()
}

/// Prints the distance of each mapping from the first and the last block.
fn measure<P: Profile>(heap: &'static Heap<P, Native>) {
    let Some(before) = mappings() else {
        return eprintln!("SKIPPED: no /proc/self/maps");
    };
    let blocks = blocks(heap);
    let after = mappings().unwrap();
    let is_new = |range: &&Range<usize>| !before.iter().any(|old| old.contains(&range.start));
    let has_block = |range: &Range<usize>| blocks.iter().any(|block| range.contains(block));
    let (mut found, mut with_blocks) = (0, 0);
    for range in after.iter().filter(is_new) {
        if has_block(range) {
            with_blocks += 1;
            continue;
        }
        found += 1;
        // An odd distance is one from the last block.
        for (parity, block) in [blocks.first(), blocks.last()].into_iter().flatten().enumerate() {
            eprintln!("distance {}", (range.start + 16 + parity).wrapping_sub(*block) as isize);
        }
    }
    eprintln!("{found} mappings of metadata, {with_blocks} with blocks");
}

fn run<P: Profile>(name: &str, heap: &'static Heap<P, Native>) {
    if let Some(what) = std::env::var_os(CHILD) {
        let Ok(distance) = what.to_str().unwrap().parse::<isize>() else { return measure(heap) };
        let blocks = blocks(heap);
        let block = if distance % 2 == 0 { blocks.first() } else { blocks.last() };
        let place = std::ptr::with_exposed_provenance_mut::<u8>(*block.unwrap());
        // SAFETY: none; this is the attack.
        unsafe { place.wrapping_offset(distance).write_volatile(1) };
        eprintln!("it went on");
        std::process::exit(0);
    }
    let output = only(name).env(CHILD, "measure").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    eprintln!("{told}");
    if told.contains("SKIPPED") {
        return;
    }
    let distances: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("distance ")).collect();
    assert!(distances.len() >= 6, "headers, a directory and arrays at least: {told}");
    for distance in distances {
        let output = only(name).env(CHILD, distance).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let signal = signal_of(output.status);
        assert!(matches!(signal, Some(libc::SIGSEGV | libc::SIGBUS)), "{distance}: {signal:?} {errors}");
    }
}

#[test]
fn metadata_of_the_fast_profile_is_at_no_known_distance() {
    static HEAP: Heap<Fast, Native> = Heap::new(Native);
    run("metadata_of_the_fast_profile_is_at_no_known_distance", &HEAP);
}

#[test]
fn metadata_of_the_hardened_profile_is_at_no_known_distance() {
    static HEAP: Heap<Hardened, Native> = Heap::new(Native);
    run("metadata_of_the_hardened_profile_is_at_no_known_distance", &HEAP);
}
