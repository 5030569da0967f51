use alloc::vec::Vec;

use super::{Parameters, WORKLOADS, workload};
use crate::{Op, Trace};

const COUNT: usize = 20_000;

#[test]
fn each_workload_is_a_valid_trace_of_the_length_asked_for() {
    for workload in WORKLOADS {
        for operations in [0, 1, 2, COUNT] {
            let trace = (workload.generate)(&Parameters::new(9, operations));
            assert_eq!(trace.ops().len(), operations, "{}", workload.name);
            let blocks = trace.blocks();
            assert_eq!(trace.name(), alloc::format!("{} (seed 9)", workload.name));
            let again = Trace::new("again", trace.into_ops()).unwrap();
            assert_eq!(again.blocks(), blocks, "{}", workload.name);
        }
    }
}

#[test]
fn the_seed_decides_and_nothing_else() {
    for workload in WORKLOADS {
        let trace = |seed| (workload.generate)(&Parameters::new(seed, 2000));
        assert!(trace(5) == trace(5), "{}", workload.name);
        assert!(trace(5).ops() != trace(6).ops(), "{}", workload.name);
    }
}

#[test]
fn a_history_is_the_same_for_ever() {
    let trace = (workload("mixed").unwrap().generate)(&Parameters::new(1, 1000));
    let text = crate::format::text::write_text(&trace);
    let sum = text.bytes().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    assert_eq!(
        sum, 9_805_578_779_013_267_993,
        "the generated histories have changed, and with them every recorded result"
    );
}

#[test]
fn extreme_parameters_are_brought_into_range() {
    for workload in WORKLOADS {
        for parameters in [
            Parameters { live_blocks: 0, smallest: 0, largest: 0, threads: 0, ..Parameters::new(1, 200) },
            Parameters {
                smallest: usize::MAX,
                largest: usize::MAX,
                threads: u16::MAX,
                ..Parameters::new(1, 200)
            },
            Parameters { smallest: 50, largest: 20, live_blocks: 1, ..Parameters::new(1, 200) },
        ] {
            assert_eq!((workload.generate)(&parameters).ops().len(), 200, "{}", workload.name);
        }
    }
}

#[test]
fn workloads_do_what_they_say() {
    let parameters = Parameters { live_blocks: 100, ..Parameters::new(4, COUNT) };
    let trace = |name| (workload(name).unwrap().generate)(&parameters);
    for entry in WORKLOADS {
        let stats = (entry.generate)(&parameters).stats();
        assert!(stats.peak_live_blocks <= 100 && stats.peak_live_blocks >= 10, "{}: {stats:?}", entry.name);
    }
    let freed = |name| -> Vec<u32> {
        let ops = trace(name).into_ops();
        ops.iter().filter_map(|op| if let Op::Free { id, .. } = op { Some(*id) } else { None }).collect()
    };
    assert!(freed("fifo").iter().enumerate().all(|(order, id)| order == *id as usize));
    assert!(freed("ramp").iter().enumerate().all(|(order, id)| order == *id as usize));
    let mut live = Vec::new();
    for op in trace("lifo").ops() {
        match *op {
            Op::Free { id, .. } => assert_eq!(live.pop(), Some(id)),
            _ => live.push(op.id()),
        }
    }
    let mixed = trace("mixed").stats();
    assert!(mixed.zeroed > 0 && mixed.resizes > 0, "{mixed:?}");
    assert_eq!(trace("mixed").threads(), 4);
    assert_eq!(trace("aligned").stats().largest_align, 4096);
    assert!(trace("vectors").stats().resizes > COUNT / 10);
    let handed = trace("handoff");
    assert!(handed.ops().iter().all(|op| matches!(op, Op::Free { .. }) == (op.thread() != 0)));
    assert!(freed("checkerboard").iter().take(50).enumerate().all(|(order, id)| order == *id as usize / 2));
}

#[test]
fn names_find_their_workload() {
    assert!(
        WORKLOADS.iter().all(|entry| workload(entry.name).is_some_and(|found| found.about == entry.about))
    );
    assert!(workload("nothing").is_none());
}
