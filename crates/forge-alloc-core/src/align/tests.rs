use super::{align_down, align_up, checked_align_up, is_aligned};

#[test]
fn rounding_agrees_with_division_for_all_small_values() {
    for shift in 0..10 {
        let align = 1usize << shift;
        for value in 0..2048usize {
            let down = value / align * align;
            let up = value.div_ceil(align) * align;
            assert_eq!(align_down(value, align), down);
            assert_eq!(align_up(value, align), up);
            assert_eq!(checked_align_up(value, align), Some(up));
            assert_eq!(is_aligned(value, align), value % align == 0);
        }
    }
}

#[test]
fn the_top_of_the_address_space_saturates() {
    assert_eq!(align_up(usize::MAX, 16), usize::MAX - 15);
    assert_eq!(checked_align_up(usize::MAX, 16), None);
    assert_eq!(checked_align_up(usize::MAX - 15, 16), Some(usize::MAX - 15));
    assert_eq!(align_up(usize::MAX, 1), usize::MAX);
}
