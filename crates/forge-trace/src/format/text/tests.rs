use super::{parse, write_text};
use crate::generate::{Parameters, mixed};
use crate::{Op, TraceError};

fn refused(text: &str) -> TraceError {
    parse("test", text.as_bytes()).unwrap_err()
}

#[test]
fn each_kind_of_line_is_read() {
    let trace = parse("test", b"# a comment\na 0 24 16 3\r\n\nz 1 0 8 0\n  r 0  7 1 \nf 0 65535\n").unwrap();
    let expected = [
        Op::Allocate { id: 0, size: 24, align: 16, zeroed: false, thread: 3 },
        Op::Allocate { id: 1, size: 0, align: 8, zeroed: true, thread: 0 },
        Op::Resize { id: 0, size: 7, thread: 1 },
        Op::Free { id: 0, thread: 65535 },
    ];
    assert_eq!(trace.ops(), expected);
}

#[test]
fn what_is_written_is_read_back() {
    let trace = mixed(&Parameters::new(3, if cfg!(miri) { 200 } else { 5000 })).with_name("test");
    assert_eq!(parse("test", write_text(&trace).as_bytes()), Ok(trace));
}

#[test]
fn each_mistake_is_reported_at_its_line_and_byte() {
    let good = "a 0 8 8 0\n";
    let cases = [
        ("q 1 2\n", 10, "a line that starts with `a`, `z`, `r` or `f`", "\"q\""),
        ("a x 8 8 0\n", 12, "ID, a block number", "\"x\""),
        ("a 1 -8 8 0\n", 14, "SIZE, a number of bytes", "\"-8\""),
        ("a 1 8\n", 15, "ALIGN, a power of two", "the end of the line"),
        ("a 1 8 12 0\n", 10, "an alignment that is a power of two", "12"),
        ("a 1 8 8\n", 17, "THREAD, a number below 65536", "the end of the line"),
        ("a 1 8 8 65536\n", 18, "THREAD, a number below 65536", "\"65536\""),
        ("a 1 8 8 0 9\n", 20, "the end of the line", "\"9\""),
        ("r 0 99999999999999999999 0\n", 14, "SIZE, a number of bytes", "\"99999999999999999999\""),
        ("r 3 1 0\n", 10, "a live block to be resized", "block 3, which is not allocated yet"),
        ("f 4294967296 0\n", 12, "ID, a block number", "\"4294967296\""),
        ("a 4294967295 8 8 0\n", 10, "block numbers that are dense from 0, here below 3", "block 4294967295"),
        ("a 0 8 8 0\n", 10, "a block number that was not used before", "block 0 again"),
        (
            "f 0 0",
            10,
            "a newline at the end of the last line (is the file cut off?)",
            "the end of the file after \"f 0 0\"",
        ),
    ];
    for (line, offset, expected, found) in cases {
        let error = refused(&alloc::format!("{good}{line}"));
        assert_eq!((error.line, error.offset), (Some(2), Some(offset)), "{error}");
        assert_eq!((error.expected.as_str(), error.found.as_str()), (expected, found));
    }
}

#[test]
fn the_message_can_be_acted_on() {
    let message = alloc::format!("{}", refused("a 0 8 8 0\nf 0x 0\n"));
    assert_eq!(message, "test: line 2 (byte 12): expected ID, a block number, found \"0x\"");
}

#[test]
fn a_file_without_events_is_an_error() {
    assert_eq!(refused("# nothing\n\n").expected, "at least one event");
}

#[test]
fn a_gap_in_the_block_numbers_is_an_error() {
    assert_eq!(refused("a 1 8 8 0\n").found, "no allocation of block 0");
}

#[test]
fn every_prefix_is_a_trace_of_whole_lines_or_an_error() {
    let text = b"a 0 24 16 3\nz 1 100 8 0\nr 0 7 1\nf 0 12\n";
    for cut in 0..text.len() {
        let result = crate::Trace::parse("test", &text[..cut]);
        assert_eq!(result.is_ok(), cut > 0 && text[cut - 1] == b'\n', "{cut}: {result:?}");
    }
}

#[test]
fn no_change_of_a_byte_makes_it_panic() {
    let text = b"a 0 24 16 3\nz 1 100 8 0\nr 0 7 1\nf 0 12\n";
    for at in 0..text.len() {
        for byte in if cfg!(miri) { b'0'..=b'9' } else { 0..=255 } {
            let mut changed = *text;
            changed[at] = byte;
            if let Err(error) = crate::Trace::parse("test", &changed) {
                assert!(error.line.is_some() || !error.found.is_empty());
            }
        }
    }
}
