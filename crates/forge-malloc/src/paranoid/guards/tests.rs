#![allow(unsafe_code)]

use forge_os::sim::SimCall;
use forge_os::{MapOptions, SimOs};

use super::*;

const PAGE: usize = 4096;
/// Which bytes are looked at.
const STEP: usize = if cfg!(miri) { 255 } else { 1 };

fn pages(os: SimOs, count: usize) -> NonNull<u8> {
    os.map(count * PAGE, MapOptions::new()).unwrap()
}

#[test]
fn marks_are_preferred_and_rights_are_next() {
    let os = SimOs::new(PAGE);
    let range = pages(os, 2);
    // SAFETY: a fresh mapping that only this test uses, here and below.
    unsafe {
        assert_eq!(shut_fresh(&os, range, 2 * PAGE, true), Ok(Method::Markers));
        assert!(os.page(range).unwrap().guard);
        let range = pages(os, 2);
        assert_eq!(shut_fresh(&os, range, 2 * PAGE, false), Ok(Method::Rights));
        os.fail_nth(Some(SimCall::Advise), 1, 22);
        assert_eq!(shut_fresh(&os, range, 2 * PAGE, true), Ok(Method::Rights));
        assert_eq!(os.protection_of(range), Some(Protection::NONE));
        os.fail_nth(Some(SimCall::Protect), 1, 12);
        assert!(shut_fresh(&os, range, 2 * PAGE, false).is_err());
    }
}

#[test]
fn what_was_shut_by_either_method_has_no_content_and_opens_as_zero() {
    for marks in [true, false] {
        let os = SimOs::new(PAGE);
        let range = pages(os, 3);
        // SAFETY: as above.
        unsafe {
            let method = shut_fresh(&os, range, 3 * PAGE, marks).unwrap();
            let middle = range.add(PAGE);
            open(&os, method, middle, PAGE).unwrap();
            let page = os.page(middle).unwrap();
            assert!(!page.guard && page.protection == Protection::READ_WRITE);
            middle.write_bytes(7, PAGE);
            shut(&os, method, middle, PAGE).unwrap();
            let page = os.page(middle).unwrap();
            assert!(!page.resident && (page.guard || page.protection == Protection::NONE));
            open(&os, method, middle, PAGE).unwrap();
            assert!((0..PAGE).step_by(STEP).all(|byte| middle.add(byte).read() == 0));
        }
    }
}

#[test]
fn where_the_system_refuses_the_content_is_gone_all_the_same() {
    for (method, refused) in [(Method::Markers, 1), (Method::Markers, 2), (Method::Rights, 1)] {
        let os = SimOs::new(PAGE);
        let page = pages(os, 1);
        // SAFETY: as above.
        unsafe {
            page.write_bytes(7, PAGE);
            for nth in 1..=refused {
                os.fail_nth(Some(SimCall::Advise), nth, 12);
            }
            os.fail_nth(Some(SimCall::Protect), 1, 12);
            assert!(shut(&os, method, page, PAGE).is_err());
            assert!((0..PAGE).step_by(STEP).all(|byte| page.add(byte).read() == 0));
        }
    }
}
