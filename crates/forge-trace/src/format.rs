//! The files that hold a trace, and how one is told from another.
//!
//! | format | told by | written by |
//! |---|---|---|
//! | [`text`] | anything that is none of the others | [`write_text`](text::write_text) |
//! | zstd | its magic number; the content is any of the others | the `zstd` command |
//! | [`binary`] | its magic number | [`write_binary`](binary::write_binary) |
//! | [`rep`] | a name that ends in `.rep`, or four lines of one number each | - |
//!
//! # Design
//!
//! The content decides, not the name, because traces are piped, renamed and compressed; only `.rep` also goes by its
//! name, so that a broken header is reported as one. A trace that was cut off is an error wherever the format
//! can tell: the binary form and `.rep` count, zstd frames end, and the last line of a text ends in a newline.

use alloc::string::String;

use crate::{Trace, TraceError};

pub mod binary;
pub mod rep;
pub mod text;
#[cfg(feature = "zstd")]
mod zstd;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// Returns the trace in `bytes`, in any of the formats, under `name`. O(bytes).
///
/// # Errors
///
/// [`TraceError`] with the place, if the bytes are not a whole, well-formed trace.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Trace, TraceError> {
    if bytes.starts_with(&ZSTD_MAGIC) {
        return parse_compressed(name, bytes);
    }
    parse_plain(name, bytes)
}

fn parse_plain(name: &str, bytes: &[u8]) -> Result<Trace, TraceError> {
    if bytes.is_empty() {
        return Err(TraceError::new(name, "a trace", "an empty file").at_offset(0));
    }
    if bytes.starts_with(&binary::MAGIC) {
        binary::parse(name, bytes)
    } else if name.ends_with(".rep") || name.ends_with(".rep.zst") || rep::looks_like(bytes) {
        rep::parse(name, bytes)
    } else {
        text::parse(name, bytes)
    }
}

#[cfg(feature = "zstd")]
fn parse_compressed(name: &str, bytes: &[u8]) -> Result<Trace, TraceError> {
    let content = zstd::decompress(name, bytes)?;
    if content.starts_with(&ZSTD_MAGIC) {
        return Err(TraceError::new(name, "a trace that is compressed once", "zstd inside zstd").at_offset(0));
    }
    parse_plain(name, &content)
}

#[cfg(not(feature = "zstd"))]
fn parse_compressed(name: &str, _: &[u8]) -> Result<Trace, TraceError> {
    let found = "zstd-compressed content, which this build cannot read (its feature `zstd` is off)";
    Err(TraceError::new(name, "an uncompressed trace", found).at_offset(0))
}

/// Returns `bytes` in quotes for an error message, at most two dozen characters of it.
fn quoted(bytes: &[u8]) -> String {
    const SHOWN: usize = 24;
    let text = String::from_utf8_lossy(bytes);
    let head: String = text.chars().take(SHOWN).collect();
    let rest = if text.chars().count() > SHOWN { "..." } else { "" };
    alloc::format!("{head:?}{rest}")
}

#[cfg(test)]
mod tests;
