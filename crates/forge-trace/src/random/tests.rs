use super::Random;

#[test]
fn the_sequence_is_the_published_one() {
    // The first outputs of SplitMix64 for the seed 1234567.
    let mut random = Random::new(1_234_567);
    let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
    assert_eq!([random.bits(), random.bits(), random.bits()], expected);
}

#[test]
fn numbers_stay_in_their_range_and_reach_both_ends() {
    let mut random = Random::new(1);
    let mut seen = [false; 5];
    for _ in 0..200 {
        let number = random.between(3, 7);
        assert!((3..=7).contains(&number));
        seen[number - 3] = true;
    }
    assert_eq!(seen, [true; 5]);
    assert_eq!((random.below(0), random.index(0), random.between(9, 4)), (0, 0, 9));
    assert!(random.between(0, usize::MAX) > 0);
}

#[test]
fn a_power_law_halves_from_octave_to_octave() {
    let mut random = Random::new(2);
    let mut octaves = [0u32; 8];
    for _ in 0..8000 {
        let size = random.power_law(16, 4096);
        assert!((16..=4096).contains(&size));
        octaves[(size.ilog2() - 4).min(7) as usize] += 1;
    }
    assert!((3800..4300).contains(&octaves[0]), "{octaves:?}");
    assert!((1900..2200).contains(&octaves[1]), "{octaves:?}");
    assert!(octaves[7] > 30, "{octaves:?}");
    for (low, high) in [(1, 1), (0, 0), (5, 3), (7, 8), (1, usize::MAX)] {
        let size = random.power_law(low, high);
        assert!(size >= low && size <= high.max(low).max(1), "{low} {high} {size}");
    }
}
