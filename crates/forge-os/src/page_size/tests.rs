use super::*;

#[test]
fn nonsense_page_sizes_fall_back() {
    assert_eq!(plausible(0), 4096);
    assert_eq!(plausible(1), 4096);
    assert_eq!(plausible(5000), 4096);
    assert_eq!(plausible(usize::MAX), 4096);
    assert_eq!(plausible(16384), 16384);
    assert_eq!(plausible(65536), 65536);
}

#[test]
fn page_size_is_a_stable_power_of_two() {
    assert!(page_size().is_power_of_two());
    assert_eq!(page_size(), page_size());
}
