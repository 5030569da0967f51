//! The failures that are the user's to mend, apart from all others.
//!
//! # Design
//!
//! Everything fails with `anyhow::Error`; a [`UsageError`] anywhere in its chain makes the process exit with 2, as it
//! does for a wrong option, so that a script can tell a wrong request from a broken laboratory.

use std::fmt;

/// A request that cannot be carried out as given: what is wrong with it, and what would be right.
#[derive(Debug)]
pub(crate) struct UsageError(pub(crate) String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}
