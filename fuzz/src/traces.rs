//! Readers of trace files: no file makes them panic, and what they read survives being written and read again.
//!
//! The first byte of an input says what the rest is:
//!
//! | byte modulo 7 | the rest |
//! |---|---|
//! | 0 | a file whose format its content decides |
//! | 1 | a text file |
//! | 2 | a `.rep` file |
//! | 3 | the body of a binary file, which gets its magic number, version and checksum here |
//! | 4 | a text file, which is put into a zstd frame here |
//! | 5 | a zstd file after its magic number |
//! | 6 | a [history](crate::history), which is made a trace if it is one |
//!
//! Of every trace that comes out, the text form and the binary form are written and read again, and both must be the same
//! trace; a binary form with its end cut off or one byte changed must be refused.
//!
//! # Design
//!
//! A checksum keeps a fuzzer out of what lies behind it, so it is computed here and not guessed there. A zstd frame is
//! written with stored blocks: what is tested is the reader of this workspace around the decoder, and with the fifth kind
//! the decoder too.

use arbitrary::Unstructured;
use forge_trace::format::{binary, rep, text};
use forge_trace::{Trace, TraceError};

use crate::history;

/// How many kinds of input there are.
pub const KINDS: u8 = 7;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// The largest block of a zstd frame in bytes.
const ZSTD_BLOCK: usize = 128 << 10;

/// Runs one input.
///
/// # Panics
///
/// If a trace does not survive, or a damaged file is accepted.
pub fn run(input: &[u8]) {
    let Some((kind, rest)) = input.split_first() else { return };
    let parsed = match kind % KINDS {
        0 => Trace::parse("fuzz", rest),
        1 => text::parse("fuzz", rest),
        2 => rep::parse("fuzz", rest),
        3 => binary::parse("fuzz", &binary_file(rest)),
        4 => through_zstd(rest),
        5 => Trace::parse("fuzz", &[&ZSTD_MAGIC, rest].concat()),
        _ => match history::decode(&mut Unstructured::new(rest)) {
            Ok(ops) => Trace::new("fuzz", ops),
            Err(_) => return,
        },
    };
    match parsed {
        Ok(trace) => survives(&trace, *kind),
        Err(error) => assert!(error.to_string().starts_with("fuzz: "), "{error}"),
    }
}

/// Checks that `trace` survives each form that can be written, and that damage to one is noticed.
fn survives(trace: &Trace, salt: u8) {
    let stats = trace.stats();
    assert_eq!((stats.events, stats.blocks), (trace.ops().len(), trace.blocks()));
    assert_eq!(stats.blocks, stats.frees + stats.live_at_end);
    assert_eq!(Trace::new("fuzz", trace.ops().to_vec()).as_ref(), Ok(trace), "the parts are not the whole");

    let written = text::write_text(trace);
    let read = text::parse("fuzz", written.as_bytes());
    // A text holds at least one event: an empty one is more often a mistake than a trace.
    if trace.ops().is_empty() {
        assert!(read.is_err());
    } else {
        assert_eq!(read.as_ref(), Ok(trace), "as text");
        assert_eq!(
            Trace::parse("fuzz", written.as_bytes()).as_ref(),
            Ok(trace),
            "as text, told by its content"
        );
    }

    let written = binary::write_binary(trace);
    assert_eq!(binary::parse("fuzz", &written).as_ref(), Ok(trace), "as binary");
    assert_eq!(Trace::parse("fuzz", &written).as_ref(), Ok(trace), "as binary, told by its content");
    let place = trace.ops().len().wrapping_mul(31).wrapping_add(usize::from(salt)) % written.len();
    let (cut, _) = written.split_at(place);
    assert!(binary::parse("fuzz", cut).is_err(), "cut off after {place} bytes");
    let mut changed = written.clone();
    changed[place] ^= salt | 1;
    assert!(binary::parse("fuzz", &changed).is_err(), "byte {place} changed");
}

/// Returns the binary file with this body.
#[must_use]
pub fn binary_file(body: &[u8]) -> Vec<u8> {
    let mut file = [&binary::MAGIC[..], &[binary::VERSION], body].concat();
    let checksum = file.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    });
    file.extend_from_slice(&checksum.to_le_bytes());
    file
}

/// Returns what the text `content` reads as inside a zstd frame, which is what it reads as outside.
fn through_zstd(content: &[u8]) -> Result<Trace, TraceError> {
    let plain = Trace::parse("fuzz", content);
    let packed = Trace::parse("fuzz", &zstd_file(content));
    if !content.starts_with(&ZSTD_MAGIC) {
        assert_eq!(plain, packed, "packed and plain differ");
    }
    packed
}

/// Returns one zstd frame with `content` in stored blocks (RFC 8878, 3.1.1).
#[must_use]
pub fn zstd_file(content: &[u8]) -> Vec<u8> {
    // A single segment whose size has four bytes; no checksum, no dictionary.
    let mut file = [&ZSTD_MAGIC[..], &[0b1010_0000]].concat();
    file.extend_from_slice(&u32::try_from(content.len()).unwrap_or(u32::MAX).to_le_bytes());
    let blocks = content.len().div_ceil(ZSTD_BLOCK).max(1);
    for block in 0..blocks {
        let from = block * ZSTD_BLOCK;
        let bytes = &content[from..content.len().min(from + ZSTD_BLOCK)];
        let header = (bytes.len() as u32) << 3 | u32::from(block + 1 == blocks);
        file.extend_from_slice(&header.to_le_bytes()[..3]);
        file.extend_from_slice(bytes);
    }
    file
}

#[cfg(test)]
mod tests;
