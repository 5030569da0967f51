//! The law of the policy, against its wording.

use std::vec::Vec;

use forge_trace::random::Random;

use super::{ADAPTIVE_COOLDOWN_TICKS, ADAPTIVE_LEVELS, BatchPolicy, Batching};

/// The law, word for word.
struct Law {
    capacity: u64,
    level: usize,
    cooldown: u32,
}

impl Law {
    fn new(capacity: u64) -> Self {
        Self { capacity, level: 3, cooldown: 0 }
    }

    fn tick(&mut self, length: u64) {
        if self.cooldown > 0 {
            self.cooldown -= 1;
        } else if 4 * length > 3 * self.capacity && self.level > 0 {
            self.level -= 1;
            self.cooldown = 16;
        } else if 4 * length < self.capacity && self.level < 4 {
            self.level += 1;
            self.cooldown = 16;
        }
    }
}

fn adaptive(capacity: usize) -> Batching {
    Batching::new(BatchPolicy::Adaptive, capacity)
}

#[test]
fn the_default_is_sixty_four() {
    assert!(matches!(BatchPolicy::default(), BatchPolicy::Fixed(64)));
}

#[test]
fn the_first_tick_on_an_empty_queue_gives_the_largest_batch() {
    let batching = adaptive(1024);
    assert_eq!(batching.adaptive_threshold(), Some(64));
    assert!(batching.tick(0));
    assert_eq!(batching.adaptive_threshold(), Some(128));
}

#[test]
fn a_full_queue_steps_down_to_the_smallest_batch_and_an_empty_one_up_again() {
    let batching = adaptive(100);
    let mut seen = Vec::from([batching.threshold()]);
    let mut run = |length| {
        for _ in 0..5 * (ADAPTIVE_COOLDOWN_TICKS + 1) {
            if batching.tick(length) {
                seen.push(batching.threshold());
            }
        }
    };
    run(76);
    run(0);
    assert_eq!(seen, [64, 32, 16, 8, 16, 32, 64, 128]);
}

#[test]
fn a_level_lasts_for_the_cooldown() {
    let batching = adaptive(100);
    assert!(batching.tick(100));
    for _ in 0..ADAPTIVE_COOLDOWN_TICKS {
        assert!(!batching.tick(100));
    }
    assert!(batching.tick(100));
}

#[test]
fn a_queue_between_a_quarter_and_three_quarters_changes_nothing() {
    let batching = adaptive(100);
    for length in 25..=75 {
        assert!(!batching.tick(length), "{length}");
    }
    assert_eq!(batching.adaptive_threshold(), Some(64));
}

#[test]
fn random_lengths_follow_the_law() {
    for (seed, capacity) in [0, 1, 3, 4, 7, 64, 100, 511, 512, 1024, 100_000].into_iter().enumerate() {
        let (batching, mut law) = (adaptive(capacity), Law::new(capacity as u64));
        let mut random = Random::new(seed as u64);
        for _ in 0..if cfg!(miri) { 5 } else { 2000 } {
            // Runs of similar lengths, so that all levels are reached.
            let (around, run) = (random.below(capacity as u64 * 5 / 4 + 2), random.below(40));
            for _ in 0..run {
                let length = around.saturating_sub(random.below(3));
                batching.tick(length);
                law.tick(length);
                assert_eq!(batching.adaptive_threshold(), Some(ADAPTIVE_LEVELS[law.level]));
            }
        }
    }
}

#[test]
fn below_the_limit_every_length_is_as_good_as_none() {
    for capacity in [0, 1, 3, 4, 7, 64, 100, 511, 512, 1024] {
        let (exact, lazy) = (adaptive(capacity), adaptive(capacity));
        let mut random = Random::new(capacity as u64);
        for _ in 0..if cfg!(miri) { 20 } else { 5000 } {
            let length = random.below(capacity as u64 + 2);
            let short = length < u64::from(lazy.limit());
            exact.tick(length);
            // A tick of an owner at rest does not reach the policy.
            if !short || lazy.is_restless() {
                lazy.tick(if short { 0 } else { length });
            }
            assert_eq!(exact.threshold(), lazy.threshold());
            assert_eq!(exact.limit(), lazy.limit());
            assert!(u64::from(lazy.limit()) <= lazy.threshold());
        }
    }
}

#[test]
fn a_settled_policy_rests() {
    let batching = adaptive(1024);
    for _ in 0..=ADAPTIVE_COOLDOWN_TICKS {
        assert!(batching.is_restless());
        batching.tick(0);
    }
    assert!(!batching.is_restless());
    assert!(!Batching::new(BatchPolicy::Fixed(8), 1024).is_restless());
}

#[test]
fn a_fixed_batch_stays() {
    for (asked, threshold) in [(0, 1), (1, 1), (64, 64), (usize::MAX, usize::MAX as u64)] {
        let batching = Batching::new(BatchPolicy::Fixed(asked), 4);
        assert!(!batching.tick(4) && !batching.tick(0));
        assert_eq!((batching.threshold(), batching.adaptive_threshold()), (threshold, None));
        assert_eq!(u64::from(batching.limit()), threshold.min(u64::from(u32::MAX)));
        assert_eq!(batching.patience(), batching.limit());
    }
}
