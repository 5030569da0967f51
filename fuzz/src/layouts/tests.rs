use super::{Numbers, run};

#[test]
fn the_borders_of_every_power_of_two_pass() {
    for near in 0..64 {
        for align in 0..64 {
            for value in 0..64 {
                run(&Numbers { value, align, near, at_border: true, any_align: false });
            }
        }
    }
}

#[test]
fn numbers_that_are_no_alignment_pass() {
    for align in (0..1000).chain([usize::MAX, isize::MAX as usize]) {
        for value in [0, 1, align, usize::MAX, isize::MAX as usize] {
            run(&Numbers { value, align, near: 0, at_border: false, any_align: true });
        }
    }
}
