use std::collections::BTreeSet;
use std::vec::Vec;

use super::*;

/// Checks order and ranks, and returns the depth.
fn check(child: Child, low: usize, high: usize, above: u64) -> usize {
    let Some(node) = child else { return 0 };
    // SAFETY: the tests keep what they insert.
    let segment = unsafe { node.read() };
    let address = segment.ground.address();
    assert!(low <= address && address < high && rank(address) <= above);
    let left = check(segment.left, low, address, rank(address));
    1 + left.max(check(segment.right, address + 1, high, rank(address)))
}

#[test]
fn segments_are_found_as_a_sorted_set_finds_them() {
    let count = if cfg!(miri) { 12 } else { 600 };
    let mut memory = std::vec![0_u64; count * 4];
    let base = NonNull::from(&mut *memory).cast::<u8>();
    let mut nodes: Vec<Segment> = std::vec![Segment::new(Ground::NONE, 0, (0, 0), false); count];
    let nodes = NonNull::from(&mut *nodes).cast::<Segment>();
    let (mut tree, mut set) = (Segments::new(), BTreeSet::new());
    for step in 0..count * 3 {
        let index = step * 7919 % count;
        // SAFETY: the segments lie in the memory, three granules of every four, and their nodes in their own place.
        unsafe {
            let ground = Ground::new(base.add(index * 32), 3, BoundaryMap::NONE);
            if set.insert(ground.address()) {
                tree.insert(nodes.add(index), Segment::new(ground, 3, (0, 0), false));
            } else if step % 3 != 0 {
                set.remove(&ground.address());
                tree.remove(ground.address());
            }
        }
        let depth = check(tree.root, 0, usize::MAX, u64::MAX);
        assert!(
            depth <= 4 + 4 * (set.len() + 1).ilog2() as usize,
            "{depth} levels for {} segments",
            set.len()
        );
        for probe in [index * 32, index * 32 + 23, index * 32 + 24, index * 32 + 31] {
            let address = base.addr().get() + probe;
            let found = |found: Option<(NonNull<Segment>, Segment)>| {
                found.map(|(_, segment)| segment.ground.address())
            };
            let below = set.range(..=address).next_back().copied();
            assert_eq!(found(tree.at_or_below(address)), below);
            assert_eq!(found(tree.at_or_above(address)), set.range(address..).next().copied());
            assert_eq!(found(tree.find(address)), below.filter(|below| address - below < 24));
        }
    }
}
