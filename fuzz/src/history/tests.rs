use arbitrary::Unstructured;
use forge_trace::Op;
use forge_trace::random::Random;

use super::{LONGEST, decode};

fn history(bytes: &[u8]) -> Vec<Op> {
    decode(&mut Unstructured::new(bytes)).unwrap()
}

fn random_bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    (0..count).map(|_| random.below(256) as u8).collect()
}

#[test]
fn every_byte_string_is_a_history_that_ends_with_it() {
    for seed in 0..500 {
        let bytes = random_bytes(seed, seed as usize);
        let ops = history(&bytes);
        assert!(ops.len() <= LONGEST.min(bytes.len()));
        assert_eq!(ops.is_empty(), bytes.is_empty());
    }
}

#[test]
fn the_longest_history_is_bounded() {
    assert_eq!(history(&random_bytes(1, 100 * LONGEST)).len(), LONGEST);
}

#[test]
fn histories_hold_every_operation_and_the_borders_of_sizes_and_alignments() {
    let ops: Vec<Op> = (0..200).flat_map(|seed| history(&random_bytes(seed, 2000))).collect();
    let allocations = ops.iter().filter_map(|op| match *op {
        Op::Allocate { size, align, zeroed, .. } => Some((size, align, zeroed)),
        _ => None,
    });
    let (sizes, aligns): (Vec<usize>, Vec<usize>) =
        allocations.clone().map(|(size, align, _)| (size, align)).unzip();
    for size in [0, 1, isize::MAX as usize, isize::MAX as usize + 1, usize::MAX] {
        assert!(sizes.contains(&size), "{size}");
    }
    for align in [0, 1, 3, 4096, 1 << (usize::BITS - 1)] {
        assert!(aligns.contains(&align), "{align}");
    }
    assert!(
        allocations.clone().any(|(_, _, zeroed)| zeroed) && allocations.clone().any(|(_, _, zeroed)| !zeroed)
    );
    assert!(ops.iter().any(|op| matches!(op, Op::Resize { .. })));
    assert!(ops.iter().any(|op| matches!(op, Op::Free { .. })));
}
