use super::{LINE, Shape};

/// Sizes, alignments and slab sizes around every boundary.
fn shapes() -> impl Iterator<Item = (usize, usize, usize, Shape)> {
    const SIZES: [usize; 14] = [0, 1, 2, 3, 4, 8, 12, 16, 24, 60, 64, 100, 128, 200];
    SIZES.into_iter().flat_map(|size| {
        [1, 2, 8, 64, 256].into_iter().filter(move |align| size % align == 0).flat_map(move |align| {
            [256, 512, 4096, 1 << 16, 1 << 17]
                .into_iter()
                .map(move |slab| (align, slab, slab - 80, Shape::new(size, align, slab, slab - 80)))
                .map(|(align, _, end, shape)| (align, end, end, shape))
                .map(|(align, end, _, shape)| (align, end, shape.stride, shape))
        })
    })
}

#[test]
fn slots_lie_between_the_stack_and_the_end_in_every_colour() {
    for (align, end, stride, shape) in shapes().filter(|(.., shape)| shape.capacity > 0) {
        let entry = super::entry_size(end + 80);
        for number in 0..if cfg!(miri) { 10 } else { 100 } {
            let first = shape.first_of(number);
            assert_eq!(first % align, 0);
            assert!(first >= size_of::<super::Slab>() + shape.capacity * entry);
            assert!(first + shape.capacity * stride <= end);
        }
    }
}

#[test]
fn objects_of_whole_lines_start_at_lines() {
    let shape = Shape::new(64, 8, 4096, 4096);
    assert_eq!(shape.first % LINE, 0);
    assert_eq!(shape.capacity, 61);
}

#[test]
fn left_over_bytes_become_colours() {
    let shape = Shape::new(1000, 8, 8192, 8192);
    let colours: std::collections::BTreeSet<usize> = (0..100).map(|number| shape.first_of(number)).collect();
    assert_eq!(colours.len(), shape.slack / LINE + 1);
    assert!(colours.len() > 1, "{}", shape.slack);
}
