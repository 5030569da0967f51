use forge_alloc_core::NonZeroLayout;

use super::around;

/// The same in numbers that do not overflow.
fn oracle(size: usize, align: usize, prefix: usize, suffix: usize, floor: usize) -> Option<(u128, u128)> {
    let (size, align) = (size as u128 + prefix as u128 + suffix as u128, align.max(floor) as u128);
    let limit = isize::MAX as u128 - (align - 1);
    (size <= limit).then_some((size, align))
}

#[test]
fn every_layout_has_the_sum_of_its_parts_or_none() {
    const TOP: usize = isize::MAX as usize;
    let sizes = [1, 2, 7, 8, 9, 63, 4096, TOP / 2, TOP - 4096, TOP - 17, TOP - 16, TOP - 8, TOP - 1, TOP];
    let affixes = [0, 1, 8, 16, 64, 4096, TOP - 1, TOP, usize::MAX - 8, usize::MAX];
    let mut granted = 0;
    // An interpreter takes every fifth size.
    for size in sizes.into_iter().step_by(if cfg!(miri) { 5 } else { 1 }) {
        for align in [1, 2, 8, 16, 64, 4096, 1 << 20, 1 << (usize::BITS - 2)] {
            let Ok(layout) = NonZeroLayout::from_size_align(size, align) else { continue };
            for prefix in affixes {
                for suffix in affixes {
                    for floor in [1, 8, 64, 1 << (usize::BITS - 2)] {
                        let inner = around(layout, prefix, suffix, floor);
                        let pair =
                            inner.map(|inner| (inner.size().get() as u128, inner.align().get() as u128));
                        assert_eq!(
                            pair,
                            oracle(size, align, prefix, suffix, floor),
                            "{layout:?} {prefix} {suffix} {floor}"
                        );
                        granted += usize::from(inner.is_some());
                    }
                }
            }
        }
    }
    assert!(granted > 300);
}
