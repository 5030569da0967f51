//! [`fatal`]: the last words of a process that cannot trust its heap; [`print_line`]: others.

use crate::platform;

/// Writes `pieces` one after another and a newline to the standard error, then aborts the process.
///
/// It allocates nothing, takes no lock and does not unwind. On Unix the process ends with `SIGABRT`. Without
/// an operating system the message goes to the panic handler, and a panic handler that unwinds is stopped by
/// an abort.
///
/// # Examples
///
/// ```no_run
/// forge_os::fatal(&["allocator: ", "double free"]);
/// ```
#[cold]
#[inline(never)]
pub fn fatal(pieces: &[&str]) -> ! {
    platform::die(pieces)
}

/// Writes `pieces` one after another and a newline to the standard error.
///
/// It allocates nothing, takes no lock and does not unwind. Without an operating system it does nothing.
///
/// # Examples
///
/// ```
/// forge_os::print_line(&["allocator: ", "3", " blocks"]);
/// ```
#[cold]
#[inline(never)]
pub fn print_line(pieces: &[&str]) {
    platform::say(pieces);
}

#[cfg(test)]
#[cfg(all(unix, not(miri)))]
mod tests;
