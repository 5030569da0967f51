//! What the rest of a kernel does with its memory.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use forge_alloc::kernel::PageAllocator;

use crate::line;
use crate::memory::{Heap, PAGE, PAGES};

/// Grows and shrinks collections, and checks what they hold.
pub fn collections() {
    let mut numbers = Vec::new();
    for number in 0..100_000_u64 {
        numbers.push(number * number);
    }
    assert!(numbers.iter().enumerate().all(|(index, square)| *square == (index * index) as u64));
    numbers.truncate(1000);
    numbers.shrink_to_fit();
    let mut words: BTreeMap<String, Box<[u8]>> = BTreeMap::new();
    for number in 0..2000_usize {
        words.insert(number.to_string(), alloc::vec![number as u8; number % 700].into_boxed_slice());
    }
    words.retain(|word, _| word.len() % 2 == 0);
    for (word, bytes) in &words {
        let number: usize = word.parse().unwrap_or(usize::MAX);
        assert!(bytes.len() == number % 700 && bytes.iter().all(|byte| *byte == number as u8), "{word}");
    }
    line!("collections: {} numbers, {} words", numbers.len(), words.len());
}

/// Takes memory until there is none, and checks that the kernel goes on, and that all of it comes back.
pub fn exhaustion(heap: &Heap) {
    heap.release_empty();
    let free = PAGES.with(|pages| pages.available_pages());
    let mut hoard: Vec<Vec<u64>> = Vec::new();
    let mut size = 1 << 20;
    while size >= 64 {
        let mut block: Vec<u64> = Vec::new();
        let room = hoard.len() < hoard.capacity() || hoard.try_reserve(1).is_ok();
        if !room || block.try_reserve_exact(size / 8).is_err() {
            size /= 2;
            continue;
        }
        block.resize(size / 8, size as u64);
        hoard.push(block);
    }
    let taken: usize = hoard.iter().map(|block| block.len() * 8).sum();
    assert!(taken * 10 >= free * PAGE * 9, "only {taken} bytes of {} could be had", free * PAGE);
    assert!(hoard.iter().all(|block| block.iter().all(|word| *word == block.len() as u64 * 8)));
    line!("exhaustion: {} blocks, {} KiB of {} KiB", hoard.len(), taken / 1024, free * PAGE / 1024);
    drop(hoard);
    heap.release_empty();
    assert_eq!(PAGES.with(|pages| pages.available_pages()), free, "pages were lost");
    assert_eq!(Box::new(7), Box::new(7));
}

/// A value that a device wants at the start of a large page.
#[repr(align(65536))]
struct Aligned([u8; 100]);

/// Takes blocks of large alignment.
pub fn alignment() {
    let blocks: Vec<Box<Aligned>> = (0..8).map(|number| Box::new(Aligned([number; 100]))).collect();
    let aligned = blocks.iter().all(|block| (&raw const **block).addr() % 65536 == 0);
    assert!(aligned && blocks.iter().zip(0..).all(|(block, number)| block.0[99] == number));
    let run = PAGES.with(|pages| pages.alloc_pages(16, 2 << 20));
    assert!(run.is_ok_and(|run| run % (2 << 20) == 0), "16 pages at a multiple of 2 MiB");
    if let Ok(run) = run {
        PAGES.with(|pages| pages.dealloc_pages(run, 16));
    }
    line!("alignment: {} blocks at multiples of 64 KiB, 16 pages at one of 2 MiB", blocks.len());
}
