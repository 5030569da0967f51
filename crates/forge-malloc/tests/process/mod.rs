//! What a program does with the allocator of its process, whichever it is.

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc;
use std::thread;

/// How much a program does: an allocator that takes system calls for each block gets less.
pub(crate) struct Effort {
    /// Keys in the collections.
    pub(crate) keys: u64,
    /// Blocks that travel between threads.
    pub(crate) blocks: u64,
    /// Words in the vector that grows.
    pub(crate) words: u64,
}

const EFFORT: Effort = super::EFFORT;

#[test]
fn collections_keep_what_they_hold() {
    let mut tree = BTreeMap::new();
    let mut table = HashMap::new();
    for key in 0..EFFORT.keys {
        tree.insert(key.wrapping_mul(0x9E37_79B9_7F4A_7C15), vec![key; (key % 40) as usize]);
        table.insert(key, format!("{key:>width$}", width = (key % 200) as usize));
    }
    for key in (0..EFFORT.keys).step_by(3) {
        tree.remove(&key.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        table.remove(&key);
    }
    for key in 0..EFFORT.keys {
        let there = key % 3 != 0;
        let values = tree.get(&key.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        assert_eq!(values.is_some(), there);
        assert!(values.is_none_or(|values| values.iter().all(|&value| value == key)));
        assert_eq!(table.get(&key).map(|text| text.trim().parse()), there.then_some(Ok(key)));
    }
}

#[test]
fn blocks_travel_between_threads_unharmed() {
    let (sender, receiver) = mpsc::sync_channel::<Vec<u64>>(1000);
    let consumer = thread::spawn(move || {
        receiver
            .iter()
            .map(|block| {
                assert!(block.iter().all(|&word| word == block[0]));
                block.len()
            })
            .sum::<usize>()
    });
    let mut sent = 0;
    for number in 0..EFFORT.blocks {
        let len = 1 + (number * 7 % 97) as usize;
        sent += len;
        sender.send(vec![number; len]).unwrap();
    }
    drop(sender);
    assert_eq!(consumer.join().unwrap(), sent);
}

#[test]
fn a_vector_grows_to_any_size() {
    let mut vector = Vec::new();
    for number in 0..EFFORT.words {
        vector.push(number);
    }
    assert!(vector.iter().enumerate().all(|(index, &number)| index as u64 == number));
}
