//! The map against an ordered map, with keys that collide.
#![allow(unsafe_code)]

use core::num::NonZeroUsize;
use core::ptr::NonNull;
use std::collections::BTreeMap;
use std::vec::Vec;

use forge_os::sim::{SimCall, SimOs};

use super::{Cell, Entry, SegmentMap, Tables};

const GRANULE_BITS: u32 = 12;
const REACH: usize = 3_000;

/// An address without memory, which the map never follows.
fn base(granule: usize) -> NonNull<u8> {
    NonNull::without_provenance(NonZeroUsize::new(granule << GRANULE_BITS).unwrap())
}

/// Compares the whole table and lookups at the edges of each granule with the model.
fn compare(map: &SegmentMap, model: &BTreeMap<usize, u32>, granules: &[usize]) {
    for &granule in granules {
        let start = granule << GRANULE_BITS;
        let expected = model.get(&granule).copied();
        for offset in [0, 1, REACH - 1] {
            let found = map.find(start + offset);
            assert_eq!(found.map(|entry| (entry.base, entry.segment)), expected.map(|n| (base(granule), n)));
        }
        assert!(map.find(start + REACH).is_none());
        assert!(start.checked_sub(1).and_then(|before| map.find(before)).is_none());
    }
    let filled = map.cells().iter().filter_map(Cell::entry).count();
    assert_eq!(filled, model.len());
    assert!(map.cells().is_empty() || filled * 2 <= map.cells().len());
}

#[test]
fn the_map_agrees_with_an_ordered_map_although_keys_collide() {
    let os = SimOs::new(4096);
    let (map, mut tables) = (SegmentMap::new(REACH, GRANULE_BITS), Tables::new(os));
    // Granules whose homes are the last cells and the first: they crowd and wrap around the end of the table.
    let mut granules: Vec<usize> = (1..1 << 16)
        .map(|n| n * 2)
        .filter(|&granule| (map.home_of(granule << GRANULE_BITS, 256) + 3) % 256 < 5)
        .take(80)
        .collect();
    granules.extend((0..100).map(|n| (1 << 19) + 2 * n));
    let mut model = BTreeMap::new();
    let mut state = 1_u64;
    for step in 0..if cfg!(miri) { 200_u32 } else { 6000 } {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let granule = granules[(state >> 33) as usize % granules.len()];
        if model.remove(&granule).is_some() {
            map.remove(&mut tables, base(granule));
        } else {
            map.reserve(&mut tables).unwrap();
            map.insert(&mut tables, Entry { base: base(granule), segment: step, issued: 0 });
            model.insert(granule, step);
        }
        if step % 50 == 0 {
            compare(&map, &model, &granules);
        }
    }
    compare(&map, &model, &granules);
    for granule in model.keys() {
        map.remove(&mut tables, base(*granule));
    }
    model.clear();
    compare(&map, &model, &granules);
    // SAFETY: nobody else reads the map.
    unsafe { map.shrink(&mut tables) };
    assert_eq!(os.live_mappings(), 0);
}

#[test]
fn a_table_that_cannot_grow_stays_as_it_is() {
    let os = SimOs::new(4096);
    let (map, mut tables) = (SegmentMap::new(REACH, GRANULE_BITS), Tables::new(os));
    let mut model = BTreeMap::new();
    for number in 0..128 {
        map.reserve(&mut tables).unwrap();
        map.insert(&mut tables, Entry { base: base(10 + 2 * number), segment: number as u32, issued: 0 });
        model.insert(10 + 2 * number, number as u32);
    }
    os.fail_nth(Some(SimCall::Map), 1, 12);
    assert!(map.reserve(&mut tables).is_err());
    let granules: Vec<usize> = model.keys().copied().collect();
    compare(&map, &model, &granules);
    map.reserve(&mut tables).unwrap();
    compare(&map, &model, &granules);
    map.set_issued(&mut tables, base(10), 7);
    assert_eq!(map.find(10 << GRANULE_BITS).map(|entry| entry.issued), Some(7));
    // SAFETY: nobody else reads the map.
    unsafe { map.shrink(&mut tables) };
    compare(&map, &model, &granules);
    assert_eq!(os.live_mappings(), 1, "the outgrown table is gone");
    granules.iter().for_each(|&granule| map.remove(&mut tables, base(granule)));
    // SAFETY: as above.
    unsafe { map.shrink(&mut tables) };
    assert_eq!(os.live_mappings(), 0);
}
