use alloc::string::ToString;
use alloc::vec::Vec;

use super::decompress;
use crate::Trace;

/// `a 0 24 16 0` and `f 0 0`, a line each, in one raw block with a checksum.
const FRAME: &[u8] = include_bytes!("two_events.zst");

/// Three hundred events in one compressed block with a checksum.
const COMPRESSED: &[u8] = include_bytes!("many_events.zst");

/// How far apart the damaged places are: every byte, and a few of them under an interpreter.
const STRIDE: usize = if cfg!(miri) { 61 } else { 1 };

#[test]
fn a_frame_is_decompressed() {
    assert_eq!(decompress("test", FRAME).unwrap(), b"a 0 24 16 0\nf 0 0\n");
    assert_eq!(Trace::parse("test", FRAME).unwrap().ops().len(), 2);
}

#[test]
fn frames_one_after_another_are_one_content() {
    let twice: Vec<u8> = [FRAME, FRAME].concat();
    assert_eq!(decompress("test", &twice).unwrap(), b"a 0 24 16 0\nf 0 0\na 0 24 16 0\nf 0 0\n");
}

#[test]
fn every_prefix_is_an_error() {
    for frame in [FRAME, COMPRESSED] {
        for cut in (4..frame.len()).step_by(STRIDE) {
            let error = Trace::parse("test", &frame[..cut]).unwrap_err();
            assert!(error.to_string().contains("cut off or damaged"), "{cut}: {error}");
        }
    }
}

#[test]
fn no_change_of_a_byte_gives_another_trace() {
    for (frame, step) in [(FRAME, STRIDE), (COMPRESSED, 37.max(2 * STRIDE))] {
        let whole = Trace::parse("test", frame).unwrap();
        for at in (0..frame.len()).step_by(STRIDE) {
            for flip in (1..=255u8).step_by(step) {
                let mut changed = frame.to_vec();
                changed[at] ^= flip;
                if let Ok(trace) = Trace::parse("test", &changed) {
                    assert!(trace == whole, "byte {at} flipped by {flip:#x}");
                }
            }
        }
    }
}
