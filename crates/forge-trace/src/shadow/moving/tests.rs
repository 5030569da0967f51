use super::{check_moving, check_moving_empty, drive_moving_empty};
use crate::doubles::{Host, Inline};
use crate::shadow::{Checks, Limits, random_ops};

#[test]
fn blocks_of_a_stable_allocator_survive_its_moves() {
    let count = if cfg!(miri) { 100 } else { 2000 };
    let summary = check_moving(Host::default(), &random_ops(3, count, &Limits::default()), 7);
    assert_eq!((summary.done, summary.failed), (count, 0));
}

#[test]
fn an_inline_allocator_works_at_each_of_its_addresses() {
    let count = if cfg!(miri) { 100 } else { 2000 };
    let ops = random_ops(4, count, &Limits::small().lifo(true));
    let summary = drive_moving_empty(Inline::<4096>::new(), &ops, 10, Checks::within).unwrap();
    assert_eq!(summary.done + summary.failed + summary.skipped, count);
    assert!(summary.done > 0 && summary.skipped > 0, "{summary:?}");
    assert_eq!(
        check_moving_empty(Inline::<4096>::new(), &ops, 0).done,
        check_moving_empty(Inline::<4096>::new(), &ops, 1).done
    );
}
