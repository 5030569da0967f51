use std::collections::BTreeSet;

use forge_trace::Trace;

use super::*;
use crate::measurement::{Pass, Timing};

const TRACE: &[u8] =
    b"a 0 100 16 0\nz 1 5000 64 0\nr 0 9000 0\nr 0 10 0\nf 1 0\na 2 24 8 0\nr 2 48 0\nf 2 0\n";

#[test]
fn names_are_distinct_and_the_system_allocator_is_first() {
    let all = all();
    let names: BTreeSet<&str> = all.iter().map(|contestant| contestant.name).collect();
    assert_eq!(names.len(), all.len());
    assert_eq!(all.first().map(|contestant| contestant.name), Some(ALWAYS));
    assert!(all.iter().all(|contestant| !contestant.about.is_empty()));
}

#[test]
fn every_contestant_serves_every_kind_of_operation() {
    for contestant in all() {
        for pass in [Pass::Throughput, Pass::Latency] {
            let trial = Trial::new(Trace::parse("test", TRACE).unwrap(), pass);
            let run = (contestant.run)(&trial).unwrap();
            assert_eq!((run.operations, run.failures, run.skipped), (8, 0, 0), "{}", contestant.name);
            match (pass, run.timing) {
                (Pass::Throughput, Timing::Throughput { nanoseconds, .. }) => assert!(nanoseconds > 0),
                (Pass::Latency, Timing::Latency(latency)) => assert!(latency.p50 <= latency.max),
                (_, timing) => panic!("{} answered {pass:?} with {timing:?}", contestant.name),
            }
        }
    }
}

#[test]
fn an_unknown_name_is_nobody() {
    assert!(find("nobody").is_none());
    assert_eq!(find("system").map(|contestant| contestant.name), Some("system"));
}
