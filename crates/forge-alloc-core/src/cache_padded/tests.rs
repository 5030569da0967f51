use super::{CACHE_LINE, CachePadded};

#[test]
fn alignment_and_size_are_whole_lines() {
    assert!(CACHE_LINE.is_power_of_two());
    assert_eq!(align_of::<CachePadded<[u8; 3]>>(), CACHE_LINE);
    assert_eq!(size_of::<CachePadded<u8>>(), CACHE_LINE);
    assert_eq!(size_of::<CachePadded<[u8; 300]>>(), 300usize.next_multiple_of(CACHE_LINE));
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    assert_eq!(CACHE_LINE, 128);
}

#[test]
fn the_value_is_reached_and_taken_back() {
    let mut padded = CachePadded::new(vec![1]);
    padded.push(2);
    assert_eq!(padded.len(), 2);
    assert_eq!(format!("{padded:?}"), "CachePadded([1, 2])");
    assert_eq!(padded.into_inner(), [1, 2]);
    assert_eq!(*CachePadded::<u32>::default(), 0);
}
