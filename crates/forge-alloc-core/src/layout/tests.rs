use core::alloc::Layout;

use super::NonZeroLayout;
use crate::LayoutError;

const MAX: usize = isize::MAX as usize;

#[test]
fn the_bound_is_exact_for_every_alignment() {
    for shift in 0..usize::BITS - 1 {
        let align = 1usize << shift;
        let largest = MAX - (align - 1);
        assert!(NonZeroLayout::from_size_align(largest, align).is_ok(), "align {align}");
        assert_eq!(NonZeroLayout::from_size_align(largest + 1, align), Err(LayoutError), "align {align}");
    }
    assert_eq!(NonZeroLayout::from_size_align(1, 1 << (usize::BITS - 1)), Err(LayoutError));
}

#[test]
fn zero_and_odd_arguments_are_refused() {
    for (size, align) in [(0, 1), (0, 0), (1, 0), (1, 3), (8, 12), (usize::MAX, 1)] {
        assert_eq!(NonZeroLayout::from_size_align(size, align), Err(LayoutError), "{size} {align}");
    }
    assert_eq!(NonZeroLayout::for_type::<()>(), None);
    assert_eq!(NonZeroLayout::array::<u8>(0), None);
    assert_eq!(NonZeroLayout::array::<()>(9), None);
    assert_eq!(NonZeroLayout::array::<u64>(usize::MAX / 8 + 1), None);
    assert!(NonZeroLayout::try_from(Layout::new::<()>()).is_err());
}

#[test]
fn conversions_keep_size_and_alignment() {
    let layout = NonZeroLayout::array::<u32>(3).unwrap();
    assert_eq!(layout.to_layout(), Layout::array::<u32>(3).unwrap());
    assert_eq!(NonZeroLayout::try_from(layout.to_layout()), Ok(layout));
    let padded = NonZeroLayout::from_size_align(9, 8).unwrap().pad_to_align();
    assert_eq!(padded.size().get(), 16);
    assert_eq!(padded.pad_to_align(), padded);
}

#[test]
fn debug_prints_plain_numbers() {
    let layout = NonZeroLayout::from_size_align(24, 8).unwrap();
    assert_eq!(format!("{layout:?}"), "NonZeroLayout { size: 24, align: 8 }");
}
