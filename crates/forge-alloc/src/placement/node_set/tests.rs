use super::NodeSet;

fn set(nodes: &[u32]) -> NodeSet {
    nodes.iter().fold(NodeSet::empty(), |set, &node| set.with(node).unwrap())
}

#[test]
fn a_set_holds_what_was_put_in() {
    let nodes = [0, 1, 31, 32, 63, 64, 65, 127, 1000, 1023];
    let all = set(&nodes);
    assert!(all.iter().eq(nodes));
    assert_eq!(all.len(), nodes.len());
    for node in 0..1100 {
        assert_eq!(all.contains(node), nodes.contains(&node), "{node}");
    }
    assert_eq!(all.with(31), Some(all), "a set has no duplicates");
}

#[test]
fn only_nodes_beyond_the_capacity_are_refused() {
    for node in [64, 100, 1023] {
        assert!(NodeSet::single(node).is_some_and(|set| set.iter().eq([node])));
    }
    for node in [1024, 1025, u32::MAX] {
        assert_eq!(NodeSet::single(node), None);
        assert_eq!(NodeSet::empty().with(node), None);
    }
}

#[test]
fn the_mask_shows_the_first_64_nodes() {
    assert_eq!(set(&[0, 5, 63, 64, 500]).mask(), 1 | 1 << 5 | 1 << 63);
    assert_eq!(set(&[64]).mask(), 0);
}

#[test]
fn no_node_is_cut_off_by_the_bit_that_the_kernel_does_not_read() {
    for node in [0, 31, 62, 63, 64, 1022, 1023] {
        let single = set(&[node]);
        assert_eq!(single.max_node_plus_one(), node + 1);
        assert_eq!(single.mbind_maxnode(), node + 2, "the kernel reads maxnode - 1 bits");
    }
    assert_eq!(set(&[3, 7]).max_node_plus_one(), 8);
}

#[test]
fn the_empty_set_is_empty() {
    const EMPTY: NodeSet = NodeSet::empty();
    const { assert!(EMPTY.is_empty() && EMPTY.mask() == 0) };
    assert_eq!((EMPTY.max_node_plus_one(), EMPTY.len(), EMPTY.iter().count()), (0, 0, 0));
    assert_eq!(EMPTY, NodeSet::default());
    assert_ne!(EMPTY, set(&[1023]));
}

#[test]
fn a_set_prints_its_nodes() {
    assert_eq!(format!("{:?}", set(&[2, 700])), "{2, 700}");
}
