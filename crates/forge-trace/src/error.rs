//! The error of reading a trace: where it is, what was expected there, and what stood there instead.
//!
//! ```text
//!   jq.trace.zst: line 17 (byte 204): expected SIZE, a number of bytes, found "12x"
//! ```
//!
//! # Design
//!
//! One struct instead of an enum of causes: whoever reads a broken trace needs the place and the expectation, in the
//! same shape for every cause. The parts stay separate fields, so that a tool can print them in its own way.

use alloc::string::String;
use core::fmt;

/// Why a trace could not be read or built, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceError {
    /// The file, or the name that the caller gave to the bytes.
    pub file: String,
    /// The line, counted from 1, where the format has lines.
    pub line: Option<u64>,
    /// The offset in bytes, counted from 0, in the decompressed content.
    pub offset: Option<u64>,
    /// The index of the operation, counted from 0.
    pub operation: Option<u64>,
    /// What should have stood there.
    pub expected: String,
    /// What stood there instead.
    pub found: String,
}

impl TraceError {
    /// Returns the error without a place, to which the `at_` methods add one.
    pub(crate) fn new(file: &str, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: None,
            offset: None,
            operation: None,
            expected: expected.into(),
            found: found.into(),
        }
    }

    pub(crate) fn at_line(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }

    pub(crate) fn at_offset(mut self, offset: usize) -> Self {
        self.offset = Some(offset as u64);
        self
    }

    pub(crate) fn at_operation(mut self, operation: usize) -> Self {
        self.operation = Some(operation as u64);
        self
    }
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        match (self.line, self.offset, self.operation) {
            (Some(line), Some(offset), _) => write!(f, "line {line} (byte {offset}): ")?,
            (Some(line), None, _) => write!(f, "line {line}: ")?,
            (None, Some(offset), _) => write!(f, "byte {offset}: ")?,
            (None, None, Some(operation)) => write!(f, "operation {operation}: ")?,
            (None, None, None) => {}
        }
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

impl core::error::Error for TraceError {}
