use forge_trace::random::Random;

use super::{Program, SUBJECTS, Step, run};
use crate::decode;

fn program(seed: u64, subject: usize) -> Program {
    let mut random = Random::new(seed);
    let mut bytes: Vec<u8> = (0..1500).map(|_| random.below(256) as u8).collect();
    bytes[0] = subject as u8;
    decode(&bytes).unwrap()
}

#[test]
fn every_subject_passes_random_programs() {
    for seed in 0..30 {
        for (index, subject) in SUBJECTS.iter().enumerate() {
            let program = program(seed, index);
            assert_eq!(program.subject, *subject);
            run(&program);
        }
    }
}

#[test]
fn random_programs_take_steps_of_every_kind() {
    let steps: Vec<Step> = (0..10).flat_map(|seed| program(seed, 0).steps).collect();
    let kinds: std::collections::HashSet<_> = steps.iter().map(core::mem::discriminant).collect();
    assert_eq!(kinds.len(), 22);
}
