//! A static heap as the global allocator of a program: everything that allocates here lives in `.bss`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::{Mutex, mpsc};

use forge_alloc::{ByteAllocator, Occupancy, StaticHeap};

/// More than the program's image has.
const BYTES: usize = 64 << 20;

#[global_allocator]
static HEAP: StaticHeap<BYTES> = StaticHeap::new();

/// The tests count bytes, so they run one after the other.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> impl Drop {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
fn the_standard_library_lives_in_it() {
    let _alone = alone();
    let before = HEAP.lock().used_bytes();
    let mut numbers: Vec<u32> = Vec::new();
    numbers.extend(0..10_000);
    numbers.retain(|number| number % 3 == 0);
    numbers.shrink_to_fit();
    let boxed: Box<[u128]> = vec![7; 100].into_boxed_slice();
    let map: HashMap<u32, String> = (0..500).map(|key| (key, format!("value {key}"))).collect();
    let ordered: BTreeMap<String, u32> = map.iter().map(|(key, value)| (value.clone(), *key)).collect();
    assert_eq!((numbers.len(), boxed.len(), &*map[&33], ordered["value 4"]), (3334, 100, "value 33", 4));
    assert!(HEAP.lock().used_bytes() > before + 10_000);
    let mut picture = Text { bytes: [0; 4096], len: 0 };
    // Nothing allocates while the heap is held.
    write!(picture, "{}", Occupancy::of(&*HEAP.lock()).width(32)).unwrap();
    let shares = picture.as_str().lines().nth(1).unwrap();
    assert!(shares.len() == 34 && shares.contains('.') && shares.contains(['#', '+']), "{shares}");
}

/// Text in an array.
struct Text {
    bytes: [u8; 4096],
    len: usize,
}

impl Text {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap()
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[test]
fn every_byte_lies_in_the_static() {
    let _alone = alone();
    let inside = |address: usize| {
        let start = (&raw const HEAP).addr();
        (start..start + size_of_val(&HEAP)).contains(&address)
    };
    let boxed = Box::new(5_u64);
    let aligned = Box::new(Aligned([1; 4096]));
    assert!(inside((&raw const *boxed).addr()) && inside((&raw const *aligned).addr()));
    assert_eq!(((&raw const *aligned).addr() % 4096, aligned.0[7]), (0, 1));
}

#[repr(align(4096))]
struct Aligned([u8; 4096]);

#[test]
fn threads_allocate_and_free_for_each_other() {
    let _alone = alone();
    let (sender, receiver) = mpsc::channel::<Vec<u8>>();
    std::thread::scope(|threads| {
        for tag in 0..4_u8 {
            let sender = sender.clone();
            threads.spawn(move || {
                for round in 0..if cfg!(miri) { 10 } else { 2000 } {
                    sender.send(vec![tag; 1 + round * 13 % 700]).unwrap();
                }
            });
        }
        drop(sender);
        for block in receiver {
            assert!(block.iter().all(|byte| *byte == block[0]));
        }
    });
}

#[test]
fn out_of_memory_recovers() {
    let _alone = alone();
    let mut kept: Vec<Vec<u8>> = Vec::with_capacity(1000);
    let refused = loop {
        let mut block = Vec::new();
        if let Err(error) = block.try_reserve_exact(1 << 20) {
            break error;
        }
        kept.push(block);
    };
    assert!(kept.len() >= 32, "{}", kept.len());
    assert!(!refused.to_string().is_empty());
    let mut growing: Vec<u8> = kept.pop().unwrap();
    growing.push(9);
    assert!(growing.try_reserve_exact(BYTES).is_err());
    assert_eq!(growing, [9]);
    drop(kept);
    assert!(growing.try_reserve_exact(BYTES / 4).is_ok());
    assert_eq!(growing, [9]);
    assert!(Vec::<u8>::new().try_reserve_exact(isize::MAX as usize).is_err());
}

#[test]
fn a_vector_alone_at_the_end_grows_in_place() {
    let _alone = alone();
    let mut numbers: Vec<u8> = Vec::with_capacity(BYTES / 4);
    let start = numbers.as_ptr();
    numbers.reserve_exact(BYTES / 2);
    assert_eq!(numbers.as_ptr(), start);
}

#[test]
#[cfg(all(not(miri), target_os = "linux"))]
fn the_image_of_the_program_does_not_hold_the_bytes() {
    let _alone = alone();
    let sections = std::fs::read("/proc/self/maps").map(|maps| String::from_utf8_lossy(&maps).into_owned());
    let program = std::env::current_exe().unwrap();
    // The bytes are mapped, and no file is behind them.
    let address = (&raw const HEAP).addr() + BYTES / 2;
    let line = sections.unwrap();
    let line = line.lines().find(|line| {
        let (start, end) = line.split(' ').next().and_then(|range| range.split_once('-')).unwrap();
        (usize::from_str_radix(start, 16).unwrap()..usize::from_str_radix(end, 16).unwrap())
            .contains(&address)
    });
    assert!(!line.unwrap().contains(program.to_str().unwrap()), "{line:?}");
}
