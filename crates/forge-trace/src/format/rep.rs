//! The `.rep` format of the CS:APP malloc lab.
//!
//! | line | meaning |
//! |---|---|
//! | 1 | suggested heap size in bytes (ignored) |
//! | 2 | number of block numbers |
//! | 3 | number of operations |
//! | 4 | weight (ignored) |
//! | `a ID SIZE` | allocate SIZE bytes |
//! | `r ID SIZE` | resize block ID to SIZE bytes |
//! | `f ID` | free block ID; `f -1` is `free(NULL)` and does nothing |
//!
//! # Design
//!
//! The format knows no alignment, thread or zero-filling: blocks are aligned as C's `malloc` aligns them, to
//! [`ALIGN`] bytes, and belong to thread 0. A number may be used again after its block was freed, which the lab's
//! driver accepts; each use becomes a block of its own. The counts of the header are checked at the end, as the
//! driver does, so a file that was cut off is noticed.

use alloc::format;
use alloc::vec::Vec;

use super::quoted;
use super::text::Line;
use crate::trace::Checker;
use crate::{Op, Trace, TraceError};

/// The alignment in bytes that every block gets.
pub const ALIGN: usize = 16;

const HEADER_LINES: usize = 4;
const SHORTEST_LINE: usize = 4;

/// Returns whether `bytes` start as a `.rep` file does: with four lines of one number each.
#[must_use]
pub fn looks_like(bytes: &[u8]) -> bool {
    let mut header = bytes.splitn(HEADER_LINES + 1, |byte| *byte == b'\n');
    let is_number = |line: &[u8]| {
        let word = line.trim_ascii();
        !word.is_empty() && word.iter().all(u8::is_ascii_digit)
    };
    (0..HEADER_LINES).all(|_| header.next().is_some_and(is_number))
}

/// Returns the trace in the `.rep` file `bytes`, under `name`. O(bytes).
///
/// # Errors
///
/// [`TraceError`] with line and offset, if a line is malformed, cut off, or makes no sense after those before it, or
/// if a count of the header is wrong.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Trace, TraceError> {
    let mut lines = Lines { name, bytes, offset: 0, number: 0 };
    let _heap_bytes: u64 = lines.header("the suggested heap size in bytes")?;
    let ids: usize = lines.header("the number of block numbers")?;
    let operations: usize = lines.header("the number of operations")?;
    let _weight: u64 = lines.header("the weight of the trace")?;
    if ids > bytes.len() / SHORTEST_LINE {
        let expected = format!("{ids} block numbers, as line 2 says");
        return Err(TraceError::new(name, expected, "a file that is too short for them").at_line(2));
    }
    let mut reader = RepReader { numbers: alloc::vec![None; ids], used: 0, ops: Vec::new(), counted: 0 };
    let mut checker = Checker::new(bytes.len() / SHORTEST_LINE + 1);
    while let Some(mut line) = lines.next()? {
        let at = (lines.number, lines.offset);
        if line.is_blank() {
            lines.offset = line.end + 1;
            continue;
        }
        if let Some(op) = reader.event(&mut line)? {
            checker.admit(&op).map_err(|fault| fault.in_file(name).at_line(at.0).at_offset(at.1))?;
            reader.ops.push(op);
        }
        lines.offset = line.end + 1;
    }
    if reader.counted != operations {
        let expected = format!("{operations} operations, as line 3 says");
        let found = format!("{} (is the file cut off?)", reader.counted);
        return Err(TraceError::new(name, expected, found).at_line(lines.number));
    }
    Trace::from_checked(name, reader.ops, &checker)
}

/// The lines of a file and how far they have been read.
struct Lines<'a> {
    name: &'a str,
    bytes: &'a [u8],
    offset: usize,
    number: u64,
}

impl<'a> Lines<'a> {
    /// Returns the line at the current offset, or `None` at the end of the file; the caller moves the offset on.
    fn next(&mut self) -> Result<Option<Line<'a>>, TraceError> {
        if self.offset >= self.bytes.len() {
            return Ok(None);
        }
        self.number += 1;
        Line::cut(self.name, self.bytes, self.offset, self.number).map(Some)
    }

    /// Returns the one number of the next line.
    fn header<N: TryFrom<u64>>(&mut self, expected: &str) -> Result<N, TraceError> {
        let Some(mut line) = self.next()? else {
            let error = TraceError::new(self.name, expected, "the end of the file");
            return Err(error.at_line(self.number + 1).at_offset(self.offset));
        };
        let number = line.number(expected)?;
        line.finish()?;
        self.offset = line.end + 1;
        Ok(number)
    }
}

/// What the events so far have left behind.
struct RepReader {
    /// Per number in the file: the block that it stands for now.
    numbers: Vec<Option<u32>>,
    /// How many blocks there are so far.
    used: u32,
    ops: Vec<Op>,
    /// How many events were read, those that do nothing included.
    counted: usize,
}

impl RepReader {
    fn event(&mut self, line: &mut Line<'_>) -> Result<Option<Op>, TraceError> {
        let expected = "a line that starts with `a`, `r` or `f`";
        let kind = line.word(expected)?;
        if !matches!(kind, b"a" | b"r" | b"f") {
            return Err(line.error(expected, quoted(kind), kind.len()));
        }
        self.counted += 1;
        let expected = format!("ID, a block number below {} (line 2 of the file)", self.numbers.len());
        let word = line.word(&expected)?;
        if kind == b"f" && word == b"-1" {
            line.finish()?;
            return Ok(None);
        }
        let number = super::text::decimal(word).and_then(|number| usize::try_from(number).ok());
        let Some(block) = number.and_then(|number| self.numbers.get_mut(number)) else {
            return Err(line.error(&expected, quoted(word), word.len()));
        };
        if kind == b"a" {
            if block.is_some() {
                return Err(line.error("the number of a block that is not live", quoted(word), word.len()));
            }
            let id = self.used;
            *block = Some(id);
            self.used += 1;
            let size = line.number("SIZE, a number of bytes")?;
            line.finish()?;
            return Ok(Some(Op::Allocate { id, size, align: ALIGN, zeroed: false, thread: 0 }));
        }
        let Some(id) = *block else {
            return Err(line.error("the number of a live block", quoted(word), word.len()));
        };
        let op = if kind == b"r" {
            Op::Resize { id, size: line.number("SIZE, a number of bytes")?, thread: 0 }
        } else {
            *block = None;
            Op::Free { id, thread: 0 }
        };
        line.finish()?;
        Ok(Some(op))
    }
}

#[cfg(test)]
mod tests;
