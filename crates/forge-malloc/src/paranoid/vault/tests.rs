#![allow(unsafe_code)]

use std::vec::Vec;

use forge_os::sim::SimCall;
use forge_os::{Protection, SimOs};

use super::*;

const PAGE: usize = 4096;

#[test]
fn the_data_is_zero_and_lies_between_guards() {
    let os = SimOs::new(PAGE);
    let vault = Vault::new(&os, 5000, &mut Dice::new()).unwrap();
    let data = vault.data();
    // SAFETY: the data is two pages, and the pages beside it are the vault's.
    unsafe {
        assert!(
            (0..2 * PAGE).step_by(if cfg!(miri) { 255 } else { 1 }).all(|byte| data.add(byte).read() == 0)
        );
        assert!(os.page(data.sub(1)).unwrap().guard && os.page(data.add(2 * PAGE)).unwrap().guard);
        assert!(!os.page(data).unwrap().guard && !os.page(data.add(PAGE)).unwrap().guard);
        vault.give_back(&os);
    }
    assert_eq!(os.live_mappings(), 0);
}

#[test]
fn vaults_lie_at_different_distances_from_their_mappings() {
    let os = SimOs::new(PAGE);
    let mut dice = Dice::new();
    let distance = |_| {
        let vault = Vault::new(&os, 1, &mut dice).unwrap();
        vault.data().addr().get() - vault.mapping.addr().get()
    };
    let distances: Vec<_> = (0..20).map(distance).collect();
    assert!(distances.iter().any(|&distance| distance != distances[0]));
}

#[test]
fn a_system_without_guards_has_no_vaults_and_one_with_rights_has() {
    let os = SimOs::new(PAGE);
    (1..=2).for_each(|nth| os.fail_nth(Some(SimCall::Advise), nth, 22));
    let vault = Vault::new(&os, 1, &mut Dice::new()).unwrap();
    // SAFETY: the page in front is the vault's.
    assert_eq!(os.protection_of(unsafe { vault.data().sub(1) }), Some(Protection::NONE));
    for nth in 1..=2 {
        os.fail_nth(Some(SimCall::Advise), nth, 22);
        os.fail_nth(Some(SimCall::Protect), nth, 12);
    }
    let before = os.live_mappings();
    assert!(Vault::new(&os, 1, &mut Dice::new()).is_none());
    assert_eq!(os.live_mappings(), before);
}
