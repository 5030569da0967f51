use super::{default_huge_page_size, page_size};

#[test]
fn page_sizes_are_plausible() {
    assert!(page_size().is_power_of_two());
    assert!(default_huge_page_size().is_power_of_two());
    assert!(default_huge_page_size() > page_size());
}

#[cfg(not(miri))]
#[test]
fn the_node_agrees_with_the_system_layer() {
    use super::current_numa_node;

    let asked_below = forge_os::numa_node();
    assert_eq!(current_numa_node().is_some(), asked_below.is_ok());
    assert!(current_numa_node().is_none_or(|node| node < 1024));
}
