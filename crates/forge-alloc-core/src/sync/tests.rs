use super::{NoLock, RawLock};

fn excludes_and_frees(lock: &impl RawLock) {
    let held = lock.guard();
    assert!(!lock.try_lock());
    assert!(lock.try_guard().is_none());
    assert!(!lock.try_lock(), "a failed attempt must not free the lock");
    drop(held);
    assert!(lock.try_guard().is_some());
    drop(lock.guard());
}

#[test]
fn a_held_no_lock_refuses_a_second_holder() {
    excludes_and_frees(&NoLock::new());
}

#[cfg(target_has_atomic = "8")]
mod spin {
    use super::excludes_and_frees;
    use crate::sync::cell::UnsafeCell;
    use crate::sync::{RawLock, SpinLock};

    #[test]
    fn a_held_spin_lock_refuses_a_second_holder() {
        static LOCK: SpinLock = SpinLock::new();
        excludes_and_frees(&LOCK);
        assert_eq!(size_of::<SpinLock>(), 1);
    }

    struct Guarded {
        lock: SpinLock,
        value: UnsafeCell<usize>,
    }

    #[allow(unsafe_code)]
    // SAFETY: every access to the value holds the lock.
    unsafe impl Sync for Guarded {}

    impl Guarded {
        #[allow(unsafe_code)]
        fn add_one(&self) {
            let _held = self.lock.guard();
            // SAFETY: the lock is held.
            self.value.with_mut(|value| unsafe { *value += 1 });
        }
    }

    #[test]
    fn increments_under_the_lock_are_never_lost() {
        const ROUNDS: usize = if cfg!(miri) { 50 } else { 20_000 };
        let shared = Guarded { lock: SpinLock::new(), value: UnsafeCell::new(0) };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..ROUNDS).for_each(|_| shared.add_one()));
            }
        });
        assert_eq!(shared.value.into_inner(), 4 * ROUNDS);
    }
}
