//! Ranges of keys: apart from each other, and never across a multiple of 2^32.

use super::{ALIGN, draw_origin, origin_at};

#[test]
fn ranges_of_different_pools_do_not_meet_across_threads() {
    let threads: Vec<_> = (1..=4u32)
        .map(|thread| {
            std::thread::spawn(move || {
                (0..50).map(|round| 1 + thread * round).map(|len| (draw_origin(len), len)).collect::<Vec<_>>()
            })
        })
        .collect();
    let mut ranges: Vec<(u64, u32)> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    ranges.sort_unstable();
    assert_eq!(ranges.len(), 200);
    for pair in ranges.windows(2) {
        assert!(pair[0].0 + u64::from(pair[0].1) <= pair[1].0, "{pair:?}");
        assert_eq!(pair[0].0 % ALIGN as u64, 0, "{pair:?}");
    }
}

#[test]
fn numbers_of_a_range_do_not_wrap_and_leave_one_for_no_slot() {
    let edge = u32::MAX as usize;
    assert_eq!(origin_at(0, u32::MAX), 0);
    assert_eq!(origin_at(edge - 8, 8), edge - 8);
    let next = edge.wrapping_add(1);
    for (drawn, capacity) in [(edge - 8, 9), (edge, 1), (1, u32::MAX), (edge - 1, u32::MAX)] {
        assert_eq!(origin_at(drawn, capacity), next, "{drawn} {capacity}");
        assert_eq!(next as u32, 0);
    }
}
