use super::{
    AllocFaultPolicy, AlwaysFail, FailAfter, FailEveryNth, FailOnSize, FreelistCorruption,
    FreelistProtection, NeverFail, NoProtection,
};
use crate::NonZeroLayout;

fn bytes(size: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, 1).unwrap()
}

fn verdicts<const N: usize>(policy: &impl AllocFaultPolicy) -> [bool; N] {
    core::array::from_fn(|_| policy.should_fail(bytes(1)))
}

#[test]
fn the_constant_policies_are_constant() {
    assert_eq!(verdicts(&NeverFail), [false; 8]);
    assert_eq!(verdicts(&AlwaysFail), [true; 8]);
}

#[test]
fn fail_after_lets_its_number_through_and_never_recovers() {
    static POLICY: FailAfter = FailAfter::new(3);
    assert_eq!(POLICY.remaining(), 3);
    assert_eq!(verdicts(&POLICY), [false, false, false, true, true, true]);
    assert_eq!(POLICY.remaining(), 0);
    assert_eq!(verdicts(&FailAfter::new(0)), [true; 3]);
}

#[test]
fn fail_every_nth_fails_the_last_of_each_period() {
    assert_eq!(verdicts(&FailEveryNth::new(3)), [false, false, true, false, false, true, false]);
    assert_eq!(verdicts(&FailEveryNth::new(1)), [true; 4]);
    assert_eq!(verdicts(&FailEveryNth::new(usize::MAX)), [false; 4]);
}

#[test]
#[should_panic(expected = "period must be >= 1")]
fn a_period_of_zero_is_refused() {
    let _ = FailEveryNth::new(0);
}

#[test]
fn fail_on_size_includes_its_bound() {
    let policy = FailOnSize::new(64);
    assert_eq!(policy.min_fail_bytes, 64);
    assert_eq!([63, 64, 65].map(|size| policy.should_fail(bytes(size))), [false, true, true]);
}

#[test]
fn counting_policies_count_every_request_of_every_thread() {
    let policy = FailEveryNth::new(4);
    let failed: usize = std::thread::scope(|scope| {
        let counts: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..100).filter(|_| policy.should_fail(bytes(1))).count()))
            .collect();
        counts.into_iter().map(|count| count.join().unwrap()).sum()
    });
    assert_eq!(failed, 100);
}

#[test]
fn no_protection_accepts_every_tag() {
    assert_eq!(NoProtection.sign(7, 9), 0);
    assert_eq!(NoProtection.verify(7, 0xdead_beef, 9), Ok(()));
    assert_eq!(FreelistCorruption.to_string(), "a free-list link does not match its tag");
}

#[cfg(feature = "siphasher")]
mod siphash {
    use super::{FreelistCorruption, FreelistProtection};
    use crate::SipHashMAC;

    const KEY: [u8; 16] = *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f";

    #[test]
    fn tags_are_the_low_half_of_siphash_1_3() {
        let oracle = siphasher::sip::SipHasher13::new_with_key(&KEY);
        let mac = SipHashMAC::with_key(KEY);
        for shift in 0..usize::BITS {
            for next in [0, 1, 0x1234_5678, u32::MAX] {
                let nonce = 0x9e37_79b9usize.rotate_left(shift);
                let mut message = [0; 12];
                message[..4].copy_from_slice(&next.to_le_bytes());
                message[4..].copy_from_slice(&(nonce as u64).to_le_bytes());
                assert_eq!(mac.sign(next, nonce), oracle.hash(&message) as u32, "{next} {nonce:#x}");
            }
        }
    }

    #[test]
    fn a_changed_link_slot_key_or_tag_is_refused() {
        let mac = SipHashMAC::with_key(KEY);
        let tag = mac.sign(5, 9);
        assert_eq!(mac.clone().verify(5, tag, 9), Ok(()));
        assert_eq!(mac.verify(6, tag, 9), Err(FreelistCorruption));
        assert_eq!(mac.verify(5, tag, 8), Err(FreelistCorruption));
        assert_eq!(SipHashMAC::with_key([7; 16]).verify(5, tag, 9), Err(FreelistCorruption));
        for bit in 0..32 {
            assert_eq!(mac.verify(5, tag ^ (1 << bit), 9), Err(FreelistCorruption));
        }
    }

    #[cfg(feature = "std")]
    #[test]
    fn random_keys_differ_within_and_between() {
        let keys: Vec<_> = (0..64).map(|_| SipHashMAC::new()).collect();
        let mut halves: Vec<u64> = keys.iter().flat_map(SipHashMAC::halves).collect();
        halves.sort_unstable();
        halves.dedup();
        assert_eq!(halves.len(), 128);
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", SipHashMAC::with_key(KEY)), "SipHashMAC { .. }");
    }

    #[test]
    #[allow(unsafe_code)]
    fn drop_erases_the_key() {
        let mut slot = core::mem::MaybeUninit::new(SipHashMAC::with_key(KEY));
        // SAFETY: the slot holds a value, which is dropped once; its words stay initialised and are read as words.
        let left = unsafe {
            slot.as_mut_ptr().drop_in_place();
            slot.as_ptr().cast::<[u64; 4]>().read()
        };
        assert_eq!(left, [0; 4]);
    }
}
