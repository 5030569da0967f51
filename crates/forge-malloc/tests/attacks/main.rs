//! Attacks on blocks of the hardened profile, each in a process of its own: the exact message and an abort, or a fault, or the
//! promise that holds.
//!
//! The numbers are those of the corpus: freed twice (A01 to A05), freed where no block starts (A06, A07), with another layout
//! (A08), written past the ends (A10 to A14), [empty](empty) (A19), touched after the free (A15 to A18), run as code (A22). Each runs for a row of sizes,
//! from one byte to a mapping of its own.
#![cfg(all(unix, not(miri)))]
#![allow(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod empty;
#[path = "../support/mod.rs"]
mod support;
mod victim;

use std::alloc::GlobalAlloc;
use std::ptr::NonNull;

use forge_alloc_core::{Allocator, Deallocator, NonZeroLayout};
use forge_malloc::fast::{Attached, Hardened, HardenedMalloc, Heap};
use forge_os::Native;
use support::{only, signal_of};
use victim::Verdict::{Aborts, Faults, Lives};
use victim::{CHILD, LARGE, SIZES, attack, beside, free, layout, peek, poke, small_or, take, variant};

static HEAP: Heap<Hardened, Native> = Heap::new(Native);

type Here = Attached<'static, Hardened, Native>;

const DOUBLE: &str = "forge-malloc: double free";
const NO_BLOCK: &str = "forge-malloc: free of an address where no block starts";
const NO_MAPPING: &str =
    "forge-malloc: free of a large block that is not live, or with another layout than it has";
const WRONG: &str = "forge-malloc: free of a block with another size or alignment than it was allocated with";
const OVERFLOW: &str = "forge-malloc: write past the end of a block";
const AFTER_FREE: &str = "forge-malloc: write to a block after it was freed";

#[test]
fn a01_free_twice() {
    attack("a01_free_twice", &SIZES, small_or(Aborts(DOUBLE), Aborts(NO_MAPPING)), |here, size| {
        let block = take(here, size);
        free(here, block, size);
        free(here, block, size);
    });
}

#[test]
fn a02_free_twice_with_others_in_between() {
    let name = "a02_free_twice_with_others_in_between";
    attack(name, &SIZES, small_or(Aborts(DOUBLE), Aborts(NO_MAPPING)), |here, size| {
        let block = take(here, size);
        free(here, block, size);
        for _ in 0..1000 {
            let other = take(here, size);
            free(here, other, size);
        }
        free(here, block, size);
    });
}

#[test]
fn a03_free_another_and_the_first_again() {
    let name = "a03_free_another_and_the_first_again";
    attack(name, &SIZES, small_or(Aborts(DOUBLE), Aborts(NO_MAPPING)), |here, size| {
        let (first, second) = (take(here, size), take(here, size));
        free(here, first, size);
        free(here, second, size);
        free(here, first, size);
    });
}

#[test]
fn a04_free_by_the_former_owner_of_a_slot() {
    // The block of the second owner is freed by the first, and the second one's own free is seen.
    attack(
        "a04_free_by_the_former_owner_of_a_slot",
        &SIZES[..9],
        |_| Aborts(DOUBLE),
        |here, size| {
            let former = take(here, size);
            free(here, former, size);
            let owned = (0..1_000_000).map(|_| take(here, size)).find(|&block| block == former).unwrap();
            free(here, former, size);
            free(here, owned, size);
        },
    );
}

#[test]
fn a05_free_here_and_on_another_thread() {
    let name = "a05_free_here_and_on_another_thread";
    attack(name, &SIZES, small_or(Aborts(DOUBLE), Aborts(NO_MAPPING)), |here, size| {
        let block = take(here, size);
        let address = block.addr().get();
        let free_there = move || {
            let block = NonNull::new(std::ptr::with_exposed_provenance_mut(address)).unwrap();
            free(&Attached::new(&HEAP), block, size);
        };
        block.as_ptr().expose_provenance();
        std::thread::spawn(free_there).join().unwrap();
        free(here, block, size);
    });
}

#[test]
fn a05_two_threads_free_at_once() {
    let at_once = "forge-malloc: double free by two threads at once";
    let in_span = "forge-malloc: free of a block that is not live, or with another layout than it has";
    // Which of the three it is depends on how close the two are, and none of the races may go by.
    for message in 0..if cfg!(debug_assertions) { 8 } else { 64 } {
        if let Some(size) = std::env::var_os(CHILD) {
            race(size.to_str().unwrap().parse().unwrap());
            std::process::exit(0);
        }
        let output = only("a05_two_threads_free_at_once").env(CHILD, "64").output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let said = errors.lines().filter(|line| [DOUBLE, at_once, in_span].contains(line)).count();
        assert_eq!((signal_of(output.status), said), (Some(libc::SIGABRT), 1), "race {message}: {errors}");
    }
}

/// Frees one block on two threads at once, and then takes and frees until it is noticed.
fn race(size: usize) {
    let here: Here = Attached::new(&HEAP);
    let address = take(&here, size).as_ptr().expose_provenance();
    let start = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let block = NonNull::new(std::ptr::with_exposed_provenance_mut(address)).unwrap();
                start.wait();
                free(&Attached::new(&HEAP), block, size);
            });
        }
    });
    let blocks: Vec<_> = (0..100_000).map(|_| take(&here, size)).collect();
    blocks.into_iter().for_each(|block| free(&here, block, size));
    eprintln!("it went on");
}

static NO_HEAP: [u64; 4] = [0; 4];

/// Where no block of the size starts, of `block` with that size.
fn strange(block: NonNull<u8>, size: usize) -> Vec<NonNull<u8>> {
    let on_stack = 0_u64;
    let mut places = vec![
        beside(block, 1),
        beside(block, 8),
        NonNull::from(&NO_HEAP).cast(),
        NonNull::from(&on_stack).cast(),
        NonNull::new(std::ptr::without_provenance_mut(1)).unwrap(),
        beside(block, 1 << 30),
        NonNull::new(strange as *mut u8).unwrap(),
    ];
    if size > 16 {
        places.push(beside(block, 16));
    }
    if size > 4096 {
        places.push(beside(block, 4096));
    }
    places
}

/// Does something to each strange address in a process of its own.
fn with_strange(name: &str, size: usize, work: fn(&Here, NonNull<u8>, usize)) {
    let here: Here = Attached::new(&HEAP);
    let block = take(&here, size);
    if let Some(number) = std::env::var_os(CHILD) {
        let number: usize = number.to_str().unwrap().parse().unwrap();
        // A size has ten places of its own in the numbers of the children.
        if number / 10 == size {
            work(&here, strange(block, size)[number % 10], size);
            eprintln!("it went on");
            std::process::exit(0);
        }
        return;
    }
    for (place, address) in strange(block, size).into_iter().enumerate() {
        let output = only(name).env(CHILD, (size * 10 + place).to_string()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let noticed = errors.lines().any(|line| [NO_BLOCK, NO_MAPPING, WRONG].contains(&line));
        assert!(
            signal_of(output.status) == Some(libc::SIGABRT) && noticed,
            "{size} bytes, {address:?} of {block:?}: {:?} {errors}",
            output.status
        );
    }
}

#[test]
fn a06_free_of_what_is_no_block() {
    for size in SIZES {
        with_strange("a06_free_of_what_is_no_block", size, free);
    }
}

#[test]
fn a07_resize_of_what_is_no_block() {
    for size in SIZES {
        with_strange("a07_resize_of_what_is_no_block", size, |here, block, size| {
            // SAFETY: none; this is the attack.
            let _ = unsafe { here.grow(block, layout(size), layout(2 * size)) };
        });
    }
}

#[test]
fn a08_free_with_another_size() {
    for (number, offset) in [1, usize::MAX].into_iter().enumerate() {
        let sizes: Vec<usize> = SIZES.into_iter().filter(|&size| size.wrapping_add(offset) != 0).collect();
        let free_with: fn(&Here, usize) = match offset {
            1 => |here, size| free(here, take(here, size), size + 1),
            _ => |here, size| free(here, take(here, size), size - 1),
        };
        variant(number, "a08_free_with_another_size", &sizes, |_| Aborts(WRONG), free_with);
    }
}

#[test]
fn a08_free_with_another_alignment() {
    attack(
        "a08_free_with_another_alignment",
        &SIZES,
        |_| Aborts(WRONG),
        |here, size| {
            let block = take(here, size);
            // SAFETY: none; this is the attack.
            unsafe { here.deallocate(block, NonZeroLayout::from_size_align(size, 16).unwrap()) };
        },
    );
}

#[test]
fn a10_write_past_the_end() {
    let name = "a10_write_past_the_end";
    attack(name, &SIZES, small_or(Aborts(OVERFLOW), Faults), |here, size| {
        let block = take(here, size);
        poke(block, size as isize, 1);
        free(here, block, size);
    });
}

#[test]
fn a10_write_a_word_past_the_end() {
    let name = "a10_write_a_word_past_the_end";
    attack(name, &SIZES, small_or(Aborts(OVERFLOW), Faults), |here, size| {
        let block = take(here, size);
        (0..8).for_each(|byte| poke(block, size as isize + byte, 0x41));
        free(here, block, size);
    });
}

#[test]
fn a10_write_past_the_end_of_what_fills_no_page() {
    attack(
        "a10_write_past_the_end_of_what_fills_no_page",
        &[LARGE + 100],
        |_| Aborts(OVERFLOW),
        |here, size| {
            let block = take(here, size);
            poke(block, size as isize, 1);
            free(here, block, size);
        },
    );
}

/// Returns a block of the allocator of this process, which is never freed.
fn take_for_good(size: usize) -> NonNull<u8> {
    // SAFETY: the size is not zero.
    NonNull::new(unsafe { HardenedMalloc.alloc(layout(size).into()) }).unwrap()
}

#[test]
fn a11_write_past_the_end_of_what_is_never_freed() {
    let name = "a11_write_past_the_end_of_what_is_never_freed";
    let sizes: Vec<usize> = SIZES.into_iter().chain([LARGE + 100]).collect();
    variant(0, name, &sizes, small_or(Aborts(OVERFLOW), Faults), |_, size| {
        poke(take_for_good(size), size as isize, 0x41);
    });
    variant(1, name, &sizes, small_or(Aborts(OVERFLOW), Faults), |_, size| {
        let block = take_for_good(size);
        (0..32).for_each(|byte| poke(block, size as isize + byte, 0x41));
    });
    variant(
        2,
        name,
        &sizes,
        |_| Lives,
        |_, size| {
            let block = take_for_good(size);
            (0..size).for_each(|byte| poke(block, byte as isize, 0x41));
        },
    );
}

#[test]
fn a12_write_before_the_start_of_what_is_never_freed() {
    // The bytes before a block are the tail of its neighbour.
    let name = "a12_write_before_the_start_of_what_is_never_freed";
    attack(
        name,
        &[16, 24, 128, 1024, 4096],
        |_| Aborts(OVERFLOW),
        |_, size| {
            let mut blocks: Vec<_> = (0..400).map(|_| take_for_good(size)).collect();
            blocks.sort();
            blocks.iter().skip(1).for_each(|&block| poke(block, -1, 0x41));
        },
    );
}

#[test]
fn a12_write_before_the_start() {
    // The bytes before a block are the tail of its neighbour, or a guard.
    let name = "a12_write_before_the_start";
    attack(name, &[16, 24, 128, 1024, 4096, LARGE], small_or(Aborts(OVERFLOW), Faults), |here, size| {
        if size == LARGE {
            return poke(take(here, size), -1, 1);
        }
        let mut blocks: Vec<_> = (0..400).map(|_| take(here, size)).collect();
        blocks.sort();
        let slot = blocks.windows(2).map(|pair| pair[1].addr().get() - pair[0].addr().get()).min().unwrap();
        let pair =
            blocks.windows(2).find(|pair| pair[1].addr().get() - pair[0].addr().get() == slot).unwrap();
        poke(pair[1], -1, 0x41);
        free(here, pair[0], size);
    });
}

/// Returns a block with a mapping of its own, of three times the size that it was made with.
fn resized(here: &Here, size: usize) -> NonNull<u8> {
    let block = take(here, size);
    poke(block, 0, 7);
    // SAFETY: a live block of the layout, which is not used afterwards.
    let block: NonNull<u8> = unsafe { here.grow(block, layout(size), layout(3 * size)) }.unwrap().cast();
    assert!(peek(block, 0) == 7 && (size..3 * size).all(|offset| peek(block, offset) == 0));
    poke(block, 3 * size as isize - 1, 1);
    block
}

#[test]
fn a10_write_past_the_end_of_a_resized_block() {
    let name = "a10_write_past_the_end_of_a_resized_block";
    attack(name, &[LARGE], |_| Faults, |here, size| poke(resized(here, size), 3 * size as isize, 1));
}

#[test]
fn a12_write_before_the_start_of_a_resized_block() {
    let name = "a12_write_before_the_start_of_a_resized_block";
    attack(name, &[LARGE], |_| Faults, |here, size| poke(resized(here, size), -1, 1));
}

#[test]
fn a13_copy_the_tail_of_another_block() {
    attack(
        "a13_copy_the_tail_of_another_block",
        &[8, 24, 120],
        |_| Aborts(OVERFLOW),
        |here, size| {
            let (first, second) = (take(here, size), take(here, size));
            (0..8).for_each(|byte| poke(first, size as isize + byte, peek(second, size + byte as usize)));
            free(here, first, size);
        },
    );
}

#[test]
fn a14_read_a_string_that_lacks_its_end() {
    // What fills whole pages ends at a guard, where the string does, too.
    let name = "a14_read_a_string_that_lacks_its_end";
    let sizes: Vec<usize> = SIZES.into_iter().chain([LARGE - 1, LARGE + 100]).collect();
    attack(name, &sizes, small_or(Lives, Faults), |here, size| {
        let block = take(here, size);
        (0..size).for_each(|offset| poke(block, offset as isize, b'x'));
        assert_eq!((0..).find(|&offset| peek(block, offset) == 0), Some(size));
        free(here, block, size);
    });
}

#[test]
fn a15_read_after_the_free() {
    attack("a15_read_after_the_free", &SIZES, small_or(Lives, Faults), |here, size| {
        let block = take(here, size);
        (0..size).for_each(|offset| poke(block, offset as isize, 0x5A));
        free(here, block, size);
        assert!((0..size).all(|offset| peek(block, offset) == 0));
    });
}

#[test]
fn a16_write_after_the_free() {
    for place in 0..3 {
        let write: fn(&Here, usize) = match place {
            0 => |here, size| write_after_free(here, size, 0),
            1 => |here, size| write_after_free(here, size, size / 2),
            _ => |here, size| write_after_free(here, size, size - 1),
        };
        let sizes = [1, 8, 16, 24, 128, 1024, 4096, 16 << 10, LARGE];
        variant(place, "a16_write_after_the_free", &sizes, small_or(Aborts(AFTER_FREE), Faults), write);
    }
}

/// Writes into a free block and takes blocks until it is its turn.
fn write_after_free(here: &Here, size: usize, offset: usize) {
    let block = take(here, size);
    free(here, block, size);
    poke(block, offset as isize, 1);
    (0..100_000).for_each(|_| _ = take(here, size));
}

#[test]
fn a17_write_after_a_free_on_another_thread() {
    attack(
        "a17_write_after_a_free_on_another_thread",
        &[64],
        |_| Aborts(AFTER_FREE),
        |here, size| {
            let block = take(here, size);
            let address = block.as_ptr().expose_provenance();
            let free_there = move || {
                let block = NonNull::new(std::ptr::with_exposed_provenance_mut(address)).unwrap();
                free(&Attached::new(&HEAP), block, size);
            };
            std::thread::spawn(free_there).join().unwrap();
            poke(block, 0, 1);
            (0..100_000).for_each(|_| _ = take(here, size));
        },
    );
}

#[test]
fn a18_read_before_the_first_write() {
    attack(
        "a18_read_before_the_first_write",
        &SIZES[..11],
        |_| Lives,
        |here, size| {
            let count = (32 << 20) / size.max(8 << 10);
            for _ in 0..2 {
                let blocks: Vec<_> = (0..count).map(|_| take(here, size)).collect();
                for &block in &blocks {
                    assert!((0..size).step_by(size.div_ceil(64)).all(|offset| peek(block, offset) == 0));
                    // SAFETY: a live block of the size.
                    unsafe { block.write_bytes(0x5A, size) };
                }
                blocks.into_iter().for_each(|block| free(here, block, size));
            }
        },
    );
}

#[test]
fn a22_run_the_heap_as_code() {
    attack(
        "a22_run_the_heap_as_code",
        &[64, LARGE],
        |_| Faults,
        |here, size| {
            let code: &[u8] =
                if cfg!(target_arch = "x86_64") { &[0xC3] } else { &0xD65F_03C0_u32.to_le_bytes() };
            let block = take(here, size);
            code.iter().zip(0..).for_each(|(&byte, offset)| poke(block, offset, byte));
            // SAFETY: none; the bytes return at once where they can be run.
            unsafe { std::mem::transmute::<*mut u8, extern "C" fn()>(block.as_ptr())() };
        },
    );
}

#[test]
fn two_blocks_in_a_row_are_seldom_neighbours() {
    let here: Here = Attached::new(&HEAP);
    let blocks: Vec<_> = (0..40_000).map(|_| take(&here, 56)).collect();
    let near = blocks.windows(2).filter(|pair| pair[0].addr().get().abs_diff(pair[1].addr().get()) == 64);
    let near = near.count();
    assert!(near * 64 <= blocks.len(), "{near} of {}", blocks.len());
    blocks.into_iter().for_each(|block| free(&here, block, 56));
}
