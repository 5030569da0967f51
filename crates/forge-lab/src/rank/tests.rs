use super::*;

/// A small seeded generator: uniform in 0..1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn sample(&mut self, runs: usize, centre: f64, width: f64) -> Vec<f64> {
        (0..runs).map(|_| centre + width * self.next()).collect()
    }
}

fn places(samples: &[Vec<f64>]) -> Vec<(usize, bool)> {
    let borrowed: Vec<&[f64]> = samples.iter().map(Vec::as_slice).collect();
    rank(&borrowed).into_iter().map(|place| place.map(|p| (p.number, p.shared)).unwrap()).collect()
}

#[test]
fn the_counts_are_those_of_all_interleavings() {
    assert_eq!(statistic_counts(2, 2), [1.0, 1.0, 2.0, 1.0, 1.0]);
    assert_eq!(statistic_counts(1, 3), [1.0, 1.0, 1.0, 1.0]);
    let total: f64 = statistic_counts(7, 7).iter().sum();
    assert_eq!(total, 3432.0);
}

#[test]
fn separated_samples_have_the_probability_of_the_two_extreme_interleavings() {
    let (a, b) = ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]);
    assert!((probability_of_chance(&a, &b) - 2.0 / 70.0).abs() < 1e-12);
    assert!((probability_of_chance(&b, &a) - 2.0 / 70.0).abs() < 1e-12);
}

#[test]
fn equal_samples_are_certainly_chance() {
    assert_eq!(probability_of_chance(&[1.0; 9], &[1.0; 9]), 1.0);
    assert_eq!(probability_of_chance(&[], &[1.0]), 1.0);
}

#[test]
fn noise_is_not_ranked() {
    let mut noise = Noise(0x9E37_79B9_7F4A_7C15);
    let tables = 400;
    let mut false_places = 0;
    for _ in 0..tables {
        let samples: Vec<Vec<f64>> = (0..5).map(|_| noise.sample(9, 50.0, 10.0)).collect();
        false_places += usize::from(places(&samples).iter().any(|&(number, _)| number != 1));
    }
    assert!(false_places <= tables / 12, "{false_places} of {tables} tables of pure noise were ranked");
}

#[test]
fn a_difference_beyond_the_noise_is_ranked() {
    let mut noise = Noise(42);
    for _ in 0..100 {
        let samples = [noise.sample(7, 80.0, 5.0), noise.sample(7, 50.0, 5.0), noise.sample(7, 50.0, 5.0)];
        assert_eq!(places(&samples)[0], (3, false));
    }
}

#[test]
fn rows_that_cannot_be_told_apart_share_a_place() {
    let samples =
        [vec![1.0, 2.0, 3.0, 4.0, 5.0], vec![1.5, 2.5, 3.5, 4.5, 5.5], vec![9.0, 9.1, 9.2, 9.3, 9.4]];
    assert_eq!(places(&samples), [(1, true), (1, true), (3, false)]);
}

#[test]
fn too_few_runs_rank_nothing() {
    assert_eq!(rank(&[&[1.0, 1.1], &[9.0, 9.1]]), [None, None]);
}

#[test]
fn a_row_with_too_few_runs_leaves_the_others_ranked() {
    let (fast, slow): (Vec<f64>, Vec<f64>) = (0..9).map(|run| (f64::from(run), f64::from(run + 50))).unzip();
    let numbers: Vec<_> =
        rank(&[&slow, &[900.0], &fast]).iter().map(|place| place.map(|p| p.number)).collect();
    assert_eq!(numbers, [Some(2), None, Some(1)]);
}

#[test]
fn a_noisy_row_in_front_hides_no_difference_behind_it() {
    let noisy: Vec<f64> = (0..15).map(|run| 5.0 + 3.0 * f64::from(run)).collect();
    let steady = |centre: f64| -> Vec<f64> { (0..15).map(|run| centre + 0.01 * f64::from(run)).collect() };
    assert_eq!(places(&[noisy, steady(27.0), steady(28.0)]), [(1, true), (1, true), (2, false)]);
}

#[test]
fn a_row_alone_is_first() {
    assert_eq!(rank(&[&[3.0]]), [Some(Place { number: 1, shared: false })]);
}

#[test]
fn few_slow_runs_against_many_fast_ones_suffice() {
    let fast: Vec<f64> = (0..15).map(|run| 50.0 + f64::from(run)).collect();
    let mut samples = vec![fast.clone(), fast.clone(), fast.clone(), fast];
    samples.push(vec![5000.0, 5100.0, 5200.0]);
    assert_eq!(places(&samples)[4], (5, false));
}

#[test]
fn a_row_without_runs_has_no_place() {
    let places = rank(&[&[1.0, 2.0], &[]]);
    assert_eq!(places, [Some(Place { number: 1, shared: false }), None]);
}

#[test]
fn nobody_in_front_is_slower_beyond_noise() {
    let mut noise = Noise(7);
    for _ in 0..200 {
        let samples: Vec<Vec<f64>> = (0..6).map(|row| noise.sample(9, f64::from(row), 4.0)).collect();
        let places = places(&samples);
        let level = Level::for_rows(samples.len());
        for (place, sample) in places.iter().zip(&samples) {
            let faster = samples.iter().filter(|other| level.is_faster(other, sample)).count();
            assert_eq!(place.0, faster + 1);
        }
    }
}
