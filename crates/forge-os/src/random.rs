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
mod tests {
    use super::fill_random;

    #[test]
    fn random_bytes_fill_every_length_and_differ() {
        let mut buffer = std::vec![0; 1000];
        for length in [0, 1, 16, 255, 256, 257, 1000] {
            buffer.fill(0);
            fill_random(&mut buffer[..length]).unwrap();
            assert!(buffer[length..].iter().all(|&byte| byte == 0), "wrote past {length}");
            if length >= 16 {
                assert!(
                    buffer[length - 16..length].iter().any(|&byte| byte != 0),
                    "tail of {length} not filled"
                );
            }
        }
        let (mut first, mut second) = ([0; 32], [0; 32]);
        fill_random(&mut first).unwrap();
        fill_random(&mut second).unwrap();
        assert_ne!(first, second);
    }
}
