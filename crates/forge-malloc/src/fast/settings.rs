//! What a user may tell the allocator of a process, in the variable `FORGE_MALLOC`.
//!
//! ```text
//!   FORGE_MALLOC=retain=64M,huge_pages=never
//!                key   value
//! ```
//!
//! # Operations
//!
//! Reading: once for a process, at its first request that a cache cannot serve. O(length).
//!
//! # Design
//!
//! Nothing here allocates: the value is copied to the stack. What is not understood is named in one line and ignored, since a
//! process that does not start because of its allocator helps nobody.
#![cfg_attr(not(feature = "std"), allow(dead_code, reason = "the allocators of a process need threads"))]

use forge_os::{Advice, posix, print_line};

use super::heap::Heap;
use super::profile::Profile;

/// The longest value of the variable that is read, in bytes.
const LONGEST: usize = 512;

/// Each key with what it means.
const KEYS: [(&str, &str); 6] = [
    ("help", "print this list"),
    (
        "retain=BYTES",
        "free memory of small blocks that stays resident, besides a quarter of what is in use; 16M",
    ),
    (
        "retain_large=BYTES",
        "free memory of large blocks that stays mapped, besides three quarters of what is in use; 64M",
    ),
    (
        "purge_delay=MS",
        "how long free memory stays that no request needs, in milliseconds, twice that at most; 1000",
    ),
    ("huge_pages=always", "ask for transparent huge pages for each mapping"),
    ("huge_pages=never", "ask for none"),
];

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Settings<'a> {
    help: bool,
    retained: Option<usize>,
    retained_huge: Option<usize>,
    purge_delay: Option<u64>,
    advice: Option<Advice>,
    /// The first piece that is none of the above.
    unknown: Option<&'a str>,
}

impl<'a> Settings<'a> {
    /// Reads the value of the variable. The last one of a key counts.
    fn read(value: &'a str) -> Self {
        let mut settings = Self::default();
        for piece in value.split(',').map(str::trim).filter(|piece| !piece.is_empty()) {
            if settings.take(piece).is_none() {
                settings.unknown = settings.unknown.or(Some(piece));
            }
        }
        settings
    }

    /// Takes one piece, or none if it is not understood.
    fn take(&mut self, piece: &str) -> Option<()> {
        match piece.split_once('=') {
            None if piece == "help" => self.help = true,
            Some(("retain", bytes)) => self.retained = Some(bytes_of(bytes)?),
            Some(("retain_large", bytes)) => self.retained_huge = Some(bytes_of(bytes)?),
            Some(("purge_delay", milliseconds)) => self.purge_delay = Some(milliseconds.parse().ok()?),
            Some(("huge_pages", "always")) => self.advice = Some(Advice::HugePage),
            Some(("huge_pages", "never")) => self.advice = Some(Advice::NoHugePage),
            _ => return None,
        }
        Some(())
    }
}

/// Returns the number of bytes that a text says, as `4096`, `64K`, `16M` or `1G`.
fn bytes_of(text: &str) -> Option<usize> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'k' | b'K' => (text.get(..text.len() - 1)?, 10),
        b'm' | b'M' => (text.get(..text.len() - 1)?, 20),
        b'g' | b'G' => (text.get(..text.len() - 1)?, 30),
        _ => (text, 0),
    };
    let number: usize = digits.parse().ok()?;
    number.checked_mul(1 << shift)
}

/// Does for a heap what `FORGE_MALLOC` says. Allocates nothing.
pub(super) fn apply<P: Profile, O: forge_os::Os>(heap: &Heap<P, O>) {
    let mut place = [0; LONGEST];
    let Some(length) = posix::environment(c"FORGE_MALLOC", &mut place) else { return };
    let Some(value) = place.get(..length).and_then(|value| core::str::from_utf8(value).ok()) else {
        return print_line(&["forge-malloc: FORGE_MALLOC is too long, or no text; it is ignored"]);
    };
    let settings = Settings::read(value);
    if settings.help {
        print_line(&["forge-malloc: FORGE_MALLOC may be a list, separated by commas, of"]);
        for (key, meaning) in KEYS {
            print_line(&["  ", key, "  ", meaning]);
        }
    }
    if let Some(piece) = settings.unknown {
        print_line(&[
            "forge-malloc: FORGE_MALLOC has an unknown part, which is ignored: ",
            piece,
            " (help lists them)",
        ]);
    }
    heap.set_retention(settings.retained, settings.retained_huge);
    settings.purge_delay.into_iter().for_each(|delay| heap.set_purge_delay(delay));
    heap.set_advice(settings.advice);
}

#[cfg(test)]
mod tests;
