//! What was in a freed block is nowhere in the process, nor in a child of it.
#![allow(unsafe_code)]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use forge_malloc::paranoid::ParanoidMalloc;

use crate::child::{End, ended};
use crate::{give, take};

const HEAP: ParanoidMalloc = ParanoidMalloc::new();
const LEN: usize = 32;

/// Returns a byte of the secret, which is never in one piece anywhere but in the block.
#[inline(never)]
fn secret(index: usize) -> u8 {
    (index as u8).wrapping_mul(151) ^ 0x5c
}

/// Counts the places of the secret in a page.
fn count_in(mut page: &[u8]) -> usize {
    let mut places = 0;
    loop {
        // SAFETY: the bytes are those of the slice.
        let hit = unsafe { libc::memchr(page.as_ptr().cast(), i32::from(secret(0)), page.len()) };
        if hit.is_null() {
            return places;
        }
        page = &page[hit.addr() - page.as_ptr().addr()..];
        places += usize::from(page.len() >= LEN && (0..LEN).all(|at| page[at] == secret(at)));
        page = &page[1..];
    }
}

/// Counts the places of the secret in all readable memory of the process.
fn places() -> usize {
    let memory = File::open("/proc/self/mem").unwrap();
    let mut buffer = vec![0; 4096];
    let mut places = 0;
    for line in fs::read_to_string("/proc/self/maps").unwrap().lines().filter(|line| line.contains(" rw")) {
        let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let [start, end] = [start, end].map(|word| u64::from_str_radix(word, 16).unwrap());
        for page in (start..end).step_by(4096) {
            // Guards cannot be read that way either.
            if memory.read_exact_at(&mut buffer, page).is_ok() {
                places += count_in(&buffer);
            }
        }
    }
    places
}

#[test]
#[cfg(target_os = "linux")]
fn a_freed_secret_is_nowhere() {
    for size in [LEN, 1000, 100_000] {
        let end = ended(|| {
            let block = take(&HEAP, size);
            // SAFETY: a live block, written within its size.
            (0..LEN).for_each(|at| unsafe { block.add(at).write_volatile(secret(at)) });
            assert!(places() >= 1, "it cannot be found at all");
            // The pages that it was read into.
            give(&HEAP, block, size);
            assert_eq!(places(), 0);
            assert_eq!(ended(|| assert_eq!(places(), 0)), End::Survives);
        });
        assert_eq!(end, End::Survives, "size {size}");
    }
}
