use alloc::format;

use super::{looks_like, parse};
use crate::{Op, Trace};

const SAMPLE: &str = "20000\n3\n7\n1\na 0 512\na 1 128\nr 0 640\nf 1\nf -1\na 2 0\nf 0\n";

#[test]
fn a_lab_trace_is_read() {
    let trace = Trace::parse("short1.rep", SAMPLE.as_bytes()).unwrap();
    let expected = [
        Op::Allocate { id: 0, size: 512, align: 16, zeroed: false, thread: 0 },
        Op::Allocate { id: 1, size: 128, align: 16, zeroed: false, thread: 0 },
        Op::Resize { id: 0, size: 640, thread: 0 },
        Op::Free { id: 1, thread: 0 },
        Op::Allocate { id: 2, size: 0, align: 16, zeroed: false, thread: 0 },
        Op::Free { id: 0, thread: 0 },
    ];
    assert_eq!(trace.ops(), expected);
}

#[test]
fn the_shape_is_recognised_without_the_name() {
    assert!(looks_like(SAMPLE.as_bytes()));
    assert_eq!(Trace::parse("data", SAMPLE.as_bytes()).unwrap().blocks(), 3);
    assert!(!looks_like(b"a 0 8 8 0\nf 0 0\n"));
    assert!(!looks_like(b"1\n2\n3"));
}

#[test]
fn a_number_used_again_is_another_block() {
    let trace = parse("test", b"0\n1\n4\n1\na 0 8\nf 0\na 0 16\nf 0\n").unwrap();
    assert_eq!((trace.blocks(), trace.ops()[2].id(), trace.ops()[3].id()), (2, 1, 1));
}

#[test]
fn each_mistake_is_reported_at_its_line() {
    let too_large = format!("1\n1\n1\n1\na 0 {}\n", usize::MAX);
    let cases = [
        ("", 1, "the suggested heap size in bytes"),
        ("1\n2\n", 3, "the number of operations"),
        ("1\nx\n0\n1\n", 2, "the number of block numbers"),
        ("1\n2 2\n0\n1\n", 2, "the end of the line"),
        ("1\n9999999\n0\n1\n", 2, "9999999 block numbers, as line 2 says"),
        ("1\n1\n1\n1\nz 0 1\n", 5, "a line that starts with `a`, `r` or `f`"),
        ("1\n1\n1\n1\na 1 1\n", 5, "ID, a block number below 1 (line 2 of the file)"),
        ("1\n1\n1\n1\na 0\n", 5, "SIZE, a number of bytes"),
        ("1\n1\n1\n1\nr 0 1\n", 5, "the number of a live block"),
        ("1\n1\n1\n1\nf 0\n", 5, "the number of a live block"),
        ("1\n1\n2\n1\na 0 1\na 0 1\n", 6, "the number of a block that is not live"),
        ("1\n1\n3\n1\na 0 1\nf 0\n", 6, "3 operations, as line 3 says"),
        (too_large.as_str(), 5, "a size of at most isize::MAX bytes once rounded up to the alignment 16"),
    ];
    for (text, line, expected) in cases {
        let error = parse("test", text.as_bytes()).unwrap_err();
        assert_eq!((error.line, error.expected.as_str()), (Some(line), expected), "{text:?}: {error}");
    }
}

#[test]
fn every_prefix_is_an_error_and_no_change_of_a_byte_panics() {
    for cut in 0..SAMPLE.len() {
        assert!(Trace::parse("short1.rep", &SAMPLE.as_bytes()[..cut]).is_err(), "cut at {cut}");
    }
    for at in 0..SAMPLE.len() {
        for byte in if cfg!(miri) { b'0'..=b'3' } else { 0..=255 } {
            let mut changed = SAMPLE.as_bytes().to_vec();
            changed[at] = byte;
            if let Err(error) = Trace::parse("short1.rep", &changed) {
                assert!(!error.found.is_empty());
            }
        }
    }
}
