//! [`Line`]: an event as one line of text, without an allocation.

use core::fmt::{self, Write};

use super::event::{WatermarkEvent, WatermarkLevel};
use super::text::Text;

/// The longest line in bytes: the longest event, all of whose numbers have twenty digits, is shorter.
const LONGEST: usize = 192;

/// The text of one event with its line end.
pub(super) struct Line {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Line {
    /// Returns the line of `event`.
    pub(super) fn new(event: &WatermarkEvent) -> Self {
        let mut line = Self { bytes: [0; LONGEST], len: 0 };
        let level = match event.level {
            WatermarkLevel::Warn => "WARN",
            WatermarkLevel::Critical => "CRITICAL",
            WatermarkLevel::Oom => "OOM",
        };
        // A text that does not fit is cut, so there is nothing to report.
        let _ = writeln!(line, "[forge-alloc] watermark {level}: {}", Text(event));
        line
    }

    /// Returns the bytes of the line.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        let len = text.len().min(room.len());
        for (to, from) in room.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        self.len += len;
        if len == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests;
