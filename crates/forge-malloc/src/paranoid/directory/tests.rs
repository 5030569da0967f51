use std::boxed::Box;

use forge_os::SimOs;
use forge_os::sim::SimCall;

use super::*;

#[test]
fn every_address_of_a_range_leads_to_its_entry_and_no_other_address() {
    let os = SimOs::new(4096);
    let directory = Box::new(Directory::new());
    // The range crosses from leaf to leaf.
    let (start, len) = ((5 << LEAF_BITS << GRANULE_BITS) - GRANULE, 3 * GRANULE);
    directory.set(start, len, 77, &os, &mut Dice::new()).unwrap();
    for address in [start, start + 1, start + GRANULE, start + len - 1] {
        assert_eq!(directory.get(address), 77);
    }
    for address in [0, 1, start - 1, start + len, usize::MAX, usize::MAX / 2] {
        assert_eq!(directory.get(address), 0);
    }
    directory.change(start, len, 0);
    assert_eq!(directory.get(start), 0);
}

#[test]
fn a_range_without_memory_for_its_leaves_or_beyond_all_addresses_is_refused() {
    let os = SimOs::new(4096);
    let directory = Box::new(Directory::new());
    (1..=2).for_each(|nth| os.fail_nth(Some(SimCall::Map), nth, 12));
    assert_eq!(directory.set(GRANULE, GRANULE, 77, &os, &mut Dice::new()), None);
    assert_eq!(directory.get(GRANULE), 0);
    #[cfg(target_pointer_width = "64")]
    assert_eq!(directory.set(1 << 60, GRANULE, 77, &os, &mut Dice::new()), None);
}
