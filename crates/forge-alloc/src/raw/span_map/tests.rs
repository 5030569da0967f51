//! The map against a tree.
#![allow(unsafe_code, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::vec::Vec;

use super::*;

#[test]
fn tables_agree_with_a_tree() {
    let ranges = [(10, 5), (0, 3), (usize::MAX - 2, 3), (40, 1), (3, 0)];
    let mut rooms: Vec<Vec<usize>> = Vec::new();
    let mut map = SpanMap::new();
    assert_eq!((map.get(0), map.peek(10), map.covers(10)), (None, None, false));
    for (first, units) in ranges {
        let layout = SpanMap::layout(units).unwrap();
        rooms.push(std::vec![0; layout.size() / size_of::<usize>()]);
        let place = NonNull::from(rooms.last_mut().unwrap().as_mut_slice()).cast();
        // SAFETY: the room has the layout and lives longer than the map; the units are disjoint.
        unsafe { map.add(place, first, units) };
        assert!(map.is_table(place.addr().get()) && !map.is_table(place.addr().get() + 8));
    }
    let covered = |unit: usize| ranges.iter().any(|(first, units)| unit.wrapping_sub(*first) < *units);
    let mut model = BTreeMap::new();
    let mut byte = 0_u8;
    for round in 0..400_usize {
        let unit = (round * 13 % 47).wrapping_sub(3);
        let entry = (round % 3 != 0).then_some(NonNull::from(&mut byte));
        map.set(unit, entry);
        if covered(unit) {
            model.insert(unit, entry);
        }
        for unit in (0..50_usize).map(|unit| unit.wrapping_sub(4)) {
            let expected = model.get(&unit).copied().flatten();
            assert_eq!(
                (map.get(unit), map.peek(unit), map.covers(unit)),
                (expected, expected, covered(unit))
            );
        }
    }
    let mut entries = 0;
    map.for_each(&mut |unit, entry| {
        assert_eq!(model.get(&unit).copied().flatten(), Some(entry));
        entries += 1;
    });
    assert_eq!(entries, model.values().flatten().count());
}
