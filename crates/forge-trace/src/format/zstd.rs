//! Decompression of zstd content: whole frames, one after another, checksums compared.
//!
//! # Design
//!
//! The decoder is pure Rust, so a build needs no C compiler. The content is bounded, so that a small hostile file
//! cannot fill the memory of whoever reads it.

use alloc::string::String;
use alloc::vec::Vec;
use std::io::Read;

use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use crate::TraceError;

/// The largest content in bytes that is accepted: about a hundred million events.
const LARGEST_CONTENT: u64 = 1 << 31;

/// Returns the content of the zstd frames in `bytes`.
pub(super) fn decompress(name: &str, bytes: &[u8]) -> Result<Vec<u8>, TraceError> {
    let mut content = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        rest = frame(rest, &mut content).map_err(|problem| {
            let expected = "a whole zstd frame (is the file cut off or damaged?)";
            TraceError::new(name, expected, problem)
        })?;
    }
    Ok(content)
}

/// Appends the content of the first frame of `bytes` to `content` and returns the bytes after the frame.
fn frame<'a>(bytes: &'a [u8], content: &mut Vec<u8>) -> Result<&'a [u8], String> {
    let mut rest = bytes;
    let mut decoder = StreamingDecoder::new_with_decoder(&mut rest, FrameDecoder::new())
        .map_err(|error| alloc::format!("a bad frame header: {error}"))?;
    let room = LARGEST_CONTENT.saturating_sub(content.len() as u64);
    let read = Read::take(&mut decoder, room + 1)
        .read_to_end(content)
        .map_err(|error| alloc::format!("bad content after {} bytes: {error}", content.len()))?;
    if read as u64 > room {
        return Err(alloc::format!("more than {LARGEST_CONTENT} bytes of content"));
    }
    let frame = decoder.into_frame_decoder();
    let stored = frame.get_checksum_from_data();
    if stored.is_some() && stored != frame.get_calculated_checksum() {
        return Err("a checksum that differs from the one of the content".into());
    }
    Ok(rest)
}

#[cfg(test)]
mod tests;
