//! Shapes of every length and class.

use super::*;

/// Checks the shapes where the longest span has `SPAN` bytes.
fn shapes<const SPAN: usize>() {
    for level in 0..LEVELS {
        let layout = Shape::<SPAN>::layout(level).unwrap();
        assert_eq!((layout.size(), layout.align()), (SPAN >> level, Shape::<SPAN>::UNIT));
        for (class, size) in SIZES.into_iter().enumerate() {
            let Some(slots) = Shape::<SPAN>::slots(level, class) else { continue };
            let gap = layout.size() - slots * size;
            assert!(gap * 8 <= layout.size(), "an eighth is lost at most");
            assert!(Span::<Note>::header_bytes(slots + 1) + size > gap, "one more slot would fit");
            for unit in 0..if cfg!(miri) { 5 } else { 100 } {
                let at = Shape::<SPAN>::header_at(unit * Shape::<SPAN>::UNIT, gap, slots);
                assert!(at < Shape::<SPAN>::UNIT, "the header is in the first unit");
                assert_eq!(at % Span::<Note>::ALIGN, 0);
                assert!(at + Span::<Note>::header_bytes(slots) <= gap, "the header is in front of the slots");
            }
            let align = Shape::<SPAN>::TABLE.align_of(class);
            assert_eq!(gap % align, 0, "the first slot is as aligned as its class says");
        }
    }
    for (class, size) in SIZES.into_iter().enumerate() {
        let levels = Shape::<SPAN>::levels(class);
        assert_eq!(levels.is_empty(), Shape::<SPAN>::slots(0, class).is_none());
        assert!(levels.clone().next().is_none_or(|level| Shape::<SPAN>::slots(level, class).is_some()));
        assert_eq!(Shape::<SPAN>::STRIDES[class].bytes(), size);
    }
    assert_eq!((Shape::<SPAN>::slots(LEVELS, 0), Shape::<SPAN>::slots(0, CLASSES)), (None, None));
}

#[test]
fn headers_and_slots_of_every_shape_lie_apart() {
    shapes::<2048>();
    #[cfg(not(miri))]
    shapes::<4096>();
    shapes::<8192>();
    #[cfg(target_pointer_width = "64")]
    shapes::<{ 32 << 10 }>();
    assert!(Shape::<8192>::slots(0, 0).is_some_and(|slots| slots > 900), "small slots take few bits");
}
