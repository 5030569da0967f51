use super::{Key, mix};

/// The low `bits` bits of a product, by addition alone.
fn product(mut a: u128, mut b: u128) -> u128 {
    let mut sum = 0u128;
    while b != 0 {
        if b & 1 == 1 {
            sum = sum.wrapping_add(a);
        }
        (a, b) = (a << 1, b >> 1);
    }
    sum
}

#[test]
fn the_hash_is_what_its_formula_says() {
    for round in 0..if cfg!(miri) { 5 } else { 50 } {
        let words = [1, 2, 3, 4, 5].map(|index| mix(round, index));
        let [place, detail] = [7, 8].map(|index| mix(round, index));
        let wide = |low: u64, high: u64| u128::from(low) | u128::from(high) << 64;
        let sum = product(wide(words[0], words[1]), u128::from(place as usize as u64))
            .wrapping_add(product(wide(words[2], words[3]), u128::from(detail)));
        let expected = words[4].wrapping_add((sum >> 64) as u64);
        assert_eq!(Key::from_words(words).hash(place as usize, detail), expected);
    }
}

#[test]
fn a_seed_stretches_to_the_published_sequence() {
    // The first outputs of SplitMix64 from the seed 0.
    assert_eq!([mix(0, 1), mix(0, 2)], [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4]);
    let (one, other) = (Key::from_seed(1), Key::from_seed(1));
    assert_eq!(one.hash(4096, 9), other.hash(4096, 9));
    assert_ne!(one.hash(4096, 9), Key::from_seed(2).hash(4096, 9));
}

#[test]
fn neighbours_have_hashes_that_differ_in_half_of_their_bits() {
    let mut differing = 0;
    for seed in 0..64 {
        let key = Key::from_seed(seed);
        for place in (4096..8192).step_by(256) {
            differing += (key.hash(place, 0) ^ key.hash(place + 16, 0)).count_ones();
        }
    }
    let mean = f64::from(differing) / (64.0 * 16.0);
    assert!((30.0..34.0).contains(&mean), "{mean}");
}
