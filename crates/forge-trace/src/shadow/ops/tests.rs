use alloc::vec::Vec;

use super::{Limits, random_ops};
use crate::{Op, Trace};

const COUNT: usize = if cfg!(miri) { 300 } else { 20_000 };

#[test]
fn operations_that_are_not_hostile_make_a_valid_trace_within_the_limits() {
    for limits in [Limits::default(), Limits::small(), Limits::default().lifo(true)] {
        let trace = Trace::new("random", random_ops(11, COUNT, &limits)).unwrap();
        let stats = trace.stats();
        assert_eq!(stats.events, COUNT);
        assert!(stats.peak_live_blocks <= limits.live_blocks);
        assert!(stats.largest <= limits.size && stats.largest_align <= limits.align);
        assert!(
            stats.resizes > COUNT / 20 && stats.zeroed > COUNT / 20 && stats.frees > COUNT / 20,
            "{stats:?}"
        );
    }
}

#[test]
fn the_seed_decides() {
    let limits = Limits::default();
    assert_eq!(random_ops(1, 100, &limits), random_ops(1, 100, &limits));
    assert_ne!(random_ops(1, 100, &limits), random_ops(2, 100, &limits));
}

#[test]
fn youngest_first_operations_never_pass_over_a_live_block() {
    let mut live = Vec::new();
    for op in random_ops(5, COUNT, &Limits::default().lifo(true)) {
        match op {
            Op::Allocate { id, .. } => live.push(id),
            Op::Resize { id, .. } => assert_eq!(live.last(), Some(&id)),
            Op::Free { id, .. } => assert_eq!(live.pop(), Some(id)),
        }
    }
}

#[test]
fn hostile_operations_hold_every_kind_of_absurdity() {
    let ops = random_ops(5, if cfg!(miri) { 5000 } else { 20_000 }, &Limits::default().hostile(true));
    let any = |wanted: &dyn Fn(usize, usize) -> bool| {
        ops.iter().any(|op| matches!(*op, Op::Allocate { size, align, .. } if wanted(size, align)))
    };
    assert!(any(&|size, _| size == 0));
    assert!(any(&|size, _| size == isize::MAX as usize));
    assert!(any(&|size, _| size == usize::MAX));
    assert!(any(&|_, align| align == 1 << 30));
    assert!(any(&|size, align| align > 1 && size == isize::MAX as usize - (align - 1)));
}
