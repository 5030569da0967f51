//! Writing to standard output as a filter does: a reader that stops reading is no failure.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};

/// Writes `text` to standard output.
///
/// # Errors
///
/// The write failed for another reason than a closed pipe.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output"),
    }
}
