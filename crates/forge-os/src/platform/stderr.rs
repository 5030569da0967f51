//! Writing the last message and ending the process, where there is a standard error to write to.
//!
//! # Design
//!
//! The message is assembled in a buffer on the stack and written in as few calls as possible, so that the
//! lines of two threads do not mix. Nothing is allocated, locked or formatted, so it works inside an
//! allocator, in a signal handler, and with any lock held.

/// Writes `pieces` and a newline to the standard error and aborts.
pub(crate) fn die(pieces: &[&str]) -> ! {
    say(pieces);
    #[cfg(feature = "std")]
    std::process::abort();
    #[cfg(not(feature = "std"))]
    super::abort();
}

/// Writes the pieces and a newline.
pub(crate) fn say(pieces: &[&str]) {
    let mut line = Line { bytes: [0; Line::CAPACITY], used: 0 };
    for piece in pieces {
        line.push(piece.as_bytes());
    }
    line.push(b"\n");
    line.flush();
}

/// A stack buffer before the standard error.
struct Line {
    bytes: [u8; Self::CAPACITY],
    used: usize,
}

impl Line {
    /// Below the size that pipes keep together (`PIPE_BUF` is at least 512), small enough for a signal stack.
    const CAPACITY: usize = 512;

    fn push(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let room = self.bytes.get_mut(self.used..).unwrap_or_default();
            let count = room.len().min(piece.len());
            for (to, from) in room.iter_mut().zip(piece) {
                *to = *from;
            }
            self.used += count;
            piece = piece.get(count..).unwrap_or(&[]);
            if self.used == Self::CAPACITY {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        super::write_stderr(self.bytes.get(..self.used).unwrap_or(&[]));
        self.used = 0;
    }
}
