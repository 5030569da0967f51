use std::sync::Barrier;
use std::thread;

use super::{get, set};

#[test]
fn each_thread_has_a_word_of_its_own_that_starts_at_zero() {
    let barrier = Barrier::new(4);
    thread::scope(|scope| {
        for number in 1..5 {
            let barrier = &barrier;
            scope.spawn(move || {
                assert_eq!(get(), 0);
                set(number);
                barrier.wait();
                assert_eq!(get(), number);
                set(!0);
                assert_eq!(get(), !0);
            });
        }
    });
}
