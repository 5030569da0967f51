//! The text format: one event a line, fields separated by spaces.
//!
//! | line | meaning |
//! |---|---|
//! | `a ID SIZE ALIGN THREAD` | allocate SIZE bytes at alignment ALIGN (a power of two) |
//! | `z ID SIZE ALIGN THREAD` | the same, zero-filled |
//! | `r ID SIZE THREAD` | resize block ID to SIZE bytes; it keeps its number |
//! | `f ID THREAD` | free block ID |
//!
//! Block numbers are dense, start at 0 and are never reused; blocks that are live at the end are simply not freed.
//! Empty lines and lines that start with `#` are skipped. Every line ends in a newline, also the last one: a file
//! without it has been cut off, and a shortened number would otherwise go unnoticed.
//!
//! # Design
//!
//! Reading works on bytes, one pass, a number at a time; a line number is counted and not searched for, since the
//! reader has just passed the lines before it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use super::quoted;
use crate::trace::Checker;
use crate::{Op, Trace, TraceError};

/// The shortest line that allocates: `a 0 1 1 0` and its newline.
const SHORTEST_ALLOCATION: usize = 10;

/// Returns the trace in the text `bytes`, under `name`. O(bytes).
///
/// # Errors
///
/// [`TraceError`] with line and offset, if a line is malformed, cut off, or makes no sense after those before it.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Trace, TraceError> {
    let mut checker = Checker::new(bytes.len() / SHORTEST_ALLOCATION + 1);
    let mut ops = Vec::new();
    let mut offset = 0;
    let mut number = 0;
    while offset < bytes.len() {
        number += 1;
        let mut line = Line::cut(name, bytes, offset, number)?;
        if !line.is_blank() {
            let op = line.event()?;
            checker.admit(&op).map_err(|fault| fault.in_file(name).at_line(number).at_offset(offset))?;
            ops.push(op);
        }
        offset = line.end + 1;
    }
    if ops.is_empty() {
        return Err(TraceError::new(name, "at least one event", "none").at_line(number).at_offset(offset));
    }
    Trace::from_checked(name, ops, &checker)
}

/// Returns `trace` in the text format. O(operations).
#[must_use]
pub fn write_text(trace: &Trace) -> String {
    let mut text = String::new();
    for op in trace.ops() {
        // Writing to a string does not fail.
        let _ = match *op {
            Op::Allocate { id, size, align, zeroed, thread } => {
                let letter = if zeroed { 'z' } else { 'a' };
                writeln!(text, "{letter} {id} {size} {align} {thread}")
            }
            Op::Resize { id, size, thread } => writeln!(text, "r {id} {size} {thread}"),
            Op::Free { id, thread } => writeln!(text, "f {id} {thread}"),
        };
    }
    text
}

/// A line of a text file and how far it has been read.
pub(super) struct Line<'a> {
    name: &'a str,
    bytes: &'a [u8],
    /// The offset of the next byte to read.
    at: usize,
    /// The offset of the newline.
    pub(super) end: usize,
    number: u64,
}

impl<'a> Line<'a> {
    /// Returns the line that starts at `offset`.
    pub(super) fn cut(
        name: &'a str,
        bytes: &'a [u8],
        offset: usize,
        number: u64,
    ) -> Result<Self, TraceError> {
        let rest = bytes.get(offset..).unwrap_or_default();
        match rest.iter().position(|byte| *byte == b'\n') {
            Some(length) => Ok(Self { name, bytes, at: offset, end: offset + length, number }),
            None => Err(TraceError::new(
                name,
                "a newline at the end of the last line (is the file cut off?)",
                alloc::format!("the end of the file after {}", quoted(rest)),
            )
            .at_line(number)
            .at_offset(offset)),
        }
    }

    pub(super) fn is_blank(&self) -> bool {
        let line = self.bytes.get(self.at..self.end).unwrap_or_default();
        line.first() == Some(&b'#') || line.trim_ascii().is_empty()
    }

    fn event(&mut self) -> Result<Op, TraceError> {
        let expected = "a line that starts with `a`, `z`, `r` or `f`";
        let op = match self.word(expected)? {
            letter @ (b"a" | b"z") => Op::Allocate {
                id: self.number("ID, a block number")?,
                size: self.number("SIZE, a number of bytes")?,
                align: self.number("ALIGN, a power of two")?,
                zeroed: letter == b"z",
                thread: self.number("THREAD, a number below 65536")?,
            },
            b"r" => Op::Resize {
                id: self.number("ID, a block number")?,
                size: self.number("SIZE, a number of bytes")?,
                thread: self.number("THREAD, a number below 65536")?,
            },
            b"f" => Op::Free {
                id: self.number("ID, a block number")?,
                thread: self.number("THREAD, a number below 65536")?,
            },
            other => return Err(self.error(expected, quoted(other), other.len())),
        };
        self.finish()?;
        Ok(op)
    }

    /// Returns the next word of the line.
    pub(super) fn word(&mut self, expected: &str) -> Result<&'a [u8], TraceError> {
        let line = self.bytes.get(self.at..self.end).unwrap_or_default();
        let start = line.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(line.len());
        let line = line.get(start..).unwrap_or_default();
        let length = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
        self.at += start + length;
        match line.get(..length) {
            Some(word) if length > 0 => Ok(word),
            _ => Err(self.error(expected, String::from("the end of the line"), 0)),
        }
    }

    /// Returns the next word of the line as a number.
    pub(super) fn number<N: TryFrom<u64>>(&mut self, expected: &str) -> Result<N, TraceError> {
        let word = self.word(expected)?;
        decimal(word)
            .and_then(|number| N::try_from(number).ok())
            .ok_or_else(|| self.error(expected, quoted(word), word.len()))
    }

    /// Checks that the line ends here.
    pub(super) fn finish(&mut self) -> Result<(), TraceError> {
        match self.word("") {
            Ok(word) => Err(self.error("the end of the line", quoted(word), word.len())),
            Err(_) => Ok(()),
        }
    }

    /// Returns the error about the word of `length` bytes that was read last.
    pub(super) fn error(&self, expected: &str, found: String, length: usize) -> TraceError {
        TraceError::new(self.name, expected, found).at_line(self.number).at_offset(self.at - length)
    }
}

/// Returns the number that `word` spells in decimal digits.
pub(super) fn decimal(word: &[u8]) -> Option<u64> {
    word.iter().try_fold(0u64, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 { None } else { number.checked_mul(10)?.checked_add(u64::from(digit)) }
    })
}

#[cfg(test)]
mod tests;
