use super::Uniform;

#[test]
fn a_seed_determines_the_sequence_and_zero_is_one_too() {
    let sequence = |seed| {
        let numbers = Uniform::new(seed);
        [(); 16].map(|()| numbers.below(1000))
    };
    assert_eq!(sequence(5), sequence(5));
    assert_ne!(sequence(5), sequence(6));
    assert!(sequence(0).iter().any(|number| *number != 0));
}

#[test]
fn every_number_below_the_bound_comes_equally_often() {
    for bound in [1, 2, 3, 7, 8, 100] {
        let rounds = if cfg!(miri) { 20 } else { 20_000 };
        let (numbers, mut counts) = (Uniform::new(1), [0u32; 100]);
        for _ in 0..rounds * bound {
            counts[numbers.below(bound) as usize] += 1;
        }
        let (low, high) = (rounds * 8 / 10, rounds * 12 / 10);
        let even = |count: &u32| cfg!(miri) || (low..=high).contains(count);
        assert!(counts[..bound as usize].iter().all(even), "{bound}: {counts:?}");
        assert!(counts[bound as usize..].iter().all(|count| *count == 0));
    }
}
