use alloc::vec::Vec;

use super::{CHECKSUM_BYTES, MAGIC, checksum, parse, put_varint, unzigzag, write_binary, zigzag};
use crate::generate::{Parameters, WORKLOADS};
use crate::{Op, Trace};

fn sample() -> Trace {
    let text = "a 0 24 16 3\nz 2 100 4096 0\na 1 0 4096 0\nr 0 7777777 1\nf 2 12\nf 0 12\nr 1 3 0\n";
    Trace::parse("test", text.as_bytes()).unwrap()
}

/// Returns `body` with the checksum that belongs to it.
fn sealed(mut body: Vec<u8>) -> Vec<u8> {
    let sum = checksum(&body);
    body.extend_from_slice(&sum.to_le_bytes());
    body
}

#[test]
fn what_is_written_is_read_back() {
    assert_eq!(Trace::parse("test", &write_binary(&sample())), Ok(sample()));
    let empty = Trace::new("test", Vec::new()).unwrap();
    assert_eq!(parse("test", &write_binary(&empty)), Ok(empty));
    for workload in WORKLOADS {
        let trace =
            (workload.generate)(&Parameters::new(8, if cfg!(miri) { 100 } else { 5000 })).with_name("test");
        let bytes = write_binary(&trace);
        assert!(bytes.len() < 5 * trace.ops().len(), "{}: {} bytes", workload.name, bytes.len());
        assert_eq!(parse("test", &bytes), Ok(trace), "{}", workload.name);
    }
}

#[test]
fn extreme_values_are_read_back() {
    let largest = isize::MAX as usize;
    let ops = alloc::vec![
        Op::Allocate { id: 1, size: largest, align: 1, zeroed: true, thread: u16::MAX },
        Op::Allocate { id: 0, size: 1, align: 1 << (usize::BITS - 2), zeroed: false, thread: 0 },
        Op::Resize { id: 1, size: 0, thread: 1 },
    ];
    let trace = Trace::new("test", ops).unwrap();
    assert_eq!(parse("test", &write_binary(&trace)), Ok(trace));
}

#[test]
fn the_layout_of_a_file_is_the_documented_one() {
    let trace = Trace::parse("test", b"a 0 300 16 0\nf 0 1\n").unwrap();
    let expected = [
        0x89,
        b'F',
        b'T',
        b'R',
        b'C',
        0x0D,
        0x0A,
        0x1A, // magic
        1,
        1,
        2, // version, blocks, events
        0b0000_0000,
        0xAC,
        0x02, // allocate the next block at 16 bytes: size 300
        0b0000_0111,
        1,
        0, // free on another thread, 1: the newest block
    ];
    assert_eq!(write_binary(&trace), sealed(expected.to_vec()));
}

#[test]
fn every_prefix_is_an_error() {
    let bytes = write_binary(&sample());
    for cut in 0..bytes.len() {
        let error = Trace::parse("test", &bytes[..cut]).unwrap_err();
        assert!(!error.expected.is_empty() && error.file == "test", "{cut}: {error}");
    }
}

#[test]
fn every_change_of_a_byte_is_an_error() {
    let bytes = write_binary(&sample());
    for at in 0..bytes.len() {
        for flip in if cfg!(miri) { 1..=2 } else { 1..=255u8 } {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            assert!(Trace::parse("test", &changed).is_err(), "byte {at} flipped by {flip:#x}");
        }
    }
}

#[test]
fn damage_under_a_valid_checksum_never_panics() {
    let bytes = write_binary(&sample());
    let body = &bytes[..bytes.len() - CHECKSUM_BYTES];
    for at in MAGIC.len()..body.len() {
        for flip in if cfg!(miri) { 1..=2 } else { 1..=255u8 } {
            let mut changed = body.to_vec();
            changed[at] ^= flip;
            if let Err(error) = parse("test", &sealed(changed)) {
                assert!(!error.found.is_empty());
            }
        }
    }
    for cut in MAGIC.len()..body.len() {
        assert!(parse("test", &sealed(body[..cut].to_vec())).is_err(), "cut at {cut}");
    }
}

#[test]
fn each_mistake_is_named() {
    let file = |rest: &[u8]| {
        let mut body = MAGIC.to_vec();
        body.extend_from_slice(rest);
        parse("test", &sealed(body)).unwrap_err()
    };
    assert_eq!(file(&[2]).found, "version 2");
    assert_eq!(file(&[1]).expected, "the number of blocks");
    assert_eq!(file(&[1, 0, 9]).found, "a count of 9");
    assert_eq!(file(&[1, 0, 1, 0b0010_0000, 0]).expected, "the head of an event");
    assert_eq!(file(&[1, 0, 1, 0b0001_0011, 0]).expected, "the head of an event");
    assert_eq!(file(&[1, 0, 1, 3, 0]).expected, "a block number of 32 bits");
    assert_eq!(file(&[1, 1, 1, 0b1000, 64, 0]).expected, "the logarithm of an alignment");
    assert_eq!(file(&[1, 1, 1, 0, 5, 5]).found, "more bytes");
    assert_eq!(file(&[1, 2, 1, 0, 5]).expected, "2 blocks");
    let too_long = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02];
    assert_eq!(file(&[&[1][..], &too_long].concat()).found, "a number of more than 64 bits");
    let error = parse("test", &write_binary(&sample())[..40]).unwrap_err();
    assert!(error.expected.contains("cut off"), "{error}");
    assert_eq!(parse("test", b"a 0 8").unwrap_err().offset, Some(0));
}

#[test]
fn numbers_survive_their_coding() {
    for number in [0, 1, -1, 2, -2, i64::from(u32::MAX), -i64::from(u32::MAX), i64::MAX, i64::MIN] {
        assert_eq!(unzigzag(zigzag(number)), number);
    }
    let mut bytes = Vec::new();
    put_varint(&mut bytes, u64::MAX);
    assert_eq!(bytes.len(), 10);
}
