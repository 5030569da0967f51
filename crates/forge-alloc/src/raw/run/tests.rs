use super::*;

#[test]
fn links_and_lengths_lie_apart_from_three_granules_on() {
    for granules in [3, 4, 100] {
        let mut memory = std::vec![0_u64; granules];
        let run = NonNull::from(&mut *memory).cast::<u8>();
        // SAFETY: the run is as long as the memory, and the end carries its provenance.
        unsafe {
            set_lengths(run, granules);
            set_next(run, Some(run));
            set_prev(run, None);
            assert_eq!((next(run), prev(run)), (Some(run), None));
            assert_eq!(length(run), granules);
            assert_eq!(length_before(run.add(granules * GRANULE)), granules);
        }
    }
}

#[test]
fn the_shortest_run_holds_both_links() {
    let mut memory = [0_u64; SHORTEST];
    let run = NonNull::from(&mut memory).cast::<u8>();
    // SAFETY: the run is as long as the memory.
    unsafe {
        set_prev(run, Some(run));
        set_next(run, None);
        assert_eq!((next(run), prev(run)), (None, Some(run)));
    }
}
