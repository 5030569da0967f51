use alloc::vec;
use alloc::vec::Vec;

use crate::{Op, Trace, TraceError};

const fn allocate(id: u32, size: usize, align: usize) -> Op {
    Op::Allocate { id, size, align, zeroed: false, thread: 0 }
}

const fn resize(id: u32, size: usize) -> Op {
    Op::Resize { id, size, thread: 2 }
}

const fn free(id: u32) -> Op {
    Op::Free { id, thread: 0 }
}

fn refused(ops: Vec<Op>) -> TraceError {
    Trace::new("test", ops).unwrap_err()
}

#[test]
fn the_numbers_of_a_trace_are_counted() {
    let zeroed = Op::Allocate { id: 1, size: 0, align: 64, zeroed: true, thread: 0 };
    let trace = Trace::new("test", vec![allocate(0, 100, 8), zeroed, resize(0, 300), free(1), resize(0, 50)])
        .unwrap();
    assert_eq!((trace.name(), trace.blocks(), trace.threads(), trace.ops().len()), ("test", 2, 3, 5));
    let stats = trace.stats();
    assert_eq!((stats.events, stats.blocks, stats.zeroed, stats.resizes, stats.frees), (5, 2, 1, 2, 1));
    assert_eq!((stats.live_at_end, stats.peak_live_blocks, stats.peak_live_bytes), (1, 2, 300));
    assert_eq!((stats.requested_bytes, stats.largest, stats.largest_align), (450, 300, 64));
    // 0; 50 in 32..64; 100 in 64..128; 300 in 256..512.
    let counted: Vec<(usize, u64)> =
        stats.sizes.iter().copied().enumerate().filter(|(_, count)| *count > 0).collect();
    assert_eq!(counted, [(0, 1), (6, 1), (7, 1), (9, 1)]);
}

#[test]
fn an_empty_history_is_a_trace() {
    let trace = Trace::new("test", Vec::new()).unwrap();
    assert_eq!((trace.blocks(), trace.threads(), trace.stats().events), (0, 0, 0));
}

#[test]
fn block_numbers_may_come_in_any_order_but_leave_no_gap() {
    assert!(Trace::new("test", vec![allocate(1, 8, 8), allocate(0, 8, 8)]).is_ok());
    let error = refused(vec![allocate(0, 8, 8), allocate(2, 8, 8), free(0)]);
    assert_eq!(error.found, "no allocation of block 1");
    let error = refused(vec![allocate(u32::MAX, 8, 8)]);
    assert_eq!((error.operation, error.found.as_str()), (Some(0), "block 4294967295"));
}

#[test]
fn each_rule_names_the_operation_that_breaks_it() {
    const MAX: usize = isize::MAX as usize;
    let cases: [(Vec<Op>, u64, &str); 9] = [
        (vec![free(0)], 0, "block 0, which is not allocated yet"),
        (vec![resize(7, 1)], 0, "block 7, which is not allocated yet"),
        (vec![allocate(0, 8, 8), free(0), free(0)], 2, "block 0, which is already freed"),
        (vec![allocate(0, 8, 8), free(0), resize(0, 1)], 2, "block 0, which is already freed"),
        (vec![allocate(0, 8, 8), free(0), allocate(0, 8, 8)], 2, "block 0 again"),
        (vec![allocate(0, 8, 3)], 0, "3"),
        (vec![allocate(0, 8, 0)], 0, "0"),
        (vec![allocate(0, MAX, 2)], 0, "9223372036854775807"),
        (vec![allocate(0, 8, 4096), resize(0, MAX - 4094)], 1, "9223372036854771713"),
    ];
    for (ops, operation, found) in cases {
        let error = refused(ops);
        assert_eq!(error.operation, Some(operation), "{error}");
        if cfg!(target_pointer_width = "64") {
            assert_eq!(error.found, found);
        }
    }
}

#[test]
fn an_error_reads_as_a_sentence() {
    let error = refused(vec![free(3)]);
    let message =
        "test: operation 0: expected a live block to be freed, found block 3, which is not allocated yet";
    assert_eq!(alloc::format!("{error}"), message);
}
