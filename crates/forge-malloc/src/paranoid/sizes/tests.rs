use super::*;

#[test]
fn a_class_holds_its_pages_and_wastes_a_quarter_of_the_addresses_at_most() {
    let mut last = 0;
    for pages in (1..if cfg!(miri) { 40 } else { 5000 }).chain([1 << 20, (1 << 20) + 1, (1 << 30) - 1]) {
        let class = class_of(pages);
        let span = span_of(class).unwrap();
        assert!(span >= pages && (span - pages) * 4 <= pages, "{pages} in {span}");
        assert!(class >= last && class < CLASSES);
        assert!(class == 0 || span_of(class - 1).unwrap() < pages);
        last = class;
    }
}

#[test]
fn the_last_class_is_beyond_the_address_space_and_more_is_refused() {
    assert!(
        Request::of(isize::MAX as usize, 1, 4096).is_none_or(|request| request.slot_bytes(4096).is_none())
    );
    assert!(Request::of(usize::MAX - 4200, 1, 4096).is_none());
    assert!(Request::of(usize::MAX, 8, 4096).is_none());
    assert!(Request::of(1, 1 << (usize::BITS - 1), 4096).is_none());
    assert_eq!(span_of(usize::MAX / 2), None);
}

#[test]
fn blocks_end_at_a_guard_or_within_their_alignment_of_it_and_stay_in_their_slots() {
    let step = if cfg!(miri) { 20_011 } else { 17 };
    for page in [4096, 65536] {
        for log in (0..20).step_by(if cfg!(miri) { 4 } else { 1 }) {
            let align = 1 << log;
            for size in (0..3 * page).step_by(step).chain([1, 8, page - 1, page, page + 1]) {
                let request = Request::of(size, align, page).unwrap();
                let bytes = request.slot_bytes(page).unwrap();
                // Slots lie at any page.
                for lo in [64 * page, 65 * page, 127 * page] {
                    let hi = lo + bytes - page;
                    let place = request.place(hi, page);
                    assert_eq!(place.start % align, 0);
                    assert!(place.start >= lo && place.first >= lo && place.first + place.open <= hi);
                    if size == 0 {
                        assert_eq!((place.open, place.lead, place.slack), (0, 0, 0));
                        assert!(place.start < hi);
                    } else {
                        assert_eq!((place.first % page, place.open % page), (0, 0));
                        assert_eq!(place.start + size + place.slack, place.first + place.open);
                        assert!(place.lead < page && place.slack < page && place.slack < align);
                    }
                    assert_eq!(Place::of(place.start, size, page), place);
                }
            }
        }
    }
}
