//! [`fill_random`]: bytes from the operating system's generator, for keys and seeds.

use crate::{OsError, platform};

/// Fills `buffer` with bytes fit for cryptographic keys. One system call for up to 256 bytes.
///
/// Early in a machine's start it waits until the generator is seeded.
///
/// # Errors
///
/// Unsupported where the target has no generator; otherwise the system's error (a system-call filter,
/// usually). The content of `buffer` is unspecified then and must not be used as a key.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), forge_os::OsError> {
/// let mut key = [0; 16];
/// forge_os::fill_random(&mut key)?;
/// # Ok(())
/// # }
/// ```
pub fn fill_random(buffer: &mut [u8]) -> Result<(), OsError> {
    platform::fill_random(buffer)
}

#[cfg(test)]
#[cfg(hosted)]
mod tests;
