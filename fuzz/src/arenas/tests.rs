use forge_trace::random::Random;
use forge_trace::shadow::drive;

use super::*;
use crate::decode;

#[test]
fn every_subject_passes_random_inputs() {
    let mut random = Random::new(7);
    for round in 0..SUBJECTS.len() * 20 {
        let mut bytes: Vec<u8> = (0..300).map(|_| random.below(256) as u8).collect();
        bytes[0] = (round % SUBJECTS.len()) as u8;
        let plan: Plan = decode(&bytes).unwrap();
        assert_eq!(plan.subject, SUBJECTS[round % SUBJECTS.len()]);
        run(&plan);
    }
}

#[test]
fn random_inputs_are_done_failed_and_skipped() {
    let mut random = Random::new(3);
    let bytes: Vec<u8> = (0..600).map(|_| random.below(256) as u8).collect();
    let plan: Plan = decode(&bytes).unwrap();
    let summary = drive(&Arena::new().limited_to(1 << 20), &plan.ops, plan.checks()).unwrap();
    assert!(summary.done > 50 && summary.failed > 0 && summary.skipped > 0, "{summary:?}");
}
