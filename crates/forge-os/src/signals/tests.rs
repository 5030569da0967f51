#![allow(unsafe_code)]

use core::sync::atomic::{AtomicUsize, Ordering};

use super::SignalMask;

#[test]
fn a_signal_that_is_held_back_arrives_when_the_mask_is_restored() {
    static ARRIVED: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn count(_: libc::c_int) {
        ARRIVED.fetch_add(1, Ordering::Relaxed);
    }

    // SAFETY: the handler does nothing but count; nothing else in this program uses the signal.
    unsafe { libc::signal(libc::SIGUSR2, count as extern "C" fn(libc::c_int) as libc::sighandler_t) };
    let raise = || {
        // SAFETY: the signal has a handler.
        unsafe { libc::raise(libc::SIGUSR2) }
    };
    raise();
    assert_eq!(ARRIVED.load(Ordering::Relaxed), 1);
    let outer = SignalMask::hold_all();
    let inner = SignalMask::hold_all();
    raise();
    assert_eq!(ARRIVED.load(Ordering::Relaxed), 1);
    inner.restore();
    assert_eq!(ARRIVED.load(Ordering::Relaxed), 1, "the inner one restores what the outer one holds");
    outer.restore();
    assert_eq!(ARRIVED.load(Ordering::Relaxed), 2);
}
