use core::mem::MaybeUninit;

use super::Region;

fn region(len: usize) -> Region {
    Region::from(&mut *Box::leak(vec![MaybeUninit::uninit(); len].into_boxed_slice()))
}

/// Frees what `region` leaked, so that leak checkers stay quiet.
#[allow(unsafe_code)]
fn give_back(region: Region) {
    let (base, len) = region.into_raw();
    let slice = core::ptr::slice_from_raw_parts_mut(base.as_ptr().cast::<MaybeUninit<u8>>(), len);
    // SAFETY: the region is whole again and came from a leaked box of this length.
    drop(unsafe { Box::from_raw(slice) });
}

#[test]
fn split_halves_are_adjacent_and_cover_the_whole() {
    for mid in [0, 1, 63, 64] {
        let whole = region(64);
        let base = whole.base();
        let (left, right) = whole.split_at(mid).unwrap();
        assert_eq!((left.base(), left.len()), (base, mid));
        assert_eq!(right.base().addr().get(), base.addr().get() + mid);
        assert_eq!(left.len() + right.len(), 64);
        assert_eq!(left.is_empty(), mid == 0);
        #[allow(unsafe_code)]
        // SAFETY: both halves are given up here, and together they are the region that was made above.
        give_back(unsafe { Region::from_raw(base, 64) });
    }
}

#[test]
fn split_past_the_end_gives_the_region_back() {
    let whole = region(8).split_at(9).unwrap_err();
    assert_eq!(whole.len(), 8);
    give_back(whole);
}

#[test]
fn trimming_keeps_whole_aligned_units_only() {
    for align in [1, 2, 8, 64, 128, 4096] {
        let whole = region(200);
        let (base, len) = (whole.base(), whole.len());
        let first = base.addr().get().next_multiple_of(align);
        let last = (base.addr().get() + len) / align * align;
        let trimmed = whole.trim_to(align);
        assert_eq!(trimmed.len(), last.saturating_sub(first), "align {align}");
        assert!(trimmed.is_empty() || trimmed.base().addr().get() == first);
        #[allow(unsafe_code)]
        // SAFETY: the trimmed part is given up here, and the span is the region that was made above.
        give_back(unsafe { Region::from_raw(base, len) });
    }
}

#[test]
#[allow(unsafe_code)]
fn impossible_address_spans_are_refused() {
    // SAFETY: every span here is refused, so no region comes into being.
    unsafe {
        assert!(Region::from_addresses(0, 16).is_none());
        assert!(Region::from_addresses(usize::MAX - 7, 9).is_none());
        assert!(Region::from_addresses(16, isize::MAX as usize + 1).is_none());
    }
}
