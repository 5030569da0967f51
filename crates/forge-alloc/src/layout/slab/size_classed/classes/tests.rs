//! The lookup against a scan over the classes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use forge_alloc_core::NonZeroLayout;

use super::{
    ClassTable, DEFAULT_CLASS_SIZES_8, FINE_CLASS_SIZES_24, LARGEST_ALIGN, NONE, RANKS, objection, rank,
};

/// The largest size that is looked up.
const SIZES: usize = if cfg!(miri) { 40 } else { 64 << 10 };

/// The largest alignment that is looked up with all sizes is two to this power; an interpreter gets by with less.
const ALIGN_BITS: u32 = if cfg!(miri) { 5 } else { 17 };

fn layout(size: usize, align: usize) -> NonZeroLayout {
    NonZeroLayout::from_size_align(size, align).unwrap()
}

/// Returns the class that a scan finds: the first that is large enough and aligned enough.
fn scan(sizes: &[usize], limit: usize, layout: NonZeroLayout) -> Option<usize> {
    sizes.iter().position(|size| {
        let align = (size & size.wrapping_neg()).min(limit);
        *size >= layout.size().get() && align >= layout.align().get()
    })
}

fn agrees_with_a_scan<const CLASSES: usize>(sizes: [usize; CLASSES]) {
    for limit in [4, 16, LARGEST_ALIGN] {
        let table = ClassTable::new(sizes).with_align_limit(limit);
        let largest = if limit == LARGEST_ALIGN { SIZES } else { SIZES.min(2048) };
        for align in (0..=ALIGN_BITS).map(|bit| 1 << bit) {
            for size in (1..=largest).chain([1 << 20, isize::MAX as usize - align + 1]) {
                let layout = layout(size, align);
                let found = table.class_of(layout);
                assert_eq!(found, scan(&sizes, limit, layout), "{layout:?} in {sizes:?} up to {limit}");
            }
        }
        for bit in ALIGN_BITS + 1..usize::BITS - 1 {
            assert_eq!(table.class_of(layout(1, 1 << bit)), scan(&sizes, limit, layout(1, 1 << bit)));
        }
    }
}

/// Returns every member of the lattice that a class may have.
fn lattice() -> Vec<usize> {
    (0..usize::BITS - 3)
        .flat_map(|shift| (4..8).map(move |mantissa| mantissa << shift))
        .filter(|size| size % 4 == 0)
        .collect()
}

#[test]
fn powers_of_two() {
    agrees_with_a_scan(DEFAULT_CLASS_SIZES_8);
    agrees_with_a_scan([4, 8, 16]);
}

#[test]
fn four_to_each_doubling() {
    agrees_with_a_scan(FINE_CLASS_SIZES_24);
    agrees_with_a_scan([4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128]);
}

#[test]
fn sparse_powers_of_two() {
    agrees_with_a_scan([4, 64, 4096, 1 << 15]);
    agrees_with_a_scan([1 << 14]);
}

#[test]
fn sparse_members_of_small_alignment() {
    agrees_with_a_scan([24, 40, 56, 112, 128, 1280, 4096]);
    agrees_with_a_scan([12, 20, 28, 64]);
    agrees_with_a_scan([8, 24, 40, 48, 64]);
    agrees_with_a_scan([20]);
    agrees_with_a_scan([7 << 10]);
}

#[test]
fn random_subsets_of_the_lattice() {
    let members: Vec<usize> = lattice().into_iter().take_while(|size| *size <= 8192).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..if cfg!(miri) { 1 } else { 20 } {
        let mut rest = members.clone();
        while rest.len() > 7 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            rest.remove((state >> 33) as usize % rest.len());
        }
        let sizes: [usize; 7] = rest.try_into().unwrap();
        let table = ClassTable::new(sizes);
        for align in (0..=ALIGN_BITS.min(13)).map(|bit| 1 << bit) {
            for size in 1..=SIZES.min(8200) {
                let layout = layout(size, align);
                assert_eq!(
                    table.class_of(layout),
                    scan(&sizes, LARGEST_ALIGN, layout),
                    "{layout:?} in {sizes:?}"
                );
            }
        }
    }
}

#[test]
fn ranks_ascend_through_the_lattice_and_fit_the_table() {
    let members = lattice();
    for pair in members.windows(2) {
        let (below, member) = (pair[0], pair[1]);
        assert!(rank(below - 1) < rank(below), "{below}");
        for number in [below, below + (member - below) / 2, member - 1] {
            assert_eq!(rank(number), rank(member - 1), "{number}");
        }
    }
    assert_eq!(rank(0), 0);
    assert!(rank(isize::MAX as usize) < RANKS);
    assert!(rank(isize::MAX as usize) > rank(members[members.len() - 1] - 1));
}

#[test]
fn the_full_lattice_is_a_table() {
    let members = lattice();
    assert_eq!(objection(&members), None);
    assert!(members.len() < usize::from(NONE));
}

#[test]
fn complete_tables_need_no_steps_for_an_alignment() {
    assert_eq!(ClassTable::new(DEFAULT_CLASS_SIZES_8).direct_align, LARGEST_ALIGN);
    assert_eq!(ClassTable::new(FINE_CLASS_SIZES_24).direct_align, LARGEST_ALIGN);
    assert_eq!(ClassTable::new([8, 24, 64]).direct_align, 8);
    assert_eq!(ClassTable::new(DEFAULT_CLASS_SIZES_8).with_align_limit(16).direct_align, 16);
}

#[test]
fn a_step_to_an_aligned_class_takes_at_most_five() {
    let members = lattice();
    for (at, first) in members.iter().enumerate() {
        let below = at.checked_sub(1).map_or(0, |at| members[at]);
        for align in (0..usize::BITS - 3).map(|bit| 1_usize << bit) {
            if first / align * align > below {
                let steps = members[at..].iter().take_while(|size| *size % align != 0).count();
                assert!(steps <= 5, "{first} at {align}");
            }
        }
    }
}

#[test]
fn the_limit_of_an_alignment_is_a_power_of_two_of_at_least_four() {
    let table = ClassTable::new([256]);
    assert_eq!(table.align_of(0), 256);
    assert_eq!(table.align_of(1), 1);
    for (limit, promised) in [(0, 4), (1, 4), (4, 4), (24, 16), (256, 256), (usize::MAX, 256)] {
        assert_eq!(table.clone().with_align_limit(limit).align_of(0), promised, "{limit}");
    }
}

#[test]
fn sizes_that_are_no_classes_are_refused() {
    assert!(ClassTable::<0>::try_new([]).is_err());
    for size in [0, 1, 2, 3, 5, 6, 7, 9, 10, 14, 18, 36, 44, 72, 100, 1 << (usize::BITS - 1), usize::MAX] {
        assert!(ClassTable::try_new([size]).is_err(), "{size}");
    }
    assert!(ClassTable::try_new([8, 8]).is_err());
    assert!(ClassTable::try_new([16, 8]).is_err());
    assert!(ClassTable::try_new([8; 256]).is_err());
    assert!(ClassTable::try_new([4, 8, 12, 16, 20, 24, 28, 32]).is_ok());
}

#[test]
#[should_panic(expected = "class sizes ascend strictly")]
fn a_bad_table_says_why() {
    let _ = ClassTable::new([16, 8]);
}
