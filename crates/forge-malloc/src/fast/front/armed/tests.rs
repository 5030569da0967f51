//! That armed blocks keep their promises is tested in `house`, and by `tests/attacks`.

use super::*;

#[test]
fn the_class_of_an_armed_layout_has_room_for_the_tail() {
    for size in (1..5000).chain([32 << 10, (1 << 20) - 8]) {
        for align in [1, 8, 64, 4096] {
            let layout = Layout::from_size_align(size, align).unwrap();
            let slot = class_of(layout).unwrap().shape::<crate::fast::Hardened>().size;
            assert!(slot >= size + TAIL && slot % GRAIN == 0 && slot - size < 1 << 20);
        }
    }
    assert_eq!(class_of(Layout::new::<()>()), None);
    assert_eq!(class_of(Layout::from_size_align(1 << 20, 1).unwrap()), None);
    assert_eq!(class_of(Layout::from_size_align(isize::MAX as usize, 1).unwrap()), None);
}
